import Battery
import ChargeControl

/// An order from `serve` as it travels: an identity chosen by the sender, the order, its value and its time to live.
public struct LinkCommand: Equatable, Sendable {
    /// Append, never renumber.
    public enum Order: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
        case pauseCharge = 0
        case pauseDischarge = 1
        case resume = 2
        case chargeCap = 3
        case dischargeCap = 4
        case socCeiling = 5
        case fullNow = 6
        case acknowledge = 7
    }

    public var identity: UInt32 = 0
    public var order = Order.resume
    /// mA, 0.01 % or pack number (from 1), as the order asks.
    public var value: Int32 = 0
    public var timeToLive: Milliseconds = 0

    public init() {}

    public init(identity: UInt32, order: Order, value: Int32 = 0, timeToLive: Milliseconds = 0) {
        self.identity = identity
        self.order = order
        self.value = value
        self.timeToLive = timeToLive
    }

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&identity)
        coder.field(choice: &order)
        coder.field(&value)
        coder.field(&timeToLive)
    }

    /// The order in the words of the control logic.
    var command: Command {
        switch order {
        case .pauseCharge: .pauseCharge(for: timeToLive)
        case .pauseDischarge: .pauseDischarge(for: timeToLive)
        case .resume: .resume
        case .chargeCap: .chargeCap(value, for: timeToLive)
        case .dischargeCap: .dischargeCap(value, for: timeToLive)
        case .socCeiling: .socCeiling(value, for: timeToLive)
        case .fullNow: .fullNow
        case .acknowledge: .acknowledge(pack: UInt8(clamping: value))
        }
    }

    /// The complete message, for the side that sends it.
    public func message(sequence: UInt32) -> FieldBuffer<64> {
        var writer = FieldBuffer<64>()
        var copy = self
        linkMessage(.command, sequence: sequence, into: &writer) { writer in copy.visitFields(&writer) }
        return writer
    }
}

/// The answer to a `LinkCommand`.
public struct LinkCommandReply: Equatable, Sendable {
    public var identity: UInt32 = 0
    /// Nil = accepted.
    public var refusal: CommandRefusal?

    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&identity)
        var code: UInt8 = refusal.map { $0.rawValue + 1 } ?? 0
        coder.field(&code)
        if code == 0 {
            refusal = nil
        } else if let known = CommandRefusal(rawValue: code - 1) {
            refusal = known
        } else {
            coder.refuse()
        }
    }
}

/// A configuration on its way to a firmware: an identity for the reply, then the compact image, which has its own CRC.
public enum LinkConfigure {
    static let headerSize = 4

    /// The complete message, for the side that sends it.
    public static func message(_ configuration: BridgeConfiguration, identity: UInt32, sequence: UInt32) -> LinkBuffer {
        var copy = configuration
        var identity = identity
        var writer = LinkBuffer()
        linkMessage(.configure, sequence: sequence, into: &writer) { writer in
            writer.field(&identity)
            copy.append(to: &writer)
        }
        return writer
    }
}

/// Asks for the kept events after number `after`, and for the configuration.
public struct LinkReplay: Equatable, Sendable {
    public var after: UInt32 = 0

    public init(after: UInt32 = 0) {
        self.after = after
    }

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&after)
    }

    public func message(sequence: UInt32) -> FieldBuffer<64> {
        var writer = FieldBuffer<64>()
        var copy = self
        linkMessage(.replay, sequence: sequence, into: &writer) { writer in copy.visitFields(&writer) }
        return writer
    }
}
