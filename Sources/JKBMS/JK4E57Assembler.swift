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

        private var queue = ByteQueue<1026>()
        /// Bytes are being skipped whose reason has been reported already.
        private var skipping = false

        /// Position in the stream of the last accepted frame, and its length.
        public private(set) var frameOffset: Int64 = 0
        public private(set) var frameLength: Int = 0

        public init() {}

        /// Takes as many of `bytes` as there is room for. There is always room after `next` has asked for more bytes.
        /// - Returns: how many were taken.
        public mutating func take(_ bytes: Span<UInt8>, at now: Instant) -> Int {
            queue.take(bytes, at: now)
        }

        /// When an incomplete frame will be given up; nil while there is none.
        public var deadline: Instant? { queue.deadline(silence: Self.silence, longest: Self.longest) }

        /// The next event in the bytes taken so far.
        ///
        /// After the deadline the frame in progress is `truncated`; a complete frame that a damaged length has swallowed is still
        /// found in it.
        public mutating func next(into report: inout Report, at now: Instant) -> Step {
            while !queue.isEmpty {
                if !startsFrame() {
                    queue.drop(1)
                    if skipping { continue }
                    skipping = true
                    return .rejected(.noise)
                }
                let announced = announcedBytes()
                if let announced, !lengthRange.contains(announced - 2) {
                    refuse()
                    return .rejected(.badLength)
                }
                guard let length = announced, queue.count >= length else {
                    if let deadline, now < deadline { return .needsBytes }
                    refuse()
                    return .rejected(.truncated)
                }
                do throws(FrameRejection) {
                    try queue.withFirst(length) { (frame) throws(FrameRejection) in
                        try JK4E57.decode(frame, into: &report)
                    }
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

        /// The oldest bytes are `4E 57`, or a `4E` that is the last byte so far.
        private mutating func startsFrame() -> Bool {
            if queue.peek(0) != start.0 { return false }
            return queue.count == 1 || queue.peek(1) == start.1
        }

        /// How long the oldest frame says it is, start bytes included. Nil while LENGTH has not come.
        private mutating func announcedBytes() -> Int? {
            if queue.count < 4 { return nil }
            return (Int(queue.peek(2)) << 8 | Int(queue.peek(3))) + 2
        }

        private mutating func accept(_ length: Int) {
            frameOffset = queue.offset
            frameLength = length
            skipping = false
            queue.drop(length)
            queue.restartClock()
        }

        private mutating func refuse() {
            skipping = true
            queue.restartClock()
            queue.drop(1)
        }
    }
}
