import Battery

/// How the bank's current divides between the packs, and what the bank may carry so that no pack exceeds its own limit
/// (aggregation.md §5).
struct ShareMeter: Sendable, BitwiseCopyable {
    /// 30 s mean of each pack's current and of their sum, µA.
    private var means = PerPack<Int64>(repeating: 0)
    private var sum: Int64 = 0
    private var loaded = Persisting()
    private var last = never
    private(set) var isMeasured = false

    static let window: Milliseconds = 30_000

    init() {}

    /// Shares are measured only while the bank has carried ≥ 0.1C in one direction for 30 s.
    mutating func update(_ packs: Span<PackView>, count: Int, bank: BankView, at now: Instant) {
        let isLoaded =
            bank.isFresh && bank.isCurrentKnown && bank.capacity > 0
            && Int64(bank.current.magnitude) * 10 >= Int64(bank.capacity)
            && (sum == 0 || (sum > 0) == (bank.current > 0))
        let elapsed = loaded.update(isLoaded, at: now)
        let dt = last == never ? 0 : min(max(now.since(last), 0), Self.window)
        last = now
        isMeasured = elapsed >= Self.window
        if elapsed < 0 {
            sum = 0
            return
        }
        // A plain mean until 30 s have passed, then a moving one.
        let span = max(min(elapsed, Self.window), 1)
        sum = 0
        for i in 0..<count {
            let now = packs[i].conducts ? Int64(packs[i].measures.current) * 1000 : 0
            means[i] = elapsed == 0 ? now : means[i] + (now - means[i]) * min(dt, span) / span
            sum += means[i]
        }
    }

    func mean(_ i: Int) -> Int64 { means[i] }

    /// The share of pack `i` as a fraction, measured where possible, within ½…2 of its share of the capacity.
    /// A pack of unknown capacity may take everything.
    ///
    /// - Parameter flow: Σ `mean` over the packs that take part in this direction: one that has just dropped out leaves its current to
    ///   the others.
    func share(_ i: Int, capacity: MilliampHours?, total: Int64, flow: Int64, charging: Bool) -> Fraction {
        guard let capacity, capacity > 0, total > 0 else { return Fraction(1, 1) }
        let c = Int64(capacity)
        if !isMeasured || flow == 0 || (flow > 0) != charging || (sum > 0) != charging { return Fraction(c, total) }
        let mine = charging ? means[i] : -means[i]
        let all = charging ? flow : -flow
        if 2 * mine * total < c * all { return Fraction(c, 2 * total) }
        if mine * total > 2 * c * all { return Fraction(min(2 * c, total), total) }
        return Fraction(mine, all)
    }
}

/// A share as numerator and denominator, so that nothing is rounded before the one division.
struct Fraction: Equatable, Sendable, BitwiseCopyable {
    var numerator: Int64
    var denominator: Int64

    init(_ numerator: Int64, _ denominator: Int64) {
        self.numerator = max(numerator, 1)
        self.denominator = max(denominator, 1)
    }

    /// A part that may be nothing, 0...1.
    init(part: Int64, of whole: Int64) {
        numerator = part
        denominator = max(whole, 1)
    }

    static let whole = Fraction(1, 1)
    var isWhole: Bool { numerator >= denominator }
}

/// `min( Σ lim_p, min_p ( lim_p / w_p ) )` for one direction (aggregation.md §5).
struct BankLimit {
    private var sum: Int64 = 0
    private var takers: Int32 = 0
    private var tightest = Reason(.noPackConducts, bound: .max)

    init() {}

    /// A pack that takes part in this direction with `limit`.
    ///
    /// - Parameter counted: what of it is counted on: less when it is silent.
    mutating func add(_ limit: Reason, counted: Milliamps, share: Fraction) {
        sum += Int64(counted)
        takers += 1
        constrain(limit, share: share)
    }

    /// A pack that is on the busbar and takes current, but may not be counted on yet (JOINING, a switch that has just closed): it
    /// only tightens. Without this a high cell in it would not count (P5).
    mutating func constrain(_ limit: Reason, share: Fraction) {
        var scaled = limit
        scaled.bound = scaledDown(limit.bound, share.denominator, share.numerator)
        if scaled.bound < tightest.bound { tightest = scaled }
    }

    /// The bank's bound with the reason of the pack that decides; nil when no pack takes part.
    var reason: Reason? {
        if takers == 0 { return nil }
        if sum < Int64(tightest.bound) {
            return Reason(.share, bound: Int32(clamping: sum), place: tightest.place, input: tightest.input)
        }
        return tightest
    }
}

/// "If any I_p > lim_p, CCL ≤ CCL × lim_p / I_p, only downwards" (aggregation.md §5).
///
/// The CCL of the first tick of an excess is kept as the base until the excess is over: an inverter needs seconds to follow, and
/// multiplying again in each of them would wind the limit down to nothing.
struct MeasuredCorrection: Sendable, BitwiseCopyable {
    private var base: Milliamps = -1

    init() {}

    /// - Parameter sent: the bank limit in force.
    mutating func bound(
        excess worst: (limit: Milliamps, current: Milliamps, pack: UInt8)?, bankCurrent: Milliamps, sent: Milliamps
    )
        -> Reason?
    {
        guard let worst, worst.current > worst.limit else {
            base = -1
            return nil
        }
        if base < 0 { base = min(sent, bankCurrent) }
        let bound = scaledDown(max(base, 0), Int64(max(worst.limit, 0)), Int64(worst.current))
        return Reason(.measuredShare, bound: bound, place: CellPlace(pack: worst.pack, cell: 0), input: worst.current)
    }
}
