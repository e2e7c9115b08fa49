import Battery
import JKBMS

/// A reading that another program sends over Link, for a battery that PackBridge itself does not know (docs/link.md). It is taken only for
/// a pack whose protocol in the configuration is `link`, and judged like that of any BMS.
public struct LinkReading: Sendable {
    /// Chosen by the sender; told back when the reading is refused.
    public var identity: UInt32 = 0
    /// From 1.
    public var pack: UInt8 = 0
    public var reading = PackReading()

    public init() {}

    public init(identity: UInt32, pack: UInt8, reading: PackReading) {
        self.identity = identity
        self.pack = pack
        self.reading = reading
    }

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&identity)
        coder.field(&pack)
        reading.visitFields(&coder)
    }

    /// The complete message, for the side that sends it.
    public func message(sequence: UInt32) -> FieldBuffer<640> {
        var writer = FieldBuffer<640>()
        var copy = self
        linkMessage(.reading, sequence: sequence, into: &writer) { writer in copy.visitFields(&writer) }
        return writer
    }
}

/// The line of a pack whose readings come over Link: there is nobody to ask, only somebody to miss.
struct LinkInput: Sendable {
    /// Readings that come faster are dropped: each one makes the control logic think, and a flood must not delay a frame.
    static let leastInterval: Milliseconds = 100
    static let lost: Milliseconds = 5000

    private var lastReading: Instant?
    private var silentSince: Instant?

    /// - Returns: false for a reading that comes too soon after the last one.
    mutating func admits(at now: Instant) -> Bool {
        silentSince = now
        if let lastReading, now.since(lastReading) < Self.leastInterval { return false }
        lastReading = now
        return true
    }

    /// - Returns: when to call again at the latest.
    mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        let since = silentSince ?? now
        silentSince = since
        if now.since(since) < Self.lost { return since + Self.lost }
        silentSince = now
        line.timedOut(0, at: now)
        return now + Self.lost
    }
}
