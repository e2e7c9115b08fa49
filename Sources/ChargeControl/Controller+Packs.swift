import Battery

/// The packs' part of a tick: ages, memberships, latches (charge-control.md §4, steps 1 and 2).
extension Controller {
    @inline(never)
    mutating func updateMembership(at now: Instant) {
        for i in 0..<packCount {
            packs[i].age(
                hold: configuration.hold, zero: configuration.zero, pack: packConfigurations[i],
                isStateless: isStateless, at: now)
            packs[i].writeData(to: &views[i], pack: packConfigurations[i], at: now)
            views[i].fade = Ladder.fade(
                age: views[i].age, hold: configuration.hold, zero: configuration.zero,
                isExtended: views[i].usesExtendedHold)
        }
        if isStateless { return }

        markOffMedian()
        let before = membersBefore()
        for i in 0..<packCount {
            let wasJoining = views[i].membership == .joining
            packs[i].considerJoining(othersConduct: before.count > 0, at: now)
            packs[i].considerMembership(surroundings(of: i, before), at: now)
            if wasJoining && packs[i].membership == .member && packs[i].hasBeenLost && before.count > 0 {
                // A rejoin on a running bank: limits rise only after the hold (aggregation.md §4 rule 4).
                chargeSlew.holdNow(at: now)
                dischargeSlew.holdNow(at: now)
            }
        }
        var live = false
        for i in 0..<packCount where packs[i].membership == .member { live = true }
        if !live && before.count > 0 { live = standIn(at: now) }
        cameToLife = live && !wasLive
        if cameToLife {
            chargeSlew.forgetCut()
            dischargeSlew.forgetCut()
        }
        wasLive = live
    }

    /// The last conducting pack has gone. One that only waits out its back-off takes over in the same tick, or the house would be
    /// dark for a second (amendment 4).
    private mutating func standIn(at now: Instant) -> Bool {
        var found = false
        for i in 0..<packCount where packs[i].membership == .joining {
            packs[i].considerMembership(surroundings(of: i, Members()), at: now)
            if packs[i].membership == .member { found = true }
        }
        if found {
            chargeSlew.holdNow(at: now)
            dischargeSlew.holdNow(at: now)
        }
        return found
    }

    /// The conducting packs as they were before anything moved in this tick, so that the order of packs does not matter.
    struct Members {
        var count: Int32 = 0
        var sum: Millivolts = 0
        var median: Millivolts?
        var carriesCurrent = false
    }

    private mutating func membersBefore() -> Members {
        var members = Members()
        var sorted = SortedVoltages()
        for i in 0..<packCount where views[i].conducts {
            members.count += 1
            members.sum += views[i].measures.voltage
            if !packs[i].isOffMedian { sorted.insert(views[i].measures.voltage) }
            if views[i].measures.current.magnitude >= 300 { members.carriesCurrent = true }
        }
        members.median = sorted.median
        if members.median == nil && members.count > 0 { members.median = members.sum / members.count }
        return members
    }

    private mutating func surroundings(of i: Int, _ members: Members) -> PackTracker.Surroundings {
        let n = configuration.cellsInSeries
        var voltage = members.median
        if views[i].conducts {
            if members.count <= 1 {
                voltage = nil
            } else if members.count == 2 {
                voltage = members.sum - views[i].measures.voltage
            }
        }
        return PackTracker.Surroundings(
            voltage: voltage, soc: bank.soc, carriesCurrent: members.carriesCurrent, joinDifference: n * 500 / 16,
            equalDifference: n * 300 / 16)
    }

    /// A conducting pack more than 0.5 V (16 cells) from the median is not used for the bank's voltage (aggregation.md §6). Of two
    /// packs nobody can say which one is wrong: both stay.
    private mutating func markOffMedian() {
        var sorted = SortedVoltages()
        for i in 0..<packCount where views[i].conducts { sorted.insert(views[i].measures.voltage) }
        let median = sorted.count > 2 ? sorted.median : nil
        let tolerance = configuration.cellsInSeries * 500 / 16
        for i in 0..<packCount {
            packs[i].isOffMedian =
                views[i].conducts && median.map { abs(views[i].measures.voltage - $0) > tolerance } ?? false
        }
    }

    /// Latches and limits of every pack, with the band of this tick.
    @inline(never)
    mutating func updatePacks(at now: Instant) {
        let context = limitContext
        if listsLimiters { startListing() }
        for i in 0..<packCount {
            let number = UInt8(i + 1)
            let pack = packConfigurations[i]
            packs[i].updateProtection(context, at: now)
            packs[i].writeProtection(to: &views[i])
            if views[i].isConnected {
                if listsLimiters { list(pack: i) }
                views[i].chargeHeld = views[i].chargeBound(
                    number: number, context, pack: pack, listing: &chargeListing)
                views[i].dischargeHeld = views[i].dischargeBound(
                    number: number, context, pack: pack, listing: &dischargeListing)
                views[i].chargeLimit = views[i].faded(views[i].chargeHeld, number: number)
                views[i].dischargeLimit = views[i].faded(views[i].dischargeHeld, number: number)
            } else {
                views[i].chargeLimit = absence(i)
                views[i].dischargeLimit = views[i].chargeLimit
            }
        }
    }

    private mutating func startListing() {
        chargeListing.isOn = true
        dischargeListing.isOn = true
        chargeListing.clear()
        dischargeListing.clear()
    }

    /// The bounds of this pack are listed as what they mean for the bank. A pack that takes no part in a direction limits nothing
    /// there, unless there is no other.
    private mutating func list(pack i: Int) {
        var charging: Int64 = 0
        var discharging: Int64 = 0
        var chargeFlow: Int64 = 0
        var dischargeFlow: Int64 = 0
        var takers = 0
        var givers = 0
        for j in 0..<packCount {
            if views[j].takesCharge { takers += 1 }
            if views[j].givesCharge { givers += 1 }
            if views[j].takesCharge || j == i {
                charging += views[j].weight
                chargeFlow += share.mean(j)
            }
            if views[j].givesCharge || j == i {
                discharging += views[j].weight
                dischargeFlow += share.mean(j)
            }
        }
        let isJoining = views[i].membership == .joining
        chargeListing.isOn = takers == 0 || views[i].takesCharge || isJoining && views[i].measures.chargeSwitch
        dischargeListing.isOn = givers == 0 || views[i].givesCharge || isJoining && views[i].measures.dischargeSwitch
        let charge = share.share(i, capacity: views[i].capacity, total: charging, flow: chargeFlow, charging: true)
        let discharge = share.share(i, capacity: views[i].capacity, total: discharging, flow: dischargeFlow, charging: false)
        chargeListing.pack(share: charge.numerator, of: charge.denominator)
        dischargeListing.pack(share: discharge.numerator, of: discharge.denominator)
    }

    /// Why a pack that is not on the busbar has no limit.
    private mutating func absence(_ i: Int) -> Reason {
        let place = CellPlace(pack: UInt8(i + 1), cell: 0)
        return switch views[i].membership {
        case .lost: Reason(.stale, bound: 0, place: place, input: Int32(clamping: views[i].age))
        case .isolated: Reason(.switchOff, bound: 0, place: place)
        default: Reason(.notReady, bound: 0, place: place)
        }
    }

    /// INIT ends with the first complete valid data (charge-control.md §5.1, §5.6).
    mutating func startWhenReady(at now: Instant) {
        var ready = 0
        var awaited = 0
        for i in 0..<packCount where views[i].membership != .excluded {
            if views[i].isReady { ready += 1 } else { awaited += 1 }
        }
        if ready > 0 && firstReadyAt == never { firstReadyAt = now }
        let isSoCKnown = bank.soc != nil || soc.fine != nil
        if phase.phase == .initial && ready > 0 && isSoCKnown {
            phase.start(record: bootRecord, bank: bank, configuration, at: now)
        }
        if !output.mayTransmit && phase.phase != .initial {
            // Other expected packs are waited for, but not for ever (amendment 14).
            output.mayTransmit = awaited == 0 || now.since(firstReadyAt) >= 15_000
        }
    }
}
