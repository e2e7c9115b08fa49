import Battery
import BridgeEngine
import InverterDialects

/// The ports of the engine in the simulated world: what it sends lands here and is picked up after each call.
struct Wire: EnginePorts {
    /// A request of the engine to one BMS, waiting to be answered.
    struct Request: Sendable {
        var bytes = InlineArray<64, UInt8>(repeating: 0)
        var count = 0
    }

    /// Frames that the driver took, in order.
    var sent: [CANFrame] = []
    /// Frames in the controller's queue of a bus on which nobody acknowledges.
    var stuck: [CANFrame] = []
    var canResult = CANSendResult.queued
    var isStuck = false
    var requests: [Request]
    var hasRequests = false
    var restartsBus = false
    var reopens = 0
    var store = StateStore()
    var published = 0
    /// Somebody listens on the Link socket: the engine tells everything once a second. Costs more than the control itself.
    var hasReader = false
    /// See `World.init`.
    var listener: (@Sendable (EngineDeed) -> Void)?

    /// How many frames a controller's queue holds.
    static let stuckCapacity = 8

    init(ports: Int) {
        requests = Array(repeating: Request(), count: ports)
        sent.reserveCapacity(64)
        stuck.reserveCapacity(Self.stuckCapacity)
    }

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        let count = min(bytes.count, 64)
        for i in 0..<count { requests[port].bytes[i] = bytes[i] }
        requests[port].count = count
        hasRequests = true
        listener?(.request(bytes.array))
    }

    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        let result = take(frame)
        listener?(.sent(frame, result))
        return result
    }

    private mutating func take(_ frame: CANFrame) -> CANSendResult {
        if isStuck {
            if stuck.count >= Self.stuckCapacity { return .busy }
            stuck.append(frame)
            return .queued
        }
        if canResult == .queued { sent.append(frame) }
        return canResult
    }

    mutating func restartBus(inverterPort port: Int) {
        restartsBus = true
        listener?(.restartBus)
    }

    mutating func reopen(bmsPort port: Int) {
        reopens += 1
        listener?(.reopen)
    }

    mutating func publish(_ message: Span<UInt8>) {
        published += 1
        listener?(.message(message.array))
    }

    mutating func persist(_ image: Span<UInt8>) {
        store.write(image)
        listener?(.record(image.array))
    }
}
