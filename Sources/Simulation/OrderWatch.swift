import BridgeEngine

/// Orders of the owner as the witness knows them: what they allow at most, from when to when (P14).
struct OrderWatch: Sendable {
    private struct Order: Sendable {
        var amperes = Double.infinity
        var from: Int64 = .max
        var until: Int64 = .min
    }

    private var chargeCap = Order()
    private var dischargeCap = Order()
    private var chargePause = Order()
    private var dischargePause = Order()

    /// An order ramps down over 10 s; then comes a tick and a frame.
    private static let ramp: Int64 = 13_000

    mutating func hear(_ command: LinkCommand, at now: Int64) {
        func order(_ amperes: Double) -> Order {
            Order(amperes: amperes, from: now + Self.ramp, until: now + command.timeToLive)
        }
        switch command.order {
        case .chargeCap: chargeCap = order(Double(command.value) / 1000)
        case .dischargeCap: dischargeCap = order(Double(command.value) / 1000)
        case .pauseCharge: chargePause = order(0)
        case .pauseDischarge: dischargePause = order(0)
        case .resume: self = OrderWatch()
        case .socCeiling, .fullNow, .acknowledge: break
        }
    }

    /// Amperes that are allowed at `now`.
    func bound(charging: Bool, at now: Int64) -> Double {
        var bound = Double.infinity
        for order in charging ? [chargeCap, chargePause] : [dischargeCap, dischargePause]
        where now > order.from && now < order.until {
            bound = min(bound, order.amperes)
        }
        return bound
    }
}
