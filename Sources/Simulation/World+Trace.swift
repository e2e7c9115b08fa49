import ChargeControl

extension World {
    /// The present second for a person who looks for the cause of a violation.
    var line: String {
        let output = engine.controller.output
        let report = output.report
        var text = "\(seconds) s: CVL \(report.chargeVoltageLimit), CCL \(report.chargeCurrentLimit) (\(output.chargeReason.rule))"
        text += ", DCL \(report.dischargeCurrentLimit) (\(output.dischargeReason.rule))"
        text += ", \(report.chargeEnabled ? "c" : "-")\(report.dischargeEnabled ? "d" : "-"), \(output.phase)"
        for (index, pack) in (0..<output.packs.count).map({ ($0 + 1, output.packs[$0]) }) {
            text += "; \(index) \(pack.state) \(pack.age) ms \(pack.voltage) mV \(pack.lowestCell)…\(pack.highestCell)"
            text += " \(pack.current) mA, \(pack.chargeLimit)/\(pack.dischargeLimit)"
        }
        for fault in faults.active { text += "; \(fault.kind.rawValue) on \(fault.pack + 1)" }
        return text
    }
}
