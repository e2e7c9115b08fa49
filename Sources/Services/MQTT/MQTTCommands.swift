import Foundation

/// What arrives on `…/command/…` as an order for the control process. Everything else is refused with a sentence.
struct MQTTCommands: Sendable {
    /// Times to live that can be chosen, in minutes; the control process takes none that is longer than a day.
    static let minutes: ClosedRange<Int32> = 1...1440
    /// charge-control.md §11: ten minutes unless somebody says otherwise.
    static let defaultMinutes: Int32 = 10
    /// An order that is switched off ends at once: it is given again for this many seconds.
    static let endingSeconds: Int32 = 1
    /// No sensible order is longer.
    static let longestPayload = 256

    /// Orders by what their payload means.
    private enum Form {
        case onOff, press
        /// Factor from the payload's unit to the order's.
        case number(Double)
    }

    private static let forms: [String: Form] = [
        "pause_charge": .onOff, "pause_discharge": .onOff, "charge_cap": .number(1000), "discharge_cap": .number(1000),
        "soc_ceiling": .number(100), "full_now": .press, "resume": .press, "acknowledge": .number(1),
    ]

    /// A payload is `ON`, `OFF`, `PRESS`, a number (A, %, or the pack), or JSON: `{"value": 20, "minutes": 30}`.
    private struct Order: Decodable {
        var value: Double?
        var minutes: Int32?
    }

    /// - Parameter standard: minutes for an order that names none.
    static func request(_ name: String, _ payload: [UInt8], standard: Int32) throws(CommandProblem) -> CommandRequest {
        guard let form = forms[name] else {
            throw .senseless(
                "there is no order '\(name.prefix(40))'; there are \(forms.keys.sorted().joined(separator: ", "))")
        }
        guard payload.count <= longestPayload, let text = String(validating: payload, as: UTF8.self) else {
            throw .senseless("\(name): the payload is no short text")
        }
        let words = text.trimmingCharacters(in: .whitespacesAndNewlines)
        var order = Order(value: nil, minutes: nil)
        if words.hasPrefix("{") {
            guard let decoded = try? JSONDecoder().decode(Order.self, from: Data(words.utf8)) else {
                throw .senseless("\(name): expected JSON like {\"value\": 20, \"minutes\": 30}")
            }
            order = decoded
        } else if case .number = form {
            guard let value = Double(words) else {
                throw .senseless("\(name): expected a number, got '\(words.prefix(40))'")
            }
            order.value = value
        }
        if let chosen = order.minutes, !minutes.contains(chosen) {
            throw .senseless("\(name): minutes must be \(minutes.lowerBound) to \(minutes.upperBound)")
        }
        let seconds = (order.minutes ?? standard) * 60
        switch form {
        case .onOff:
            switch words.uppercased() {
            case "OFF": return CommandRequest(order: name, time_to_live_s: endingSeconds)
            case "ON", "PRESS", "": return CommandRequest(order: name, time_to_live_s: seconds)
            case let other where other.hasPrefix("{"): return CommandRequest(order: name, time_to_live_s: seconds)
            default: throw .senseless("\(name): expected ON or OFF, got '\(words.prefix(40))'")
            }
        case .press:
            return CommandRequest(order: name)
        case .number(let factor):
            guard let value = order.value, value.isFinite, value >= 0, value * factor <= Double(Int32.max) else {
                throw .senseless("\(name): expected a number of at least 0")
            }
            // Rounded down: an order may only tighten.
            let amount = Int32((value * factor).rounded(.down))
            return CommandRequest(order: name, value: amount, time_to_live_s: name == "acknowledge" ? nil : seconds)
        }
    }

    /// - Returns: the minutes that `payload` asks for, nil when it is no number in range.
    static func chosenMinutes(_ payload: [UInt8]) -> Int32? {
        guard payload.count <= longestPayload, let value = Double(String(decoding: payload, as: UTF8.self)),
            value.isFinite,
            value >= Double(minutes.lowerBound), value <= Double(minutes.upperBound)
        else { return nil }
        return Int32(value)
    }
}
