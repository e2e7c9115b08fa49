import Battery

/// The cell voltages between which charge and discharge taper off, for the whole bank (charge-control.md §7.2).
///
/// They follow the lowest OVP and the highest UVP of the connected packs, so a setting changed in one BMS moves them (F15).
struct CellBand: Equatable, Sendable, BitwiseCopyable {
    /// `a`: the charge taper begins.
    var chargeStart: Millivolts
    /// `z`: nothing is charged from here on.
    var chargeZero: Millivolts
    /// `zd`: nothing is discharged from here down.
    var dischargeZero: Millivolts
    /// `sd`: the discharge taper begins.
    var dischargeFull: Millivolts
    /// OVP_min, or the chemistry's cap when no BMS has told one.
    var overVoltage: Millivolts
    /// UVP_max; 0 when no BMS has told one.
    var underVoltage: Millivolts
    /// min(OVP_min − 50 mV, v_abs_max): no cell may be driven above this on average.
    var ceiling: Millivolts
    var taper: TaperPreset

    init(
        _ configuration: ControlConfiguration, table: ChemistryTable, overVoltage ovp: Millivolts?,
        underVoltage uvp: Millivolts?
    ) {
        let bulk = configuration.bulk
        overVoltage = ovp ?? table.absoluteMaximum
        underVoltage = uvp ?? 0
        // A BMS that tells no OVP is taken to trip at the chemistry's maximum.
        let highest = min(overVoltage - 30, table.absoluteMaximum - 20)
        taper = configuration.taper
        var start: Millivolts
        let zero: Millivolts
        switch configuration.taper {
        case .standard: (start, zero) = (bulk - 50, min(bulk + table.chargeSpan, highest))
        case .gentle: (start, zero) = (bulk - 75, min(bulk + 50, highest))
        case .late: (start, zero) = (configuration.float, min((overVoltage + bulk) / 2, highest))
        }
        // A BMS whose OVP was lowered under the configured bulk voltage: the taper stays a taper, below the new cap.
        start = min(start, zero - 20)
        chargeStart = start
        chargeZero = zero
        dischargeZero = max(underVoltage + 100, configuration.dischargeZeroFloor)
        dischargeFull = dischargeZero + table.dischargeSpan
        ceiling = min(overVoltage - 50, table.absoluteMaximum)
    }

    /// Percent at u = 0, ¼, ½, ¾, 1.
    private static let charge: InlineArray<5, Int32> = [100, 50, 15, 2, 0]
    /// The curve 2 − 2^(r^1.8) of the "late" preset at the same places, rounded down.
    private static let chargeLate: InlineArray<5, Int32> = [100, 94, 77, 48, 0]
    private static let discharge: InlineArray<5, Int32> = [0, 5, 20, 50, 100]

    /// `amount × f_v`, rounded down, for the highest cell.
    func chargeScaled(_ amount: Milliamps, highest: Millivolts) -> Milliamps {
        let table = taper == .late ? Self.chargeLate : Self.charge
        return Self.scaled(amount, by: table, at: highest - chargeStart, of: chargeZero - chargeStart)
    }

    func dischargeScaled(_ amount: Milliamps, lowest: Millivolts) -> Milliamps {
        Self.scaled(amount, by: Self.discharge, at: lowest - dischargeZero, of: dischargeFull - dischargeZero)
    }

    private static func scaled(
        _ amount: Milliamps, by table: InlineArray<5, Int32>, at x: Millivolts, of width: Millivolts
    ) -> Milliamps {
        let position = 4 * min(max(x, 0), width)
        let segment = min(Int(position / width), 3)
        return scaledDown(
            amount, from: table[segment], to: table[segment + 1], at: position - Int32(segment) * width, of: width, whole: 100)
    }
}
