import Battery
import JKBMS

/// The byte-by-byte explanation of one 4E57 frame for a person: offset, bytes, meaning, value.
struct JK4E57Rows {
    let frame: [UInt8]
    let report: JK4E57.Report
    let showSecrets: Bool
    /// The frame was accepted. The fields of a rejected one are not explained: nothing in it can be believed.
    let trusted: Bool

    var text: String {
        if frame.count < 20 { return explanationRow(0, frame, "too short to explain", "") }
        var text = ""
        let end = frame.count - 9
        text += explanationRow(0, frame[0..<2], "start", "\"NW\"")
        text += explanationRow(2, frame[2..<4], "LENGTH, without the start", "\(Int(frame[2]) << 8 | Int(frame[3]))")
        text += explanationRow(4, frame[4..<8], "terminal number", "")
        text += explanationRow(8, frame[8..<9], "command", name(JK4E57.Command(rawValue: frame[8])))
        text += explanationRow(9, frame[9..<10], "source", name(JK4E57.Source(rawValue: frame[9])))
        text += explanationRow(10, frame[10..<11], "transport type", name(JK4E57.Transport(rawValue: frame[10])))
        text +=
            trusted ? information(end: end) : explanationRow(11, "…", "information, not trusted", "\(end - 11) bytes")
        text += explanationRow(end, frame[end..<end + 4], "record number", "")
        text += explanationRow(end + 4, frame[(end + 4)..<(end + 5)], "end mark", "")
        text += explanationRow(end + 5, frame[(end + 5)..<(end + 7)], "CRC16, unused", "")
        text += explanationRow(end + 7, frame[(end + 7)...], "SUM16", trusted ? "correct" : "")
        return text
    }

    private func information(end: Int) -> String {
        if end == 11 { return "" }
        if end == 12 { return explanationRow(11, frame[11..<12], "identifier", identifierName(frame[11])) }
        var text = ""
        var at = 11
        while at < end {
            guard let id = JK4E57.Identifier(rawValue: frame[at]),
                let row = jk4e57Fields.first(where: { $0.id == id })
            else {
                return text + explanationRow(at, frame[at..<end], "unknown identifier, rest unreadable", "")
            }
            if id == .cellVoltages {
                text += cells(&at, end: end)
                continue
            }
            let next = at + 1 + Int(id.layout.width)
            let value = next > end ? "cut off" : self.value(row)
            text +=
                id == .passcode && !showSecrets
                ? explanationRow(at, "b2 **", row.meaning, maskedSecret)
                : explanationRow(at, frame[at..<min(next, end)], row.meaning, value)
            at = next
        }
        return text
    }

    /// The block with its length byte, and the one of a single-id reply without it.
    private func cells(_ at: inout Int, end: Int) -> String {
        let hasLength = Int(frame[at + 1]) == 3 * report.cells.count
        var text = explanationRow(
            at, frame[at..<at + (hasLength ? 2 : 1)], "cell voltages", "\(report.cells.count) cells")
        at += hasLength ? 2 : 1
        for i in 0..<report.cells.count {
            text += explanationRow(at, frame[at..<at + 3], "cell \(i + 1)", "\(report.cells[i]) mV")
            at += 3
        }
        return text
    }

    private func value(_ row: JK4E57Field) -> String {
        if let bytes = report.text(row.id) { return "\"" + printableText((0..<bytes.count).map { bytes[$0] }) + "\"" }
        guard let raw = report.raw(row.id) else { return "" }
        switch row.id {
        case .warnings: return raw == 0 ? "none" : warningNames(raw).joined(separator: ", ")
        case .status:
            let on = ["charge MOSFET", "discharge MOSFET", "balancer"].enumerated().filter {
                raw >> UInt32($0.offset) & 1 != 0
            }
            return on.isEmpty ? "all off" : "on: " + on.map(\.element).joined(separator: ", ")
        default: break
        }
        if row.id.layout.measure == .flag { return raw == 0 ? "no" : "yes" }
        guard let value = report.value(of: row.id) else { return "no meaning (raw \(raw))" }
        let ambiguous = row.id.layout.measure == .sensor && raw == 100 ? " (raw 100: 0, or a sensor at +100)" : ""
        return "\(value) \(row.unit)\(ambiguous)"
    }

    private func identifierName(_ code: UInt8) -> String {
        if code == 0 { return "the whole table" }
        guard let id = JK4E57.Identifier(rawValue: code) else { return "unknown" }
        return jk4e57Fields.first { $0.id == id }?.meaning ?? ""
    }

    private func name<T>(_ value: T?) -> String {
        value.map { String(describing: $0) } ?? "unknown"
    }
}
