import Battery
import BridgeEngine
import Glibc

/// A unit whose radio is in reach. Not asked anything: many devices have the same serial module, and its name tells a JK unit.
struct RadioSearch {
    /// As `detect` calls it.
    static let port = "bluetooth"

    var address: String
    var name: String

    /// Takes 10 s.
    static func search() throws -> [RadioSearch] {
        try output(of: ["--search"]).compactMap { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            return parts.first.map { RadioSearch(address: $0, name: parts.count > 1 ? parts[1] : "") }
        }
    }

    /// One reading of a unit, with its settings. Takes a few seconds, and a minute and a half at most where the unit does not answer.
    static func read(_ address: String) throws -> PackReading {
        let digits = try output(of: ["--read", address]).last ?? ""
        var receiver = LinkReceiver()
        for index in stride(from: 0, to: digits.utf8.count - 1, by: 2) {
            let byte = digits.utf8.dropFirst(index).prefix(2)
            receiver.push(UInt8(String(Substring(byte)), radix: 16) ?? 0)
        }
        var reading = LinkReading()
        guard let message = receiver.next(), message.kind == .reading else {
            throw Failure("\(RadioProcess.program) printed no reading; is it of the same version as packbridge?")
        }
        var fields = message.payload
        reading.visitFields(&fields)
        guard fields.isValid else { throw Failure("\(RadioProcess.program) printed a reading that this packbridge does not know") }
        return reading.reading
    }

    /// `C8:47:8C:E0:12:34`
    static func isAddress(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 6 && parts.allSatisfy { $0.count == 2 && UInt8($0, radix: 16) != nil }
    }

    private static func output(of arguments: [String]) throws -> [String] {
        let child = try ChildProcess(RadioProcess.program, arguments, neverWaits: false)
        while child.ending() == nil { usleep(50_000) }
        let lines = child.lines()
        guard child.ending() == .exit(code: 0) else { throw Failure(lines.joined(separator: "\n")) }
        return lines
    }

    /// `JK_B2A8S20P, C8:47:8C:E0:12:34`
    var title: String { name.isEmpty ? address : "\(name), \(address)" }

    private var entry: String { "{protocol: jk-ble, port: \"\(address)\"}" }

    var words: String { "jk-ble, \(name.isEmpty ? "without a name" : name)\n  bms: \(entry)" }

    var json: String {
        var text = JSONText()
        text.object {
            $0.field("protocol", "jk-ble")
            $0.field("port", address)
            $0.field("name", name)
            $0.field("entry", entry)
        }
        return text.string
    }
}
