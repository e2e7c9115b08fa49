import Battery

/// The last look at the numbers before they are told (charge-control.md §4 step 10). It repeats the hard caps from the packs'
/// data, on its own path: it shares no limiter, no table and no state with the rest, so one mistake there does not reach the bus.
enum FinalClamp {
    @inline(never)
    static func apply(
        to report: inout BankReport, packs: Span<PackView>, count: Int, _ configuration: ControlConfiguration,
        zeroAfter: Milliseconds
    ) {
        let absolute: Millivolts =
            switch configuration.chemistry {
            case .lfp: 3650
            case .nmc: 4200
            case .lto: 2850
            }
        var perCell = absolute
        var chargeSum: Int64 = 0
        var dischargeSum: Int64 = 0
        var anyRecent = false
        var isCold = false
        var isFull = false
        for i in 0..<count {
            let isOnBus = packs[i].membership == .member || packs[i].membership == .joining
            if let ovp = packs[i].settings.overVoltage, isOnBus || packs[i].membership == .lost {
                perCell = min(perCell, ovp - 50)
            }
            if packs[i].membership != .member { continue }
            if packs[i].age <= zeroAfter { anyRecent = true }
            if packs[i].measures.chargeSwitch {
                let ocp = packs[i].settings.chargeOverCurrent ?? configuration.packs[i].chargeOverCurrent ?? 0
                chargeSum += Int64(ocp) * Int64(configuration.bmsMarginPercent) / 100
                if packs[i].measures.highest >= perCell + 50 { isFull = true }
                if configuration.chemistry != .lto && packs[i].temperatures.coldest ?? -1 <= 0 { isCold = true }
            }
            if packs[i].measures.dischargeSwitch {
                let ocp = packs[i].settings.dischargeOverCurrent ?? configuration.packs[i].dischargeOverCurrent ?? 0
                dischargeSum += Int64(ocp) * Int64(configuration.bmsMarginPercent) / 100
            }
        }
        report.chargeVoltageLimit = min(report.chargeVoltageLimit, configuration.cellsInSeries * perCell / 100 * 100)
        var charge = min(min(report.chargeCurrentLimit, configuration.userCharge), Int32(clamping: chargeSum))
        var discharge = min(min(report.dischargeCurrentLimit, configuration.userDischarge), Int32(clamping: dischargeSum))
        if !anyRecent {
            report.chargeEnabled = false
            report.dischargeEnabled = false
            report.requests = ChargeRequests()
        }
        if isCold || isFull || !report.chargeEnabled { charge = 0 }
        if !report.dischargeEnabled { discharge = 0 }
        // What "zero" is on this inverter (§7.6): never more than 0.1 A.
        let zero = min(max(configuration.inverter.zeroCurrent, 0), 100)
        report.chargeCurrentLimit = max(charge, zero)
        report.dischargeCurrentLimit = max(discharge, zero)
        report.soc = min(max(report.soc, 0), 100)
    }
}
