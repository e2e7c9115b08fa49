import Battery

/// The list of limiters that `explain` and the web page show: for each rule its tightest bound in terms of the bank, and where.
///
/// Off on the hot path: then `add` costs one comparison.
struct LimiterListing: Sendable, BitwiseCopyable {
    #if MICROCONTROLLER
        var isOn: Bool {
            get { false }
            set {}
        }
    #else
        var isOn = false
    #endif
    /// The bounds of a pack count 1/w for the bank.
    private var numerator: Int64 = 1
    private var denominator: Int64 = 1
    private(set) var reasons = ReasonList(filler: Reason(.none, bound: 0))

    init() {}

    mutating func clear() {
        reasons.removeAll()
        wholeBank()
    }

    /// The following bounds are the bank's own.
    mutating func wholeBank() {
        numerator = 1
        denominator = 1
    }

    /// The following bounds belong to a pack whose share of the current is `share` / `whole`.
    mutating func pack(share: Int64, of whole: Int64) {
        numerator = max(whole, 1)
        denominator = max(share, 1)
    }

    /// Asks one limiter: the bound counts, and is listed.
    mutating func consider(_ reason: Reason, _ bounds: inout Bounds) {
        bounds.consider(reason)
        add(reason)
    }

    mutating func add(_ reason: Reason) {
        if !isOn { return }
        var entry = reason
        entry.bound = scaledDown(reason.bound, numerator, denominator)
        for i in 0..<reasons.count where reasons[i].rule == reason.rule {
            if entry.bound < reasons[i].bound { reasons[i] = entry }
            return
        }
        reasons.append(entry)
    }
}
