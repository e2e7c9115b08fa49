/// The units of the whole product. The core counts in integers with an explicit width; a name that carries no unit is a bug.
/// Voltage in millivolts. A pack is at most 32 cells of 4.5 V, far inside the range.
public typealias Millivolts = Int32

/// Current in milliamps, positive while charging (specs: control/charge-control.md §0).
public typealias Milliamps = Int32

/// Charge or capacity in milliamp hours. 16 packs of 5000 Ah are 80 000 000 mAh.
public typealias MilliampHours = Int32

/// Temperature in tenths of a degree Celsius.
public typealias Decidegrees = Int32

/// State of charge in hundredths of a percent, 0...10 000.
public typealias CentiPercent = Int32

/// A duration in milliseconds. 64 bits: a 32-bit count wraps after 49.7 days.
public typealias Milliseconds = Int64

/// A point on the monotonic clock, counted in milliseconds from an arbitrary start.
///
/// The core never reads a clock; every call is given the present instant. Wall-clock time is not an input to any limit
/// (failsafe.md §8).
public struct Instant: Equatable, Comparable, Sendable, BitwiseCopyable {
    public var milliseconds: Milliseconds

    public init(milliseconds: Milliseconds) {
        self.milliseconds = milliseconds
    }

    public static func < (a: Instant, b: Instant) -> Bool {
        a.milliseconds < b.milliseconds
    }

    /// The time from `earlier` to this instant; negative when `earlier` is later.
    public func since(_ earlier: Instant) -> Milliseconds {
        milliseconds &- earlier.milliseconds
    }

    public static func + (a: Instant, b: Milliseconds) -> Instant {
        Instant(milliseconds: a.milliseconds &+ b)
    }

    public static func - (a: Instant, b: Milliseconds) -> Instant {
        Instant(milliseconds: a.milliseconds &- b)
    }
}
