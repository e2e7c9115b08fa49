import Battery
import Glibc

/// A unit whose radio is in reach. Not asked anything: many devices have the same serial module, and its name tells a JK unit.
struct RadioSearch {
    /// As `detect` calls it.
    static let port = "bluetooth"

    var address: String
    var name: String

    /// Takes 10 s.
    static func search() throws -> [RadioSearch] {
        let child = try ChildProcess(RadioProcess.program, ["--search"], neverWaits: false)
        while child.ending() == nil { usleep(50_000) }
        let lines = child.lines()
        guard child.ending() == .exit(code: 0) else { throw Failure(lines.joined(separator: "\n")) }
        return lines.compactMap { line in
            let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
            return parts.first.map { RadioSearch(address: $0, name: parts.count > 1 ? parts[1] : "") }
        }
    }

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
