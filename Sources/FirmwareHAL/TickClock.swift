import Battery

/// Milliseconds from a free-running hardware counter, of which the lower 32 bits are enough: the loop comes by far more often than
/// they wrap.
public struct TickClock: Sendable {
    public let ticksPerMillisecond: UInt32
    public private(set) var now = Instant(milliseconds: 0)
    private var last: UInt32
    /// Ticks of the millisecond that is not yet over.
    private var rest: UInt32 = 0

    public init(ticksPerMillisecond: UInt32, ticks: UInt32) {
        self.ticksPerMillisecond = ticksPerMillisecond
        last = ticks
    }

    public mutating func advance(to ticks: UInt32) {
        rest &+= ticks &- last
        last = ticks
        // A division of 32 bits is one instruction, one of 64 bits is hundreds.
        let whole = rest / ticksPerMillisecond
        if whole > 0 {
            now = now + Milliseconds(whole)
            rest -= whole * ticksPerMillisecond
        }
    }
}
