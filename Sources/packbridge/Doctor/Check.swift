/// One thing that was looked at.
struct Check: Equatable {
    enum Verdict: String, CaseIterable {
        case ok
        case notChecked = "not checked"
        case warning
        case fault
    }

    /// What it belongs to: "Configuration", "BMS 1", "Inverter".
    var area: String
    var name: String
    var verdict: Verdict
    /// What was seen.
    var evidence: String
    /// What to do about it; empty where nothing needs to be done.
    var fix: String

    static func ok(_ area: String, _ name: String, _ evidence: String) -> Check {
        Check(area: area, name: name, verdict: .ok, evidence: evidence, fix: "")
    }

    static func warning(_ area: String, _ name: String, _ evidence: String, fix: String) -> Check {
        Check(area: area, name: name, verdict: .warning, evidence: evidence, fix: fix)
    }

    static func fault(_ area: String, _ name: String, _ evidence: String, fix: String) -> Check {
        Check(area: area, name: name, verdict: .fault, evidence: evidence, fix: fix)
    }

    static func notChecked(_ area: String, _ name: String, because evidence: String) -> Check {
        Check(area: area, name: name, verdict: .notChecked, evidence: evidence, fix: "")
    }
}

/// Everything that `packbridge doctor` found, in the order in which a person reads it.
struct Examination {
    var title: String
    var checks: [Check] = []

    var worst: Check.Verdict {
        checks.contains { $0.verdict == .fault } ? .fault : checks.contains { $0.verdict == .warning } ? .warning : .ok
    }

    /// 0: all good; 1: at least one warning; 2: at least one fault.
    var exitCode: Int32 { worst == .fault ? 2 : worst == .warning ? 1 : 0 }

    func text(width: Int, colour: Bool) -> String {
        var lines = [title]
        var area = ""
        for check in checks {
            if check.area != area {
                area = check.area
                lines += ["", area]
            }
            let mark = "  " + padded(check.verdict == .notChecked ? "–" : check.verdict.rawValue, 9)
            let body = wrapped("\(check.name): \(check.evidence)", width: width, first: mark, rest: "           ")
            lines.append(coloured(body, mark, check.verdict, colour))
            if !check.fix.isEmpty { lines.append(wrapped(check.fix, width: width, first: "           → ", rest: "             ")) }
        }
        return lines.joined(separator: "\n") + "\n\n" + summary + "\n"
    }

    var summary: String {
        func count(_ verdict: Check.Verdict, _ one: String, _ many: String) -> String? {
            let number = checks.filter { $0.verdict == verdict }.count
            return number == 0 ? nil : "\(number) \(number == 1 ? one : many)"
        }
        let parts = [
            count(.fault, "fault", "faults"), count(.warning, "warning", "warnings"), count(.ok, "good", "good"),
            count(.notChecked, "not checked", "not checked"),
        ].compactMap(\.self)
        return parts.joined(separator: ", ") + "."
    }

    private func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }

    private func coloured(_ text: String, _ mark: String, _ verdict: Check.Verdict, _ colour: Bool) -> String {
        guard colour, verdict != .notChecked else { return text }
        let code = verdict == .ok ? "32" : verdict == .warning ? "33" : "1;31"
        return "\u{1B}[\(code)m\(mark)\u{1B}[0m" + text.dropFirst(mark.count)
    }

    var json: String {
        var text = JSONText()
        text.object {
            $0.field("verdict", worst.rawValue)
            $0.field(
                "checks",
                array: {
                    for check in checks {
                        $0.object {
                            $0.field("area", check.area)
                            $0.field("name", check.name)
                            $0.field("verdict", check.verdict.rawValue)
                            $0.field("evidence", check.evidence)
                            $0.field("fix", check.fix.isEmpty ? nil : check.fix)
                        }
                    }
                })
        }
        return text.string
    }
}
