import BridgeEngine
import LinkClient

extension CommandRequest {
    /// The order by its stable name.
    static let orders: [String: LinkCommand.Order] = Dictionary(
        uniqueKeysWithValues: LinkCommand.Order.allCases.map { (stableName($0), $0) })

    /// The control process takes no longer one: what is to hold for more than a day belongs into the configuration.
    static let longestTimeToLive: Int32 = 86_400

    /// What the control process is to be told. It judges ranges itself; here only what cannot be said at all is refused.
    func checked() throws(CommandProblem) -> (LinkCommand.Order, value: Int32, timeToLive: Int64) {
        guard let order = Self.orders[self.order] else {
            throw .senseless(
                "there is no order '\(self.order.prefix(40))'; there are \(Self.orders.keys.sorted().joined(separator: ", "))")
        }
        let needsValue = order.hasValue
        let needsTime =
            switch order {
            case .pauseCharge, .pauseDischarge, .chargeCap, .dischargeCap, .socCeiling: true
            case .resume, .fullNow, .acknowledge: false
            }
        if needsValue && value == nil { throw .senseless("\(self.order) needs a value") }
        if !needsValue && value != nil { throw .senseless("\(self.order) takes no value") }
        if needsTime && time_to_live_s == nil { throw .senseless("\(self.order) needs time_to_live_s") }
        if !needsTime && time_to_live_s != nil { throw .senseless("\(self.order) takes no time_to_live_s") }
        if let value, value < 0 { throw .senseless("value must not be negative") }
        if order == .socCeiling, let value, value > 10_000 { throw .senseless("soc_ceiling is 0.01 %: at most 10000") }
        if order == .acknowledge, let value, !(1...16).contains(value) { throw .senseless("packs count from 1 to 16") }
        if let seconds = time_to_live_s, !(1...Self.longestTimeToLive).contains(seconds) {
            throw .senseless("time_to_live_s must be 1 to \(Self.longestTimeToLive)")
        }
        return (order, value ?? 0, Int64(time_to_live_s ?? 0) * 1000)
    }

    /// For the list of events: "charge current at most 20.0 A for 10 min".
    var sentence: String {
        let time = time_to_live_s.map { " for \(duration(Int64($0) * 1000))" } ?? ""
        let value = value ?? 0
        return switch order {
        case "pause_charge": "charging paused\(time)"
        case "pause_discharge": "discharging paused\(time)"
        case "resume": "all orders taken back"
        case "charge_cap": "charge current at most \(amperes(value))\(time)"
        case "discharge_cap": "discharge current at most \(amperes(value))\(time)"
        case "soc_ceiling": "state of charge at most \(percent(value))\(time)"
        case "full_now": "charge to full now"
        case "acknowledge": "fault of pack \(value) acknowledged"
        default: order
        }
    }
}
