/// The most cells in series that a JK BMS measures.
public let maximumCells = 32

/// The most temperature sensors on cells that a JK BMS reports, the MOSFET sensor not counted.
public let maximumCellSensors = 5

/// Cell voltages in millivolts, cell 1 first. A broken sense wire reads 0: that is data, not an absence.
public typealias CellVoltages = FixedArray<32, UInt16>

/// Temperatures of the cell sensors, sensor 1 first.
public typealias CellTemperatures = FixedArray<5, SensorReading>

/// One temperature sensor in one snapshot.
public enum SensorReading: Equatable, Sendable, BitwiseCopyable {
    /// The BMS has no such sensor, or says that it is not connected.
    case absent
    /// The sensor exists but sent a code that is no temperature. Counts as broken, never as a clamped value.
    case invalid
    case value(Decidegrees)

    public var temperature: Decidegrees? {
        if case .value(let t) = self { t } else { nil }
    }
}

/// A complete snapshot of one pack as its BMS reported it in one poll cycle, before any judgement.
///
/// A nil field was not in the reply. Nothing is ever filled in: what is missing stays missing, and the control logic tightens
/// (charge-control.md §1).
public struct PackReading: Sendable, BitwiseCopyable {
    public var cells = CellVoltages(filler: 0)
    public var packVoltage: Millivolts?
    /// Positive while charging.
    public var current: Milliamps?
    public var cellTemperatures = CellTemperatures(filler: .absent)
    /// The MOSFET or board sensor.
    public var mosfetTemperature: SensorReading = .absent
    public var soc: CentiPercent?
    public var soh: CentiPercent?
    public var remaining: MilliampHours?
    /// Full capacity as the BMS uses or has learned it.
    public var full: MilliampHours?
    /// Capacity configured by the owner.
    public var rated: MilliampHours?
    public var cycles: Int32?
    /// Charge that has passed through the pack since it was made.
    public var throughput: MilliampHours?
    /// The actual state of the power stage, not the owner's switch.
    public var chargeSwitch: Bool?
    public var dischargeSwitch: Bool?
    public var balancing: Bool?
    /// Nil when the reply did not carry the alarm word.
    public var alarms: Alarms?
    /// A counter that advances while the BMS lives, in milliseconds.
    public var uptime: Milliseconds?
    /// The step of `uptime`. Amendment 1: it proves liveness only when it is at most 2000 ms.
    public var uptimeResolution: Milliseconds = 0
    /// Limits that the BMS itself publishes and changes, for protocols that have them.
    public var dynamicChargeLimit: Milliamps?
    public var dynamicDischargeLimit: Milliamps?
    public var dynamicChargeVoltage: Millivolts?
    /// The protection settings, when this snapshot carried them.
    public var settings: PackSettings?
    /// True while the BMS has just started and its SoC and cycle count are still zero (jk-4e57.md §5.5).
    public var starting = false

    @inline(never)
    public init() {}
}
