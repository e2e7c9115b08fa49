import ChargeControl
import InverterDialects

/// What became of a CAN frame that the engine handed out.
public enum CANSendResult: UInt8, Equatable, Sendable, BitwiseCopyable {
    /// Accepted by the driver or adapter.
    case queued
    /// The queue is full (ENOBUFS): try later, nothing was sent.
    case busy
    /// The port is down, unplugged or bus-off.
    case down
}

/// State of one CAN port as its driver reports it.
public enum CANBusState: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case closed, active, warning, passive, busOff
}

/// Where the engine's actions go: the event loop of the gateway, the boards of the firmware, the simulator.
public protocol EnginePorts {
    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int)
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult
    /// A part of an answer on an RS485 line. Several calls in a row make one telegram.
    mutating func transmit(_ bytes: Span<UInt8>, onInverterPort port: Int)
    /// The controller went bus-off and its back-off has passed: restart it (failsafe.md §6, amendment 13).
    mutating func restartBus(inverterPort port: Int)
    /// No byte for 30 s: close and open the port again (failsafe.md §7).
    mutating func reopen(bmsPort port: Int)
    /// Somebody reads Link. While nobody does, snapshots are not even encoded; events are kept for who comes later.
    var hasReader: Bool { get }
    /// Bytes of the Link protocol for `serve`. May be dropped by the receiver, never waits.
    mutating func publish(_ message: Span<UInt8>)
    /// A new image of the persisted record, CRC included; written to the older of two slots.
    mutating func persist(_ image: Span<UInt8>)
    /// Keeps the compact image of a configuration that came over Link, and restarts with it after a planned stop.
    /// - Returns: why not.
    mutating func configure(_ image: Span<UInt8>) -> CommandRefusal?
}

extension EnginePorts {
    public var hasReader: Bool { true }
    /// For those who are given their configuration in another way.
    public mutating func configure(_ image: Span<UInt8>) -> CommandRefusal? { .notSupported }
    /// For those who have no such line.
    public mutating func transmit(_ bytes: Span<UInt8>, onInverterPort port: Int) {}
}
