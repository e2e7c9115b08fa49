import Battery

/// Takes the traffic of a JK RS485 bus apart (jk-modbus.md §3.4): Modbus RTU telegrams and the 300-byte records between them, by
/// trying at every byte what could begin there. Nothing is recognised by pauses, so it works on a capture and on a line that was
/// joined in the middle.
public struct JKBusStream: Sendable {
    public enum Element: Equatable, Sendable {
        /// Function 10 with data: a write, most often the trigger of a record.
        case write(address: UInt8, register: UInt16)
        /// Function 10 without data: the write was carried out.
        case acknowledgement(address: UInt8, register: UInt16)
        /// Function 03, eight bytes: which registers somebody wants.
        case readRequest(address: UInt8, register: UInt16, count: UInt16)
        /// Function 03 with data.
        case readReply(address: UInt8, byteCount: UInt8)
        case exception(address: UInt8, function: UInt8, code: UInt8)
        case record
        /// Bytes that begin nothing, as many as came in a row.
        case junk
    }

    /// Silence after which what is incomplete is given up. The next telegram of a bus comes at the earliest after about 35 ms.
    static let silence: Milliseconds = 50
    /// A record takes 26 ms, and 313 ms on a line of 9600 baud, the other rate that the units know.
    static let longest: Milliseconds = 400

    private var queue = ByteQueue<640>()
    private var found: Candidate?
    private var junk = 0

    public init() {}

    /// Takes as many of `bytes` as there is room for. There is always room after `next` has given nil.
    public mutating func take(_ bytes: Span<UInt8>, at now: Instant) -> Int {
        queue.take(bytes, at: now)
    }

    /// When the incomplete element at hand will be given up.
    var deadline: Instant? {
        let waiting = queue.count - (found?.length ?? 0)
        return waiting == 0 && junk == 0 ? nil : queue.deadline(silence: Self.silence, longest: Self.longest)
    }

    /// The next element, with its position in the stream and its length. Its bytes can be read by `withElement` until the next call.
    /// - Returns: nil when more bytes are needed. After the deadline nothing is waited for.
    public mutating func next(at now: Instant) -> (element: Element, offset: Int64, length: Int)? {
        if let last = found {
            queue.drop(last.length)
            queue.restartClock()
        }
        found = nil
        while junk < queue.count {
            switch candidate(at: junk) {
            case .complete(let candidate):
                // Junk in front of it is told first; the element is found again by the next call.
                if junk > 0 { return takeJunk() }
                found = candidate
                return (candidate.element, queue.offset, candidate.length)
            case .incomplete:
                if let deadline = queue.deadline(silence: Self.silence, longest: Self.longest), now < deadline {
                    return nil
                }
                queue.restartClock()
                junk += 1
            case .nothing: junk += 1
            }
            // Room for a whole record must remain.
            if junk >= 300 { return takeJunk() }
        }
        return junk > 0 ? takeJunk() : nil
    }

    /// Lends the bytes of the element that `next` gave last.
    public mutating func withElement<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try queue.withFirst(found?.length ?? 0, body)
    }

    private mutating func takeJunk() -> (element: Element, offset: Int64, length: Int) {
        let length = junk
        junk = 0
        found = Candidate(element: .junk, length: length)
        return (.junk, queue.offset, length)
    }

    // MARK: Recognition

    private struct Candidate: Sendable {
        var element: Element
        var length: Int
    }

    private enum Recognition {
        case complete(Candidate)
        /// It could be something; the bytes to tell have not come.
        case incomplete
        case nothing
    }

    private mutating func candidate(at start: Int) -> Recognition {
        let available = queue.count - start
        if queue.peek(start) == JK55AA.header.0 {
            let record = record(at: start, available)
            if case .nothing = record {} else { return record }
        }
        if available < 2 { return .incomplete }
        // 247 is the last Modbus address; JK units have 0 to 15.
        if queue.peek(start) > 247 { return .nothing }
        switch queue.peek(start + 1) {
        case 0x10: return write(at: start, available)
        case 0x03: return read(at: start, available)
        case 0x83, 0x90: return exception(at: start, available)
        default: return .nothing
        }
    }

    private mutating func record(at start: Int, _ available: Int) -> Recognition {
        let header = JK55AA.header
        if available > 1 && queue.peek(start + 1) != header.1 || available > 2 && queue.peek(start + 2) != header.2
            || available > 3 && queue.peek(start + 3) != header.3
        {
            return .nothing
        }
        if available < JK55AA.recordLength { return .incomplete }
        let isGood = queue.withFirst(start + JK55AA.recordLength) { bytes in
            let record = bytes.extracting(start..<bytes.count)
            return JK55AA.sum(record) == record[JK55AA.recordLength - 1]
        }
        return isGood ? .complete(Candidate(element: .record, length: JK55AA.recordLength)) : .nothing
    }

    private mutating func write(at start: Int, _ available: Int) -> Recognition {
        if available < 8 { return .incomplete }
        if isGood(start, 8) {
            return .complete(
                Candidate(element: .acknowledgement(address: queue.peek(start), register: word(start + 2)), length: 8))
        }
        let count = word(start + 4)
        if count == 0 || count > 123 || Int(queue.peek(start + 6)) != 2 * Int(count) { return .nothing }
        let length = 9 + 2 * Int(count)
        if available < length { return .incomplete }
        if !isGood(start, length) { return .nothing }
        return .complete(
            Candidate(element: .write(address: queue.peek(start), register: word(start + 2)), length: length))
    }

    private mutating func read(at start: Int, _ available: Int) -> Recognition {
        if available < 3 { return .incomplete }
        let byteCount = queue.peek(start + 2)
        let isReply = byteCount > 0 && byteCount <= 250 && byteCount % 2 == 0
        let length = 5 + Int(byteCount)
        if isReply && available >= length && isGood(start, length) {
            return .complete(
                Candidate(element: .readReply(address: queue.peek(start), byteCount: byteCount), length: length))
        }
        if available >= 8 && isGood(start, 8) {
            let element = Element.readRequest(
                address: queue.peek(start), register: word(start + 2), count: word(start + 4))
            return .complete(Candidate(element: element, length: 8))
        }
        return available < 8 || isReply && available < length ? .incomplete : .nothing
    }

    private mutating func exception(at start: Int, _ available: Int) -> Recognition {
        if available < 5 { return .incomplete }
        if !isGood(start, 5) { return .nothing }
        let element = Element.exception(
            address: queue.peek(start), function: queue.peek(start + 1) & 0x7F, code: queue.peek(start + 2))
        return .complete(Candidate(element: element, length: 5))
    }

    private mutating func isGood(_ start: Int, _ length: Int) -> Bool {
        queue.withFirst(start + length) { CRC16.isGood($0.extracting(start..<$0.count)) }
    }

    private mutating func word(_ at: Int) -> UInt16 {
        UInt16(queue.peek(at)) << 8 | UInt16(queue.peek(at + 1))
    }
}
