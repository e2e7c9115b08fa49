import Battery

/// What the SoC rules look at in one tick.
struct SoCInput: Sendable, BitwiseCopyable {
    /// SoC of the chosen source, 0.01 %; nil = none known.
    var raw: CentiPercent?
    /// At least one pack is conducting (or stands in) and fresh; otherwise the value is held.
    var isLive = false
    /// The number of packs that are counted changed: a jump of `raw` needs no matching charge.
    var sourceChanged = false
    var current: Milliamps = 0
    var isCurrentKnown = false
    var capacity: MilliampHours = 0
    var lowest: Millivolts = 0
    /// The charge has ended FULL in this tick.
    var becameFull = false
    /// S3: the empty latch ≥ 30 s, or an under-voltage alarm of the BMS.
    var isProvenEmpty = false
}

/// The state of charge that the inverter is told: rules S1–S9 of charge-control.md §9, amendments 21 and 22.
struct SoCReport: Sendable, BitwiseCopyable {
    /// 0.01 %; nil before any SoC is known.
    private(set) var fine: CentiPercent?
    /// FULL since the last discharge of more than 1 %.
    private(set) var isFull = false
    /// `off` of S2: 100 % − raw at the last FULL.
    private(set) var offset: CentiPercent = 0
    private(set) var rawAtFull: CentiPercent = 10_000
    private(set) var isDrifting = false

    private var isEmpty = false
    private var isRaised = false
    private var dischargedSinceFull: Int64 = 0
    private var quietLow = Persisting()
    private var restful = Persisting()
    private var slewedAt = never
    private var last = never
    private var lastRaw: CentiPercent = -1
    /// mA·ms since `lastRaw`.
    private var passed: Int64 = 0
    private var drift = never

    static let correctionFrom: CentiPercent = 8000
    static let offsetMaximum: CentiPercent = 1500

    init() {}

    mutating func restore(_ record: ControlRecord) {
        if record.soc >= 0 { fine = record.soc }
        isFull = record.isFull
        offset = record.socOffset
        rawAtFull = record.rawAtFull
    }

    @inline(never)
    mutating func update(
        _ input: SoCInput, _ configuration: ControlConfiguration, table: ChemistryTable, at now: Instant
    ) {
        let dt = last == never ? 0 : min(max(now.since(last), 0), 60_000)
        last = now
        // S7: without data the value is held; no decay, no substitute.
        guard input.isLive, let raw = input.raw else {
            if slewedAt != never { slewedAt = now }
            return
        }
        trackFull(input, raw: raw, dt: dt)
        watchJumps(input, raw: raw, dt: dt, at: now)

        var target = corrected(raw)
        let isQuiet = input.isCurrentKnown && Int64(input.current.magnitude) * 10 < Int64(input.capacity)
        target = lowSide(target, input, isQuiet: isQuiet, configuration, at: now)
        target = notThatEmpty(target, raw: raw, input, table: table, at: now)

        let cap = configuration.socCapBeforeFull * 100
        isEmpty = input.isProvenEmpty
        if isEmpty {
            fine = 0
        } else if isFull {
            fine = 10_000
        } else {
            target = min(max(target, 100), cap)
            fine = slewed(to: target, at: now)
        }
        if fine == target || isEmpty || isFull { slewedAt = now }
        isDrifting = drift != never && now.since(drift) < 600_000 || abs(offset) > Self.offsetMaximum || isRaised
    }

    /// Whole percent; the 0 and 100 rules come after rounding.
    func percent(_ configuration: ControlConfiguration) -> Int32 {
        guard let fine else { return 0 }
        if isFull { return 100 }
        if isEmpty { return 0 }
        return min(max((fine + 50) / 100, 1), configuration.socCapBeforeFull)
    }

    // S1, S2
    private mutating func trackFull(_ input: SoCInput, raw: CentiPercent, dt: Milliseconds) {
        if input.becameFull {
            isFull = true
            offset = 10_000 - raw
            rawAtFull = raw
            dischargedSinceFull = 0
            return
        }
        if !isFull { return }
        if input.isCurrentKnown { dischargedSinceFull = max(0, dischargedSinceFull - Int64(input.current) * dt) }
        let onePercent = Int64(input.capacity) * 36_000
        if dischargedSinceFull > onePercent || raw < rawAtFull - 100 { isFull = false }
    }

    private func corrected(_ raw: CentiPercent) -> CentiPercent {
        if abs(offset) > Self.offsetMaximum || rawAtFull <= Self.correctionFrom { return raw }
        let above = min(max(raw - Self.correctionFrom, 0), rawAtFull - Self.correctionFrom)
        return raw + offset * above / (rawAtFull - Self.correctionFrom)
    }

    // S4. LFP 3.00 V and 2.90 V lie 200 and 100 mV above the discharge floor; the other chemistries use the same distances.
    private mutating func lowSide(
        _ target: CentiPercent, _ input: SoCInput, isQuiet: Bool, _ configuration: ControlConfiguration, at now: Instant
    ) -> CentiPercent {
        let floor = ControlConfiguration.presetDischargeZero(configuration.chemistry)
        let calm = quietLow.update(isQuiet && input.lowest > 0 && input.lowest < floor + 200, at: now)
        if calm < 60_000 { return target }
        return min(target, input.lowest < floor + 100 ? 300 : 1000)
    }

    // S5
    private mutating func notThatEmpty(
        _ target: CentiPercent, raw: CentiPercent, _ input: SoCInput, table: ChemistryTable, at now: Instant
    ) -> CentiPercent {
        guard let voltage = table.notEmptyAtRest else { return target }
        let c = Int64(input.capacity)
        let i = Int64(input.current)
        let isAtRest = input.isCurrentKnown && i * 10 > -c && i * 50 <= c
        let rest = restful.update(raw <= 300 && input.lowest >= voltage && isAtRest, at: now)
        isRaised = rest >= 600_000
        return isRaised ? max(target, 500) : target
    }

    // S6: 1 % in 10 s, that is 0.01 % in 100 ms. The part of a step is kept.
    private mutating func slewed(to target: CentiPercent, at now: Instant) -> CentiPercent {
        guard let present = fine else {
            slewedAt = now
            return target
        }
        if slewedAt == never {
            // First value after boot.
            slewedAt = now
            return target
        }
        let steps = Int32(clamping: max(0, now.since(slewedAt) / 100))
        slewedAt = slewedAt + Int64(steps) * 100
        return present < target ? min(target, present + min(steps, 10_000)) : max(target, present - min(steps, 10_000))
    }

    // S9
    private mutating func watchJumps(_ input: SoCInput, raw: CentiPercent, dt: Milliseconds, at now: Instant) {
        passed += Int64(input.current) * dt
        if lastRaw >= 0 && raw == lastRaw && passed.magnitude < 1 << 60 { return }
        if lastRaw >= 0 && !input.sourceChanged && input.capacity > 0 {
            // ΔSoC in 0.01 % that the charge explains: mA·ms × 10 000 / (mAh × 3 600 000).
            let explained = passed / (Int64(input.capacity) * 360)
            if abs(Int64(raw - lastRaw) - explained) > 500 { drift = now }
        }
        lastRaw = raw
        passed = 0
    }
}
