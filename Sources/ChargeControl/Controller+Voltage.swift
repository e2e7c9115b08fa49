import Battery

/// CVL and DVL (charge-control.md §6, §7.7; amendments 24 and 27).
extension Controller {
    /// The lowest bound on CVL, rounded down to 0.1 V, with its reason.
    @inline(never)
    mutating func chargeVoltage(isBlocked: Bool, at now: Instant) -> Reason {
        let n = configuration.cellsInSeries
        output.voltageLimiters.removeAll()
        let phaseVoltage = phase.voltage(bank, configuration, at: now)
        lastPhaseVoltage = phaseVoltage

        var bounds = Bounds(Reason(.userVoltage, bound: n * configuration.bulk, input: configuration.bulk))
        let isListed = listsLimiters
        func consider(_ reason: Reason, _ list: inout ReasonList) {
            bounds.consider(reason)
            if isListed { list.append(reason) }
        }
        if isListed { output.voltageLimiters.append(bounds.least) }
        if let published = bank.publishedVoltage {
            consider(
                Reason(
                    .bmsVoltage, bound: published, place: CellPlace(pack: bank.publishedVoltagePack, cell: 0),
                    input: published),
                &output.voltageLimiters)
        }
        consider(Reason(.absoluteVoltage, bound: n * band.ceiling, input: band.overVoltage), &output.voltageLimiters)
        consider(
            Reason(.phaseVoltage, bound: phaseVoltage, input: Int32(phase.phase.rawValue)), &output.voltageLimiters)
        consider(runner(n), &output.voltageLimiters)
        if ceiling.isReached {
            let bound = max(n * configuration.rebulk, bank.voltage)
            consider(Reason(.socCeiling, bound: bound, input: soc.fine ?? 10_000), &output.voltageLimiters)
        }
        let reduced = max(n * configuration.rebulk, bank.voltage - Obedience.reduction)
        if isBlocked && configuration.inverter.lowersVoltageWhenBlocked && bank.isVoltageKnown {
            consider(Reason(.blockedVoltage, bound: reduced, input: bank.voltage), &output.voltageLimiters)
        }
        if chargeObedience.lowersVoltage && bank.isVoltageKnown {
            consider(Reason(.obedienceVoltage, bound: reduced, input: bank.current), &output.voltageLimiters)
        }
        let isLost = bank.conducting == 0 && lastVoltage > 0 && bank.joining == 0 && bank.isolated == 0
        if isLost {
            consider(Reason(.lostVoltage, bound: n * configuration.float), &output.voltageLimiters)
        } else if bank.isDegraded {
            consider(Reason(.degraded, bound: n * configuration.float, input: bank.offline), &output.voltageLimiters)
        }

        var least = bounds.least
        // The offset is for the drop on the cable, which nobody knows while a pack is out of sight (amendment 24).
        if !isLost && !bank.isDegraded { least.bound += max(0, configuration.inverterOffset) }
        let cap = min(n * band.ceiling, n * table.absoluteMaximum)
        if least.bound > cap { least = Reason(.absoluteVoltage, bound: cap, input: band.overVoltage) }
        if lastVoltage > 0 && least.bound > lastVoltage && (isLost || bank.conducting > 0 && !mayRise(at: now))
            && !isStateless
        {
            let why = frozen(at: lastVoltage)
            least = isLost ? Reason(.lostVoltage, bound: lastVoltage) : why
        }
        // Rounded up, so that the rounding down below does not end under it.
        let floor = (n * configuration.rebulk + 99) / 100 * 100
        isInconsistent = cap < floor
        if least.bound < floor { least = Reason(.floorVoltage, bound: min(floor, cap), input: least.bound) }
        lastVoltage = least.bound
        least.bound = least.bound / 100 * 100
        output.report.dischargeVoltageLimit = dischargeVoltageLimit
        return least
    }

    /// The lowest runner bound; a LOST pack keeps its last one (aggregation.md §3).
    private mutating func runner(_ n: Int32) -> Reason {
        var least = Reason(.runnerCell, bound: .max)
        for i in 0..<packCount {
            let counts = views[i].isConnected || views[i].membership == .lost && !views[i].wasIsolatedWhenLost
            if counts && views[i].runner < least.bound {
                let m = views[i].measures
                least = Reason(
                    .runnerCell, bound: views[i].runner, place: CellPlace(pack: UInt8(i + 1), cell: m.highestCell),
                    input: m.highest)
            }
        }
        return least
    }

    /// DVL: n × zd or the owner's, rounded up to 0.1 V. zd already holds UVP_max + 100 mV.
    var dischargeVoltageLimit: Millivolts {
        mutating get {
            let n = configuration.cellsInSeries
            let exact = max(n * band.dischargeZero, n * configuration.userDischargeVoltage)
            return (exact + 99) / 100 * 100
        }
    }
}
