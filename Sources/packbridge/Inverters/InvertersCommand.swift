import ArgumentParser
import InverterDialects

/// `packbridge inverters`: the inverters that are known by name.
struct InvertersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inverters",
        abstract: "Lists the inverters that are known by name, or tells everything about one.",
        discussion: """
            The name is what stands behind `inverter:` in the configuration file. MENU is what has to be chosen in the inverter's own
            menu. EVIDENCE says how a profile has been proven: vendor, from a document of the maker; capture, seen on the bus of a real
            battery; users, reported by users of other projects; unknown, not confirmed by anybody.

            Example: packbridge inverters growatt-spf5000es

            Exit codes: 0 good, 1 there is no such inverter, 2 usage.
            """)

    @Argument(help: "The name of one inverter.")
    var name: String?

    @Flag(help: "One JSON object per line for each inverter.")
    var json = false

    func run() throws {
        var profiles = InverterProfile.all
        if let name {
            guard let one = InverterProfile.named(name) else {
                let suggestion = closest(to: name, among: profiles.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
                throw Failure("there is no inverter \"\(name)\"\(suggestion)")
            }
            profiles = [one]
        }
        if json {
            for profile in profiles { print(profile.json) }
        } else if name != nil {
            print(profiles[0].description)
        } else {
            print(Self.table(profiles))
        }
    }

    static func table(_ profiles: [InverterProfile]) -> String {
        let rows =
            [["NAME", "BRAND", "LANGUAGE", "EVIDENCE", "MENU"]]
            + profiles.map {
                [$0.name, $0.brand, "\($0.language)", $0.confidence.rawValue, $0.menu]
            }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell.padding(toWidth: widths[column] + 2)
            }.joined()
        }.joined(separator: "\n")
    }
}

extension InverterProfile {
    var language: String { inverter.language.map { "\($0.text)" } ?? "" }

    var description: String {
        var lines = [
            ("Name", name), ("Brand", brand), ("Models", models), ("Set it to", menu), ("Language", language),
            ("Heartbeat", heartbeat), ("When silent", silence), ("Evidence", confidence.sentence),
        ]
        if !note.isEmpty { lines.append(("Note", note)) }
        return lines.map { $0.0.padding(toWidth: 13) + $0.1 }.joined(separator: "\n")
    }

    var json: String {
        var text = JSONText()
        text.object {
            $0.field("name", name)
            $0.field("brand", brand)
            $0.field("models", models)
            $0.field("menu", menu)
            $0.field("language", language)
            $0.field("cycle_ms", inverter.language == .pylontechRS485 ? nil : inverter.port.cycle)
            $0.field("heartbeat", heartbeat)
            $0.field("when_silent", silence)
            $0.field("evidence", confidence.rawValue)
            $0.field("zero_current_mA", traits.zeroCurrent)
            $0.field("lowers_voltage_when_blocked", traits.lowersVoltageWhenBlocked)
            $0.field("protection_cuts_output", traits.protectionCutsOutput)
            $0.field("has_soc_cut_off", traits.hasSoCCutOff)
            $0.field("note", note.isEmpty ? nil : note)
        }
        return text.string
    }
}

extension String {
    fileprivate func padding(toWidth width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
