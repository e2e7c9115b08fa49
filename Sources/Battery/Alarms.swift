/// What a battery complains about, in one vocabulary for every BMS protocol and every inverter dialect.
///
/// A BMS codec maps its own bits to these; `ChargeControl` decides which direction each one stops (failsafe.md §4, amendment 8);
/// a dialect maps them to the bits that its inverter knows.
public struct Alarms: OptionSet, Equatable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// The BMS counts the charge as low (4E57 bit 0). Advisory.
    public static let lowStateOfCharge = Alarms(rawValue: 1 << 0)
    public static let mosfetOverTemperature = Alarms(rawValue: 1 << 1)
    public static let packOverVoltage = Alarms(rawValue: 1 << 2)
    public static let packUnderVoltage = Alarms(rawValue: 1 << 3)
    /// Cells too hot, direction not stated by the BMS (4E57 bit 4).
    public static let cellOverTemperature = Alarms(rawValue: 1 << 4)
    public static let chargeOverCurrent = Alarms(rawValue: 1 << 5)
    public static let dischargeOverCurrent = Alarms(rawValue: 1 << 6)
    /// The difference between the highest and the lowest cell is too large. Advisory.
    public static let cellImbalance = Alarms(rawValue: 1 << 7)
    /// The battery box probe is too hot (4E57 bit 8).
    public static let boxOverTemperature = Alarms(rawValue: 1 << 8)
    /// Cells too cold, direction not stated by the BMS (4E57 bit 9).
    public static let cellUnderTemperature = Alarms(rawValue: 1 << 9)
    public static let cellOverVoltage = Alarms(rawValue: 1 << 10)
    public static let cellUnderVoltage = Alarms(rawValue: 1 << 11)
    /// JK "309_A protection" and "309_B protection", meaning not documented by the vendor.
    public static let hardwareA = Alarms(rawValue: 1 << 12)
    public static let hardwareB = Alarms(rawValue: 1 << 13)
    public static let chargeOverTemperature = Alarms(rawValue: 1 << 14)
    public static let chargeUnderTemperature = Alarms(rawValue: 1 << 15)
    public static let dischargeOverTemperature = Alarms(rawValue: 1 << 16)
    public static let dischargeUnderTemperature = Alarms(rawValue: 1 << 17)
    public static let shortCircuit = Alarms(rawValue: 1 << 18)
    /// Resistance of a balancing wire is out of range.
    public static let wireResistance = Alarms(rawValue: 1 << 19)
    /// Communication or measuring fault inside the BMS.
    public static let bmsInternal = Alarms(rawValue: 1 << 20)
    /// The BMS counts another number of cells than it is configured for.
    public static let cellCount = Alarms(rawValue: 1 << 21)
    public static let chargeSwitchFault = Alarms(rawValue: 1 << 22)
    public static let dischargeSwitchFault = Alarms(rawValue: 1 << 23)
    /// A temperature sensor is missing or implausible.
    public static let temperatureSensor = Alarms(rawValue: 1 << 24)
    /// The bridge has lost the BMS. Set by `ChargeControl`, never by a codec.
    public static let communication = Alarms(rawValue: 1 << 25)
    /// The BMS is in a state that only its owner can clear (for example a tripped pre-charge or a user alarm).
    public static let other = Alarms(rawValue: 1 << 26)
}
