import Battery
import BridgeEngine
import CLinux
import Glibc

/// The control process's end of the Link protocol: a unix socket on which any number of readers (up to 8) listen.
///
/// Control never waits for a reader. A reader that is too slow loses the oldest messages that it has not begun to receive, always
/// whole ones, and gets the newest.
public final class LinkServer {
    public static let maximumReaders = 8
    /// Per reader; some seconds of snapshots.
    static let queueCapacity = 32 * 1024
    /// The kernel's part of the queue. Small, because what lies there can no longer be replaced by something newer.
    static let kernelBuffer: Int32 = 8 * 1024

    public let path: String
    public let descriptor: Int32
    private var readers: [Reader?]
    /// Read from one reader in one turn of the loop: some orders, or a part of a reading.
    static let readAtOnce = 128
    /// Who says that much at once is not listened to for this time. A client that floods waits in the kernel: the loop would else never
    /// sleep, and a process that never sleeps is late on a busy machine.
    static let pause: Milliseconds = 20
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readAtOnce, alignment: 8)
    /// Messages that slow readers have lost.
    public private(set) var droppedMessages: UInt64 = 0

    public init(path: String) throws(PortFailure) {
        self.path = path
        descriptor = clinux_unix_listen(path)
        if descriptor < 0 {
            throw errno == EADDRINUSE ? PortFailure(path, .busy) : PortFailure(path, .system(call: "bind", code: errno))
        }
        readers = Array(repeating: nil, count: Self.maximumReaders)
    }

    deinit {
        for reader in readers { if let reader { close(reader.descriptor) } }
        close(descriptor)
        unlink(path)
        buffer.deallocate()
    }

    public var readerCount: Int { readers.count { $0 != nil } }

    /// When the next reader that said too much is listened to again.
    var nextResumption: Instant? {
        readers.lazy.compactMap { $0?.pausedUntil }.min { $0 < $1 }
    }

    /// Calls `watch` for every reader that must be watched in another way than before, `forget` for those that said too much.
    func updateWatching(
        at now: Instant, forget: (_ descriptor: Int32) -> Void,
        _ watch: (_ reader: Int, _ descriptor: Int32, _ writable: Bool) -> Void
    ) {
        for index in readers.indices {
            guard let reader = readers[index] else { continue }
            if let until = reader.pausedUntil {
                if now < until {
                    if reader.watchesWriting != nil { forget(reader.descriptor) }
                    reader.watchesWriting = nil
                    continue
                }
                reader.pausedUntil = nil
            }
            let writable = !reader.queue.isEmpty
            if reader.watchesWriting == writable { continue }
            reader.watchesWriting = writable
            watch(index, reader.descriptor, writable)
        }
    }

    /// Lets waiting readers in; shuts the door on them when the house is full.
    func accept() {
        while true {
            let client = clinux_unix_accept(descriptor, Self.kernelBuffer)
            if client < 0 { return }
            if let index = readers.firstIndex(where: { $0 == nil }) {
                readers[index] = Reader(descriptor: client)
            } else {
                close(client)
            }
        }
    }

    /// Hands a message to every reader.
    public func publish(_ message: Span<UInt8>) {
        for index in readers.indices {
            guard let reader = readers[index] else { continue }
            droppedMessages += UInt64(reader.queue.append(message))
            flush(reader: index)
        }
    }

    /// Sends what the reader's socket takes.
    func flush(reader index: Int) {
        guard let reader = readers[index] else { return }
        while !reader.queue.isEmpty {
            let sent = reader.queue.withFirst { bytes in
                send(reader.descriptor, bytes.baseAddress, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
            }
            if sent < 0 {
                if errno != EAGAIN && errno != EINTR { remove(reader: index) }
                return
            }
            reader.queue.removeFirst(sent)
        }
    }

    /// Reads what the reader says. Every reader has a receiver of its own: messages come in pieces, and those of several readers
    /// must not be put together.
    func receive(fromReader index: Int, at now: Instant, _ body: (LinkMessage) -> Void) {
        guard let reader = readers[index], reader.pausedUntil == nil else { return }
        let count = recv(reader.descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
        if count > 0 {
            if count == buffer.count { reader.pausedUntil = now + Self.pause }
            for byte in buffer[..<count] {
                reader.receiver.push(byte)
                while let message = reader.receiver.next() { body(message) }
            }
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            remove(reader: index)
        }
    }

    private func remove(reader index: Int) {
        if let reader = readers[index] { close(reader.descriptor) }
        readers[index] = nil
    }

    private final class Reader {
        let descriptor: Int32
        /// What the event loop was told; nil: nothing yet.
        var watchesWriting: Bool?
        var pausedUntil: Instant?
        var receiver = LinkReceiver()
        var queue = MessageQueue(capacity: LinkServer.queueCapacity)

        init(descriptor: Int32) {
            self.descriptor = descriptor
        }

        deinit { queue.deallocate() }
    }
}

/// Messages that wait for one reader, in memory of a fixed size: a length of 2 bytes, then the message, one after the other.
struct MessageQueue {
    private let memory: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0
    /// How much of the first message has gone out. It must be finished, whatever happens to the others.
    private var sentOfFirst = 0

    init(capacity: Int) {
        memory = .allocate(byteCount: capacity, alignment: 2)
    }

    func deallocate() { memory.deallocate() }

    var isEmpty: Bool { start == end }

    private func length(at position: Int) -> Int {
        Int(memory.loadUnaligned(fromByteOffset: position, as: UInt16.self))
    }

    /// Adds a message; the oldest ones that are not begun make room for it. - Returns: how many messages were lost.
    mutating func append(_ message: Span<UInt8>) -> Int {
        let needed = 2 + message.count
        if message.isEmpty { return 0 }
        if message.count > Int(UInt16.max) || needed > memory.count { return 1 }
        var lost = 0
        if end + needed > memory.count { compact() }
        while end + needed > memory.count {
            guard dropOldest() else { return lost + 1 }
            lost += 1
        }
        memory.storeBytes(of: UInt16(message.count), toByteOffset: end, as: UInt16.self)
        message.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: memory[(end + 2)...]).copyMemory(from: $0) }
        end += needed
        return lost
    }

    /// Moves everything to the beginning of the memory.
    private mutating func compact() {
        memmove(memory.baseAddress!, memory.baseAddress! + start, end - start)
        (start, end) = (0, end - start)
    }

    /// Drops the oldest message of which nothing went out. False when there is none.
    private mutating func dropOldest() -> Bool {
        let victim = sentOfFirst > 0 ? start + 2 + length(at: start) : start
        if victim == end { return false }
        let next = victim + 2 + length(at: victim)
        memmove(memory.baseAddress! + victim, memory.baseAddress! + next, end - next)
        end -= next - victim
        return true
    }

    /// The part of the first message that has not gone out.
    func withFirst<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(rebasing: memory[(start + 2 + sentOfFirst)..<(start + 2 + length(at: start))]))
    }

    /// `count` bytes of the first message went out.
    mutating func removeFirst(_ count: Int) {
        sentOfFirst += count
        if sentOfFirst < length(at: start) { return }
        start += 2 + sentOfFirst
        sentOfFirst = 0
        if start == end { (start, end) = (0, 0) }
    }
}
