import Battery

/// What keeps a pack at zero after its cause has gone: the top, empty and cold latches (charge-control.md §7.2, §7.3; amendment 10).
///
/// They open only on fresh data: a held value proves nothing.
struct PackLatches: Sendable, BitwiseCopyable {
    private(set) var top = false
    private(set) var empty = false
    private(set) var cold = false
    private var topCalm = Persisting()
    private var low = Persisting()
    private var recovered = Persisting()
    private var charging = Persisting()
    private var warm = Persisting()
    private var emptyFor = Persisting()
    /// How long the empty latch has been set, for "proven empty" (§9 S3).
    private(set) var emptySince: Milliseconds = -1

    init() {}

    mutating func update(
        _ m: PackMeasures, temperatures: TemperatureView, capacity: MilliampHours?, isFresh: Bool, band: CellBand,
        coldZero: Decidegrees, coldReallow: Decidegrees, at now: Instant
    ) {
        updateTop(m, isFresh: isFresh, band: band, at: now)
        updateEmpty(m, capacity: capacity, isFresh: isFresh, band: band, at: now)
        if let coldest = temperatures.coldest {
            if coldest <= coldZero { cold = true }
            let isWarm = warm.update(isFresh && !temperatures.isLost && coldest >= coldReallow, at: now)
            if isWarm >= 60_000 { cold = false }
        }
    }

    private mutating func updateTop(_ m: PackMeasures, isFresh: Bool, band: CellBand, at now: Instant) {
        let calm = topCalm.update(isFresh && m.highest <= band.chargeStart, at: now)
        if m.highest >= band.chargeZero { top = true } else if calm >= 30_000 { top = false }
    }

    private mutating func updateEmpty(
        _ m: PackMeasures, capacity: MilliampHours?, isFresh: Bool, band: CellBand, at now: Instant
    ) {
        let lowFor = low.update(m.lowest <= band.dischargeZero, at: now)
        if lowFor >= 5000 || (band.underVoltage > 0 && m.lowest <= band.underVoltage + 30) { empty = true }
        let isCharging = m.isCurrentKnown && Int64(m.current) * 100 >= Int64(capacity ?? .max) && m.current > 0
        let high = recovered.update(isFresh && m.lowest >= band.dischargeZero + 350, at: now)
        let charged = charging.update(isFresh && isCharging && m.lowest >= band.dischargeZero + 50, at: now)
        if lowFor < 0 && (high >= 60_000 || charged >= 60_000) { empty = false }
        emptySince = emptyFor.update(empty, at: now)
    }
}
