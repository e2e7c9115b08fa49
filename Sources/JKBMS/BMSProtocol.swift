import Battery

/// Why bytes from a BMS were thrown away. Counted and reported, never silently dropped.
public enum FrameRejection: UInt8, Error, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    /// Bytes between frames that start no frame.
    case noise
    case badLength
    case badEndMark
    case badChecksum
    /// The line fell silent in the middle of a frame.
    case truncated
    /// The structure contradicts itself: cell count, block length, indices.
    case badStructure
    /// A valid frame that was not asked for: another address, another function.
    case unexpected
    /// Our own request, looped back by a half-duplex adapter. Normal there, so not an error.
    case echo
}

/// Where a `BMSProtocol` delivers what happens on its line. Implemented by the engine, the simulator and the tests.
public protocol BMSLine {
    /// Bytes to put on the line now.
    mutating func transmit(_ bytes: Span<UInt8>)
    /// A checked and decoded snapshot of the pack at `address`.
    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant)
    /// Bytes were discarded.
    mutating func rejected(_ reason: FrameRejection, at now: Instant)
    /// The pack at `address` did not answer in time, all retries included.
    mutating func timedOut(_ address: UInt8, at now: Instant)
    /// What a session on a bus remembers of the pack with the `slot`-th address. It is kept here and not in the session, because
    /// all lines of a bank together have 16 packs, but each line may have all of them.
    subscript(memoryOf slot: Int) -> JKPackMemory { get set }
}

/// How often a BMS is asked.
public struct PollPace: Equatable, Sendable, BitwiseCopyable {
    /// From one request to the next of the same pack. 0 = back to back ("fast").
    public var interval: Milliseconds
    /// Silence to keep between two packets on the line. The vendor asks for 100 ms.
    public var gap: Milliseconds
    /// How long to wait for the first byte of a reply.
    public var replyTimeout: Milliseconds
    /// How often a request is repeated before `timedOut`.
    public var retries: Int32

    public init(
        interval: Milliseconds = 1000, gap: Milliseconds = 100, replyTimeout: Milliseconds = 500, retries: Int32 = 2
    ) {
        self.interval = interval
        self.gap = gap
        self.replyTimeout = replyTimeout
        self.retries = retries
    }
}

/// One JK wire protocol: the host's side of a line with one or more packs on it.
///
/// A device is one file: a type that conforms to this, its codec and nothing else. It does no I/O and reads no clock; it is fed
/// with bytes and woken at the deadline that it asked for.
public protocol BMSProtocol: Sendable {
    /// Bytes came in. Snapshots and rejections go to `line`, in order.
    mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line)

    /// Time has passed: sends the next request when it is due, gives up on a late reply.
    /// - Returns: when to call again at the latest.
    mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant

    /// Changes the pace, for example 500 ms polls until the first frame may be sent (amendment 14).
    mutating func setPace(_ pace: PollPace)
}
