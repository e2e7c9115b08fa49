import CLinux
import Glibc

/// A pseudo-terminal: whoever opens `path` believes in a serial device, and this end plays it. For simulators and tests.
public final class PseudoTerminal {
    /// The end to play with, non-blocking; for the event loop.
    public private(set) var descriptor: Int32
    /// What to give to the program under test, for example `/dev/pts/3`.
    public let path: String
    /// Keeps the line up while the other program has not opened it yet or opens it again; without it the master reads an error.
    private var keeper: Int32

    public init() throws(PortFailure) {
        var name = [CChar](repeating: 0, count: 64)
        descriptor = clinux_pty_open(&name, name.count)
        if descriptor < 0 { throw PortFailure("/dev/ptmx", .system(call: "posix_openpt", code: errno)) }
        path = name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        keeper = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    }

    deinit { unplug() }

    /// The adapter is pulled out: the device vanishes.
    public func unplug() {
        if descriptor >= 0 {
            close(keeper)
            close(descriptor)
        }
        (descriptor, keeper) = (-1, -1)
    }

    /// What the other side sent and nobody has read yet.
    public func receive() -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// Puts bytes on the line. - Returns: how many the line took; the rest has to be sent again.
    @discardableResult
    public func transmit(_ bytes: [UInt8]) -> Int {
        max(0, write(descriptor, bytes, bytes.count))
    }
}
