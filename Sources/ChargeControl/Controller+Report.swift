import Battery

/// Phase, SoC and the report itself (charge-control.md §4, steps 3 and 8 to 10).
extension Controller {
    mutating func updatePhase(isHeld: Bool, at now: Instant) {
        var input = PhaseInput(bank: bank, soc: soc.fine, cellsInSeries: configuration.cellsInSeries)
        input.isBlocked = isHeld
        input.forceChargeActive = force1.isOn || force2.isOn
        input.fullNow = overrides.wantsFull(at: now)
        input.presentVoltage = min(lastPhaseVoltage, lastVoltage)
        for i in 0..<packCount { input.overVoltageTrips = max(input.overVoltageTrips, views[i].overVoltageTrips) }
        let before = phase.phase
        phase.advance(input, packs: views.span, count: packCount, configuration, table: table, at: now)
        if phase.phase == .bulk && before != .bulk && before != .absorb {
            for i in 0..<packCount { packs[i].alarms.resetTrips() }
        }
        if phase.phase != before && (phase.phase == .float || phase.phase == .rest) { overrides.chargeEnded() }
        isRecordUrgent = phase.changed || phase.becameFull
        ceiling.updateCeiling(soc.fine, mark: overrides.ceiling(stored: configuration.socCeiling, at: now))
        reserve.updateReserve(soc.fine, mark: configuration.socReserve)
    }

    /// The shunt gives current and SoC while it is fresh and measures exactly the packs that conduct (charge-control.md §9.1). It
    /// comes back by itself.
    mutating func useShunt(at now: Instant) {
        var conducting: UInt16 = 0
        for i in 0..<packCount where views[i].conducts { conducting |= 1 << UInt16(i) }
        isShuntDropped = false
        guard let reading = shunt else { return }
        if conducting == 0 || now.since(shuntAt) > configuration.hold || reading.packs != conducting {
            isShuntDropped = true
            return
        }
        if let current = reading.current {
            bank.current = current
            bank.isCurrentKnown = true
        }
    }

    /// The packs that make up the bank's sums, to notice when the sums change for that reason.
    private mutating func sourceChanged() -> Bool {
        var counted: UInt16 = 0
        for i in 0..<packCount where views[i].conducts { counted |= 1 << UInt16(i) }
        let changed = counted != countedPacks
        countedPacks = counted
        return changed
    }

    /// Shunt, then the own counter, then the BMS (charge-control.md §9.1).
    private mutating func rawSoC(changed: Bool, isEmpty: Bool, at now: Instant) -> CentiPercent? {
        let isLive = bank.isFresh && bank.isCurrentKnown
        if configuration.coulombCounter {
            counter.update(
                current: isLive ? bank.current : nil, bank: bank.capacity, bmsSoC: bank.soc, reseed: changed, at: now)
            if phase.becameFull { counter.becameFull(bank: bank.capacity, rated: bank.rated) }
            if isEmpty { counter.becameEmpty(bank: bank.capacity, rated: bank.rated) }
        }
        if let reading = shunt, let soc = reading.soc, !isShuntDropped { return soc }
        if configuration.coulombCounter, let soc = counter.soc(bank: bank.capacity) { return soc }
        return bank.soc
    }

    mutating func updateObedience(discharge: Reason, at now: Instant) {
        let isKnown = bank.isFresh && bank.isCurrentKnown && wasLive
        chargeObedience.update(current: isKnown ? bank.current : nil, told: chargeSlew.value, at: now)
        dischargeObedience.update(
            current: isKnown ? -bank.current : nil, told: max(dischargeSlew.value, discharge.bound), at: now)
    }

    /// Requests to the inverter; none while charge is blocked (P20).
    mutating func updateRequests(isBlocked: Bool, at now: Instant) {
        let mayCharge = !isBlocked && chargeEnable.isOn && bank.isFresh && !isStateless
        let force = configuration.forceChargeRequests && mayCharge
        force1.update(
            ForceCharge.first, soc: soc.fine, lowest: bank.lowest, dischargeZero: band.dischargeZero, isAllowed: force,
            at: now)
        force2.update(
            ForceCharge.second, soc: soc.fine, lowest: bank.lowest, dischargeZero: band.dischargeZero, isAllowed: force,
            at: now)
        let isWarm = bank.coldest ?? .min >= 50
        fullRequest.update(
            soc: soc.fine, becameFull: phase.becameFull, everyDays: configuration.fullEveryDays,
            releasesAt97: configuration.inverter.fullRequestReleasesAt97,
            isAllowed: configuration.fullChargeRequest && mayCharge && isWarm && !bank.isDegraded, at: now)
        var requests = ChargeRequests()
        if force1.isOn { requests.insert(.forceCharge1) }
        if force2.isOn { requests.insert(.forceCharge2) }
        if fullRequest.isOn { requests.insert(.fullCharge) }
        output.report.requests = requests
    }

    /// A slew that was under way stops with the data, too (S7, amendment 21).
    private var isAnyPackFresh: Bool {
        mutating get {
            for i in 0..<packCount where views[i].stage == .fresh {
                switch views[i].membership {
                case .member, .joining, .isolated: return true
                case .absent, .lost, .excluded: continue
                }
            }
            return false
        }
    }

    mutating func updateSoC(at now: Instant) {
        var input = SoCInput()
        input.sourceChanged = sourceChanged()
        input.isProvenEmpty = isProvenEmpty
        input.raw = rawSoC(changed: input.sourceChanged, isEmpty: input.isProvenEmpty, at: now)
        input.isLive = isAnyPackFresh
        input.current = bank.current
        input.isCurrentKnown = bank.isCurrentKnown
        input.capacity = bank.capacity
        input.lowest = bank.lowest
        input.becameFull = phase.becameFull
        soc.update(input, configuration, table: table, at: now)
    }

    /// S3: a pack that could discharge has had its empty latch set for 30 s, or complains of under-voltage.
    private var isProvenEmpty: Bool {
        mutating get {
            var members = 0
            var empty = 0
            for i in 0..<packCount where views[i].conducts {
                members += 1
                let alarm = !views[i].alarms.isDisjoint(with: HeldAlarms.underVoltage)
                let latch = views[i].emptyFor >= 30_000
                if views[i].givesCharge && (latch || alarm) { return true }
                if alarm || latch { empty += 1 }
            }
            return members > 0 && empty == members
        }
    }

    mutating func report(voltage: Reason, at now: Instant) {
        output.voltageReason = voltage
        if output.report.chargeVoltageLimit > voltage.bound { output.tightened = true }
        output.report.chargeVoltageLimit = voltage.bound
        output.isSoCKnown = soc.fine != nil
        output.phase = phase.isHeld && phase.phase != .initial ? .hold : phase.phase
        output.rememberedPhase = phase.phase
        output.preventsFull = phase.preventsFull
        output.stage = bank.worstStage
        reportBank()
    }

    /// The last things of a tick: what has lasted how long, and silence where a profile wants it (failsafe.md §3 SILENT).
    mutating func finish(at now: Instant) {
        let dt = lastTick == never ? 0 : min(max(now.since(lastTick), 0), 60_000)
        lastTick = now
        if bank.isVoltageKnown && bank.isFresh { energy.add(voltage: bank.voltage, current: bank.current, dt: dt) }
        output.report.energyCharged = energy.charged
        output.report.energyDischarged = energy.discharged
        limitedTime.add(
            dt, voltage: output.voltageReason.rule, charge: output.chargeReason.rule,
            discharge: output.dischargeReason.rule)
        if configuration.inverter.silentWhenLost && phase.phase != .initial && !isStateless {
            output.mayTransmit = bank.conducting + bank.joining + bank.isolated > 0
        }
        var lost: UInt16 = 0
        for i in 0..<packCount where views[i].membership == .lost { lost |= 1 << UInt16(i) }
        if lost & ~lostPacks != 0 { isRecordUrgent = true }
        lostPacks = lost
        if listsLimiters {
            output.chargeLimiters = chargeListing.reasons
            output.dischargeLimiters = dischargeListing.reasons
        }
    }

    /// The longest time after which a pack counts as lost (P3).
    var longestZero: Milliseconds {
        mutating get {
            var longest = configuration.zero
            for i in 0..<packCount where views[i].usesExtendedHold { longest = Ladder.extendedZero }
            return longest
        }
    }

    private mutating func reportBank() {
        output.report.soc = soc.percent(configuration)
        output.report.socFine = min(soc.fine ?? 0, output.report.soc == 100 ? 10_000 : 9_999)
        output.report.chemistry = configuration.chemistry
        output.report.cellsInSeries = configuration.cellsInSeries
        output.report.packsExpected = max(1, bank.expected)
        output.report.packsOnline = max(1, bank.conducting)
        output.report.packsOffline = bank.offline
        output.report.packsBlockingCharge = bank.blockingCharge
        output.report.packsBlockingDischarge = bank.blockingDischarge
        output.report.current = bank.current
        if !bank.isVoltageKnown { return }
        output.report.voltage = bank.voltage
        output.report.soh = min(max(bank.soh ?? 100, 1), 100)
        output.report.remaining = bank.remaining
        output.report.full = bank.capacity
        output.report.rated = bank.rated
        output.report.cycles = bank.cycles
        output.report.balancing = bank.balancing
        output.report.highestCell = bank.highest
        output.report.highestCellPlace = bank.highestPlace
        output.report.lowestCell = bank.lowest
        output.report.lowestCellPlace = bank.lowestPlace
        output.report.highestTemperature = bank.hottest
        output.report.highestTemperaturePlace = bank.hottestPlace
        output.report.lowestTemperature = bank.coldest
        output.report.lowestTemperaturePlace = bank.coldestPlace
        output.report.temperature = batteryTemperature
    }

    /// The sensor closest to one of its limits, 0 °C or 55 °C for LFP (aggregation.md §6).
    private var batteryTemperature: Decidegrees? {
        mutating get {
            guard let hottest = bank.hottest, let coldest = bank.coldest else { return output.report.temperature }
            let top = table.chargeRate.upperEnd
            return top - hottest < coldest - configuration.coldZero ? hottest : coldest
        }
    }

    @inline(never)
    mutating func reportPacks() {
        while output.packs.count < packCount { output.packs.append(PackStatus()) }
        for i in 0..<packCount { output.packs[i] = status(i) }
    }

    private mutating func status(_ i: Int) -> PackStatus {
        var s = PackStatus()
        s.state = views[i].state
        s.stage = views[i].stage
        let age = views[i].age
        s.age = age == .max ? -1 : age
        s.chargeLimit = views[i].chargeLimit.bound
        s.chargeReason = views[i].chargeLimit
        s.dischargeLimit = views[i].dischargeLimit.bound
        s.dischargeReason = views[i].dischargeLimit
        s.alarms = views[i].alarms
        s.warnings = views[i].warnings
        let m = views[i].measures
        s.voltage = m.voltage
        s.current = m.current
        s.soc = views[i].soc ?? 0
        s.highestCell = m.highest
        s.highestCellNumber = m.highestCell
        s.lowestCell = m.lowest
        s.lowestCellNumber = m.lowestCell
        return s
    }
}
