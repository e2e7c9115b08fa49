/// What a battery complains about, in one vocabulary for every BMS protocol and every inverter dialect.
///
/// A BMS codec maps its own bits to these; `ChargeControl` decides which direction each one stops (failsafe.md §4, amendment 8);
/// a dialect maps them to the bits that its inverter knows.
public struct Alarms: OptionSet, Equatable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The BMS counts the charge as low (4E57 bit 0). Advisory.
    @inlinable public static var lowStateOfCharge: Alarms { Alarms(rawValue: 1 << 0) }
    @inlinable public static var mosfetOverTemperature: Alarms { Alarms(rawValue: 1 << 1) }
    @inlinable public static var packOverVoltage: Alarms { Alarms(rawValue: 1 << 2) }
    @inlinable public static var packUnderVoltage: Alarms { Alarms(rawValue: 1 << 3) }
    /// Cells too hot, direction not stated by the BMS (4E57 bit 4).
    @inlinable public static var cellOverTemperature: Alarms { Alarms(rawValue: 1 << 4) }
    @inlinable public static var chargeOverCurrent: Alarms { Alarms(rawValue: 1 << 5) }
    @inlinable public static var dischargeOverCurrent: Alarms { Alarms(rawValue: 1 << 6) }
    /// The difference between the highest and the lowest cell is too large. Advisory.
    @inlinable public static var cellImbalance: Alarms { Alarms(rawValue: 1 << 7) }
    /// The battery box probe is too hot (4E57 bit 8).
    @inlinable public static var boxOverTemperature: Alarms { Alarms(rawValue: 1 << 8) }
    /// Cells too cold, direction not stated by the BMS (4E57 bit 9).
    @inlinable public static var cellUnderTemperature: Alarms { Alarms(rawValue: 1 << 9) }
    @inlinable public static var cellOverVoltage: Alarms { Alarms(rawValue: 1 << 10) }
    @inlinable public static var cellUnderVoltage: Alarms { Alarms(rawValue: 1 << 11) }
    /// JK "309_A protection" and "309_B protection", meaning not documented by the vendor.
    @inlinable public static var hardwareA: Alarms { Alarms(rawValue: 1 << 12) }
    @inlinable public static var hardwareB: Alarms { Alarms(rawValue: 1 << 13) }
    @inlinable public static var chargeOverTemperature: Alarms { Alarms(rawValue: 1 << 14) }
    @inlinable public static var chargeUnderTemperature: Alarms { Alarms(rawValue: 1 << 15) }
    @inlinable public static var dischargeOverTemperature: Alarms { Alarms(rawValue: 1 << 16) }
    @inlinable public static var dischargeUnderTemperature: Alarms { Alarms(rawValue: 1 << 17) }
    @inlinable public static var shortCircuit: Alarms { Alarms(rawValue: 1 << 18) }
    /// Resistance of a balancing wire is out of range.
    @inlinable public static var wireResistance: Alarms { Alarms(rawValue: 1 << 19) }
    /// Communication or measuring fault inside the BMS.
    @inlinable public static var bmsInternal: Alarms { Alarms(rawValue: 1 << 20) }
    /// The BMS counts another number of cells than it is configured for.
    @inlinable public static var cellCount: Alarms { Alarms(rawValue: 1 << 21) }
    @inlinable public static var chargeSwitchFault: Alarms { Alarms(rawValue: 1 << 22) }
    @inlinable public static var dischargeSwitchFault: Alarms { Alarms(rawValue: 1 << 23) }
    /// A temperature sensor is missing or implausible.
    @inlinable public static var temperatureSensor: Alarms { Alarms(rawValue: 1 << 24) }
    /// The bridge has lost the BMS. Set by `ChargeControl`, never by a codec.
    @inlinable public static var communication: Alarms { Alarms(rawValue: 1 << 25) }
    /// The BMS is in a state that only its owner can clear (for example a tripped pre-charge or a user alarm).
    @inlinable public static var other: Alarms { Alarms(rawValue: 1 << 26) }
}
