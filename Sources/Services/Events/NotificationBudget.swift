/// So many in an hour, spread: a full hour's worth at once, then one for each part of the hour that passes.
struct NotificationBudget {
    private let perHour: Int
    private var tokens: Double
    private var last: Int64?
    private var leftOut = 0

    init(perHour: Int) {
        self.perHour = perHour
        tokens = Double(perHour)
    }

    mutating func take(at now: Int64) -> Bool {
        if let last, now > last { tokens = min(Double(perHour), tokens + Double(now - last) / 3_600_000 * Double(perHour)) }
        last = now
        if tokens < 1 {
            leftOut += 1
            return false
        }
        tokens -= 1
        return true
    }

    mutating func gaveUp() { leftOut += 1 }

    mutating func takeLeftOut() -> Int {
        defer { leftOut = 0 }
        return leftOut
    }
}
