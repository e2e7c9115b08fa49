import BridgeEngine

/// One serial line, to one or more BMS or to an inverter.
public struct SerialLineConfiguration: Equatable, Sendable {
    /// The device, for example `/dev/ttyUSB0` or, better, `/dev/serial/by-id/…`, which survives another USB socket.
    public var path: String
    /// Bits per second; any number that the device's driver accepts.
    public var baud: UInt32

    public init(path: String, baud: UInt32 = 115_200) {
        self.path = path
        self.baud = baud
    }
}

/// Where one or more BMS are.
public enum BMSAddress: Equatable, Sendable, CustomStringConvertible {
    case serial(SerialLineConfiguration)
    /// The bus on which a BMS tells its state. Several BMS may be on the same bus.
    case can(CANAddress)
    /// No device: another program sends the readings.
    case link

    public var description: String {
        switch self {
        case .link: "link"
        case .serial(let line): line.path
        case .can(let address): "\(address)"
        }
    }
}

/// Where an inverter is.
public enum InverterAddress: Equatable, Sendable, CustomStringConvertible {
    case can(CANAddress)
    /// A half-duplex line on which the inverter asks and the battery answers.
    case rs485(SerialLineConfiguration)

    public var description: String {
        switch self {
        case .can(let address): "\(address)"
        case .rs485(let line): "rs485:\(line.path)@\(line.baud)"
        }
    }
}

/// What the control process needs to know: the devices, and what the engine is told.
///
/// The engine knows ports only by number: `bmsLines[i]` is the device of `bridge.bmsPorts[i]`, `inverterBuses[i]` that of
/// `bridge.inverterPorts[i]`.
public struct GatewayConfiguration: Equatable, Sendable {
    /// As many as `bridge.bmsPorts`, at most 16.
    public var bmsLines: [BMSAddress]
    /// As many as `bridge.inverterPorts`, at most 2.
    public var inverterBuses: [InverterAddress]
    /// Folder of the persisted record (failsafe.md §5.8). nil: nothing is persisted (demo, tests).
    public var stateDirectory: String?
    /// Unix socket on which `serve` and the other commands listen to the control process. nil: none.
    public var linkSocket: String?
    public var bridge: BridgeConfiguration

    public init(
        bmsLines: [BMSAddress], inverterBuses: [InverterAddress], stateDirectory: String? = nil,
        linkSocket: String? = nil, bridge: BridgeConfiguration
    ) {
        self.bmsLines = bmsLines
        self.inverterBuses = inverterBuses
        self.stateDirectory = stateDirectory
        self.linkSocket = linkSocket
        self.bridge = bridge
    }
}
