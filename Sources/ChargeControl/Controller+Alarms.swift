import Battery

/// What the inverter sees of the packs' alarms, and what the owner is warned of (aggregation.md §7, amendment 11).
extension Controller {
    mutating func reportAlarms() {
        let context = limitContext
        var protections = Alarms()
        var warnings = Alarms()
        var members: Int32 = 0
        var chargeProtected: Int32 = 0
        var dischargeProtected: Int32 = 0
        for i in 0..<packCount where views[i].membership != .excluded {
            let effect = views[i].alarmEffect(context)
            warnings.formUnion(views[i].alarms)
            if views[i].membership == .lost { warnings.insert(.communication) }
            if !views[i].conducts { continue }
            members += 1
            if !effect.charge.isEmpty { chargeProtected += 1 }
            if !effect.discharge.isEmpty { dischargeProtected += 1 }
            // A pack that has opened its switch protects itself, and the others carry on; one that still conducts does not.
            if views[i].measures.chargeSwitch { protections.formUnion(effect.charge) }
            if views[i].measures.dischargeSwitch { protections.formUnion(effect.discharge) }
            if views[i].hasFault { protections.formUnion(faultBits(i)) }
        }
        if members > 0 && chargeProtected == members { protections.formUnion(stopping(charging: true, context)) }
        if members > 0 && dischargeProtected == members { protections.formUnion(stopping(charging: false, context)) }
        if chargeObedience.withdraws && configuration.obeyProtectsByBit { protections.insert(.chargeOverCurrent) }
        if members == 0 && lastVoltage > 0 { warnings.insert(.communication) }

        let isBothBlocked = !output.report.chargeEnabled && !output.report.dischargeEnabled
        if configuration.inverter.protectionCutsOutput && !isBothBlocked {
            // This inverter is taken to cut its output on any protection bit: nothing is lost by a warning, CCL is 0 already.
            warnings.formUnion(protections)
            protections = Alarms()
        }
        output.report.protections = protections
        output.report.warnings = warnings.union(protections)
    }

    private mutating func stopping(charging: Bool, _ context: LimitContext) -> Alarms {
        var all = Alarms()
        for i in 0..<packCount where views[i].conducts {
            let effect = views[i].alarmEffect(context)
            all.formUnion(charging ? effect.charge : effect.discharge)
        }
        return all
    }

    private mutating func faultBits(_ i: Int) -> Alarms {
        if views[i].isFaultOverVoltage { return .cellOverVoltage }
        return views[i].measures.lowest < table.severeLow ? .cellUnderVoltage : .cellOverTemperature
    }

    mutating func reportWarnings(at now: Instant) {
        var all = Warnings()
        var margin: (charge: Int64, discharge: Int64) = (0, 0)
        var isMarginKnown = true
        for i in 0..<packCount where views[i].membership != .excluded {
            var mine = views[i].warnings
            let settings = views[i].settings
            if views[i].stage != .lost && settings.readAt != never && now.since(settings.readAt) > 600_000 {
                mine.insert(.settingsOld)
            }
            if views[i].membership == .lost { mine.insert(.bmsLost) }
            if views[i].membership == .isolated && isOffBank(i) { mine.insert(.matchVoltagesFirst) }
            views[i].warnings = mine
            all.formUnion(mine)
            let charge = settings.chargeOverCurrent ?? packConfigurations[i].chargeOverCurrent
            let discharge = settings.dischargeOverCurrent ?? packConfigurations[i].dischargeOverCurrent
            if charge == nil || discharge == nil { isMarginKnown = false }
            margin.charge += Int64(charge ?? 0) * Int64(configuration.bmsMarginPercent) / 100
            margin.discharge += Int64(discharge ?? 0) * Int64(configuration.bmsMarginPercent) / 100
        }
        if bank.isDegraded { all.insert(.degraded) }
        if isMarginKnown
            && (Int64(configuration.userCharge) > margin.charge
                || Int64(configuration.userDischarge) > margin.discharge)
        {
            all.insert(.userLimitClamped)
        }
        if phase.grade == .limited { all.insert(.cellPreventsFull) }
        if soc.isDrifting { all.insert(.socDrift) }
        if bank.conducting > 1 && bank.highestSoC - bank.lowestSoC > 1500 { all.insert(.socSpread) }
        if chargeObedience.isIgnoring { all.insert(.inverterIgnoresChargeLimit) }
        if dischargeObedience.isIgnoring { all.insert(.inverterIgnoresDischargeLimit) }
        if isShuntDropped { all.insert(.shuntDropped) }
        if isInconsistent { all.insert(.configurationInconsistent) }
        if recentBoots >= 6 { all.insert(.bootLoop) }
        output.warnings = all
    }

    private mutating func isOffBank(_ i: Int) -> Bool {
        bank.conducting > 0 && abs(views[i].measures.voltage - bank.voltage) > configuration.cellsInSeries * 500 / 16
    }
}
