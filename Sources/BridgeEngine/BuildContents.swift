import Battery
import JKBMS

// Which protocols this build speaks. On the host all of them; a microcontroller speaks the vendor's "GPS" protocol and takes readings
// over Link, and the others where the build asks for them: `PACKBRIDGE_BMS="modbus 55aa can" make firmware`.

extension BMSProtocolName {
    /// A configuration that asks for a protocol that the build lacks is refused.
    public var isInThisBuild: Bool {
        switch self {
        case .jk4E57, .link: true
        case .jkModbus: ModbusLine.isInThisBuild
        case .jk55AA: RecordLine.isInThisBuild
        case .jkCAN: CANLine.isInThisBuild
        }
    }
}

#if !MICROCONTROLLER || BMS_MODBUS
    typealias ModbusLine = JKModbusSession

    extension JKModbusSession {
        static var isInThisBuild: Bool { true }

        static func opened(_ line: BMSPortConfiguration) -> Self? {
            Self(addresses: line.addresses, pace: line.pace)
        }
    }
#else
    typealias ModbusLine = AbsentLine
#endif

#if !MICROCONTROLLER || BMS_55AA
    typealias RecordLine = JK55AASession

    extension JK55AASession {
        static var isInThisBuild: Bool { true }

        static func opened(_ line: BMSPortConfiguration) -> Self? {
            Self(addresses: line.addresses, pace: line.pace, listenOnly: line.listenOnly)
        }
    }
#else
    typealias RecordLine = AbsentLine
#endif

#if !MICROCONTROLLER || BMS_CAN
    typealias CANLine = JKCANListener

    extension JKCANListener {
        static var isInThisBuild: Bool { true }

        static func opened(_ line: BMSPortConfiguration) -> Self? {
            Self(
                address: line.addresses.isEmpty ? 0 : line.addresses[0], chargeIsPositive: !line.dischargeIsPositive,
                usesUnconfirmed: line.trustsUnconfirmed, interval: line.pace.interval)
        }
    }
#else
    typealias CANLine = AbsentLine
#endif

/// Stands for the session of a protocol that the build leaves out. It has no values, so nothing of it is ever called, and the
/// compiler drops every branch in which it would be.
enum AbsentLine: BMSProtocol {
    static var isInThisBuild: Bool { false }

    /// - Precondition: never called; `BridgeConfiguration` refuses what `isInThisBuild` denies.
    static func opened(_ line: BMSPortConfiguration) -> Self? { preconditionFailure() }

    mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {}

    mutating func receive<Line: BMSLine>(
        id: UInt32, isExtended: Bool, data: Span<UInt8>, at now: Instant, on line: inout Line
    ) {}

    mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant { now }

    mutating func setPace(_ pace: PollPace) {}

    mutating func setInterval(_ interval: Milliseconds) {}
}
