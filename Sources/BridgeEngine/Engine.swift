import Battery
import ChargeControl
import InverterDialects
import JKBMS

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
public enum CANBusState: UInt8, Equatable, Sendable, BitwiseCopyable {
    case closed, active, warning, passive, busOff
}

/// Where the engine's actions go: the event loop of the gateway, the boards of the firmware, the simulator.
public protocol EnginePorts {
    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int)
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult
    /// The controller went bus-off and its back-off has passed: restart it (failsafe.md §6, amendment 13).
    mutating func restartBus(inverterPort port: Int)
    /// No byte for 30 s: close and open the port again (failsafe.md §7).
    mutating func reopen(bmsPort port: Int)
    /// Bytes of the Link protocol for `serve`. May be dropped by the receiver, never waits.
    mutating func publish(_ message: Span<UInt8>)
    /// A new image of the persisted record, CRC included; written to the older of two slots.
    mutating func persist(_ image: Span<UInt8>)
}

/// The whole bridge without I/O: events in, actions out through `EnginePorts`.
///
/// It reads no clock and opens nothing. Every call is given the present instant; `wake` says when it wants to be called next.
public struct Engine: Sendable {
    public private(set) var controller: Controller
    public let configuration: BridgeConfiguration

    /// - Parameter record: what was persisted, when one of the two slots had a good checksum.
    public init(configuration: BridgeConfiguration, record: ControlRecord?, at now: Instant) {
        self.configuration = configuration
        controller = Controller(configuration: configuration.control, record: record, at: now)
    }

    public mutating func received<Ports: EnginePorts>(
        _ bytes: Span<UInt8>, onBMSPort port: Int, at now: Instant, ports: inout Ports
    ) {}

    /// The serial port was opened (true) or lost (false).
    public mutating func bmsPort<Ports: EnginePorts>(_ port: Int, isOpen: Bool, at now: Instant, ports: inout Ports) {}

    public mutating func received<Ports: EnginePorts>(
        _ frame: CANFrame, onInverterPort port: Int, at now: Instant, ports: inout Ports
    ) {}

    public mutating func inverterPort<Ports: EnginePorts>(
        _ port: Int, state: CANBusState, at now: Instant, ports: inout Ports
    ) {}

    /// Bytes of the Link protocol from `serve`: commands.
    public mutating func receivedLink<Ports: EnginePorts>(_ bytes: Span<UInt8>, at now: Instant, ports: inout Ports) {}

    /// Time has passed.
    /// - Returns: when to call again at the latest.
    public mutating func wake<Ports: EnginePorts>(at now: Instant, ports: inout Ports) -> Instant { now + 1000 }
}
