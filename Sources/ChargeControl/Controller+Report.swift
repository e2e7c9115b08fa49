import Battery

/// Phase, SoC and the report itself (charge-control.md §4, steps 3 and 8 to 10).
extension Controller {
    mutating func updatePhase(charge: Reason, at now: Instant) {
        var input = PhaseInput(bank: bank, soc: soc.fine, cellsInSeries: configuration.cellsInSeries)
        input.isBlocked = charge.bound == 0 && charge.rule.blocks
        input.presentVoltage = min(lastPhaseVoltage, lastVoltage)
        for i in 0..<packCount { input.overVoltageTrips = max(input.overVoltageTrips, packs[i].alarms.overVoltageTrips) }
        let before = phase.phase
        phase.advance(input, packs: packs, count: packCount, configuration, table: table, at: now)
        if phase.phase == .bulk && before != .bulk && before != .absorb {
            for i in 0..<packCount { packs[i].alarms.resetTrips() }
        }
        if phase.changed || phase.becameFull { isRecordUrgent = true }
    }

    mutating func updateSoC(at now: Instant) {
        var input = SoCInput()
        input.raw = bank.soc
        input.isLive = bank.conducting + bank.joining + bank.isolated > 0 && bank.worstStage != .lost
        input.current = bank.current
        input.isCurrentKnown = bank.isCurrentKnown
        input.capacity = bank.capacity
        input.lowest = bank.lowest
        input.becameFull = phase.becameFull
        input.isProvenEmpty = isProvenEmpty
        soc.update(input, configuration, table: table, at: now)
    }

    /// S3: a pack that could discharge has had its empty latch set for 30 s, or complains of under-voltage.
    private var isProvenEmpty: Bool {
        var members = 0
        var empty = 0
        for i in 0..<packCount where packs[i].conducts {
            members += 1
            let alarm = !packs[i].alarms.held.isDisjoint(with: HeldAlarms.underVoltage)
            let latch = packs[i].latches.emptySince >= 30_000
            if packs[i].givesCharge && (latch || alarm) { return true }
            if alarm || latch { empty += 1 }
        }
        return members > 0 && empty == members
    }

    mutating func report(voltage: Reason, at now: Instant) {
        output.voltageReason = voltage
        if output.report.chargeVoltageLimit > voltage.bound { output.tightened = true }
        output.report.chargeVoltageLimit = voltage.bound
        output.phase = phase.isHeld && phase.phase != .initial ? .hold : phase.phase
        output.rememberedPhase = phase.phase
        output.preventsFull = phase.preventsFull
        output.stage = bank.worstStage
        reportBank()
        reportPacks(at: now)
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
        guard let hottest = bank.hottest, let coldest = bank.coldest else { return output.report.temperature }
        let top = table.chargeRate.upperEnd
        return top - hottest < coldest - configuration.coldZero ? hottest : coldest
    }

    private mutating func reportPacks(at now: Instant) {
        while output.packs.count < packCount { output.packs.append(PackStatus()) }
        for i in 0..<packCount {
            output.packs[i] = status(i, at: now)
        }
    }

    private func status(_ i: Int, at now: Instant) -> PackStatus {
        var s = PackStatus()
        s.state = packs[i].state
        s.stage = packs[i].stage
        let age = packs[i].age(at: now)
        s.age = age == .max ? -1 : age
        s.chargeLimit = chargeLimits[i].bound
        s.chargeReason = chargeLimits[i]
        s.dischargeLimit = dischargeLimits[i].bound
        s.dischargeReason = dischargeLimits[i]
        s.alarms = packs[i].alarms.held
        s.warnings = packs[i].warnings
        let m = packs[i].measures
        s.voltage = m.voltage
        s.current = m.current
        s.soc = packs[i].soc ?? 0
        s.highestCell = m.highest
        s.highestCellNumber = m.highestCell
        s.lowestCell = m.lowest
        s.lowestCellNumber = m.lowestCell
        return s
    }
}
