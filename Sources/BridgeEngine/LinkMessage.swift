import Battery

/// The kinds of Link messages (docs/link.md). Append, never renumber.
public enum LinkKind: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    /// The bank as the inverter is told about it, with the reasons. Opens a snapshot.
    case bank = 1
    /// One pack: judgement of the control logic and last reading.
    case pack = 2
    case bmsPort = 3
    case inverterPort = 4
    /// All messages of this snapshot have been sent.
    case endOfSnapshot = 5
    case event = 6
    /// The compact image of the configuration in force.
    case configuration = 7
    /// The orders in force; part of a snapshot.
    case orders = 8
    /// From `serve`: an order; see `LinkCommand`.
    case command = 16
    case commandReply = 17
    /// From `serve`: send the kept events from a number on, and the configuration.
    case replay = 18
    /// From another program: what a battery says that PackBridge itself does not know; see `LinkReading`.
    case reading = 19
    /// To a firmware: u32 identity and the compact image of a configuration, to keep and to restart with.
    case configure = 20
}

#if MICROCONTROLLER
    /// The longest message with header and trailer: a configuration with all packs and lines.
    let linkCapacity = 1024
    public typealias LinkBytes = InlineArray<1024, UInt8>
    public typealias LinkBuffer = FieldBuffer<1024>
#else
    /// The longest message with header and trailer: a configuration with all packs and lines.
    let linkCapacity = 2064
    /// The bytes of a message of any kind.
    public typealias LinkBytes = InlineArray<2064, UInt8>
    /// Where a message of any kind is written or read.
    public typealias LinkBuffer = FieldBuffer<2064>
#endif

/// Framing of the Link protocol: `50 42`, version, kind, payload length, sequence number, payload, CRC-32.
///
/// The checksum covers everything from the version to the end of the payload. Little-endian.
public enum LinkFraming {
    public static let version: UInt8 = 1
    public static let headerSize = 10
    public static let trailerSize = 4
    public static let maximumPayload = linkCapacity - 16
}

/// Writes one complete message: header, the payload that `fields` adds, length and checksum.
func linkMessage<let capacity: Int>(
    _ kind: LinkKind, sequence: UInt32, into writer: inout FieldBuffer<capacity>,
    _ fields: (inout FieldBuffer<capacity>) -> Void
) {
    writer.beginMessage(kind, sequence: sequence)
    fields(&writer)
    writer.endMessage()
}

extension FieldBuffer {
    /// The header of a message whose length is not known yet.
    @inline(never)
    mutating func beginMessage(_ kind: LinkKind, sequence: UInt32) {
        removeAll()
        append(0x50)
        append(0x42)
        append(LinkFraming.version)
        append(kind.rawValue)
        append(0)
        append(0)
        var sequence = sequence
        field(&sequence)
    }

    /// Length and checksum of the message that was begun.
    @inline(never)
    mutating func endMessage() {
        let length = count - LinkFraming.headerSize
        replace(at: 4, with: UInt8(truncatingIfNeeded: length))
        replace(at: 5, with: UInt8(truncatingIfNeeded: length >> 8))
        var checksum = checksum(from: 2)
        field(&checksum)
        precondition(!overflowed)
    }
}

/// One received message.
public struct LinkMessage: Sendable {
    public var kind: LinkKind
    public var sequence: UInt32
    /// The whole message, to be read from its payload on.
    public var payload: LinkBuffer

    /// Lends the payload, for messages that carry an image.
    public func withPayload<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(payload.bytes.span.extracting(payload.rest))
    }
}

/// Finds messages in a stream of bytes. A damaged one costs one byte of progress, so that the next good one is found.
public struct LinkReceiver: Sendable {
    /// The bytes so far. When `advance` has found a message they begin with it, and its payload is read from here.
    var buffer = LinkBuffer()
    private var count = 0
    /// How many of them are the message that was found last.
    private var found = 0
    /// Bytes that belonged to no valid message.
    public private(set) var discarded: UInt64 = 0
    /// Messages that were valid but of a kind that this version does not know.
    public private(set) var unknown: UInt64 = 0

    public init() {}

    /// Feeds one byte. Call `next()` until it returns nil before the following byte.
    public mutating func push(_ byte: UInt8) {
        buffer.bytes[count] = byte
        count += 1
    }

    /// The next message, when the bytes so far complete one. After a damaged stretch one byte can complete several.
    public mutating func next() -> LinkMessage? {
        guard let kind = advance() else { return nil }
        return LinkMessage(kind: kind, sequence: word(at: 6), payload: buffer)
    }

    /// The same without a copy: the message stands in `buffer` until the next call.
    @inline(never)
    mutating func advance() -> LinkKind? {
        remove(found)
        found = 0
        while count > 0 {
            switch examine() {
            case .incomplete: return nil
            case .damaged: drop(1)
            case .complete(let kind, let length):
                found = LinkFraming.headerSize + length + LinkFraming.trailerSize
                if let kind {
                    buffer.read(from: LinkFraming.headerSize, to: LinkFraming.headerSize + length)
                    return kind
                }
                remove(found)
                found = 0
                unknown += 1
            }
        }
        return nil
    }

    /// Puts a message that somebody else has received where `advance` would leave it.
    mutating func take(_ message: LinkMessage) {
        buffer = message.payload
        count = 0
        found = 0
    }

    private enum Finding {
        case incomplete, damaged
        case complete(LinkKind?, length: Int)
    }

    /// Judges the buffer's beginning.
    private mutating func examine() -> Finding {
        if buffer.bytes[0] != 0x50 { return .damaged }
        if count > 1 && buffer.bytes[1] != 0x42 { return .damaged }
        if count > 2 && buffer.bytes[2] != LinkFraming.version { return .damaged }
        if count < LinkFraming.headerSize { return .incomplete }
        let length = Int(buffer.bytes[4]) | Int(buffer.bytes[5]) << 8
        if length > LinkFraming.maximumPayload {
            // A configuration of somebody with more room. Its identity is taken, without an image, so that it can be refused; the rest
            // is noise.
            if buffer.bytes[3] != LinkKind.configure.rawValue { return .damaged }
            let taken = LinkFraming.headerSize + LinkConfigure.headerSize + LinkFraming.trailerSize
            return count < taken ? .incomplete : .complete(.configure, length: LinkConfigure.headerSize)
        }
        let end = LinkFraming.headerSize + length + LinkFraming.trailerSize
        if count < end { return .incomplete }
        let isGood = CRC32.of(buffer.bytes.span.extracting(2..<end)) == CRC32.ofGoodBlock
        return isGood ? .complete(LinkKind(rawValue: buffer.bytes[3]), length: length) : .damaged
    }

    private mutating func word(at index: Int) -> UInt32 {
        UInt32(buffer.bytes[index]) | UInt32(buffer.bytes[index + 1]) << 8 | UInt32(buffer.bytes[index + 2]) << 16
            | UInt32(buffer.bytes[index + 3]) << 24
    }

    /// Throws away `n` bytes and everything up to the next possible start.
    private mutating func drop(_ n: Int) {
        var start = n
        while start < count && buffer.bytes[start] != 0x50 { start += 1 }
        discarded += UInt64(start)
        remove(start)
    }

    private mutating func remove(_ n: Int) {
        if n == 0 { return }
        for i in n..<count { buffer.bytes[i - n] = buffer.bytes[i] }
        count -= n
    }
}
