import Battery
import Foundation
import LinkClient

/// One line with one or more units, as it was found.
struct PlannedLine {
    var port = ""
    var finding = Finding(protocolName: "")
    /// In the order of `addresses`; one for a protocol without addresses.
    var packs: [SurveyedPack] = []
    var addresses: [UInt8] = []
}

/// One inverter and where it is.
struct PlannedInverter {
    enum Speech: Equatable {
        case profile(String)
        case dialect(String)
    }

    var speech: Speech
    var port: String
    /// Percent of the bank's limits.
    var share = 100

    var profile: InverterProfile? { if case .profile(let name) = speech { InverterProfile.named(name) } else { nil } }
}

/// What `packbridge setup` has learned, ready to become a configuration file.
struct SetupPlan {
    var lines: [PlannedLine] = []
    var chemistry = Chemistry.lfp
    var inverters: [PlannedInverter] = []
    var bulk: ProposedLimit<Millivolts>?
    var float: ProposedLimit<Millivolts>?
    var emptyCell: ProposedLimit<Millivolts>?
    var charge: ProposedLimit<Milliamps>?
    var discharge: ProposedLimit<Milliamps>?
    /// Nil: that of the configuration's default.
    var stateFolder: String?

    var packs: [SurveyedPack] { lines.flatMap(\.packs) }
    var hasRadio: Bool { lines.contains { $0.finding.protocolName == "jk-ble" } }
    var cells: Int { packs.first?.cellCount ?? 0 }

    /// The configuration file.
    /// - Parameter day: for the comment at its head.
    func yaml(day: String) -> String {
        var text = """
            # Written by `packbridge setup` on \(day).
            # packbridge.example.yaml shows every key that there is.
            # After a change: packbridge check, then packbridge doctor.

            battery:
            \(row("chemistry: \(chemistry.name)", chemistry.words))
            \(row("cells: \(cells)", "in series, as the BMS counts them"))

            bms:

            """
        for line in lines { text += entries(of: line).joined() }
        text += "\ninverter:\n"
        for inverter in inverters { text += entry(of: inverter) }
        text += "\n# The smallest of these, the BMS's own settings and the cell tables counts.\nlimits:\n"
        if let charge { text += reasoned("charge: \(whole(charge.value))", charge.reason) }
        if let discharge { text += reasoned("discharge: \(whole(discharge.value))", discharge.reason) }
        if let emptyCell { text += reasoned("empty_cell: \(cellVolts(emptyCell.value))", emptyCell.reason) }
        text += "\n# Voltages are per cell.\ncharge:\n"
        if let bulk { text += reasoned("bulk: \(cellVolts(bulk.value))", bulk.reason) }
        if let float { text += reasoned("float: \(cellVolts(float.value))", float.reason) }
        if let stateFolder {
            text += "\nfiles:\n" + row("state: \(quoted(stateFolder))", "of the record that survives a restart") + "\n"
        }
        return text
    }

    // MARK: Entries

    /// Packs that need settings of their own get entries of their own.
    private func entries(of line: PlannedLine) -> [String] {
        let isAlike = Set(line.packs.map { own($0) }).count <= 1
        guard !isAlike else { return [entry(of: line, line.packs, line.addresses)] }
        return line.packs.enumerated().map { index, pack in
            entry(of: line, [pack], line.addresses.isEmpty ? [] : [line.addresses[index]])
        }
    }

    private func entry(of line: PlannedLine, _ packs: [SurveyedPack], _ addresses: [UInt8]) -> String {
        var text = packs.enumerated().map { index, pack in
            comment((addresses.isEmpty ? "" : "Address \(addresses[index]): ") + pack.summary)
        }.joined()
        text += "  - protocol: \(line.finding.protocolName)\n    port: \(quoted(line.port))\n"
        if let baud = line.finding.baud, baud != 115_200 { text += "    baud: \(baud)\n" }
        if !addresses.isEmpty { text += "    address: \(addresses.map(String.init).joined(separator: " "))\n" }
        if line.finding.isBusy && !addresses.contains(0) {
            text += row("  listen_only: true", "another host asks the units") + "\n"
        }
        if let pack = packs.first, !own(pack).isEmpty {
            text += "    pack:\n" + own(pack).map { "      \($0)\n" }.joined()
        }
        return text
    }

    /// What the owner had to say because the BMS does not.
    private func own(_ pack: SurveyedPack) -> [String] {
        var keys: [String] = []
        if let limit = pack.chargeOverCurrent { keys.append("charge_over_current: \(whole(limit))") }
        if let limit = pack.dischargeOverCurrent { keys.append("discharge_over_current: \(whole(limit))") }
        if let capacity = pack.capacity { keys.append("capacity: \(ampHours(capacity))") }
        return keys
    }

    private func entry(of inverter: PlannedInverter) -> String {
        var text = ""
        switch inverter.speech {
        case .profile(let name):
            let menu = inverter.profile?.menu ?? "not known"
            text = menu == "not known" ? "" : comment("Set the inverter itself to: \(menu)")
            text += "  - profile: \(name)\n"
        case .dialect(let name): text = "  - dialect: \(name)\n"
        }
        text += "    port: \(quoted(inverter.port))\n"
        if inverters.count > 1 { text += row("  share: \(inverter.share) %", "of the bank's limits") + "\n" }
        return text
    }

    // MARK: Lines

    /// `  key: value              # comment`
    private func row(_ key: String, _ comment: String) -> String {
        "  " + key + String(repeating: " ", count: max(1, 24 - key.count)) + "# " + comment
    }

    /// The reason above the key, as many lines as it needs.
    private func reasoned(_ key: String, _ reason: String) -> String { comment(reason.capitalised) + "  \(key)\n" }

    private func comment(_ text: String) -> String {
        // No text, wherever it comes from, may end the comment.
        wrapped(text.filter { !$0.isNewline }, width: 80, first: "  # ", rest: "  # ") + "\n"
    }

    /// `3.45 V`, exactly.
    private func cellVolts(_ value: Millivolts) -> String { Quantity.voltage.text(for: Int64(value), in: "V") }

    /// A path or a port as YAML reads it back.
    private func quoted(_ text: String) -> String {
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+@".contains($0)) } && text.first != "@"
        if isPlain { return text }
        return "\"" + text.filter { !$0.isNewline }.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}

extension SurveyedPack {
    /// `16 cells, 280 Ah; the BMS allows cells from 2.600 V to 3.650 V, 150 A of charge, 150 A of discharge`
    var summary: String {
        var text = "\(cellCount) cells"
        if let capacity = fullCapacity { text += ", \(ampHours(capacity))" }
        var allowed: [String] = []
        if let over = settings.cellOverVoltage, let under = settings.cellUnderVoltage {
            allowed.append("cells from \(volts(under)) to \(volts(over))")
        }
        if let charge = settings.chargeOverCurrent { allowed.append("\(whole(charge)) of charge") }
        if let discharge = settings.dischargeOverCurrent { allowed.append("\(whole(discharge)) of discharge") }
        return text
            + (allowed.isEmpty
                ? "; the BMS does not tell its settings here" : "; the BMS allows " + allowed.joined(separator: ", "))
    }
}
