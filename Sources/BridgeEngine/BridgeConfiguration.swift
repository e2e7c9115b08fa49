import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// A BMS protocol by name. The raw values are stored in the compact configuration: append, never renumber.
public enum BMSProtocolName: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case jk4E57 = 0
    case jkModbus = 1
    case jk55AA = 2
    /// Frames of the unit's own CAN protocol; there is no line to ask on.
    case jkCAN = 3
    /// Readings that another program sends over Link.
    case link = 4

    /// As it is written in a configuration.
    public var text: StaticString {
        switch self {
        case .jk4E57: "jk-4e57"
        case .jkModbus: "jk-modbus"
        case .jk55AA: "jk-55aaeb90"
        case .jkCAN: "jk-can"
        case .link: "link"
        }
    }

    /// What it is spoken on.
    public enum Medium: Equatable, Sendable {
        case serialLine, can, link
    }

    public var medium: Medium {
        switch self {
        case .jk4E57, .jkModbus, .jk55AA: .serialLine
        case .jkCAN: .can
        case .link: .link
        }
    }
}

/// One line with one or more packs on it.
public struct BMSPortConfiguration: Equatable, Sendable, BitwiseCopyable {
    public var bmsProtocol = BMSProtocolName.jk4E57
    public var pace = PollPace()
    /// Index in `ControlConfiguration.packs` of the first pack on this line.
    public var firstPack: UInt8 = 0
    /// Addresses of the packs on this line, in the order of the packs. 4E57 knows one pack, address 0, and a CAN port has one
    /// pack: further units on the same bus are ports of their own.
    public var addresses = PackList<UInt8>(filler: 0)
    /// jk-55aaeb90: transmit nothing. With address 0 among the packs, the master of the bus, nothing is transmitted anyway.
    public var listenOnly = false
    /// jk-can: the vendor's text and the public software disagree about the sign of the current (jk-can.md §4).
    public var dischargeIsPositive = false
    /// jk-can: believe the charge request too, whose byte order nobody has verified.
    public var trustsUnconfirmed = false

    @inline(never)
    public init() {}
}

/// One port towards an inverter: a CAN bus, or a line on which it asks.
public struct InverterPortConfiguration: Equatable, Sendable, BitwiseCopyable {
    public var dialect = DialectName.pylontech
    /// The whole set goes out once in this time, 100...1200 ms (amendment 28).
    public var cycle: Milliseconds = 1000
    /// Thousandths of the bank's current limits that this port may hand out; all ports together at most 1000.
    public var sharePerMille: Int32 = 1000
    /// What the profile or the owner changes in the frames.
    public var options = DialectOptions()
    /// Not nil: the port is an RS485 line and the battery answers as a Pylontech does; dialect, cycle and options mean nothing.
    public var rs485: PylontechRS485Settings?

    @inline(never)
    public init() {}

    public var language: InverterLanguage { rs485 == nil ? .can(dialect) : .pylontechRS485 }
}

/// Everything that the engine needs to know. No paths of devices: those belong to the host.
public struct BridgeConfiguration: Equatable, Sendable {
    public var control: ControlConfiguration
    public var bmsPorts = BMSPortList<BMSPortConfiguration>(filler: BMSPortConfiguration())
    public var inverterPorts = InverterPortList<InverterPortConfiguration>(filler: InverterPortConfiguration())
    /// Counts up with every change; stored in the persisted record.
    public var generation: UInt32 = 0

    @inline(never)
    public init(control: ControlConfiguration) {
        self.control = control
    }
}
