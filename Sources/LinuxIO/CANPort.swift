import Battery
import BridgeEngine
import InverterDialects

/// What a CAN port has seen and lost since it was created. Every loss is counted somewhere here.
public struct CANPortCounters: Equatable, Sendable {
    public var received: UInt64 = 0
    public var sent: UInt64 = 0
    /// The queue was full; the frame was not taken.
    public var busy: UInt64 = 0
    /// Frames that came in faster than they were read.
    public var overruns: UInt64 = 0
    /// Error frames, or error lines of an adapter.
    public var busErrors: UInt64 = 0
    /// Remote frames: no battery dialect uses them.
    public var remote: UInt64 = 0
    /// Lines or frames that make no sense.
    public var garbage: UInt64 = 0
    /// An adapter answered a frame with an error.
    public var refused: UInt64 = 0
    public var busOffs: UInt64 = 0
    public var opened: UInt64 = 0

    public init() {}
}

/// One connection to a CAN bus, for one thread, never waiting.
///
/// A port that fails closes itself and says so in `state`; its owner opens it again later.
public protocol CANPort: AnyObject {
    /// For the event loop; -1 when there is nothing to watch.
    var descriptor: Int32 { get }
    /// Bytes wait for the device: call `flush` when it takes some.
    var wantsToWrite: Bool { get }
    /// `.closed` until the bus can be used.
    var state: CANBusState { get }
    var counters: CANPortCounters { get }

    func open(at now: Instant) throws(PortFailure)
    func close()
    /// Hands out the frames that wait, at most a few hundred; the event loop then reports the rest. Our own are never among them.
    func receive(at now: Instant, _ body: (CANFrame) -> Void)
    func transmit(_ frame: CANFrame, at now: Instant) -> CANSendResult
    func flush()
    /// Ends bus-off.
    func restart(at now: Instant)
    /// Time has passed. - Returns: when to call again at the latest.
    func wake(at now: Instant) -> Instant
}

extension CANPort {
    public var wantsToWrite: Bool { false }
    public func flush() {}
}

/// Far enough away to mean "nothing planned", near enough for arithmetic.
public let noDeadline = Instant(milliseconds: Int64.max / 2)

extension CANAddress {
    /// A port for this address, still closed.
    public func makePort() -> any CANPort {
        switch self {
        case .socketCAN(let interface): SocketCANPort(interface: interface)
        case .slcan(let path, let bitrate, let baud): SLCANPort(path: path, bitrate: bitrate, baud: baud)
        case .candump(let path, let isTimed): CandumpReplayPort(path: path, isTimed: isTimed)
        case .virtual(let name): VirtualCANBus.named(name).attach()
        }
    }
}
