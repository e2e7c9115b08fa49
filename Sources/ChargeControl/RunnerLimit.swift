import Battery

/// Lowers CVL for one leading cell before the others are full (charge-control.md §6.1). One per pack; the bank takes the lowest.
///
/// It is tied to the measured sum of the cells, not to the CVL before, so slow data cannot wind it up; it never goes below float,
/// so it never pulls the bank down.
struct RunnerLimit: Sendable, BitwiseCopyable {
    /// Pack voltage; `.max` until the first evaluation.
    private(set) var bound: Millivolts = .max
    private var quiet = Persisting()
    private var recoveredAt = never

    init() {}

    mutating func update(_ m: PackMeasures, isFresh: Bool, _ context: LimitContext, at now: Instant) {
        let bulk = context.packBulk
        let float = context.packFloat
        bound = min(bound, bulk)
        let excess = m.highest - (context.bulk + 10)
        let calm = quiet.update(isFresh && excess <= 0, at: now)
        if m.highest >= context.band.overVoltage - 30 {
            bound = min(bound, float)
        } else if excess > 0 {
            // Rounded up: more reduction, never less.
            let reduction = (Int64(context.runnerGainTenths) * Int64(excess) + 9) / 10
            bound = max(float, min(bound, Int32(clamping: Int64(m.sum) - reduction)))
        }
        if calm >= 60_000 {
            // 1 mV/s upwards; the part of a second is kept.
            if recoveredAt == never { recoveredAt = now }
            let steps = now.since(recoveredAt) / 1000
            bound = min(bulk, Int32(clamping: Int64(bound) + steps))
            recoveredAt = recoveredAt + steps * 1000
        } else {
            recoveredAt = never
        }
    }
}
