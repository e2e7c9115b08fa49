import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import LinkClient

/// A snapshot as a page of plain text: what the inverter is told and why, what the BMS says, how the ports do.
struct StatusText {
    /// Names of the devices in the order of the ports; empty when they are not known.
    var bmsDevices: [String] = []
    var inverterDevices: [String] = []
    var usesColour = false

    func page(_ snapshot: BridgeSnapshot) -> String {
        let bank = snapshot.bank
        var lines = [head(bank)]
        lines.append("")
        lines += told(bank)
        for order in snapshot.orders ?? [] { lines.append("  order              \(order.sentence)") }
        lines.append("")
        for pack in snapshot.packs { lines += packLines(pack) }
        lines.append("")
        for port in snapshot.bmsPorts { lines.append(line(port)) }
        for port in snapshot.inverterPorts { lines.append(line(port)) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The bank in one line, for a log.
    func line(_ snapshot: BridgeSnapshot) -> String {
        let report = snapshot.bank.report
        guard snapshot.bank.mayTransmit else { return "the inverter is told nothing yet" }
        return "\(report.soc) %  \(volts(report.voltage, decimals: 2))  \(amperes(report.current))"
            + "  CVL \(volts(report.chargeVoltageLimit, decimals: 1)): \(snapshot.bank.voltageReason.sentence)"
            + "  CCL \(amperes(report.chargeCurrentLimit)): \(snapshot.bank.chargeReason.sentence)"
            + "  DCL \(amperes(report.dischargeCurrentLimit)): \(snapshot.bank.dischargeReason.sentence)"
    }

    private func head(_ bank: BankPayload) -> String {
        let waiting = bank.waiting.words(amount: bank.waitingAmount).map { ", \($0)" } ?? ""
        return "PackBridge, up \(duration(bank.at.since(bank.started)))   phase \(bank.phase.words)\(waiting)"
    }

    private func told(_ bank: BankPayload) -> [String] {
        guard bank.mayTransmit else { return [coloured("The inverter is told nothing yet.", .yellow)] }
        let report = bank.report
        let alarms = report.protections.words
        let warnings = report.warnings.subtracting(report.protections).words + bank.warnings.words
        return [
            "The inverter is told",
            limit("charge voltage", volts(report.chargeVoltageLimit, decimals: 1), bank.voltageReason),
            limit("charge current", amperes(report.chargeCurrentLimit), bank.chargeReason),
            limit("discharge current", amperes(report.dischargeCurrentLimit), bank.dischargeReason),
            "  state of charge    \(padded("\(report.soc) %", 9))  health \(report.soh) %",
            "  permissions        charge \(yesNo(report.chargeEnabled)), discharge \(yesNo(report.dischargeEnabled))"
                + requests(report.requests),
            "  alarms             " + (alarms.isEmpty ? "none" : coloured(alarms.joined(separator: ", "), .red)),
            "  warnings           " + (warnings.isEmpty ? "none" : coloured(warnings.joined(separator: ", "), .yellow)),
        ]
    }

    private func limit(_ name: String, _ value: String, _ reason: Reason) -> String {
        "  \(padded(name, 18)) \(padded(value, 9))  \(reason.sentence)"
    }

    private func requests(_ requests: ChargeRequests) -> String {
        let table: [(ChargeRequests, String)] = [
            (.forceCharge1, "force charge I"), (.forceCharge2, "force charge II"), (.fullCharge, "full charge"),
        ]
        let names = table.filter { requests.contains($0.0) }.map(\.1)
        return names.isEmpty ? "" : ", asks for " + names.joined(separator: " and ")
    }

    private func packLines(_ pack: PackPayload) -> [String] {
        let status = pack.status
        guard status.age >= 0 else { return ["Pack \(pack.number)  \(coloured(status.state.words, .yellow))"] }
        let state = status.state == .active ? status.state.words : coloured(status.state.words, .yellow)
        var text = "Pack \(pack.number)  \(state)  \(volts(status.voltage, decimals: 2))  \(amperes(status.current))"
        text += "  \(percent(status.soc))  "
        text += "cells \(volts(status.lowestCell)) (\(status.lowestCellNumber))"
        text += " to \(volts(status.highestCell)) (\(status.highestCellNumber))"
        let temperatures = (0..<pack.reading.cellTemperatures.count).compactMap {
            pack.reading.cellTemperatures[$0].temperature
        }
        if let coldest = temperatures.min(), let hottest = temperatures.max() {
            text += coldest == hottest ? "  \(degrees(coldest))" : "  \(degrees(coldest)) to \(degrees(hottest))"
        }
        text += "  \(duration(status.age)) old"
        let trouble = status.alarms.words + status.warnings.words
        return trouble.isEmpty ? [text] : [text, "        " + coloured(trouble.joined(separator: ", "), .red)]
    }

    private func line(_ port: BMSPortPayload) -> String {
        return "BMS \(device(bmsDevices, port.number))  \(port.isOpen ? "open" : coloured("not open", .red)), "
            + "\(port.counters.snapshots) answers, \(port.rejected) rejected, \(port.counters.timeouts) missing"
    }

    private func line(_ port: InverterPortPayload) -> String {
        let good = port.state == .active || port.state == .warning
        let heard = port.heartbeatAge < 0 ? "not heard yet" : "heard \(duration(port.heartbeatAge)) ago"
        return "Inverter \(device(inverterDevices, port.number))  \(stableName(port.language)), bus "
            + (good ? port.state.words : coloured(port.state.words, .red))
            + ", \(port.counters.sets) sets sent, inverter \(heard)"
    }

    private func device(_ names: [String], _ number: UInt8) -> String {
        names.indices.contains(Int(number) - 1) ? names[Int(number) - 1] : "port \(number)"
    }

    private func yesNo(_ value: Bool) -> String { value ? "yes" : coloured("no", .yellow) }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private enum Colour: Int {
        case red = 31
        case yellow = 33
    }

    private func coloured(_ text: String, _ colour: Colour) -> String {
        usesColour ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }
}
