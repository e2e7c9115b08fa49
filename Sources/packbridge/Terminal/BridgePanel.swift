import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import LinkClient

/// What the bridge does, drawn for people: what the inverter is told and why, every pack with its cells, the bus.
///
/// `demo` and every other live view show the same panel.
struct BridgePanel {
    var columns: Int
    var usesUnicode: Bool
    /// Names of the devices in the order of the ports.
    var bmsDevices: [String] = []
    var inverterDevices: [String] = []
    /// The owner's limits, for the length of the bars, in mA.
    var chargeMaximum: Milliamps = 0
    var dischargeMaximum: Milliamps = 0

    private var valueColumn: Int { 17 }
    private var reasonColumn: Int { columns >= 100 ? 52 : 44 }
    private var barWidth: Int { reasonColumn - valueColumn - 12 }

    func lines(_ snapshot: BridgeSnapshot) -> [Line] {
        var lines = told(snapshot.bank)
        lines.append("")
        for pack in snapshot.packs {
            lines += packLines(pack, wide: columns >= 100 && snapshot.packs.count <= 4)
        }
        for port in snapshot.inverterPorts { lines.append(busLine(port)) }
        return lines
    }

    // MARK: what the inverter is told

    private func told(_ bank: BankPayload) -> [Line] {
        var head = Line("THE INVERTER IS TOLD", .title)
        head.tab(reasonColumn)
        head.add("BECAUSE", .title)
        guard bank.mayTransmit else {
            var wait = Line("  nothing yet", .warning)
            wait.add(": " + (bank.waiting.words(amount: bank.waitingAmount) ?? "waiting for the battery"))
            return [head, wait]
        }
        let report = bank.report
        var soc = row("state of charge", "\(report.soc) %", share: Int64(report.soc), of: 100, style: .good)
        soc.tab(reasonColumn)
        soc.add("phase \(bank.phase.words)")
        if let waiting = bank.waiting.words(amount: bank.waitingAmount) { soc.add(", \(waiting)", .dim) }
        return [
            head,
            limit("charge up to", volts(report.chargeVoltageLimit, decimals: 1), nil, bank.voltageReason),
            limit(
                "charge with", amperes(report.chargeCurrentLimit),
                (Int64(report.chargeCurrentLimit), Int64(chargeMaximum)), bank.chargeReason,
                allowed: report.chargeEnabled),
            limit(
                "discharge with", amperes(report.dischargeCurrentLimit),
                (Int64(report.dischargeCurrentLimit), Int64(dischargeMaximum)), bank.dischargeReason,
                allowed: report.dischargeEnabled),
            soc,
            flags(bank),
        ]
    }

    private func limit(
        _ name: String, _ value: String, _ bar: (Int64, Int64)?, _ reason: Reason, allowed: Bool = true
    ) -> Line {
        var line = row(name, value, share: bar?.0 ?? 0, of: bar?.1 ?? 0, style: allowed ? .good : .bad)
        line.tab(reasonColumn)
        line.add(reason.sentence)
        return line
    }

    private func row(_ name: String, _ value: String, share: Int64, of whole: Int64, style: Line.Style) -> Line {
        var line = Line("  " + name)
        line.tab(valueColumn)
        line.add(String(repeating: " ", count: max(0, 8 - value.count)) + value, .bold)
        if whole > 0 && barWidth >= 8 {
            line.add("  ")
            line.add(bar(share, of: whole, width: barWidth), style)
        }
        return line
    }

    private func flags(_ bank: BankPayload) -> Line {
        let report = bank.report
        var line = Line("  permissions")
        line.tab(valueColumn)
        line.add(report.chargeEnabled ? "charge yes" : "charge NO", report.chargeEnabled ? .good : .bad)
        line.add(", ")
        line.add(report.dischargeEnabled ? "discharge yes" : "discharge NO", report.dischargeEnabled ? .good : .bad)
        line.tab(reasonColumn)
        let alarms = report.protections.words
        let warnings = report.warnings.subtracting(report.protections).words + bank.warnings.words
        if alarms.isEmpty && warnings.isEmpty { line.add("no alarm, no warning", .dim) }
        if !alarms.isEmpty { line.add(alarms.joined(separator: ", ") + " ", .bad) }
        if !warnings.isEmpty { line.add(warnings.joined(separator: ", "), .warning) }
        return line
    }

    /// A horizontal bar in eighths of a character, or of `#` where there is no Unicode.
    func bar(_ value: Int64, of whole: Int64, width: Int) -> String {
        let eighths = Int(max(0, min(Int64(width * 8), value * Int64(width * 8) / max(1, whole))))
        if !usesUnicode {
            return String(repeating: "#", count: eighths / 8) + String(repeating: ".", count: width - eighths / 8)
        }
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        let text = String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
        return text + String(repeating: "·", count: width - text.count)
    }

    // MARK: packs

    private func packLines(_ pack: PackPayload, wide: Bool) -> [Line] {
        let status = pack.status
        var line = Line("PACK \(pack.number)", .title)
        line.tab(8)
        let good = status.state == .active
        line.add(status.state.words, good ? .good : .warning)
        guard status.age >= 0 else { return [line] }
        line.tab(22)
        line.add(volts(status.voltage, decimals: 2) + "  ")
        let current = amperes(status.current)
        line.add(String(repeating: " ", count: max(0, 7 - current.count)) + current + "  ")
        line.add(percent(status.soc, decimals: 0))
        let temperatures = (0..<pack.reading.cellTemperatures.count).compactMap {
            pack.reading.cellTemperatures[$0].temperature
        }
        if let coldest = temperatures.min() { line.add("  \(degrees(coldest))") }
        let range = "\(volts(status.lowestCell)) (\(status.lowestCellNumber)) … \(volts(status.highestCell))"
        line.add(columns >= 100 ? "  cells \(range) (\(status.highestCellNumber))" : "  \(range)")
        if status.age > 2500 { line.add("  \(duration(status.age)) old", .bad) }
        var lines = [line]
        let trouble = status.alarms.words + status.warnings.words
        var cells = Line(String(repeating: " ", count: 7))
        cells.add(" " + cellBars(pack.reading), .dim)
        if !trouble.isEmpty { cells.add("  " + trouble.joined(separator: ", "), .bad) }
        if wide || !trouble.isEmpty { lines.append(cells) }
        return lines
    }

    /// One small column for each cell, lowest to highest over the span of the pack, at least 40 mV.
    private func cellBars(_ reading: PackReading) -> String {
        let cells = reading.cells
        if cells.isEmpty || !usesUnicode { return "" }
        var (low, high) = (UInt16.max, UInt16.min)
        for i in 0..<cells.count { (low, high) = (min(low, cells[i]), max(high, cells[i])) }
        let span = max(40, Int(high) - Int(low))
        let columns = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        return (0..<cells.count).map { columns[min(7, (Int(cells[$0]) - Int(low)) * 7 / span)] }.joined()
    }

    // MARK: bus

    private func busLine(_ port: InverterPortPayload) -> Line {
        var line = Line("BUS", .title)
        line.tab(8)
        let good = port.state == .active || port.state == .warning
        line.add("\(stableName(port.language)) ", .plain)
        line.add(port.state.words, good ? .good : .bad)
        line.add(", \(port.counters.sent) frames sent, ")
        let heard = port.heartbeatAge >= 0
        let fresh = heard && port.heartbeatAge < 10_000
        line.add(
            heard ? "inverter heard \(duration(port.heartbeatAge)) ago" : "inverter not heard yet",
            fresh ? .good : .warning)
        if let first = limitsFrame(port) { line.add("   " + first, .dim) }
        return line
    }

    /// The limits frame as bytes, for those who know the bus.
    private func limitsFrame(_ port: InverterPortPayload) -> String? {
        for i in 0..<port.frames.count where port.language.dialect?.carriesLimits(port.frames[i]) == true {
            let frame = port.frames[i]
            let bytes = (0..<Int(frame.length)).map { i in
                let text = String(frame[i], radix: 16, uppercase: true)
                return text.count == 1 ? "0" + text : text
            }
            return String(frame.id, radix: 16, uppercase: true) + "#" + bytes.joined()
        }
        return nil
    }
}
