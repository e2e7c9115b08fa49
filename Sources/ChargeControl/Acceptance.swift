import Battery

/// Why a snapshot was not believed (failsafe.md §2). Counted per pack and shown; never a silent drop.
public enum SnapshotRejection: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case none = 0
    /// Cells, voltage, current, switch states or the alarm word are missing (amendment 5).
    case incomplete = 1
    case cellCount = 2
    case cellVoltage = 3
    /// The cells do not add up to the pack voltage.
    case sum = 4
    case current = 5
    /// A jump that no second snapshot has confirmed yet; believed only where it tightens.
    case unconfirmed = 6
    /// The BMS repeats itself: its counter stands still, or everything is bit-identical under load (amendment 1).
    case stuck = 7
    /// The pack is not configured or excluded.
    case notConfigured = 8
}

/// What the plausibility checks need to know.
struct AcceptanceRules: Sendable {
    var table: ChemistryTable
    var cellsInSeries: Int32
    /// The owner's larger bank limit, for the bound on a believable current.
    var userLimit: Milliamps
    /// `explain` judges one snapshot alone: a missing pack voltage or current then has the effect of charge-control.md §1.
    var isStateless: Bool

    init(_ configuration: ControlConfiguration, table: ChemistryTable, isStateless: Bool) {
        self.table = table
        self.isStateless = isStateless
        cellsInSeries = configuration.cellsInSeries
        userLimit = max(configuration.userCharge, configuration.userDischarge)
    }

    /// The largest current that any BMS of this class can measure (failsafe.md §2).
    static let currentMaximum: Milliamps = 1_000_000
    /// 32 cells of 4.5 V and some.
    static let packVoltageMaximum: Millivolts = 200_000
    static let temperatureRange: ClosedRange<Decidegrees> = -400...1000
    /// A full capacity outside 1...5000 Ah is not believed.
    static let capacityRange: ClosedRange<MilliampHours> = 1_000...5_000_000
    static let cellJump: Int32 = 300
    static let temperatureJump: Decidegrees = 100
    static let socJump: CentiPercent = 500

    func sumTolerance(_ packVoltage: Millivolts) -> Millivolts {
        max(packVoltage / 100, 300)
    }

    /// The first reason not to believe `reading`; `.none` when it is plausible by itself. The sum check is the caller's, because
    /// five failures in a row change its meaning.
    func judge(_ reading: PackReading, overCurrent: Milliamps?) -> SnapshotRejection {
        if reading.chargeSwitch == nil || reading.dischargeSwitch == nil {
            if !isStateless { return .incomplete }
        }
        if reading.alarms == nil { return .incomplete }
        if !isStateless && (reading.packVoltage == nil || reading.current == nil) { return .incomplete }
        if reading.cells.count != Int(cellsInSeries) { return .cellCount }
        for i in 0..<reading.cells.count {
            let cell = Int32(reading.cells[i])
            if cell < table.plausibleLow || cell > table.plausibleHigh { return .cellVoltage }
        }
        // Before any arithmetic: no pack has a voltage outside this, and the sum check must not overflow.
        if let voltage = reading.packVoltage, voltage < 0 || voltage > Self.packVoltageMaximum { return .sum }
        if let current = reading.current {
            let bound = overCurrent.map { min(2 * max($0, userLimit), Self.currentMaximum) } ?? Self.currentMaximum
            if current > bound || current < -bound { return .current }
        }
        return .none
    }

    static func plausibleCapacity(_ capacity: MilliampHours?) -> MilliampHours? {
        if let capacity, capacityRange.contains(capacity) { capacity } else { nil }
    }

    /// C of the pack (amendment 22): what the BMS has learned, when that is 70–110 % of the rated capacity, else the rated one.
    static func capacity(of reading: PackReading, typed: MilliampHours?) -> MilliampHours? {
        let full = plausibleCapacity(reading.full)
        guard let rated = plausibleCapacity(reading.rated) ?? plausibleCapacity(typed) else { return full }
        if let full, Int64(full) * 10 >= Int64(rated) * 7, Int64(full) * 10 <= Int64(rated) * 11 { return full }
        return rated
    }
}

/// The protection settings of one BMS, each kept since its last good value (amendment 17).
struct KnownSettings: Equatable, Sendable, BitwiseCopyable {
    var overVoltage: Millivolts?
    var overVoltageRelease: Millivolts?
    var underVoltage: Millivolts?
    var underVoltageRelease: Millivolts?
    var chargeOverCurrent: Milliamps?
    var dischargeOverCurrent: Milliamps?
    var dischargeOverTemperature: Decidegrees?
    /// When settings last came.
    var readAt = never
    /// The last set contained a value that was not believed.
    var isImplausible = false

    /// Takes over what is plausible; what is not leaves the last good value in place and is warned of.
    mutating func update(_ settings: PackSettings, table: ChemistryTable, at now: Instant) {
        readAt = now
        isImplausible = false
        if let ovp = settings.cellOverVoltage {
            let uvp = settings.cellUnderVoltage ?? underVoltage ?? 0
            if ovp >= table.overVoltageLow && ovp <= table.overVoltageHigh && Int64(ovp) > Int64(uvp) + 300 {
                overVoltage = ovp
            } else {
                isImplausible = true
            }
        }
        if let uvp = settings.cellUnderVoltage {
            if uvp >= table.plausibleLow && uvp < table.overVoltageLow {
                underVoltage = uvp
            } else {
                isImplausible = true
            }
        }
        if let release = settings.cellOverVoltageRelease, release > 0, release <= table.plausibleHigh {
            overVoltageRelease = release
        }
        if let release = settings.cellUnderVoltageRelease, release > 0, release <= table.plausibleHigh {
            underVoltageRelease = release
        }
        if let ocp = settings.chargeOverCurrent {
            if ocp > 0 && ocp <= AcceptanceRules.currentMaximum {
                chargeOverCurrent = ocp
            } else {
                isImplausible = true
            }
        }
        if let ocp = settings.dischargeOverCurrent {
            if ocp > 0 && ocp <= AcceptanceRules.currentMaximum {
                dischargeOverCurrent = ocp
            } else {
                isImplausible = true
            }
        }
        if let limit = settings.dischargeOverTemperature, AcceptanceRules.temperatureRange.contains(limit) {
            dischargeOverTemperature = limit
        }
    }
}
