import Battery
import ChargeControl

/// Amperes over the last moments: what a limit may have been while an older snapshot was still the newest.
struct BoundHistory: Sendable {
    private var at = InlineArray<16, Int64>(repeating: .min)
    private var amperes = InlineArray<16, Double>(repeating: -1)
    private var head = 0

    mutating func append(_ value: Double, at now: Int64) {
        head = (head + 1) & 15
        (at[head], amperes[head]) = (now, value)
    }

    var latest: Double { amperes[head] }

    /// The largest value that was valid at any moment from `start` on.
    func maximum(since start: Int64) -> Double {
        var result = -1.0
        var index = head
        for _ in 0..<16 {
            result = max(result, amperes[index])
            if at[index] <= start { break }
            index = (index - 1) & 15
        }
        return result
    }
}

/// What the checker knows of one pack: the snapshots that arrived undamaged, judged by its own rules (failsafe.md §2).
struct PackWitness: Sendable {
    enum Verdict: Sendable {
        /// The bridge has to use it.
        case accepted
        /// The bridge may use it or wait for a second one.
        case doubtful
        /// The bridge must not use it.
        case rejected
    }

    /// Ah, as the last snapshot says it.
    private(set) var capacity: Double
    private let cellRange: ClosedRange<Double>
    private let userAmperes: Double

    /// The last snapshot that was accepted or doubtful.
    private(set) var last = PackMeasurement()
    /// When the last snapshot came that the bridge may have accepted; −1 = none since boot.
    private(set) var heardAt: Int64 = -1
    private(set) var snapshots = 0
    private(set) var firstAt: Int64 = -1
    private(set) var highest = 0.0
    private(set) var lowest = 0.0
    /// Amperes, average of about 30 s in one direction of the bank.
    private(set) var average = 0.0
    var charge = BoundHistory()
    var discharge = BoundHistory()
    /// When the lowest cell fell to the discharge zero; −1 = it is above.
    var emptySince: Int64 = -1
    /// The last moment of a frozen line: the same values again and again under current.
    private var sameSince: Int64 = -1
    private var badSums = 0
    /// The last time when data of this pack had been missing for longer than the hold time.
    var lastGap: Int64 = .min / 2
    /// It is heard again after such a gap, and no frame has gone out since.
    var cameBack = false
    /// When a switch that was open closed again: for 10 s the bridge may still count it as open (aggregation.md §3).
    private(set) var chargeClosedAt: Int64 = .min / 2
    private(set) var dischargeClosedAt: Int64 = .min / 2
    /// The extended hold is configured for it (failsafe.md §3).
    var isExtended = false

    init(capacity: Double, cellRange: ClosedRange<Double>, userAmperes: Double) {
        (self.capacity, self.cellRange, self.userAmperes) = (capacity, cellRange, userAmperes)
    }

    mutating func restartAverage() { average = Double(last.centiamps) / 100 }

    mutating func forget() {
        let fresh = PackWitness(capacity: capacity, cellRange: cellRange, userAmperes: userAmperes)
        let wasExtended = isExtended
        self = fresh
        isExtended = wasExtended
    }

    /// Milliseconds since the last snapshot that may have been accepted.
    func age(at now: Int64) -> Int64 { heardAt < 0 ? .max : now - heardAt }

    /// Takes a snapshot that arrived undamaged.
    mutating func hear(_ m: PackMeasurement, at now: Int64) -> Verdict {
        let verdict = judge(m)
        if verdict == .rejected { return verdict }
        if isSame(m) && abs(m.centiamps) >= 200 {
            if sameSince < 0 { sameSince = heardAt }
            // Amendment 1: stale 120 s after the first identical body.
            if now - sameSince > 120_000 { return .rejected }
        } else {
            sameSince = -1
        }
        let dt = heardAt < 0 ? 0.0 : Double(min(now - heardAt, 30_000)) / 1000
        average += (Double(m.centiamps) / 100 - average) * dt / (15 + dt)
        if heardAt >= 0 && m.chargeSwitch && !last.chargeSwitch { chargeClosedAt = now }
        if heardAt >= 0 && m.dischargeSwitch && !last.dischargeSwitch { dischargeClosedAt = now }
        let known = last.settings
        last = m
        // An over-current limit of 0 is implausible; the last good one stays valid (amendment 17).
        if heardAt >= 0 && m.settings.chargeOverCurrent <= 0 {
            last.settings.chargeOverCurrent = known.chargeOverCurrent
        }
        if heardAt >= 0 && m.settings.dischargeOverCurrent <= 0 {
            last.settings.dischargeOverCurrent = known.dischargeOverCurrent
        }
        capacity = m.capacity
        heardAt = now
        snapshots += 1
        if firstAt < 0 { firstAt = now }
        highest = Double(m.highest) / 1000
        lowest = Double(m.lowest) / 1000
        return verdict
    }

    private mutating func judge(_ m: PackMeasurement) -> Verdict {
        var sum = 0
        for i in 0..<m.cellCount {
            let volts = Double(m.millivolts[i]) / 1000
            if !cellRange.contains(volts) { return .rejected }
            sum += Int(m.millivolts[i])
        }
        let limit = 2 * max(Double(max(m.settings.chargeOverCurrent, m.settings.dischargeOverCurrent)), userAmperes)
        if abs(Double(m.centiamps) / 100) > min(limit, 1000) { return .rejected }
        let pack = Int(m.packCentivolts) * 10
        if abs(sum - pack) > max(pack / 100, 300) {
            badSums += 1
            return badSums >= 5 ? .doubtful : .rejected
        }
        badSums = 0
        if heardAt < 0 { return .accepted }
        for i in 0..<m.cellCount where abs(Int(m.millivolts[i]) - Int(last.millivolts[i])) > 300 { return .doubtful }
        return .accepted
    }

    private func isSame(_ m: PackMeasurement) -> Bool {
        if heardAt < 0 || m.centiamps != last.centiamps || m.packCentivolts != last.packCentivolts || m.soc != last.soc {
            return false
        }
        if m.temperature1 != last.temperature1 || m.temperature2 != last.temperature2 || m.mosfet != last.mosfet {
            return false
        }
        for i in 0..<m.cellCount where m.millivolts[i] != last.millivolts[i] { return false }
        return true
    }
}
