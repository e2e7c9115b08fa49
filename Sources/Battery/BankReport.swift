/// Where an extreme value was found. Both count from 1; 0 means unknown.
public struct CellPlace: Equatable, Sendable, BitwiseCopyable {
    public var pack: UInt8
    public var cell: UInt8

    public init(pack: UInt8, cell: UInt8) {
        self.pack = pack
        self.cell = cell
    }

    public static let unknown = CellPlace(pack: 0, cell: 0)
}

/// Requests to the inverter (charge-control.md §10; Pylontech 0x35C bits 5, 4 and 3).
public struct ChargeRequests: OptionSet, Equatable, Sendable, BitwiseCopyable {
    public var rawValue: UInt8

    @inlinable
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Force charge I: the 5–10 % class, for inverters that let the pack shut down and can wake it.
    @inlinable public static var forceCharge1: ChargeRequests { ChargeRequests(rawValue: 1 << 0) }
    /// Force charge II: the 9–13 % class.
    @inlinable public static var forceCharge2: ChargeRequests { ChargeRequests(rawValue: 1 << 1) }
    /// No full charge for a long time.
    @inlinable public static var fullCharge: ChargeRequests { ChargeRequests(rawValue: 1 << 2) }
}

/// What the inverter is to be told about the bank: the result of the control logic and the input of every dialect.
///
/// A dialect encodes, it does not decide. It rounds only to the safe side: voltages of charge and currents down, discharge
/// voltage up (charge-control.md §3).
public struct BankReport: Sendable {
    /// CVL: the highest pack voltage that the inverter may drive to.
    public var chargeVoltageLimit: Millivolts = 0
    /// DVL: the lowest pack voltage.
    public var dischargeVoltageLimit: Millivolts = 0
    /// CCL, never negative.
    public var chargeCurrentLimit: Milliamps = 0
    /// DCL, never negative.
    public var dischargeCurrentLimit: Milliamps = 0
    public var chargeEnabled = false
    public var dischargeEnabled = false
    public var requests: ChargeRequests = []
    /// Protection tripped. The control logic has already decided what the inverter may see (amendment 11).
    public var protections: Alarms = []
    public var warnings: Alarms = []

    /// Reported state of charge, whole percent 0...100.
    public var soc: Int32 = 0
    /// The same in 0.01 %, consistent with `soc` (never 100.00 unless `soc` is 100).
    public var socFine: CentiPercent = 0
    /// State of health, whole percent 1...100.
    public var soh: Int32 = 100
    public var voltage: Millivolts = 0
    /// Positive while charging.
    public var current: Milliamps = 0
    /// The sensor closest to one of its limits; nil when no cell sensor has ever been read.
    public var temperature: Decidegrees?

    public var chemistry: Chemistry = .lfp
    public var cellsInSeries: Int32 = 16
    /// Packs that conduct, at least 1 once frames are sent.
    public var packsOnline: Int32 = 1
    public var packsExpected: Int32 = 1
    /// Packs that do not take charge / do not discharge now / cannot be heard.
    public var packsBlockingCharge: Int32 = 0
    public var packsBlockingDischarge: Int32 = 0
    public var packsOffline: Int32 = 0

    public var remaining: MilliampHours = 0
    public var full: MilliampHours = 0
    public var rated: MilliampHours = 0
    public var cycles: Int32 = 0
    public var balancing = false

    public var highestCell: Millivolts = 0
    public var highestCellPlace = CellPlace.unknown
    public var lowestCell: Millivolts = 0
    public var lowestCellPlace = CellPlace.unknown
    public var highestTemperature: Decidegrees?
    public var highestTemperaturePlace = CellPlace.unknown
    public var lowestTemperature: Decidegrees?
    public var lowestTemperaturePlace = CellPlace.unknown

    /// Energy through the bank, watt hours, monotonic.
    public var energyCharged: Int64 = 0
    public var energyDischarged: Int64 = 0

    @inline(never)
    public init() {}
}
