import Battery

/// "BMS Protocol (CAN), Li Residential series, V1.0", brand not named: looks like Pylontech, but counts the voltage of 0x356 in
/// 0.1 V and has eight bytes in every frame (pylontech-can.md §Look-alike). No capture exists.
public enum HybridLiCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(CANFrame(id: 0x355, length: 8, word: StateFrame.word(report)))
        frames.append(MeasurementFrame.encodeInTenths(report))
        frames.append(CANFrame(id: 0x359, length: 8, word: alarms(report)))
        frames.append(request(report))
        frames.append(CANFrame(id: 0x399, length: 8, word: rating(report)))
        frames.append(cells(report))
        frames.append(temperatures(report))
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    /// Pylontech's bits and one for imbalance. Bytes 4–7 are reserved here, so the number of packs in byte 4 means nothing to a
    /// reader of this document; one that is really Pylontech's needs at least 1 there.
    private static func alarms(_ report: borrowing BankReport) -> UInt64 {
        PylontechAlarms.bits(report) | PylontechAlarms.packs(report)
            | report.protections.bit(12, .cellImbalance) | report.warnings.bit(28, .cellImbalance)
    }

    /// One request only: bit 5, forced charge.
    private static func request(_ report: borrowing BankReport) -> CANFrame {
        var bits: UInt64 = 0
        if report.chargeEnabled { bits |= 1 << 7 }
        if report.dischargeEnabled { bits |= 1 << 6 }
        if !report.requests.isDisjoint(with: ChargeRequests.forceCharge1.union(.forceCharge2)) { bits |= 1 << 5 }
        return CANFrame(id: 0x35C, length: 8, word: bits)
    }

    /// 0x399: rated energy in 0.1 kWh and alarms of single cells.
    private static func rating(_ report: borrowing BankReport) -> UInt64 {
        let cell: Int64 =
            switch report.chemistry {
            case .lfp: 3200
            case .nmc: 3600
            case .lto: 2300
            }
        let microwattHours = Int64(report.rated) &* Int64(WireValue.uint8(report.cellsInSeries)) &* cell
        return UInt64(min(max(microwattHours / 100_000_000, 0), 0xFFFF))
            | report.warnings.bit(16, .cellOverVoltage) | report.warnings.bit(17, .cellUnderVoltage)
            | report.protections.bit(32, .cellOverVoltage) | report.protections.bit(33, .cellUnderVoltage)
    }

    private static func cells(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x3DA, length: 8,
            word: UInt64(WireValue.uint16(report.highestCell)) | UInt64(WireValue.uint16(report.lowestCell)) << 16
                | UInt64(report.highestCellPlace.cell) << 32 | UInt64(report.lowestCellPlace.cell) << 40)
    }

    private static func temperatures(_ report: borrowing BankReport) -> CANFrame {
        let highest = degrees(report.highestTemperature, otherwise: report.temperature)
        let lowest = degrees(report.lowestTemperature, otherwise: report.temperature)
        return CANFrame(
            id: 0x3DB, length: 8,
            word: UInt64(highest) | UInt64(lowest) << 8
                | UInt64(report.highestTemperaturePlace.cell) << 16 | UInt64(report.lowestTemperaturePlace.cell) << 24)
    }

    /// Whole degrees plus 50.
    private static func degrees(_ value: Decidegrees?, otherwise second: Decidegrees?) -> UInt8 {
        WireValue.uint8(WireValue.nearest(value ?? second ?? 0, 10) &+ 50)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        StateFrame.signals(visit)
        MeasurementFrame.signals(voltageDivisor: 10, visit)
        PylontechAlarms.signals(visit)
        visit(Signal(0x359, "Prot_SubRelayCommand", at: 0, 1))
        visit(Signal(0x359, "Prot_CellImbalance", at: 12, 1))
        visit(Signal(0x359, "Alarm_CellImbalance", at: 28, 1))
        visit(Signal(0x359, "Warn_SubPack1", at: 29, 1))
        visit(Signal(0x359, "Warn_SubPack2", at: 30, 1))
        visit(Signal(0x35C, "ForceCharge", at: 5, 1))
        visit(Signal(0x35C, "DischargeEnable", at: 6, 1))
        visit(Signal(0x35C, "ChargeEnable", at: 7, 1))
        visit(Signal(0x399, "RatedEnergy", at: 0, 16, divisor: 10, unit: "kWh"))
        visit(Signal(0x399, "Warn_CellHigh", at: 16, 1))
        visit(Signal(0x399, "Warn_CellLow", at: 17, 1))
        visit(Signal(0x399, "Prot_CellHigh", at: 32, 1))
        visit(Signal(0x399, "Prot_CellLow", at: 33, 1))
        visit(Signal(0x3DA, "CellMax", at: 0, 16, unit: "mV"))
        visit(Signal(0x3DA, "CellMin", at: 16, 16, unit: "mV"))
        visit(Signal(0x3DA, "CellMaxNo", at: 32, 8))
        visit(Signal(0x3DA, "CellMinNo", at: 40, 8))
        visit(Signal(0x3DB, "TempMax", at: 0, 8, offset: -50, unit: "degC"))
        visit(Signal(0x3DB, "TempMin", at: 8, 8, offset: -50, unit: "degC"))
        visit(Signal(0x3DB, "TempMaxNo", at: 16, 8))
        visit(Signal(0x3DB, "TempMinNo", at: 24, 8))
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
    }
}
