import Battery

/// How the charge voltage comes down from bulk to float (charge-control.md §5.4).
public enum FloatMode: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case ramp, follow, immediate, none
}

/// Whether a charge that one cell ended early counts as full (charge-control.md §5.3).
public enum FullPolicy: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case strict, lenient
}

/// What the discharge obedience limiter does (amendment 7).
public enum ObeyDischargeAction: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case warn, cut
}

/// Shape of the charge taper by cell voltage (charge-control.md §7.2).
public enum TaperPreset: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case standard, gentle, late
}

/// One pack as the owner configured it. Packs that are configured are expected (aggregation.md §2).
public struct PackConfiguration: Equatable, Sendable, BitwiseCopyable {
    /// The user's cap for this pack alone; nil = only the bank's cap.
    public var chargeLimit: Milliamps?
    public var dischargeLimit: Milliamps?
    /// Capacity typed by the owner, used when the BMS reports none.
    public var capacity: MilliampHours?
    /// Over-current limits typed by the owner for a BMS whose settings cannot be read.
    public var chargeOverCurrent: Milliamps?
    public var dischargeOverCurrent: Milliamps?
    /// False: the owner has physically disconnected it (EXCLUDED).
    public var isEnabled = true
    /// Bit i set: the owner declares cell sensor i (from 0) broken or absent; it is ignored (amendment 3).
    public var disabledSensors: UInt8 = 0
    /// The extended hold of failsafe.md §3 (default on for Bluetooth, amendment 18).
    public var extendedHold = false
    /// How often this pack is polled, for the FRESH bound and liveness.
    public var pollInterval: Milliseconds = 1000

    @inline(never)
    public init() {}
}

/// How one inverter wants to be treated; filled from its profile.
public struct InverterTraits: Equatable, Sendable {
    /// "Zero" on this inverter: 0 or 100 mA (charge-control.md §7.6, amendment 15).
    public var zeroCurrent: Milliamps = 0
    /// Lower CVL while charging is blocked, for inverters that do not obey CCL = 0 (L_block).
    public var lowersVoltageWhenBlocked = false
    /// A protection bit makes this inverter cut its output (amendment 11).
    public var protectionCutsOutput = true
    /// The inverter shuts down by SoC (amendment 22, S5).
    public var hasSoCCutOff = true
    /// chg_en goes false in REST.
    public var disablesChargeInRest = false
    /// full_req is released at SoC ≥ 97 % instead of at FULL.
    public var fullRequestReleasesAt97 = false
    /// Silence is safer than zero limits: stop the frames when the data are lost (failsafe.md §3 SILENT).
    public var silentWhenLost = false

    public init() {}
}

/// Everything that the control logic is told by the owner. Voltages are per cell (amendment 27).
///
/// Use `init(chemistry:)`: it fills the presets of charge-control.md §2. The result must pass `problems()` before it is used.
public struct ControlConfiguration: Equatable, Sendable {
    public var chemistry: Chemistry
    /// Cells in series, the same in every pack.
    public var cellsInSeries: Int32 = 16
    /// At least one, at most `maximumPacks`.
    public var packs = PackList<PackConfiguration>(filler: PackConfiguration())

    /// Target of the charge (`v_bulk`, §2).
    public var bulk: Millivolts
    /// Held when full (`v_float`, §2).
    public var float: Millivolts
    /// A new charge begins below it (R2, §5.5).
    public var rebulk: Millivolts
    /// Discharge zero, floor (`zd_floor`).
    public var dischargeZeroFloor: Millivolts
    /// The user's DVL per cell; 0 = from the cells' limits alone.
    public var userDischargeVoltage: Millivolts = 0
    /// Bank limits of the owner. 0 until set: nothing is charged or discharged (design §7).
    public var userCharge: Milliamps = 0
    public var userDischarge: Milliamps = 0
    /// Thousandths of C.
    public var chargeRateMaximum: Int32
    /// Hundredths: 90 = 0.90.
    public var bmsMarginPercent: Int32 = 90
    /// A new charge begins at or below it (R1).
    public var rebulkSoC: CentiPercent = 8500
    /// A full charge at least this often (R3); 0 = never for that reason.
    public var fullEveryDays: Int32
    /// ABSORB ends after this at the latest (§5.3).
    public var absorbMaximum: Milliseconds = 30 * 60_000
    /// Added to CVL at pack level, 0...500 mV for 16 cells.
    public var inverterOffset: Millivolts = 0
    /// Nothing is charged at or below it, and again only from `coldReallow` on (§7.3).
    public var coldZero: Decidegrees
    public var coldReallow: Decidegrees
    /// How CVL comes down to float after the charge (§5.4).
    public var floatMode: FloatMode = .ramp
    /// How far above the bank `FloatMode.follow` keeps CVL, at pack level.
    public var followGap: Millivolts = 200
    /// What counts as full.
    public var fullPolicy: FullPolicy = .strict
    /// Shape of the charge taper by cell voltage (§7.2).
    public var taper: TaperPreset = .standard
    /// Tenths: 10 = G 1.0.
    public var runnerGainTenths: Int32 = 10
    /// SoC ceiling set by the owner, 0.01 %; nil = none.
    public var socCeiling: CentiPercent?
    /// Reserve kept for outages, 0.01 %; nil = none.
    public var socReserve: CentiPercent?
    /// Limits by SoC as well (§7.4).
    public var socTaper = false
    /// A new charge also at 80 mV between the cells (R6).
    public var rebulkOnImbalance = false
    /// SoC shown while not FULL, whole percent 95...99.
    public var socCapBeforeFull: Int32 = 99
    /// SoC by an own counter with learned capacity instead of the BMS's (§9.1).
    public var coulombCounter = false
    /// The inverter may be asked to charge from the grid (§10).
    public var forceChargeRequests = false
    public var fullChargeRequest = false
    /// What happens when the inverter draws far more than DCL for two minutes.
    public var obeyDischargeAction: ObeyDischargeAction = .warn
    /// An inverter that ignores CCL to the end is told a protection as well.
    public var obeyProtectsByBit = true
    /// The JK alarm "wire resistance" stops both directions; otherwise it is a warning.
    public var wireResistanceStops = false
    /// T_hold: no limit falls for the data's age until then (failsafe.md §3).
    public var hold: Milliseconds = 15_000
    /// T_zero: the pack is LOST from then on.
    public var zero: Milliseconds = 30_000
    /// What is special about the inverter, from its profile.
    public var inverter = InverterTraits()

    /// The presets of charge-control.md §2 for `chemistry`, current limits 0.
    public init(chemistry: Chemistry) {
        self.chemistry = chemistry
        switch chemistry {
        case .lfp:
            (bulk, float, rebulk, dischargeZeroFloor) = (3450, 3350, 3300, 2800)
            (chargeRateMaximum, fullEveryDays, coldZero, coldReallow) = (500, 14, 0, 30)
        case .nmc:
            (bulk, float, rebulk, dischargeZeroFloor) = (4100, 4050, 3950, 3000)
            (chargeRateMaximum, fullEveryDays, coldZero, coldReallow) = (500, 0, 0, 30)
        case .lto:
            (bulk, float, rebulk, dischargeZeroFloor) = (2700, 2600, 2450, 1900)
            (chargeRateMaximum, fullEveryDays, coldZero, coldReallow) = (1000, 0, -200, -170)
        }
    }

    /// The preset of `zd_floor`, also the anchor of the low-voltage SoC rules (charge-control.md §2, §9 S4).
    static func presetDischargeZero(_ chemistry: Chemistry) -> Millivolts {
        switch chemistry {
        case .lfp: 2800
        case .nmc: 3000
        case .lto: 1900
        }
    }
}
