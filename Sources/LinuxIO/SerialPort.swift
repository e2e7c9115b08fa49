import CLinux
import Glibc

/// A serial line: raw 8N1 at any baud rate, used by nobody else, never waiting.
///
/// A port that fails closes itself; its owner sees `isOpen` and opens it again later.
public final class SerialPort {
    public let path: String
    public let baud: UInt32
    /// For the event loop; -1 while closed.
    public private(set) var descriptor: Int32 = -1
    /// Bytes that the device did not take at once and that were therefore not sent.
    public private(set) var discardedBytes: UInt64 = 0

    public init(path: String, baud: UInt32 = 115_200) {
        self.path = path
        self.baud = baud
    }

    deinit { close() }

    public var isOpen: Bool { descriptor >= 0 }

    /// Opens the device and compares what the driver made of the settings with what was asked for.
    public func open() throws(PortFailure) {
        close()
        let fd = Glibc.open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        if fd < 0 { throw .opening(path) }
        do throws(PortFailure) {
            try setUp(fd)
        } catch {
            _ = Glibc.close(fd)
            throw error
        }
        descriptor = fd
    }

    private func setUp(_ fd: Int32) throws(PortFailure) {
        if isatty(fd) == 0 { throw PortFailure(path, .notATerminal) }
        if clinux_tty_claim(fd) < 0 { throw .opening(path) }
        if clinux_tty_set_raw(fd, baud) < 0 {
            throw PortFailure(
                path, errno == EINVAL ? .baudRefused(asked: baud, got: nil) : .system(call: "TCSETS2", code: errno))
        }
        var (input, output, isRaw) = (UInt32(0), UInt32(0), Int32(0))
        if clinux_tty_read_back(fd, &input, &output, &isRaw) < 0 {
            throw PortFailure(path, .system(call: "TCGETS2", code: errno))
        }
        // Drivers report what the divider of the chip makes of the rate: 2 % is still well inside what a UART tolerates.
        for got in [input, output] where UInt64(got.distance(to: baud).magnitude) * 50 > UInt64(baud) {
            throw PortFailure(path, .baudRefused(asked: baud, got: got))
        }
        if isRaw == 0 { throw PortFailure(path, .settingsRefused) }
    }

    public func close() {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Reads what waits, at most what `buffer` holds. 0: nothing more, or the device is gone (`isOpen` tells).
    public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        if descriptor < 0 { return 0 }
        let count = read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return count }
        // 0 is the end of file of a line that hung up, for example a USB adapter pulled out.
        if count == 0 || (errno != EAGAIN && errno != EINTR) { close() }
        return 0
    }

    /// Sends without waiting. - Returns: how many bytes the driver took.
    @discardableResult
    public func transmit(_ bytes: Span<UInt8>) -> Int {
        if descriptor < 0 || bytes.isEmpty { return 0 }
        let taken = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if taken < 0 && errno != EAGAIN && errno != EINTR { close() }
        discardedBytes += UInt64(bytes.count - max(0, taken))
        return max(0, taken)
    }
}
