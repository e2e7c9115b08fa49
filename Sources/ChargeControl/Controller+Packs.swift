import Battery

/// The packs' part of a tick: ages, memberships, latches (charge-control.md §4, steps 1 and 2).
extension Controller {
    mutating func updateMembership(at now: Instant) {
        let n = configuration.cellsInSeries
        for i in 0..<packCount {
            packs[i].age(
                hold: configuration.hold, zero: configuration.zero, pack: configuration.packs[i], isStateless: isStateless, at: now)
        }
        if isStateless { return }

        markOffMedian()
        let before = membersBefore()
        for i in 0..<packCount {
            let wasLost = packs[i].hasBeenLost
            let membership = packs[i].membership
            packs[i].considerJoining(othersConduct: before.count > 0, at: now)
            packs[i].considerMembership(surroundings(of: i, before, n), at: now)
            if membership == .joining && packs[i].membership == .member && wasLost && before.count > 0 {
                // A rejoin on a running bank: limits rise only after the hold (aggregation.md §4 rule 4).
                chargeSlew.holdNow(at: now)
                dischargeSlew.holdNow(at: now)
            }
            if membership != .lost && packs[i].membership == .lost { isRecordUrgent = true }
        }
        var live = false
        for i in 0..<packCount where packs[i].conducts { live = true }
        cameToLife = live && !wasLive
        if cameToLife {
            chargeSlew.forgetCut()
            dischargeSlew.forgetCut()
        }
        wasLive = live
    }

    /// The conducting packs as they were before anything moved in this tick, so that the order of packs does not matter.
    struct Members {
        var count: Int32 = 0
        var sum: Millivolts = 0
        var median: Millivolts?
        var carriesCurrent = false
    }

    private func membersBefore() -> Members {
        var members = Members()
        var sorted = SortedVoltages()
        for i in 0..<packCount where packs[i].conducts {
            members.count += 1
            members.sum += packs[i].measures.voltage
            if !packs[i].isOffMedian { sorted.insert(packs[i].measures.voltage) }
            if packs[i].measures.current.magnitude >= 300 { members.carriesCurrent = true }
        }
        members.median = sorted.median
        if members.median == nil && members.count > 0 { members.median = members.sum / members.count }
        return members
    }

    private func surroundings(of i: Int, _ members: Members, _ n: Int32) -> PackTracker.Surroundings {
        var voltage = members.median
        if packs[i].conducts {
            if members.count <= 1 {
                voltage = nil
            } else if members.count == 2 {
                voltage = members.sum - packs[i].measures.voltage
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
        for i in 0..<packCount where packs[i].conducts { sorted.insert(packs[i].measures.voltage) }
        let median = sorted.count > 2 ? sorted.median : nil
        let tolerance = configuration.cellsInSeries * 500 / 16
        for i in 0..<packCount {
            packs[i].isOffMedian = packs[i].conducts && median.map { abs(packs[i].measures.voltage - $0) > tolerance } ?? false
        }
    }

    mutating func updatePacks(at now: Instant) {
        let context = limitContext
        var listing = LimiterListing()
        for i in 0..<packCount {
            let isFresh = packs[i].stage == .fresh
            if packs[i].isConnected || packs[i].membership == .isolated {
                let m = packs[i].measures
                packs[i].latches.update(
                    m, sensors: packs[i].sensors, capacity: packs[i].capacity, isFresh: isFresh, band: band,
                    coldZero: configuration.coldZero, coldReallow: configuration.coldReallow, at: now)
                packs[i].fault.tick(highest: m.highest, chargeZero: band.chargeZero, isFresh: isFresh, at: now)
                if packs[i].isConnected {
                    packs[i].runner.update(m, isFresh: isFresh, configuration, band: band, at: now)
                }
            }
            if packs[i].isConnected {
                let number = UInt8(i + 1)
                let pack = configuration.packs[i]
                chargeLimits[i] = packs[i].chargeLimit(number: number, context, pack: pack, at: now, listing: &listing)
                dischargeLimits[i] = packs[i].dischargeLimit(number: number, context, pack: pack, at: now, listing: &listing)
            } else {
                chargeLimits[i] = absence(i, at: now)
                dischargeLimits[i] = chargeLimits[i]
            }
        }
    }

    /// Why a pack that is not on the busbar has no limit.
    private func absence(_ i: Int, at now: Instant) -> Reason {
        let place = CellPlace(pack: UInt8(i + 1), cell: 0)
        return switch packs[i].membership {
        case .lost: Reason(.stale, bound: 0, place: place, input: Int32(clamping: packs[i].age(at: now)))
        case .isolated: Reason(.switchOff, bound: 0, place: place)
        default: Reason(.notReady, bound: 0, place: place)
        }
    }

    /// INIT ends with the first complete valid data (charge-control.md §5.1, §5.6).
    mutating func startWhenReady(at now: Instant) {
        var ready = 0
        var awaited = 0
        for i in 0..<packCount where packs[i].membership != .excluded {
            if packs[i].isReady { ready += 1 } else { awaited += 1 }
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
