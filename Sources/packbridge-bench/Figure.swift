import AllocationCounter
import Glibc

/// One line of `make bench`: name, value, unit, target, and whether the target is reached.
struct Figure {
    let name: String
    /// Nil when it could not be measured: that is short of every target.
    let value: Double?
    let unit: String
    let target: Target

    enum Target {
        case atMost(Double)
        case atLeast(Double)
        /// Shown for comparison.
        case none

        func isReached(by value: Double) -> Bool {
            switch self {
            case .atMost(let limit): value <= limit
            case .atLeast(let limit): value >= limit
            case .none: true
            }
        }
    }

    var line: String {
        let reached = value.map(target.isReached) ?? false
        let wanted =
            switch target {
            case .atMost(let limit): "<=\(number(limit))"
            case .atLeast(let limit): ">=\(number(limit))"
            case .none: "-"
            }
        return [name, value.map(number) ?? "unknown", unit, wanted, reached ? "ok" : "short"].joined(separator: "\t")
    }
}

/// Four significant digits are more than a noisy machine repeats.
private func number(_ value: Double) -> String {
    if value == value.rounded() && value.magnitude < 1e15 { return String(Int64(value)) }
    let digits = max(0, 3 - Int(log10(value.magnitude).rounded(.down)))
    let scale = pow(10, Double(digits))
    let rounded = (value * scale).rounded() / scale
    return rounded == rounded.rounded() ? String(Int64(rounded)) : String(rounded)
}

/// Nanoseconds of the monotonic clock.
func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Time and allocations of one call of `body`.
///
/// The time is the best of many rounds: everything that disturbs only adds.
func measure(calls: Int, rounds: Int = 40, _ body: () -> Void) -> (nanoseconds: Double, allocations: Double) {
    for _ in 0..<calls { body() }
    var best = UInt64.max
    let before = allocation_count()
    for _ in 0..<rounds {
        let start = nanoseconds()
        for _ in 0..<calls { body() }
        best = min(best, nanoseconds() - start)
    }
    let allocations = allocation_count() - before
    return (Double(best) / Double(calls), Double(allocations) / Double(calls * rounds))
}

/// Hides a value from the optimiser.
@inline(never)
func keep<T>(_ value: borrowing T) {
    withUnsafePointer(to: value) { pointer in
        _ = strnlen(UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self), 0)
    }
}
