import Battery

/// One force-charge request with its guards: at least 10 min on, at most 12 h, then 1 h pause (charge-control.md §10).
struct ForceCharge: Sendable, BitwiseCopyable {
    /// What asserts and releases one class of request.
    struct Marks: Sendable {
        var assertSoC: CentiPercent
        var assertAboveZero: Millivolts
        var assertAfter: Milliseconds
        var releaseSoC: CentiPercent
        var releaseAboveZero: Millivolts
    }

    /// Pylontech bit 5, the 5–10 % class.
    static let first = Marks(
        assertSoC: 600, assertAboveZero: 100, assertAfter: 30_000, releaseSoC: 1200, releaseAboveZero: 250)
    /// Pylontech bit 4, the 9–13 % class.
    static let second = Marks(
        assertSoC: 1000, assertAboveZero: 200, assertAfter: 60_000, releaseSoC: 1500, releaseAboveZero: 300)

    private(set) var isOn = false
    private var since = never
    private var pausedUntil = never
    private var low = Persisting()

    init() {}

    /// - Parameter isAllowed: switched on by the owner, charge not blocked, data fresh. False ends the request at once (P20).
    mutating func update(
        _ marks: Marks, soc: CentiPercent?, lowest: Millivolts, dischargeZero: Millivolts, isAllowed: Bool,
        at now: Instant
    ) {
        let socLow = soc.map { $0 <= marks.assertSoC } ?? false
        let isLow = socLow || lowest <= dischargeZero + marks.assertAboveZero
        let lowFor = low.update(isAllowed && isLow, at: now)
        if !isAllowed {
            isOn = false
            return
        }
        if isOn {
            let elapsed = now.since(since)
            let isRecovered =
                (soc ?? 0) >= marks.releaseSoC && lowest >= dischargeZero + marks.releaseAboveZero
            if elapsed >= 12 * 3_600_000 {
                isOn = false
                pausedUntil = now + 3_600_000
            } else if elapsed >= 600_000 && isRecovered {
                isOn = false
            }
        } else if lowFor >= marks.assertAfter && (pausedUntil == never || now >= pausedUntil) {
            isOn = true
            since = now
        }
    }
}

/// The full-charge request, Pylontech bit 3 (charge-control.md §10).
struct FullChargeRequest: Sendable, BitwiseCopyable {
    private(set) var isOn = false
    /// Monotonic time since the SoC was last ≥ 97 %.
    private(set) var sinceNearlyFull: Milliseconds = 0
    private var since = never
    private var pausedUntil = never
    private var last = never

    private static let day: Milliseconds = 86_400_000

    init() {}

    mutating func restore(_ record: ControlRecord) {
        sinceNearlyFull = record.sinceNearlyFull
    }

    mutating func update(
        soc: CentiPercent?, becameFull: Bool, everyDays: Int32, releasesAt97: Bool, isAllowed: Bool, at now: Instant
    ) {
        let dt = last == never ? 0 : max(now.since(last), 0)
        last = now
        let isNearlyFull = (soc ?? 0) >= 9700
        sinceNearlyFull = isNearlyFull ? 0 : min(sinceNearlyFull + dt, 400 * Self.day)
        if !isAllowed || becameFull || (releasesAt97 && isNearlyFull) {
            isOn = false
            return
        }
        if isOn {
            if now.since(since) >= Self.day {
                isOn = false
                pausedUntil = now + Self.day
            }
            return
        }
        // Pylontech's own figure is 30 days.
        let days = everyDays > 0 ? min(everyDays, 30) : 30
        if sinceNearlyFull >= Int64(days) * Self.day && (pausedUntil == never || now >= pausedUntil) {
            isOn = true
            since = now
        }
    }
}
