import Battery
import ChargeControl

/// Decides from the snapshots alone when the bank may be called full and when empty (P11).
struct FullnessWatch: Sendable {
    private let capacity: Double
    private let foot: Double
    private let bulk: Double
    private let tail: Double
    private let cells: Double
    private let absorbMaximum: Double
    private let strict: Bool

    private var nearFullSince: Int64 = -1
    private var nearFullSeconds = 0.0
    private var lastAt: Int64 = -1
    /// Ah taken out since the bank was last full; nil = it has not been full yet.
    private(set) var takenSinceFull: Double?
    private(set) var emptySeen = false
    private(set) var emptyAt: Int64 = .min / 2

    init(_ plan: WorldPlan) {
        let reference = ReferenceLimits(plan.bridge.control)
        capacity = plan.packs.reduce(0) { $0 + $1.capacity }
        (foot, bulk) = (reference.fullFoot, reference.bulk)
        let head = plan.bridge.control.chemistry == .lfp ? 3.650 : plan.bridge.control.chemistry == .nmc ? 4.200 : 2.850
        tail = (head - foot) / (0.05 * capacity)
        cells = Double(plan.bridge.control.cellsInSeries)
        absorbMaximum = Double(plan.bridge.control.absorbMaximum) / 1000
        strict = plan.bridge.control.fullPolicy == .strict
    }

    mutating func heard(_ packs: [PackWitness], pack: Int, emptyBelow zero: Double, at now: Int64) {
        let dt = lastAt < 0 ? 0 : Double(min(now - lastAt, 60_000)) / 1000
        lastAt = now
        var (highest, current, sum, count) = (0.0, 0.0, 0.0, 0.0)
        for p in packs where p.age(at: now) < 30_000 {
            highest = max(highest, p.highest)
            current += Double(p.last.centiamps) / 100
            sum += Double(p.last.packCentivolts) / 100
            count += 1
        }
        if count == 0 { return }
        if let taken = takenSinceFull { takenSinceFull = max(0, taken - current * dt / 3600) }
        let flow = abs(current) < 0.5 ? 0 : current
        // 10 mV looser than E1 (charge-control.md §5.2).
        let isNear = highest - tail * max(flow, 0) >= foot - 0.025 && flow >= -0.02 * capacity
        nearFullSeconds = isNear ? nearFullSeconds + dt : max(0, nearFullSeconds - dt / 2)
        nearFullSince = isNear ? (nearFullSince < 0 ? now : nearFullSince) : -1
        let calm = nearFullSince >= 0 && now - nearFullSince >= 55_000
        if calm || nearFullSeconds >= absorbMaximum - 60 {
            if !strict || sum / count / cells >= foot - 0.004 { takenSinceFull = 0 }
        }
        let p = packs[pack]
        if p.lowest <= zero + 0.002 { (emptySeen, emptyAt) = (true, now) }
        if !p.last.warnings.isDisjoint(with: [.cellUnderVoltage, .packUnderVoltage]) {
            (emptySeen, emptyAt) = (true, now)
        }
        if p.lowest >= zero + 0.350 && now - emptyAt > 120_000 { emptySeen = false }
    }

    /// True when 100 % may be shown.
    var mayBeFull: Bool {
        guard let takenSinceFull else { return false }
        // 1 % and one step of the BMS's own counter.
        return takenSinceFull <= 0.025 * capacity
    }
}
