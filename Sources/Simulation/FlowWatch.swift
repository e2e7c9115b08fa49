/// Whether the bank has carried enough current, for long enough, in one direction that shares are measured and not taken from the
/// capacities (aggregation.md §5: at least 0.1C for 30 s).
struct FlowWatch: Sendable {
    /// 1 = charging, −1 = discharging, 0 = not enough.
    private var direction = 0
    private var since: Int64 = .min / 2

    /// A snapshot came.
    ///
    /// - Returns: true when a direction begins: means start again.
    mutating func hear(_ packs: [PackWitness], at now: Int64) -> Bool {
        var (flow, capacity) = (0.0, 0.0)
        for p in packs where p.heardAt >= 0 {
            flow += Double(p.last.centiamps) / 100
            capacity += p.capacity
        }
        // A little less than the bridge asks for: what is looked at here is a bound.
        let found = abs(flow) < 0.09 * capacity ? 0 : flow > 0 ? 1 : -1
        if found == direction { return false }
        (direction, since) = (found, now)
        return found != 0
    }

    /// The bridge may measure by now.
    func isMeasured(at now: Int64) -> Bool { direction != 0 && now - since >= 29_000 }

    /// A limit from before the current changed may still be on its way.
    func hasJustChanged(at now: Int64) -> Bool { now - since < InvariantChecker.cutTime }
}
