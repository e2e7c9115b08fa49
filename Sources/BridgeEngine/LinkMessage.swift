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
    public typealias LinkWriter = FieldWriter<1024>
    public typealias LinkFieldReader = FieldReader<1024>
#else
    /// The longest message with header and trailer: a configuration with all packs and lines.
    let linkCapacity = 2064
    /// The bytes of a message of any kind.
    public typealias LinkBytes = InlineArray<2064, UInt8>
    /// Writes a message of any kind.
    public typealias LinkWriter = FieldWriter<2064>
    /// Reads the payload of a message of any kind.
    public typealias LinkFieldReader = FieldReader<2064>
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
    _ kind: LinkKind, sequence: UInt32, into writer: inout FieldWriter<capacity>,
    _ fields: (inout FieldWriter<capacity>) -> Void
) {
    writer.append(0x50)
    writer.append(0x42)
    writer.append(LinkFraming.version)
    writer.append(kind.rawValue)
    writer.append(0)
    writer.append(0)
    var sequence = sequence
    writer.field(&sequence)
    fields(&writer)
    let length = writer.count - LinkFraming.headerSize
    writer.replace(at: 4, with: UInt8(truncatingIfNeeded: length))
    writer.replace(at: 5, with: UInt8(truncatingIfNeeded: length >> 8))
    var checksum = writer.checksum(from: 2)
    writer.field(&checksum)
    precondition(!writer.overflowed)
}

/// One received message.
public struct LinkMessage: Sendable {
    public var kind: LinkKind
    public var sequence: UInt32
    var bytes: LinkBytes
    var length: Int

    /// A reader of the payload.
    public var payload: LinkFieldReader {
        FieldReader(bytes, from: LinkFraming.headerSize, to: LinkFraming.headerSize + length)
    }

    /// Copies the payload out, for messages that carry an image.
    public func withPayload<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(bytes.span.extracting(LinkFraming.headerSize..<(LinkFraming.headerSize + length)))
    }
}

/// Finds messages in a stream of bytes. A damaged one costs one byte of progress, so that the next good one is found.
public struct LinkReceiver: Sendable {
    private var buffer = LinkBytes(repeating: 0)
    private var count = 0
    /// Bytes that belonged to no valid message.
    public private(set) var discarded: UInt64 = 0
    /// Messages that were valid but of a kind that this version does not know.
    public private(set) var unknown: UInt64 = 0

    public init() {}

    /// Feeds one byte. Call `next()` until it returns nil before the following byte.
    public mutating func push(_ byte: UInt8) {
        buffer[count] = byte
        count += 1
    }

    /// The next message, when the bytes so far complete one. After a damaged stretch one byte can complete several.
    public mutating func next() -> LinkMessage? {
        while count > 0 {
            switch examine() {
            case .incomplete: return nil
            case .damaged: drop(1)
            case .complete(let kind, let length):
                let message = kind.map {
                    LinkMessage(kind: $0, sequence: word(at: 6), bytes: buffer, length: length)
                }
                remove(LinkFraming.headerSize + length + LinkFraming.trailerSize)
                if let message { return message }
                unknown += 1
            }
        }
        return nil
    }

    private enum Finding {
        case incomplete, damaged
        case complete(LinkKind?, length: Int)
    }

    /// Judges the buffer's beginning.
    private func examine() -> Finding {
        if buffer[0] != 0x50 { return .damaged }
        if count > 1 && buffer[1] != 0x42 { return .damaged }
        if count > 2 && buffer[2] != LinkFraming.version { return .damaged }
        if count < LinkFraming.headerSize { return .incomplete }
        let length = Int(buffer[4]) | Int(buffer[5]) << 8
        if length > LinkFraming.maximumPayload {
            // A configuration of somebody with more room. Its identity is taken, without an image, so that it can be refused; the rest
            // is noise.
            if buffer[3] != LinkKind.configure.rawValue { return .damaged }
            let taken = LinkFraming.headerSize + LinkConfigure.headerSize + LinkFraming.trailerSize
            return count < taken ? .incomplete : .complete(.configure, length: LinkConfigure.headerSize)
        }
        let end = LinkFraming.headerSize + length
        if count < end + LinkFraming.trailerSize { return .incomplete }
        var crc = CRC32()
        for i in 2..<end { crc.update(buffer[i]) }
        return word(at: end) == crc.value ? .complete(LinkKind(rawValue: buffer[3]), length: length) : .damaged
    }

    private func word(at index: Int) -> UInt32 {
        UInt32(buffer[index]) | UInt32(buffer[index + 1]) << 8 | UInt32(buffer[index + 2]) << 16
            | UInt32(buffer[index + 3]) << 24
    }

    /// Throws away `n` bytes and everything up to the next possible start.
    private mutating func drop(_ n: Int) {
        var start = n
        while start < count && buffer[start] != 0x50 { start += 1 }
        discarded += UInt64(start)
        remove(start)
    }

    private mutating func remove(_ n: Int) {
        for i in n..<count { buffer[i - n] = buffer[i] }
        count -= n
    }
}
