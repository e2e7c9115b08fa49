import InverterDialects

/// What has been seen on a bus between battery and inverter: for each identifier the last frame, how many there were and how far
/// apart.
struct BusView {
    struct Entry {
        var last: CANFrame
        var count = 1
        var lastTime: Double
        var shortestGap = Double.infinity
        var longestGap = 0.0
        let firstTime: Double

        /// Mean distance of two frames in seconds; nil before the second.
        var meanGap: Double? { count > 1 ? (lastTime - firstTime) / Double(count - 1) : nil }
    }

    /// Nil means: find out.
    let chosen: DialectName?
    private var guess = DialectGuess()
    private(set) var entries: [CANFrame.Identity: Entry] = [:]

    /// A bus full of noise must not fill the memory.
    private static let mostIdentifiers = 4096

    init(dialect: DialectName?) {
        chosen = dialect
    }

    var dialect: DialectName { chosen ?? guess.dialect }

    /// Takes a frame in. - Returns: true when its content is new for its identifier.
    mutating func add(_ frame: CANFrame, at time: Double) -> Bool {
        guess.add(frame)
        guard var entry = entries[frame.identity] else {
            if entries.count < Self.mostIdentifiers {
                entries[frame.identity] = Entry(last: frame, lastTime: time, firstTime: time)
            }
            return true
        }
        let isNew = entry.last != frame
        let gap = time - entry.lastTime
        entry.shortestGap = min(entry.shortestGap, gap)
        entry.longestGap = max(entry.longestGap, gap)
        entry.last = frame
        entry.lastTime = time
        entry.count += 1
        entries[frame.identity] = entry
        return isNew
    }

    // MARK: Text

    /// One line for one frame: `   12.345  0x351  ChargeVoltage 53.2 V, …`.
    func line(_ frame: CANFrame, at time: Double) -> String {
        "\(padded(seconds(time), 10))  \(frame.idText)  \(content(frame))\n"
    }

    /// The whole bus, an identifier in a line, for a terminal that is drawn again and again.
    func page(title: String) -> String {
        var text = "\(title)  dialect \(dialect.name)\(chosen == nil ? " (guessed)" : "")\n\n"
        text += "id          frames     every  content\n"
        for (_, entry) in ordered {
            let gap = entry.meanGap.map { seconds($0) + " s" } ?? "-"
            text +=
                "\(entry.last.idText.padding(10)) \(padded("\(entry.count)", 7))  \(padded(gap, 8))  \(content(entry.last))\n"
        }
        return text
    }

    /// How often each frame came, for the end of a log.
    func summary() -> String {
        if entries.isEmpty { return "no frames\n" }
        var text = "\ndialect \(dialect.name)\(chosen == nil ? " (guessed)" : "")\n"
        text += "id          frames   shortest      mean   longest  sender\n"
        for (_, entry) in ordered {
            let gaps = [entry.shortestGap, entry.meanGap ?? 0, entry.longestGap]
            let columns = gaps.map { padded(entry.count > 1 ? seconds($0) + " s" : "-", 10) }.joined()
            let sender =
                dialect.isHeartbeat(entry.last) ? "inverter" : dialect.values(of: entry.last).isEmpty ? "?" : ""
            text +=
                "\(entry.last.idText.padding(10)) \(padded("\(entry.count)", 7)) \(columns)  \(sender)".trimmed + "\n"
        }
        return text
    }

    private var ordered: [(key: CANFrame.Identity, value: Entry)] {
        entries.sorted { ($0.key.isExtended ? 1 : 0, $0.key.id) < ($1.key.isExtended ? 1 : 0, $1.key.id) }
    }

    private func content(_ frame: CANFrame) -> String {
        let rows = dialect.rows(of: frame)
        if rows.isEmpty { return frame.length == 0 ? "no data" : frame.bytesText }
        // Of the many single bits only those that are set are worth a reader's time.
        let shown = rows.filter { !$0.isFlag || $0.isRaised }
        if shown.isEmpty { return "nothing raised" }
        return shown.map { row in
            if row.isFlag { return row.name }
            return row.unit.isEmpty ? "\(row.name) \(row.value)" : "\(row.name) \(row.value) \(row.unit)"
        }.joined(separator: ", ")
    }
}

extension CANFrame {
    struct Identity: Hashable {
        var id: UInt32
        var isExtended: Bool
    }

    var identity: Identity { Identity(id: id, isExtended: isExtended) }
}

extension JSONText {
    /// One frame of a bus as an object.
    mutating func busFrame(_ frame: CANFrame, at time: Double, _ dialect: DialectName) {
        object {
            $0.key("time")
            $0.number(seconds(time))
            $0.field("id", frame.idText)
            $0.field("data", hexText((0..<Int(frame.length)).map { frame[$0] }))
            $0.field("dialect", dialect.name)
            $0.field("signals", object: { $0.signals(of: frame, dialect) })
        }
    }
}

/// Seconds with three digits after the point.
private func seconds(_ time: Double) -> String {
    let milliseconds = Int64((time * 1000).rounded())
    let rest = milliseconds.magnitude % 1000
    let digits = rest < 10 ? "00\(rest)" : rest < 100 ? "0\(rest)" : "\(rest)"
    return (milliseconds < 0 ? "-" : "") + "\(milliseconds.magnitude / 1000).\(digits)"
}

private func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
}

extension String {
    fileprivate func padding(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

    fileprivate var trimmed: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
