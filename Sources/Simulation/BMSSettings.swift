import Battery

/// The protection settings that the owner of a simulated pack stored in its BMS, in the units of the wire (jk-4e57.md §4).
public struct BMSSettings: Equatable, Sendable {
    /// Millivolts and seconds.
    public var cellOverVoltage: Int32
    public var cellOverVoltageRelease: Int32
    public var overVoltageDelay: Int32 = 5
    public var cellUnderVoltage: Int32
    public var cellUnderVoltageRelease: Int32
    public var underVoltageDelay: Int32 = 5
    /// Amperes and seconds.
    public var chargeOverCurrent: Int32 = 150
    public var chargeOverCurrentDelay: Int32 = 30
    public var dischargeOverCurrent: Int32 = 150
    public var dischargeOverCurrentDelay: Int32 = 30
    /// Degrees Celsius.
    public var chargeOverTemperature: Int32 = 60
    public var dischargeOverTemperature: Int32 = 65
    public var chargeUnderTemperature: Int32
    public var chargeUnderTemperatureRelease: Int32
    public var dischargeUnderTemperature: Int32 = -25
    public var mosfetOverTemperature: Int32 = 95
    /// Millivolts.
    public var balanceStart: Int32
    public var balanceTrigger: Int32 = 10
    public var balancerEnabled = true
    public var chargeAllowed = true
    public var dischargeAllowed = true
    /// Percent at which bit 0 of the warnings is set.
    public var lowCapacityAlarm: Int32 = 5

    public init(chemistry: Chemistry) {
        switch chemistry {
        case .lfp:
            (cellOverVoltage, cellOverVoltageRelease, cellUnderVoltage, cellUnderVoltageRelease) = (
                3650, 3500, 2600, 2900
            )
            (chargeUnderTemperature, chargeUnderTemperatureRelease, balanceStart) = (-1, 2, 3350)
        case .nmc:
            (cellOverVoltage, cellOverVoltageRelease, cellUnderVoltage, cellUnderVoltageRelease) = (
                4220, 4150, 2900, 3150
            )
            (chargeUnderTemperature, chargeUnderTemperatureRelease, balanceStart) = (-1, 2, 3950)
        case .lto:
            (cellOverVoltage, cellOverVoltageRelease, cellUnderVoltage, cellUnderVoltageRelease) = (
                2850, 2750, 1750, 2000
            )
            (chargeUnderTemperature, chargeUnderTemperatureRelease, balanceStart) = (-22, -18, 2450)
        }
    }
}

/// The warning word of 4E57, id 8B (jk-4e57.md §5.3).
public struct BMSWarnings: OptionSet, Equatable, Sendable {
    public var rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let lowCapacity = BMSWarnings(rawValue: 1 << 0)
    public static let mosfetHot = BMSWarnings(rawValue: 1 << 1)
    public static let packOverVoltage = BMSWarnings(rawValue: 1 << 2)
    public static let packUnderVoltage = BMSWarnings(rawValue: 1 << 3)
    public static let batteryHot = BMSWarnings(rawValue: 1 << 4)
    public static let chargeOverCurrent = BMSWarnings(rawValue: 1 << 5)
    public static let dischargeOverCurrent = BMSWarnings(rawValue: 1 << 6)
    public static let cellDifference = BMSWarnings(rawValue: 1 << 7)
    public static let boxHot = BMSWarnings(rawValue: 1 << 8)
    public static let batteryCold = BMSWarnings(rawValue: 1 << 9)
    public static let cellOverVoltage = BMSWarnings(rawValue: 1 << 10)
    public static let cellUnderVoltage = BMSWarnings(rawValue: 1 << 11)

    /// Amendment 8: which bits stop which direction.
    public static let stopCharge = BMSWarnings(rawValue: 0b0011_0111_0011_0110)
    public static let stopDischarge = BMSWarnings(rawValue: 0b0011_1000_0100_1010)
}

/// One protection: trips when its condition lasts for `delay` seconds, releases on its own condition.
struct ProtectionTimer: Sendable {
    var isTripped = false
    private var seconds = 0.0

    mutating func update(over: Bool, released: Bool, delay: Int32, dt: Double) {
        if isTripped {
            if released { (isTripped, seconds) = (false, 0) }
        } else if over {
            seconds += dt
            if seconds >= Double(delay) { (isTripped, seconds) = (true, 0) }
        } else {
            seconds = 0
        }
    }
}

/// The protections of one BMS and its two switches.
struct PackProtection: Sendable {
    private var overVoltage = ProtectionTimer()
    private var underVoltage = ProtectionTimer()
    private var chargeCurrent = ProtectionTimer()
    private var dischargeCurrent = ProtectionTimer()
    private var chargeHot = ProtectionTimer()
    private var dischargeHot = ProtectionTimer()
    private var chargeCold = ProtectionTimer()
    private var dischargeCold = ProtectionTimer()
    private var mosfetHot = ProtectionTimer()
    /// Over-current releases itself after a minute.
    private var sinceCurrentTrip = 0.0

    private(set) var warnings: BMSWarnings = []
    private(set) var chargeSwitch = true
    private(set) var dischargeSwitch = true
    /// How often a protection has opened a switch: the bridge should never let it come to that.
    private(set) var trips = 0

    mutating func update(
        _ s: BMSSettings, highest: Double, lowest: Double, current: Double, coldest: Double, hottest: Double,
        mosfet: Double,
        soc: Double, dt: Double
    ) {
        let (high, low) = (highest * 1000, lowest * 1000)
        overVoltage.update(
            over: high >= Double(s.cellOverVoltage), released: high <= Double(s.cellOverVoltageRelease),
            delay: s.overVoltageDelay, dt: dt)
        underVoltage.update(
            over: low <= Double(s.cellUnderVoltage), released: low >= Double(s.cellUnderVoltageRelease),
            delay: s.underVoltageDelay, dt: dt)
        sinceCurrentTrip = chargeCurrent.isTripped || dischargeCurrent.isTripped ? sinceCurrentTrip + dt : 0
        let currentReleased = sinceCurrentTrip >= 60
        chargeCurrent.update(
            over: current > Double(s.chargeOverCurrent), released: currentReleased, delay: s.chargeOverCurrentDelay,
            dt: dt)
        dischargeCurrent.update(
            over: -current > Double(s.dischargeOverCurrent), released: currentReleased,
            delay: s.dischargeOverCurrentDelay, dt: dt)
        chargeHot.update(
            over: hottest >= Double(s.chargeOverTemperature), released: hottest <= Double(s.chargeOverTemperature - 5),
            delay: 5, dt: dt)
        dischargeHot.update(
            over: hottest >= Double(s.dischargeOverTemperature),
            released: hottest <= Double(s.dischargeOverTemperature - 5), delay: 5, dt: dt)
        chargeCold.update(
            over: coldest <= Double(s.chargeUnderTemperature),
            released: coldest >= Double(s.chargeUnderTemperatureRelease), delay: 5, dt: dt)
        dischargeCold.update(
            over: coldest <= Double(s.dischargeUnderTemperature),
            released: coldest >= Double(s.dischargeUnderTemperature + 5), delay: 5, dt: dt)
        mosfetHot.update(
            over: mosfet >= Double(s.mosfetOverTemperature), released: mosfet <= Double(s.mosfetOverTemperature - 15),
            delay: 5, dt: dt)

        var now: BMSWarnings = []
        if soc * 100 <= Double(s.lowCapacityAlarm) { now.insert(.lowCapacity) }
        if mosfetHot.isTripped { now.insert(.mosfetHot) }
        if chargeCurrent.isTripped { now.insert(.chargeOverCurrent) }
        if dischargeCurrent.isTripped { now.insert(.dischargeOverCurrent) }
        if chargeHot.isTripped || dischargeHot.isTripped { now.insert(.batteryHot) }
        if chargeCold.isTripped || dischargeCold.isTripped { now.insert(.batteryCold) }
        if overVoltage.isTripped { now.insert(.cellOverVoltage) }
        if underVoltage.isTripped { now.insert(.cellUnderVoltage) }
        let new = now.subtracting(warnings).subtracting(.lowCapacity)
        if !new.isEmpty { trips += 1 }
        warnings = now

        let both = mosfetHot.isTripped
        chargeSwitch =
            s.chargeAllowed
            && !(both || overVoltage.isTripped || chargeCurrent.isTripped || chargeHot.isTripped
                || chargeCold.isTripped)
        dischargeSwitch =
            s.dischargeAllowed
            && !(both || underVoltage.isTripped || dischargeCurrent.isTripped || dischargeHot.isTripped
                || dischargeCold.isTripped)
    }
}
