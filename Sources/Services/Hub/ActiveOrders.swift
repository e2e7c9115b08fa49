import BridgeEngine
import LinkClient

/// The orders in force, as the control process tells them, with who gave each as far as this process knows.
///
/// A value without clock and I/O. What the control process says counts: an order that it no longer tells is not in force, and one
/// that another client gave is.
struct ActiveOrders: Sendable {
    private var inForce: [String: SnapshotDocument.ActiveCommand] = [:]
    /// Orders that went through this process, until their time is over.
    private var given: [String: SnapshotDocument.ActiveCommand] = [:]
    /// Two clocks and a way between them: ends that are this close are the same.
    private static let tolerance: Int64 = 5000
    /// "Full now" names no end when it is given.
    private static let openEnd = Int64.max

    var list: [SnapshotDocument.ActiveCommand] { inForce.values.sorted { $0.order < $1.order } }

    /// The control process accepted an order of this process; its next snapshot will tell it.
    mutating func accepted(_ request: CommandRequest, until: Int64?, by: String) {
        guard let order = CommandRequest.orders[request.order] else { return }
        switch order {
        case .resume: inForce = inForce.filter { $0.key == stableName(LinkCommand.Order.fullNow) }
        case .acknowledge: break
        case .fullNow:
            given[request.order] = .init(order: request.order, value: nil, until_ms: Self.openEnd, by: by)
        case .pauseCharge, .pauseDischarge, .chargeCap, .dischargeCap, .socCeiling:
            guard let until else { return }
            let command = SnapshotDocument.ActiveCommand(order: request.order, value: request.value, until_ms: until, by: by)
            (given[request.order], inForce[request.order]) = (command, command)
        }
    }

    /// - Parameter told: nil from a control process that is too old to tell; then only what went through this process is known.
    mutating func take(_ told: [OrderInForce]?, at now: Int64) {
        guard let told else { return }
        let before = inForce
        inForce = [:]
        for order in told {
            let name = stableName(order.order)
            let value = order.order.hasValue ? order.value : nil
            let until = now + order.remaining
            func isSame(_ other: SnapshotDocument.ActiveCommand) -> Bool {
                other.value == value && (other.until_ms == Self.openEnd || abs(other.until_ms - until) <= Self.tolerance)
            }
            if let known = before[name], isSame(known) {
                inForce[name] = known
            } else {
                let giver = given[name].flatMap { isSame($0) ? $0.by : nil }
                inForce[name] = .init(order: name, value: value, until_ms: until, by: giver)
            }
        }
    }

    mutating func expire(at now: Int64) {
        inForce = inForce.filter { $0.value.until_ms > now }
        given = given.filter { $0.value.until_ms > now }
    }

    /// The control process is another one.
    mutating func forget() {
        self = ActiveOrders()
    }
}

extension LinkCommand.Order {
    var hasValue: Bool {
        switch self {
        case .chargeCap, .dischargeCap, .socCeiling, .acknowledge: true
        case .pauseCharge, .pauseDischarge, .resume, .fullNow: false
        }
    }
}
