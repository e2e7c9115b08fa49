import CLinux
import Glibc

/// Writes images of the persisted record in a thread of its own. An SD card may take a second for one synchronous write, and the
/// control loop must not wait a millisecond for it. The two share nothing but a socket that keeps the bounds of messages.
final class RecordWriter {
    private let outbox: Int32
    private var thread = pthread_t()

    init(_ file: StateFile) throws(PortFailure) {
        var ends: (Int32, Int32) = (-1, -1)
        let paired = withUnsafeMutableBytes(of: &ends) {
            clinux_unix_pair($0.baseAddress!.assumingMemoryBound(to: Int32.self))
        }
        if paired < 0 { throw PortFailure("record writer", .system(call: "socketpair", code: errno)) }
        outbox = ends.0
        let job = Unmanaged.passRetained(Job(inbox: ends.1, file: file))
        let code = pthread_create(
            &thread, nil, { Unmanaged<Job>.fromOpaque($0!).takeRetainedValue().run() }, job.toOpaque())
        if code != 0 { throw PortFailure("record writer", .system(call: "pthread_create", code: code)) }
    }

    /// Hands an image over; it is dropped when the disk is so far behind that the queue is full.
    func write(_ image: Span<UInt8>) {
        _ = image.withUnsafeBytes { send(outbox, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL)) }
    }

    /// Waits until everything is on disk.
    func finish() {
        close(outbox)
        pthread_join(thread, nil)
    }

    private final class Job {
        let inbox: Int32
        var file: StateFile

        init(inbox: Int32, file: StateFile) {
            self.inbox = inbox
            self.file = file
        }

        func run() -> UnsafeMutableRawPointer? {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: StateFile.longestImage, alignment: 8)
            defer { buffer.deallocate() }
            var isFailing = false
            while true {
                let count = recv(inbox, buffer.baseAddress, buffer.count, 0)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                do throws(PortFailure) {
                    try file.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self).span)
                    isFailing = false
                } catch {
                    // Once, not every five minutes: the bridge works on without it.
                    if !isFailing { complain("cannot persist the state: \(error)") }
                    isFailing = true
                }
            }
            close(inbox)
            return nil
        }
    }
}

/// One line on standard error. Never from the loop: a full pipe would stop it.
public func complain(_ text: String) {
    let line = Array("packbridge-control: \(text)\n".utf8)
    _ = write(2, line, line.count)
}
