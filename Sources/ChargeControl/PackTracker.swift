import Battery

/// Where a pack stands towards the bank. Together with its switches this gives the `PackState` that is shown.
enum Membership: UInt8, Equatable, Sendable, BitwiseCopyable {
    case absent, joining, member, isolated, lost, excluded
}

/// What the last believed snapshot of a pack says, reduced to what the limiters need.
struct PackMeasures: Sendable, BitwiseCopyable {
    var voltage: Millivolts = 0
    var sum: Millivolts = 0
    var current: Milliamps = 0
    var isCurrentKnown = false
    var highest: Millivolts = 0
    var lowest: Millivolts = 0
    var highestCell: UInt8 = 0
    var lowestCell: UInt8 = 0
    var chargeSwitch = false
    var dischargeSwitch = false
    var balancing: Bool?
    var soh: CentiPercent?
    var cycles: Int32 = 0
    var rated: MilliampHours?

    var spread: Millivolts { highest - lowest }
}

/// One pack of the bank: what it last said, how old that is, whether it takes part, and its latches
/// (aggregation.md §3, failsafe.md §2–§3, amendments 1–5, 9, 12, 14, 18).
struct PackTracker: Sendable, BitwiseCopyable {
    var membership = Membership.absent
    var measures = PackMeasures()
    var sensors = CellSensors()
    var mosfet = MosfetSensor()
    var alarms = HeldAlarms()
    var settings = KnownSettings()
    /// Limits that the BMS publishes. Once seen they are required: lost, the pack's limit is 0 (charge-control.md §1).
    var dynamic = DynamicLimits()
    var latches = PackLatches()
    var runner = RunnerLimit()
    var fault = PackFault()

    /// C of the pack; nil = never known.
    var capacity: MilliampHours?
    var remaining: MilliampHours?
    var soc: CentiPercent?
    var isSoCHeld = false

    /// Time of the last believed snapshot. A repeated old value never makes it younger.
    private(set) var freshAt = never
    private(set) var stage = StaleStage.lost
    /// Believed snapshots in a row, and when the first of them came.
    private(set) var consecutive: Int32 = 0
    private var runStarted = never
    /// 3 agreeing snapshots incl. settings: the pack may be the first to be reported (amendment 14).
    private(set) var isReady = false
    private(set) var isSuspect = false
    /// Its voltage does not fit the bank's (aggregation.md §6).
    var isOffMedian = false
    /// It exchanges current with the bank because their voltages differ (aggregation.md §4).
    var isEqualising = false
    /// It joins a bank that is already running, so limits wait (amendment 6 exempts the first join).
    private(set) var hasBeenLost = false
    private(set) var wasIsolatedWhenLost = false

    private var joiningSince = never
    private var joinTime: Milliseconds = 10_000
    private(set) var flaps = FlapCounter()

    private var chargeOn = Persisting()
    private var dischargeOn = Persisting()
    private var wasChargeOn = false
    private var wasDischargeOn = false
    private var breakerOpen = Persisting()
    private var calmCurrent = Persisting()
    private var isEligibleForExtendedHold = false

    // Acceptance.
    private var lastFive: UInt8 = 0
    private(set) var link = LinkQuality()
    private(set) var liveness = Liveness()
    private var base = CellVoltages(filler: 0)
    private var candidate = CellVoltages(filler: 0)
    private var candidateTemperatures = CellTemperatures(filler: .absent)
    private var hasCandidate = false
    private var socCandidate: CentiPercent = -1
    private var socAt = never
    private var startingSince = never
    private var sumFailures: Int32 = 0

    @inline(never)
    init() {}

    // MARK: Snapshots

    /// Judges a snapshot and takes over what it may.
    mutating func accept(
        _ reading: PackReading, rules: AcceptanceRules, pack: PackConfiguration, at now: Instant
    ) -> SnapshotRejection {
        let verdict = take(reading, rules: rules, pack: pack, at: now)
        switch verdict {
        case .none, .unconfirmed:
            lastFive = lastFive << 1
            link.count(bad: false)
        case .stuck:
            lastFive = lastFive << 1
            link.count(bad: false)
            consecutive = 0
            isSuspect = true
        default:
            lastFive = lastFive << 1 | 1
            link.count(bad: true)
            consecutive = 0
        }
        if (lastFive & 0b11111).nonzeroBitCount >= 3 { isSuspect = true }
        return verdict
    }

    mutating func linkFault() {
        link.count(bad: true)
    }

    private mutating func take(
        _ reading: PackReading, rules: AcceptanceRules, pack: PackConfiguration, at now: Instant
    ) -> SnapshotRejection {
        let overCurrent = greater(
            greater(settings.chargeOverCurrent, settings.dischargeOverCurrent),
            greater(pack.chargeOverCurrent, pack.dischargeOverCurrent))
        let verdict = rules.judge(reading, overCurrent: overCurrent)
        if verdict != .none { return verdict }

        var fresh = measure(reading)
        let voltage = reading.packVoltage ?? fresh.sum
        if abs(fresh.sum - voltage) > rules.sumTolerance(voltage) {
            sumFailures = min(sumFailures + 1, 1000)
            if sumFailures < 5 { return .sum }
            fresh.voltage = fresh.sum
        } else {
            sumFailures = 0
            fresh.voltage = voltage
        }

        if isJump(reading, pack: pack, at: now) {
            let confirmed =
                hasCandidate && agrees(reading.cells, candidate)
                && CellSensors.agree(reading.cellTemperatures, candidateTemperatures)
            candidate = reading.cells
            candidateTemperatures = reading.cellTemperatures
            hasCandidate = true
            if !confirmed {
                widen(fresh, reading, pack: pack, at: now)
                return .unconfirmed
            }
        }
        hasCandidate = false

        let stuck = liveness.update(reading, poll: pack.pollInterval, at: now)
        if liveness.restarted { fault.powerCycled() }
        if stuck {
            // The repeated values are no news; what tightens in them is already in force.
            if let advanced = liveness.lastAdvance, freshAt != never { freshAt = min(freshAt, advanced) }
            alarms.add(reading.alarms ?? Alarms(), at: now)
            return .stuck
        }

        adopt(fresh, reading, rules: rules, pack: pack, at: now)
        return .none
    }

    private func greater(_ a: Milliamps?, _ b: Milliamps?) -> Milliamps? {
        if let a, let b { max(a, b) } else { a ?? b }
    }

    private func measure(_ reading: PackReading) -> PackMeasures {
        var m = PackMeasures()
        m.lowest = .max
        for i in 0..<reading.cells.count {
            let cell = Int32(reading.cells[i])
            m.sum += cell
            if cell > m.highest { (m.highest, m.highestCell) = (cell, UInt8(i + 1)) }
            if cell < m.lowest { (m.lowest, m.lowestCell) = (cell, UInt8(i + 1)) }
        }
        m.current = reading.current ?? 0
        m.isCurrentKnown = reading.current != nil
        m.chargeSwitch = reading.chargeSwitch ?? false
        m.dischargeSwitch = reading.dischargeSwitch ?? false
        m.balancing = reading.balancing
        m.soh = reading.soh
        m.cycles = reading.cycles ?? measures.cycles
        m.rated = AcceptanceRules.plausibleCapacity(reading.rated) ?? measures.rated
        return m
    }

    private func isJump(_ reading: PackReading, pack: PackConfiguration, at now: Instant) -> Bool {
        // After a minute without data nothing can be said about a rate.
        if freshAt == never || now.since(freshAt) > 60_000 { return false }
        return !agrees(reading.cells, base) || sensors.jumps(reading.cellTemperatures, disabled: pack.disabledSensors)
    }

    private func agrees(_ a: CellVoltages, _ b: CellVoltages) -> Bool {
        if a.count != b.count { return false }
        for i in 0..<a.count where abs(Int32(a[i]) - Int32(b[i])) > AcceptanceRules.cellJump { return false }
        return true
    }

    /// A jump that nothing has confirmed yet: the restrictive direction is believed at once, the age does not get younger.
    private mutating func widen(
        _ fresh: PackMeasures, _ reading: PackReading, pack: PackConfiguration, at now: Instant
    ) {
        if fresh.highest > measures.highest {
            (measures.highest, measures.highestCell) = (fresh.highest, fresh.highestCell)
        }
        if fresh.lowest < measures.lowest { (measures.lowest, measures.lowestCell) = (fresh.lowest, fresh.lowestCell) }
        measures.chargeSwitch = measures.chargeSwitch && fresh.chargeSwitch
        measures.dischargeSwitch = measures.dischargeSwitch && fresh.dischargeSwitch
        if !fresh.chargeSwitch { chargeOn.reset() }
        if !fresh.dischargeSwitch { dischargeOn.reset() }
        sensors.widen(reading.cellTemperatures, disabled: pack.disabledSensors)
        alarms.add(reading.alarms ?? Alarms(), at: now)
    }

    private mutating func adopt(
        _ fresh: PackMeasures, _ reading: PackReading, rules: AcceptanceRules, pack: PackConfiguration, at now: Instant
    ) {
        if consecutive == 0 { runStarted = now }
        consecutive = min(consecutive + 1, 1_000_000)
        freshAt = now
        base = reading.cells
        measures = fresh
        sensors.update(reading.cellTemperatures, disabled: pack.disabledSensors, at: now)
        mosfet.update(reading.mosfetTemperature)
        if let stored = reading.settings { settings.update(stored, table: rules.table, at: now) }
        alarms.update(
            reading.alarms ?? Alarms(), highest: fresh.highest, lowest: fresh.lowest, settings: settings, at: now)
        dynamic.update(reading)
        updateSwitches(at: now)
        updateCharge(reading, pack: pack, at: now)
        fault.update(fresh, temperatures: sensors.extremes, mosfet: mosfet, table: rules.table)
        isEligibleForExtendedHold = isMidRange(rules.table)
        if consecutive >= 3 { isSuspect = false }
    }

    /// A switch that opens counts at once, one that closes after 10 s (aggregation.md §3); before the first join it counts as it is.
    private mutating func updateSwitches(at now: Instant) {
        let charge = chargeOn.update(measures.chargeSwitch, at: now)
        let discharge = dischargeOn.update(measures.dischargeSwitch, at: now)
        if membership != .member { return }
        measures.chargeSwitch = measures.chargeSwitch && (charge >= 10_000 || wasChargeOn)
        measures.dischargeSwitch = measures.dischargeSwitch && (discharge >= 10_000 || wasDischargeOn)
        wasChargeOn = measures.chargeSwitch
        wasDischargeOn = measures.dischargeSwitch
    }
    /// Both switches are open in the last snapshot.
    var isSwitchedOff: Bool { !chargeOn.isRunning && !dischargeOn.isRunning }

    private mutating func updateCharge(_ reading: PackReading, pack: PackConfiguration, at now: Instant) {
        capacity = AcceptanceRules.capacity(of: reading, typed: pack.capacity) ?? capacity
        if reading.starting {
            if startingSince == never { startingSince = now }
        } else {
            startingSince = never
        }
        let isStarting = startingSince != never && now.since(startingSince) < 30_000
        guard let reported = reading.soc, reported >= 0, reported <= 10_000, !isStarting, isChargeConsistent(reading)
        else {
            isSoCHeld = true
            return
        }
        if let known = soc, abs(reported - known) > AcceptanceRules.socJump, now.sinceOrForever(socAt) <= 60_000 {
            let confirmed = socCandidate >= 0 && abs(reported - socCandidate) <= AcceptanceRules.socJump
            socCandidate = reported
            if !confirmed {
                isSoCHeld = true
                return
            }
        }
        socCandidate = -1
        isSoCHeld = false
        socAt = now
        soc = reported
        if let c = capacity { remaining = scaledDown(c, Int64(reported), 10_000) }
    }

    private func isChargeConsistent(_ reading: PackReading) -> Bool {
        guard let remaining = reading.remaining else { return true }
        guard let full = AcceptanceRules.plausibleCapacity(reading.full) else { return false }
        return remaining >= 0 && Int64(remaining) * 10 <= Int64(full) * 11
    }

    private func isMidRange(_ table: ChemistryTable) -> Bool {
        guard let soc, !isSoCHeld, let coldest = sensors.extremes.coldest, let hottest = sensors.extremes.hottest,
            let c = capacity
        else { return false }
        return measures.lowest >= table.midLow && measures.highest <= table.midHigh && soc >= 1500 && soc <= 9000
            && !sensors.isLost && coldest >= 50 && hottest <= 450 && alarms.held.isEmpty
            && Int64(measures.current.magnitude) * 10 <= Int64(c) * 3
    }

    // MARK: Time

    func age(at now: Instant) -> Milliseconds { now.sinceOrForever(freshAt) }

    /// When this pack is LOST: T_zero, or 120 s under an extended hold.
    func usesExtendedHold(_ pack: PackConfiguration) -> Bool { pack.extendedHold && isEligibleForExtendedHold }

    /// Moves the pack through the staleness ladder and the transitions that need no knowledge of the bank.
    mutating func age(
        hold: Milliseconds, zero: Milliseconds, pack: PackConfiguration, isStateless: Bool, at now: Instant
    ) {
        if !pack.isEnabled {
            membership = .excluded
            stage = .lost
            return
        }
        if membership == .excluded { membership = .absent }
        let age = age(at: now)
        let lostAfter = usesExtendedHold(pack) ? Ladder.extendedZero : zero
        if age <= min(max(3 * pack.pollInterval, 5000), hold) {
            stage = .fresh
        } else if age <= hold {
            stage = .keep
        } else if age <= lostAfter {
            stage = .derate
            isSuspect = true
            if !isStateless { consecutive = 0 }
        } else {
            stage = .lost
            consecutive = 0
            lose(at: now)
        }
    }

    private mutating func lose(at now: Instant) {
        isReady = false
        switch membership {
        case .member, .isolated, .joining:
            wasIsolatedWhenLost = membership == .isolated
            membership = .lost
            hasBeenLost = true
            flaps.lost(at: now)
            isSuspect = false
            isEqualising = false
            isOffMedian = false
            chargeOn.reset()
            dischargeOn.reset()
            wasChargeOn = false
            wasDischargeOn = false
        case .absent, .lost, .excluded:
            break
        }
    }

    /// ABSENT/LOST → JOINING: 3 believed snapshots in a row, spread over 1.5 s at first and 5 s after a loss (amendment 14).
    mutating func considerJoining(othersConduct: Bool, at now: Instant) {
        let spread = runStarted == never ? 0 : freshAt.since(runStarted)
        if membership == .absent || membership == .lost {
            if consecutive >= 3 && spread >= (membership == .lost ? 5000 : 1500) {
                membership = .joining
                joiningSince = now
                joinTime = othersConduct ? flaps.joinTime(at: now) : 10_000
            }
        }
        if membership == .joining || membership == .member || membership == .isolated {
            // Settings are part of a complete start; a BMS that has none is not waited for longer than this.
            let settingsKnown = settings.readAt != never || now.sinceOrForever(runStarted) >= 15_000
            if consecutive >= 3 && settingsKnown { isReady = true }
        }
    }

    /// The bank as seen from one pack, itself left out.
    struct Surroundings {
        /// Voltage of the other conducting packs; nil when there are none.
        var voltage: Millivolts?
        var soc: CentiPercent?
        /// Current flows through the others, so a pack without current says something.
        var carriesCurrent: Bool
        /// 31 mV per cell: 0.5 V for 16 cells (aggregation.md §4).
        var joinDifference: Millivolts
        var equalDifference: Millivolts
    }

    /// JOINING → member or ISOLATED, and back (aggregation.md §3, §4; amendment 12 for a pack without company).
    mutating func considerMembership(_ bank: Surroundings, at now: Instant) {
        let difference = bank.voltage.map { abs(measures.voltage - $0) } ?? 0
        let c = Int64(capacity ?? 0)
        let current = Int64(measures.current.magnitude)
        let calm = calmCurrent.update(stage == .fresh && current * 5 < c, at: now)
        updateEqualising(bank, difference: difference, at: now)
        switch membership {
        case .joining:
            // The last available pack never waits for a back-off (amendment 4).
            let needed = bank.voltage == nil ? 10_000 : joinTime
            if stage != .fresh { joiningSince = now }
            if now.since(joiningSince) < needed { return }
            if isSwitchedOff || isBreakerOpen(bank, difference: difference, at: now) {
                membership = .isolated
                return
            }
            let socFits =
                if let mine = soc, let theirs = bank.soc { abs(mine - theirs) <= 2000 } else { false }
            let fits = bank.voltage == nil || (difference <= bank.joinDifference && (socFits || calm >= 30_000))
            if fits || (difference > bank.joinDifference && !isEqualising && calm >= 30_000) {
                membership = .member
                wasChargeOn = measures.chargeSwitch
                wasDischargeOn = measures.dischargeSwitch
            }
        case .member:
            if isSwitchedOff || isBreakerOpen(bank, difference: difference, at: now) { membership = .isolated }
        case .isolated:
            let isOpen =
                isSwitchedOff || (breakerOpen.isRunning && isBreakerOpen(bank, difference: difference, at: now))
            if !isOpen {
                membership = .joining
                joiningSince = now
                joinTime = 10_000
            }
        case .absent, .lost, .excluded:
            break
        }
    }

    private mutating func isBreakerOpen(_ bank: Surroundings, difference: Millivolts, at now: Instant) -> Bool {
        // A switch that is off keeps the current away as well. It proves no open breaker: such a pack goes on in the other
        // direction with the next change of load, and its limit has to count.
        let isBelow = bank.voltage.map { measures.voltage < $0 } ?? false
        let couldFlow = isBelow ? measures.chargeSwitch : measures.dischargeSwitch
        let open =
            measures.isCurrentKnown && measures.current.magnitude < 300 && bank.carriesCurrent && couldFlow
            && bank.voltage != nil && difference > bank.equalDifference
        // 10 s, so that a slow poll under a load step does not look like an open breaker. And the unit must have lived meanwhile: one
        // that repeats itself says nothing about its current, and the limit of a pack that may carry some has to count.
        let time = breakerOpen.update(open, at: now)
        return time >= 10_000 && liveness.livedWithin(time, at: now)
    }

    private mutating func updateEqualising(_ bank: Surroundings, difference: Millivolts, at now: Instant) {
        let conducts = (membership == .joining || membership == .member) && !isSwitchedOff
        let noticeable = Int64(measures.current.magnitude) * 10 >= Int64(capacity ?? 0)
        if !conducts || bank.voltage == nil || difference <= bank.equalDifference || !noticeable {
            isEqualising = false
        } else if difference > bank.joinDifference {
            isEqualising = true
        }
    }

    /// A joining pack keeps the limits of a running bank from rising (aggregation.md §3): for its first 10 s, and while the join
    /// rule is not met. A back-off alone does not, or one loose cable would hold a bank at zero for an hour; the pack's own limit
    /// still binds through `BankLimit.constrain`.
    func freezesBank(at now: Instant) -> Bool {
        if membership != .joining { return false }
        let elapsed = now.since(joiningSince)
        return elapsed < 10_000 || elapsed > joinTime
    }

    var flapCount: UInt8 { flaps.count }

    // MARK: What it means

    /// Latches, fault and runner of a pack that is on the busbar, or was just isolated.
    mutating func updateProtection(_ context: LimitContext, at now: Instant) {
        let isFresh = stage == .fresh
        switch membership {
        case .member, .joining, .isolated:
            latches.update(
                measures, temperatures: sensors.extremes, capacity: capacity, isFresh: isFresh, band: context.band,
                coldZero: context.coldZero, coldReallow: context.coldReallow, at: now)
            fault.tick(highest: measures.highest, chargeZero: context.band.chargeZero, isFresh: isFresh, at: now)
            if membership != .isolated { runner.update(measures, isFresh: isFresh, context, at: now) }
        case .absent, .lost, .excluded:
            break
        }
    }

    // Written in three parts, because a tick needs the first before it can decide the second, and so on. `mutating` only so that
    // the tracker is used where it is instead of being copied.

    /// What the last snapshots say.
    mutating func writeData(to view: inout PackView, pack: PackConfiguration, at now: Instant) {
        view.membership = membership
        view.stage = stage
        view.age = age(at: now)
        view.usesExtendedHold = pack.extendedHold && isEligibleForExtendedHold
        view.isChargeClosing = chargeOn.isRunning && !measures.chargeSwitch
        view.isDischargeClosing = dischargeOn.isRunning && !measures.dischargeSwitch
        view.measures = measures
        view.temperatures = sensors.extremes
        view.mosfet = mosfet
        view.dynamic = dynamic
        view.settings = settings
        view.capacity = capacity
        view.soc = soc
        view.isSoCHeld = isSoCHeld
        view.alarms = alarms.held
        view.overVoltageTrips = alarms.overVoltageTrips
    }

    /// Where it stands towards the bank.
    mutating func writeStanding(to view: inout PackView, at now: Instant) {
        view.membership = membership
        view.isReady = isReady
        view.isSuspect = isSuspect
        view.isOffMedian = isOffMedian
        view.isEqualising = isEqualising
        view.freezesBank = freezesBank(at: now)
        view.wasIsolatedWhenLost = wasIsolatedWhenLost
    }

    /// What protects it, and what its owner is warned of.
    mutating func writeProtection(to view: inout PackView) {
        view.runner = runner.bound
        view.isTopLatched = latches.top
        view.isEmptyLatched = latches.empty
        view.isColdLatched = latches.cold
        view.emptyFor = latches.emptySince
        view.isFaultSevere = fault.isSevere
        view.isFaultOverVoltage = fault.isOverVoltage
        view.faultInput = fault.input
        let wasHeard = freshAt != never
        var w = Warnings()
        if link.isPoor { w.insert(.linkQuality) }
        if wasHeard && sensors.isLost { w.insert(.temperatureSensor) }
        if sensors.isStuck { w.insert(.stuckSensor) }
        if mosfet.isLost { w.insert(.mosfetSensorLost) }
        if settings.isImplausible { w.insert(.settingsImplausible) }
        if sumFailures >= 5 { w.insert(.sumMismatch) }
        if liveness.isStuckAtRest { w.insert(.stuckAtRest) }
        if isEqualising { w.insert(.equalisingCurrent) }
        if fault.isSevere || fault.isOverVoltage { w.insert(.packFault) }
        if wasHeard && !measures.isCurrentKnown { w.insert(.currentUnknown) }
        view.warnings = w
    }

    // MARK: Other ways in

    /// One snapshot judged alone (`explain`): the pack is ACTIVE, `age` old, without latches.
    mutating func adoptStateless(
        _ reading: PackReading, age: Milliseconds, rules: AcceptanceRules, pack: PackConfiguration, at now: Instant
    ) -> SnapshotRejection {
        let verdict = accept(reading, rules: rules, pack: pack, at: now - age)
        if verdict == .none {
            membership = .member
            isReady = true
            wasChargeOn = measures.chargeSwitch
            wasDischargeOn = measures.dischargeSwitch
        } else {
            // Not believed, but there: it counts as LOST, with whatever its settings forbid.
            if let stored = reading.settings { settings.update(stored, table: rules.table, at: now) }
            membership = .lost
        }
        return verdict
    }

    mutating func restoreFlaps(_ count: UInt8, at now: Instant) {
        for _ in 0..<count { flaps.lost(at: now) }
    }
}
