import Battery

/// Orders of the owner or of a home automation that are in force (charge-control.md §11, P14). They can only tighten, and expire.
struct Overrides: Sendable, BitwiseCopyable {
    private var chargePause = Expiring(0)
    private var dischargePause = Expiring(0)
    private var chargeCap = Expiring(0)
    private var dischargeCap = Expiring(0)
    private var ceiling = Expiring(0)
    private var fullNow = Expiring(0)

    /// Shorter is useless, longer is a setting and belongs into the configuration.
    static let timeToLive: ClosedRange<Milliseconds> = 1000...86_400_000
    /// "Full now" ends with the charge, or after this.
    static let fullNowLimit: Milliseconds = 12 * 3_600_000

    /// A value with an end.
    private struct Expiring: Sendable, BitwiseCopyable {
        var value: Int32
        var until = never

        init(_ value: Int32) {
            self.value = value
        }

        mutating func set(_ value: Int32, for time: Milliseconds, at now: Instant) {
            self.value = value
            until = now + time
        }

        func isActive(at now: Instant) -> Bool { until != never && now < until }
        func remaining(at now: Instant) -> Milliseconds? { isActive(at: now) ? until.since(now) : nil }
    }

    init() {}

    mutating func handle(_ command: Command, at now: Instant) throws(CommandRefusal) {
        switch command {
        case .pauseCharge(let time):
            try check(time)
            chargePause.set(0, for: time, at: now)
        case .pauseDischarge(let time):
            try check(time)
            dischargePause.set(0, for: time, at: now)
        case .resume:
            let full = fullNow
            self = Overrides()
            fullNow = full
        case .chargeCap(let cap, let time):
            try check(time)
            if cap < 0 { throw .valueOutOfRange }
            chargeCap.set(cap, for: time, at: now)
        case .dischargeCap(let cap, let time):
            try check(time)
            if cap < 0 { throw .valueOutOfRange }
            dischargeCap.set(cap, for: time, at: now)
        case .socCeiling(let soc, let time):
            try check(time)
            if soc < 4000 || soc > 10_000 { throw .valueOutOfRange }
            ceiling.set(soc, for: time, at: now)
        case .fullNow:
            fullNow.set(0, for: Self.fullNowLimit, at: now)
        case .acknowledge:
            break
        }
    }

    private func check(_ time: Milliseconds) throws(CommandRefusal) {
        if !Self.timeToLive.contains(time) { throw .timeToLiveOutOfRange }
    }

    /// Every order in force and how much longer, in a fixed order. The time inside the command is the remaining one, too.
    func forEachActive(at now: Instant, _ body: (Command, _ remaining: Milliseconds) -> Void) {
        if let time = chargePause.remaining(at: now) { body(.pauseCharge(for: time), time) }
        if let time = dischargePause.remaining(at: now) { body(.pauseDischarge(for: time), time) }
        if let time = chargeCap.remaining(at: now) { body(.chargeCap(chargeCap.value, for: time), time) }
        if let time = dischargeCap.remaining(at: now) { body(.dischargeCap(dischargeCap.value, for: time), time) }
        if let time = ceiling.remaining(at: now) { body(.socCeiling(ceiling.value, for: time), time) }
        if let time = fullNow.remaining(at: now) { body(.fullNow, time) }
    }

    func pausesCharge(at now: Instant) -> Bool { chargePause.isActive(at: now) }
    func pausesDischarge(at now: Instant) -> Bool { dischargePause.isActive(at: now) }
    func wantsFull(at now: Instant) -> Bool { fullNow.isActive(at: now) }
    mutating func chargeEnded() { fullNow.until = never }

    func chargeBound(at now: Instant) -> Reason? {
        if chargePause.isActive(at: now) { return Reason(.command, bound: 0) }
        return chargeCap.isActive(at: now) ? Reason(.command, bound: chargeCap.value, input: chargeCap.value) : nil
    }

    func dischargeBound(at now: Instant) -> Reason? {
        if dischargePause.isActive(at: now) { return Reason(.command, bound: 0) }
        return dischargeCap.isActive(at: now)
            ? Reason(.command, bound: dischargeCap.value, input: dischargeCap.value) : nil
    }

    /// The lower of the stored ceiling and the ordered one; none while "full now" runs.
    func ceiling(stored: CentiPercent?, at now: Instant) -> CentiPercent? {
        if wantsFull(at: now) { return nil }
        guard ceiling.isActive(at: now) else { return stored }
        return min(stored ?? .max, ceiling.value)
    }
}

/// A SoC mark with 5 % hysteresis: the ceiling of §6 L_soc and the reserve of §7.4. Unknown SoC counts as reached.
struct SoCMark: Sendable, BitwiseCopyable {
    private(set) var isReached = false
    static let hysteresis: CentiPercent = 500

    init() {}

    mutating func updateCeiling(_ soc: CentiPercent?, mark: CentiPercent?) {
        guard let mark else { return isReached = false }
        guard let soc else { return isReached = true }
        if soc >= mark { isReached = true } else if soc <= mark - Self.hysteresis { isReached = false }
    }

    mutating func updateReserve(_ soc: CentiPercent?, mark: CentiPercent?) {
        guard let mark else { return isReached = false }
        guard let soc else { return isReached = true }
        if soc <= mark { isReached = true } else if soc >= mark + Self.hysteresis { isReached = false }
    }
}

/// Limits by SoC, off by default because SoC is the least trustworthy input (charge-control.md §7.4).
enum SoCTaper {
    /// Fractions in percent at falling (discharge) or rising (charge) SoC, linear in between.
    private static let charge: InlineArray<4, (soc: CentiPercent, percent: Int32)> = [
        (8500, 100), (9000, 50), (9500, 20), (9800, 10),
    ]
    private static let discharge: InlineArray<4, (soc: CentiPercent, percent: Int32)> = [
        (500, 10), (1000, 20), (1500, 50), (2000, 100),
    ]

    static func chargeScaled(_ amount: Milliamps, soc: CentiPercent?) -> Milliamps {
        scaled(amount, soc ?? 10_000, charge)
    }

    static func dischargeScaled(_ amount: Milliamps, soc: CentiPercent?) -> Milliamps {
        scaled(amount, soc ?? 0, discharge)
    }

    private static func scaled(
        _ amount: Milliamps, _ soc: CentiPercent, _ table: InlineArray<4, (soc: CentiPercent, percent: Int32)>
    ) -> Milliamps {
        let soc = min(max(soc, table[0].soc), table[3].soc)
        var i = 1
        while table[i].soc < soc { i += 1 }
        let (low, high) = (table[i - 1], table[i])
        return scaledDown(
            amount, from: low.percent, to: high.percent, at: soc - low.soc, of: high.soc - low.soc, whole: 100)
    }
}
