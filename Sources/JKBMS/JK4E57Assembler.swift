import Battery

extension JK4E57 {
    /// Finds frames in a byte stream (jk-4e57.md §7): hunts for `4E 57`, bounds LENGTH, drops one byte after a failure and nothing
    /// inside a frame that passed. Fixed buffer, no heap.
    ///
    /// Use: `take` bytes, then call `next` until it asks for more.
    public struct Assembler: Sendable {
        public enum Step: Equatable, Sendable {
            case needsBytes
            /// A frame was decoded into the report: any transport type, echoes too.
            case frame
            case rejected(FrameRejection)
        }

        /// Silence that ends a frame, and the longest time a frame may take.
        public static let silence: Milliseconds = 100
        public static let longest: Milliseconds = 300

        private var buffer = InlineArray<1026, UInt8>(repeating: 0)
        private var head = 0
        private var tail = 0
        private var firstByteAt = Instant(milliseconds: 0)
        private var lastByteAt = Instant(milliseconds: 0)
        /// Bytes are being skipped whose reason has been reported already.
        private var skipping = false

        /// Position in the stream of the last accepted frame, and its length.
        public private(set) var frameOffset: Int64 = 0
        public private(set) var frameLength: Int = 0
        private var headOffset: Int64 = 0

        public init() {}

        /// Takes as many of `bytes` as there is room for. There is always room after `next` has asked for more bytes.
        /// - Returns: how many were taken.
        public mutating func take(_ bytes: Span<UInt8>, at now: Instant) -> Int {
            if head > 0 {
                for i in head..<tail { buffer[i - head] = buffer[i] }
                tail -= head
                head = 0
            }
            let count = bytes.count < buffer.count - tail ? bytes.count : buffer.count - tail
            if count == 0 { return 0 }
            if tail == 0 { firstByteAt = now }
            lastByteAt = now
            for i in 0..<count { buffer[tail + i] = bytes[i] }
            tail += count
            return count
        }

        /// When an incomplete frame will be given up; nil while there is none.
        public var deadline: Instant? {
            if head == tail { return nil }
            let silent = lastByteAt + Self.silence
            let late = firstByteAt + Self.longest
            return silent < late ? silent : late
        }

        /// The next event in the bytes taken so far.
        ///
        /// After the deadline the frame in progress is `truncated`; a complete frame that a damaged length has swallowed is still
        /// found in it.
        public mutating func next(into report: inout Report, at now: Instant) -> Step {
            while head < tail {
                if !startsFrame {
                    drop(1)
                    if skipping { continue }
                    skipping = true
                    return .rejected(.noise)
                }
                let lengthKnown = tail - head >= 4
                if lengthKnown && !lengthRange.contains(announcedBytes - 2) {
                    refuse()
                    return .rejected(.badLength)
                }
                if !lengthKnown || tail - head < announcedBytes {
                    if let deadline, now < deadline { return .needsBytes }
                    refuse()
                    return .rejected(.truncated)
                }
                let length = announcedBytes
                do throws(FrameRejection) {
                    try JK4E57.decode(buffer.span.extracting(head..<head + length), into: &report)
                    accept(length)
                    return .frame
                } catch {
                    // A frame that contradicts itself has passed framing and checksum all the same: nothing is searched in it.
                    if error == .badStructure { accept(length) } else { refuse() }
                    return .rejected(error)
                }
            }
            return .needsBytes
        }

        /// The bytes at `head` are `4E 57`, or a `4E` that is the last byte so far.
        private var startsFrame: Bool {
            if buffer[head] != start.0 { return false }
            return head + 1 == tail || buffer[head + 1] == start.1
        }

        /// What the LENGTH field at `head` says, start bytes included.
        private var announcedBytes: Int {
            (Int(buffer[head + 2]) << 8 | Int(buffer[head + 3])) + 2
        }

        private mutating func accept(_ length: Int) {
            frameOffset = headOffset
            frameLength = length
            skipping = false
            drop(length)
        }

        private mutating func refuse() {
            skipping = true
            firstByteAt = lastByteAt
            drop(1)
        }

        private mutating func drop(_ count: Int) {
            head += count
            headOffset += Int64(count)
        }
    }
}
