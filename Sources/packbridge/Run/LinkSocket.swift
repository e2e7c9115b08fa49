import BridgeEngine
import CLinux
import Glibc
import LinkClient

/// A connection to the Link socket of a control process.
final class LinkSocket {
    let descriptor: Int32
    private var feed = LinkFeed()
    private var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    /// The highest number of an event so far: what another reader asks for again is sent to all.
    private var lastEvent: UInt32 = 0

    /// - Throws: a message that says what to do, when nobody listens there.
    init(path: String) throws {
        descriptor = clinux_unix_connect(path)
        guard descriptor >= 0 else {
            let reason =
                switch errno {
                case ENOENT, ECONNREFUSED:
                    "no control process listens here; is `packbridge run` or `packbridge control` running?"
                case EACCES: "permission denied; only the owner and the group of the control process may listen"
                default: String(cString: strerror(errno))
                }
            throw Failure("\(path): \(reason)")
        }
    }

    deinit {
        close(descriptor)
    }

    /// Sends a whole message. The socket takes far more than one; when it does not, the control process hangs.
    func send(_ bytes: Span<UInt8>) throws {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        guard count == bytes.count else { throw Failure("the control process takes no readings any more") }
    }

    /// Asks for the events that the control process still knows, and for its configuration.
    func requestReplay() {
        LinkReplay().message(sequence: 1).withBytes { span in
            span.withUnsafeBufferPointer { _ = write(descriptor, $0.baseAddress, $0.count) }
        }
    }

    /// Hands over what has come. Waits when nothing has.
    /// - Returns: false when the other end has gone.
    func receive(_ deliver: (LinkNews) -> Void) -> Bool {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 { return errno == EINTR || errno == EAGAIN }
        feed.receive(buffer[..<max(count, 0)]) { news in
            if case .event(let event) = news {
                if event.number <= lastEvent { return }
                lastEvent = event.number
            }
            deliver(news)
        }
        return count > 0
    }

    /// The next complete snapshot; nil when none comes within `seconds` or the other end goes.
    func snapshot(within seconds: Int) -> BridgeSnapshot? {
        var found: BridgeSnapshot?
        let end = clinux_milliseconds() + Int64(seconds) * 1000
        while found == nil {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = end - clinux_milliseconds()
            guard left > 0, Glibc.poll(&poll, 1, Int32(left)) > 0 else { return nil }
            let isOpen = receive { if case .snapshot(let snapshot) = $0 { found = snapshot } }
            if !isOpen { break }
        }
        return found
    }
}
