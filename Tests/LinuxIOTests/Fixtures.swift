import Battery
import Glibc
import InverterDialects
import LinuxIO

/// A folder that is removed when the test ends.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array("/tmp/packbridge-test.XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    deinit {
        for name in entries { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var entries: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String) -> String {
        write(Array(text.utf8), to: name)
    }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String) -> String {
        let fd = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        _ = Glibc.write(fd, bytes, bytes.count)
        close(fd)
        return file(name)
    }

    func read(_ name: String) -> [UInt8] {
        let fd = open(file(name), O_RDONLY)
        if fd < 0 { return [] }
        defer { close(fd) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(fd, &bytes, bytes.count)
        return Array(bytes[..<max(0, count)])
    }
}

/// Waits until `condition` holds. Bytes cross a pseudo-terminal in the kernel's own time.
func eventually(within limit: Milliseconds = 5000, _ condition: () -> Bool) -> Bool {
    let end = Instant.now + limit
    while Instant.now < end {
        if condition() { return true }
        usleep(500)
    }
    return condition()
}

/// The adapter or BMS at the other end of a line: collects what comes.
final class Peer {
    let terminal: PseudoTerminal
    private(set) var received = ""

    init() throws {
        terminal = try PseudoTerminal()
    }

    var path: String { terminal.path }

    func send(_ text: String) {
        terminal.transmit(Array(text.utf8))
    }

    /// True when something came that `hears` has not looked at yet.
    var isHeard: Bool {
        received += String(decoding: terminal.receive(), as: UTF8.self)
        return !received.isEmpty
    }

    /// Waits until exactly this came since the last time.
    func hears(_ text: String) -> Bool {
        let heard = eventually {
            received += String(decoding: terminal.receive(), as: UTF8.self)
            return received.utf8.count >= text.utf8.count
        }
        defer { received = "" }
        return heard && received == text
    }

    /// Everything that came within some milliseconds.
    func everything(for time: Milliseconds = 50) -> String {
        let end = Instant.now + time
        _ = eventually(within: time) {
            received += String(decoding: terminal.receive(), as: UTF8.self)
            return Instant.now >= end
        }
        defer { received = "" }
        return received
    }
}

extension Instant {
    /// An instant of a test's own clock.
    static func at(_ milliseconds: Milliseconds) -> Instant { Instant(milliseconds: 1_000_000 + milliseconds) }
}

extension CANFrame {
    init(_ id: UInt32, _ bytes: [UInt8], extended: Bool = false) {
        self.init(id: id, isExtended: extended, length: UInt8(bytes.count))
        for (index, byte) in bytes.enumerated() { self[index] = byte }
    }
}
