import Battery
import BridgeEngine
import CLinux
import Glibc

/// Hands readings to the control process. While nobody listens they are dropped: an old reading is worth nothing.
struct PackFeed {
    private let link: String
    private let pack: UInt8
    private var descriptor: Int32 = -1
    private var sequence: UInt32 = 0

    init(link: String, pack: UInt8) {
        self.link = link
        self.pack = pack
    }

    mutating func send(_ reading: PackReading) {
        if descriptor < 0 {
            descriptor = clinux_unix_connect(link)
            if descriptor < 0 { return }
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        }
        drain()
        sequence &+= 1
        let message = LinkReading(identity: sequence, pack: pack, reading: reading).message(sequence: sequence)
        let count = message.withBytes { bytes in
            (bytes.count, bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) })
        }
        if count.0 != count.1 { reset() }
    }

    /// What the control process tells is not for us, but must not pile up.
    private mutating func drain() {
        var buffer = InlineArray<4096, UInt8>(repeating: 0)
        while descriptor >= 0 {
            var span = buffer.mutableSpan
            let count = span.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 || count < 0 && errno != EAGAIN && errno != EINTR { reset() }
            if count < 4096 { return }
        }
    }

    private mutating func reset() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }
}
