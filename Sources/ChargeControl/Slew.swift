import Battery

/// How a current limit moves (charge-control.md §8, amendment 6): protective cuts at once, planned cuts over 10 s, rises held for
/// 30 s after a protective cut and then ramped. The only place where a limit gets its final value.
struct Slew: Sendable, BitwiseCopyable {
    private(set) var value: Milliamps = 0
    private var lastCut = never
    private var last = never
    private var isRising = false
    /// Ramp of the planned decrease that is running, mA per 10 s.
    private var plannedSpan: Milliamps = 0
    private(set) var motion = Motion.settled

    static let holdAfterCut: Milliseconds = 30_000
    static let plannedTime: Int64 = 10_000
    static let riseFloor: Int64 = 5000
    static let deadband: Milliamps = 500

    enum Motion: UInt8, Equatable, Sendable, BitwiseCopyable {
        case settled, held, frozen, rising, falling
    }

    init() {}

    /// - Parameters:
    ///   - protective: the lowest protective bound.
    ///   - planned: the lowest planned bound (phase, SoC ceiling, the owner's commands).
    ///   - mayRise: false while a pack is stale, suspect or joining.
    ///   - maximum: I_max, the owner's cap.
    mutating func advance(protective: Milliamps, planned: Milliamps, mayRise: Bool, maximum: Milliamps, at now: Instant) {
        let dt = last == never ? 0 : min(max(now.since(last), 0), 60_000)
        last = now
        motion = .settled
        if protective < value {
            value = protective
            lastCut = now
            isRising = false
        }
        let target = min(protective, planned)
        if target < value {
            fall(to: target, maximum: maximum, dt: dt)
        } else if target > value {
            plannedSpan = 0
            rise(to: target, mayRise: mayRise, maximum: maximum, dt: dt, at: now)
        } else {
            plannedSpan = 0
            isRising = false
        }
    }

    private mutating func fall(to target: Milliamps, maximum: Milliamps, dt: Milliseconds) {
        isRising = false
        plannedSpan = max(plannedSpan, max(maximum, value))
        let step = Int64(plannedSpan) * dt / Self.plannedTime
        value = max(target, Int32(clamping: Int64(value) - step))
        motion = .falling
    }

    private mutating func rise(
        to target: Milliamps, mayRise: Bool, maximum: Milliamps, dt: Milliseconds, at now: Instant
    ) {
        if !mayRise {
            isRising = false
            motion = .frozen
            return
        }
        if remainingHold(at: now) > 0 {
            isRising = false
            motion = .held
            return
        }
        // Small changes are not worth a rise, but a rise that has begun goes to its end.
        if !isRising && target - value < Self.deadband && value > 0 { return }
        let rate = max(Self.riseFloor, Int64(maximum) / 50)
        // The first step after a pause is not worth more than a second.
        let step = rate * (isRising ? min(dt, 1500) : min(dt, 1000)) / 1000
        isRising = true
        value = min(target, Int32(clamping: Int64(value) + step))
        motion = value < target ? .rising : .settled
        if value == target { isRising = false }
    }

    func remainingHold(at now: Instant) -> Milliseconds {
        // Strictly more than 30 s, so that no clock of a reader sees a rise within them.
        lastCut == never ? 0 : max(0, Self.holdAfterCut + 1 - now.since(lastCut))
    }

    /// The only pack is back: no hold, the rise begins at once (amendment 6).
    mutating func forgetCut() {
        lastCut = never
    }

    /// A pack has rejoined a running bank: the rise waits as after a cut (aggregation.md §4).
    mutating func holdNow(at now: Instant) {
        lastCut = now
    }

    /// DCL goes to its bound in one step when the bank comes to life (amendment 6).
    mutating func step(to bound: Milliamps) {
        value = max(value, bound)
    }
}
