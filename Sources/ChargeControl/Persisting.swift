import Battery

/// A condition that must be true without interruption for some time ("v_hi ≤ a for 30 s").
struct Persisting: Equatable, Sendable, BitwiseCopyable {
    private var since = never

    init() {}

    /// - Returns: for how long the condition has been true; negative while it is false.
    @inline(never)
    mutating func update(_ condition: Bool, at now: Instant) -> Milliseconds {
        if !condition {
            since = never
            return -1
        }
        if since == never { since = now }
        return now.since(since)
    }

    mutating func reset() {
        since = never
    }

    var isRunning: Bool { since != never }
}

/// "Has not happened". Far outside every clock, and never used in a subtraction.
let never = Instant(milliseconds: .min)

extension Instant {
    /// Time since `earlier`, or a very long time when that never happened.
    func sinceOrForever(_ earlier: Instant) -> Milliseconds {
        earlier == never ? .max : since(earlier)
    }
}

/// `amount` times what a line has at `x`, rounded down: `from` at 0, `to` at `width`, in parts of `whole`. One division, so nothing is lost
/// between table and result.
@inline(never)
func scaledDown(
    _ amount: Int32, from: Int32, to: Int32, at x: Int32, of width: Int32, whole: Int64
) -> Int32 {
    let part = Int64(from) * Int64(width - x) + Int64(to) * Int64(x)
    return scaledDown(amount, part, whole * Int64(width))
}

/// `amount × numerator / denominator`, rounded down, for amounts that are not negative and a positive denominator.
func scaledDown(_ amount: Int32, _ numerator: Int64, _ denominator: Int64) -> Int32 {
    Int32(clamping: Int64(amount) * numerator / denominator)
}
