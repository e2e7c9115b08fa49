import Battery
import Foundation
import InverterDialects
import Testing

/// `docs/inverter-dialects.md`: its tables are what the code does.
@Suite struct DocumentTests {
    private static let document = packageRoot.appendingPathComponent("docs/inverter-dialects.md")

    @Test func `the tables of the dialects' document say what the encoders do`() throws {
        let written = try String(contentsOf: Self.document, encoding: .utf8)
        let renewed = try renew(written)
        if ProcessInfo.processInfo.environment["PACKBRIDGE_WRITE_DOCS"] != nil {
            return try renewed.write(to: Self.document, atomically: true, encoding: .utf8)
        }
        #expect(
            written == renewed,
            "docs/inverter-dialects.md is behind the code: this test renews it when it runs with PACKBRIDGE_WRITE_DOCS=1"
        )
    }

    @Test func `the document has a section for every dialect`() throws {
        let written = try String(contentsOf: Self.document, encoding: .utf8)
        for dialect in DialectName.allCases {
            #expect(written.contains("\n## `\(dialect.text)`: "), "\(dialect.text)")
            #expect(written.contains("<!-- frames \(dialect.text) -->"), "\(dialect.text)")
        }
    }

    @Test func `a changed table is noticed`() throws {
        let written = try String(contentsOf: Self.document, encoding: .utf8)
        let changed = written.replacingOccurrences(of: "| 0x351 | 8 |", with: "| 0x351 | 7 |")
        #expect(changed != written)
        #expect(try renew(changed) == written)
    }

    // MARK: Generation

    /// Replaces what stands between `<!-- frames X -->` or `<!-- alarms X -->` and `<!-- end -->`.
    private func renew(_ text: String) throws -> String {
        var result: [Substring] = []
        var isInside = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if let match = line.wholeMatch(of: /<!-- (frames|alarms) (\w+) -->/) {
                isInside = true
                let dialect = try #require(DialectName(String(match.2)), "\(line)")
                result.append(line)
                result += (match.1 == "frames" ? try frames(dialect) : alarms(dialect)).map { $0[...] }
            } else if line == "<!-- end -->" {
                isInside = false
            }
            if !isInside { result.append(line) }
        }
        return result.joined(separator: "\n")
    }

    private func frames(_ dialect: DialectName) throws -> [String] {
        let file = try DBCFile(String(contentsOf: DBCFile.url(dialect), encoding: .utf8))
        let signals = allSignals(dialect)
        var rows = ["| Frame | Bytes | Content |", "|---|---|---|"]
        for frame in encode(dialect, .example) {
            let names = signals.filter { $0.frame == frame.id && $0.raw(in: frame) != nil }
            rows.append("| \(hex(frame.id)) | \(frame.length) | \(list(names)) |")
        }
        let sent = Set(encode(dialect, .example).map(\.id))
        let others = file.messages.keys.filter { !sent.contains($0) }.sorted()
        if !others.isEmpty {
            rows += ["", "Read, not sent: " + others.map(hex).joined(separator: ", ") + "."]
        }
        return rows
    }

    /// The signals that an alarm raises, as a protection and as a warning.
    private func alarms(_ dialect: DialectName) -> [String] {
        var rows = ["| Alarm of the bank | as a protection | as a warning |", "|---|---|---|"]
        for (alarm, name) in Self.alarms {
            var report = BankReport.example
            report.protections = alarm
            let protection = raised(dialect, report)
            report.protections = []
            report.warnings = alarm
            rows.append("| \(name) | \(protection) | \(raised(dialect, report)) |")
        }
        return rows
    }

    private func raised(_ dialect: DialectName, _ report: BankReport) -> String {
        var names: [String] = []
        let healthy = encode(dialect, .example)
        for (before, after) in zip(healthy, encode(dialect, report)) where before != after {
            for signal in allSignals(dialect) where signal.raw(in: before) != signal.raw(in: after) {
                // The status word of Growatt says only that there is an alarm.
                if signal.fullName != "ErrorValid" { names.append(signal.fullName) }
            }
        }
        return names.isEmpty ? "–" : names.joined(separator: ", ")
    }

    /// Names, those of text fields and alarm bits in short.
    private func list(_ signals: [Signal]) -> String {
        if signals.isEmpty { return "zeros" }
        var names: [String] = []
        var flags = 0
        for signal in signals {
            let isAlarm = ["Prot_", "Alarm_", "Warn_", "A_", "W_", "P_", "S_"].contains {
                signal.fullName.hasPrefix($0)
            }
            if isAlarm {
                flags += 1
            } else if signal.part >= 0 && signal.length == 8 {
                let name = "\(signal.name)".trimmingCharacters(in: ["_"]) + " (text)"
                if names.last != name { names.append(name) }
            } else {
                names.append(signal.fullName)
            }
        }
        if flags > 0 { names.insert("\(flags) alarms", at: 0) }
        return names.joined(separator: ", ")
    }

    private func hex(_ id: UInt32) -> String {
        let digits = String(id, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 3 - digits.count) + digits
    }

    private static let alarms: [(Alarms, String)] = [
        (.packOverVoltage, "pack over-voltage"), (.cellOverVoltage, "cell over-voltage"),
        (.packUnderVoltage, "pack under-voltage"), (.cellUnderVoltage, "cell under-voltage"),
        (.chargeOverCurrent, "charge over-current"), (.dischargeOverCurrent, "discharge over-current"),
        (.shortCircuit, "short circuit"), (.chargeOverTemperature, "charge over-temperature"),
        (.chargeUnderTemperature, "charge under-temperature"),
        (.dischargeOverTemperature, "discharge over-temperature"),
        (.dischargeUnderTemperature, "discharge under-temperature"),
        (.cellOverTemperature, "cells too hot, no direction"),
        (.cellUnderTemperature, "cells too cold, no direction"), (.boxOverTemperature, "box too hot"),
        (.mosfetOverTemperature, "MOSFET too hot"), (.cellImbalance, "imbalance"), (.wireResistance, "balancing wire"),
        (.lowStateOfCharge, "low state of charge"), (.bmsInternal, "fault inside the BMS"), (.hardwareA, "JK 309_A"),
        (.hardwareB, "JK 309_B"), (.cellCount, "number of cells"), (.temperatureSensor, "temperature sensor"),
        (.chargeSwitchFault, "charge switch"), (.dischargeSwitchFault, "discharge switch"),
        (.communication, "BMS lost"), (.other, "other"),
    ]
}
