extension JK4E57 {
    /// A data identifier of the protocol (jk-4e57.md §4). Its width is the only thing that leads to the next one, so an unknown
    /// identifier makes the rest of a frame unreadable.
    public enum Identifier: UInt8, Sendable, CaseIterable {
        case cellVoltages = 0x79
        case mosfetTemperature = 0x80
        /// "Battery box" probe, T1. It sits on cells (amendment 3).
        case temperature1 = 0x81
        case temperature2 = 0x82
        case packVoltage = 0x83
        case current = 0x84
        case soc = 0x85
        case probeCount = 0x86
        case cycles = 0x87
        case throughput = 0x89
        case cellCount = 0x8A
        case warnings = 0x8B
        case status = 0x8C
        case packOverVoltage = 0x8E
        case packUnderVoltage = 0x8F
        case cellOverVoltage = 0x90
        case cellOverVoltageRelease = 0x91
        case cellOverVoltageDelay = 0x92
        case cellUnderVoltage = 0x93
        case cellUnderVoltageRelease = 0x94
        case cellUnderVoltageDelay = 0x95
        case cellDifference = 0x96
        case dischargeOverCurrent = 0x97
        case dischargeOverCurrentDelay = 0x98
        case chargeOverCurrent = 0x99
        case chargeOverCurrentDelay = 0x9A
        case balanceStart = 0x9B
        case balanceTrigger = 0x9C
        case balancerEnabled = 0x9D
        case mosfetOverTemperature = 0x9E
        case mosfetOverTemperatureRelease = 0x9F
        case boxOverTemperature = 0xA0
        case boxOverTemperatureRelease = 0xA1
        case temperatureDifference = 0xA2
        case chargeOverTemperature = 0xA3
        case dischargeOverTemperature = 0xA4
        case chargeUnderTemperature = 0xA5
        case chargeUnderTemperatureRelease = 0xA6
        case dischargeUnderTemperature = 0xA7
        case dischargeUnderTemperatureRelease = 0xA8
        case configuredCellCount = 0xA9
        case configuredCapacity = 0xAA
        /// What the owner allows; the real state of the power stage is in `status`.
        case chargeEnabled = 0xAB
        case dischargeEnabled = 0xAC
        case currentCalibration = 0xAD
        case boardAddress = 0xAE
        /// 0 LFP, 1 ternary, 2 LTO. Unreliable: an H7.x unit with LFP limits says 1.
        case chemistry = 0xAF
        case sleepDelay = 0xB0
        case lowCapacityAlarm = 0xB1
        /// In clear on the wire. Never logged.
        case passcode = 0xB2
        case dedicatedCharger = 0xB3
        case deviceName = 0xB4
        case productionDate = 0xB5
        case runtime = 0xB6
        case softwareVersion = 0xB7
        case calibrating = 0xB8
        /// Capacity that the BMS has learned; 0 on old firmware.
        case learnedCapacity = 0xB9
        case manufacturer = 0xBA
        case restart = 0xBB
        case factoryReset = 0xBC
        case remoteUpdate = 0xBD
        case gpsCutVoltage = 0xBE
        case gpsReturnVoltage = 0xBF
        /// 0 or 1: decides how `current` is encoded, although it comes after it.
        case protocolVersion = 0xC0
    }

    /// How the bytes of an identifier are meant.
    public enum Measure: UInt8, Sendable {
        /// A length byte, then three bytes for each cell.
        case cells
        /// Celsius in the scheme of §5.1: 0...99 plain, 100...140 stand for 0...-40.
        case sensor
        /// The two encodings of §5.2, milliamps, positive while charging.
        case current
        case millivolts
        /// 10 mV on the wire, millivolts as a value.
        case tensOfMillivolts
        case milliamps
        case amps
        case ampHours
        case celsius
        case signedCelsius
        case percent
        case seconds
        case minutes
        case count
        case flag
        case bits
        case text
        /// No such identifier: its width is not known, so a walk ends here.
        case unknown
    }

    /// The width of an identifier's value in bytes and its meaning. `cells` has no fixed width, given as 0 here.
    public struct Layout: Sendable {
        public let width: UInt8
        public let measure: Measure

        init(_ width: UInt8, _ measure: Measure) {
            self.width = width
            self.measure = measure
        }

        static let unknown = Layout(0, .unknown)
    }
}

extension JK4E57.Identifier {
    @inline(__always)
    public var layout: JK4E57.Layout { JK4E57.layout(of: rawValue) }
}

extension JK4E57 {
    /// What follows the byte `code`, any byte.
    @inline(__always)
    static func layout(of code: UInt8) -> Layout {
        let row = code &- firstIdentifier
        return row < 72 ? layouts[Int(row)] : .unknown
    }

    static let firstIdentifier: UInt8 = 0x79

    /// The width table of the vendor, 79 to C0. Every valid capture walks cleanly to C0 with it.
    private static let layouts: InlineArray<72, Layout> = [
        .init(0, .cells),  // 79 cellVoltages
        .unknown,  // 7A
        .unknown,  // 7B
        .unknown,  // 7C
        .unknown,  // 7D
        .unknown,  // 7E
        .unknown,  // 7F
        .init(2, .sensor),  // 80 mosfetTemperature
        .init(2, .sensor),  // 81 temperature1
        .init(2, .sensor),  // 82 temperature2
        .init(2, .tensOfMillivolts),  // 83 packVoltage
        .init(2, .current),  // 84 current
        .init(1, .percent),  // 85 soc
        .init(1, .count),  // 86 probeCount
        .init(2, .count),  // 87 cycles
        .unknown,  // 88
        .init(4, .ampHours),  // 89 throughput
        .init(2, .count),  // 8A cellCount
        .init(2, .bits),  // 8B warnings
        .init(2, .bits),  // 8C status
        .unknown,  // 8D
        .init(2, .tensOfMillivolts),  // 8E packOverVoltage
        .init(2, .tensOfMillivolts),  // 8F packUnderVoltage
        .init(2, .millivolts),  // 90 cellOverVoltage
        .init(2, .millivolts),  // 91 cellOverVoltageRelease
        .init(2, .seconds),  // 92 cellOverVoltageDelay
        .init(2, .millivolts),  // 93 cellUnderVoltage
        .init(2, .millivolts),  // 94 cellUnderVoltageRelease
        .init(2, .seconds),  // 95 cellUnderVoltageDelay
        .init(2, .millivolts),  // 96 cellDifference
        .init(2, .amps),  // 97 dischargeOverCurrent
        .init(2, .seconds),  // 98 dischargeOverCurrentDelay
        .init(2, .amps),  // 99 chargeOverCurrent
        .init(2, .seconds),  // 9A chargeOverCurrentDelay
        .init(2, .millivolts),  // 9B balanceStart
        .init(2, .millivolts),  // 9C balanceTrigger
        .init(1, .flag),  // 9D balancerEnabled
        .init(2, .celsius),  // 9E mosfetOverTemperature
        .init(2, .celsius),  // 9F mosfetOverTemperatureRelease
        .init(2, .celsius),  // A0 boxOverTemperature
        .init(2, .celsius),  // A1 boxOverTemperatureRelease
        .init(2, .celsius),  // A2 temperatureDifference
        .init(2, .celsius),  // A3 chargeOverTemperature
        .init(2, .celsius),  // A4 dischargeOverTemperature
        .init(2, .signedCelsius),  // A5 chargeUnderTemperature
        .init(2, .signedCelsius),  // A6 chargeUnderTemperatureRelease
        .init(2, .signedCelsius),  // A7 dischargeUnderTemperature
        .init(2, .signedCelsius),  // A8 dischargeUnderTemperatureRelease
        .init(1, .count),  // A9 configuredCellCount
        .init(4, .ampHours),  // AA configuredCapacity
        .init(1, .flag),  // AB chargeEnabled
        .init(1, .flag),  // AC dischargeEnabled
        .init(2, .milliamps),  // AD currentCalibration
        .init(1, .count),  // AE boardAddress
        .init(1, .count),  // AF chemistry
        .init(2, .seconds),  // B0 sleepDelay
        .init(1, .percent),  // B1 lowCapacityAlarm
        .init(10, .text),  // B2 passcode
        .init(1, .flag),  // B3 dedicatedCharger
        .init(8, .text),  // B4 deviceName
        .init(4, .text),  // B5 productionDate
        .init(4, .minutes),  // B6 runtime
        .init(15, .text),  // B7 softwareVersion
        .init(1, .flag),  // B8 calibrating
        .init(4, .ampHours),  // B9 learnedCapacity
        .init(24, .text),  // BA manufacturer
        .init(1, .flag),  // BB restart
        .init(1, .flag),  // BC factoryReset
        .init(1, .flag),  // BD remoteUpdate
        .init(2, .millivolts),  // BE gpsCutVoltage
        .init(2, .millivolts),  // BF gpsReturnVoltage
        .init(1, .count),  // C0 protocolVersion
    ]
}
