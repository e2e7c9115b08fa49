import Battery

/// Deye PCS CAN V3.3 (2024-05-25), the language of Deye's own packs (deye-can.md §B). An inverter reads it when the name in 0x35E
/// begins with "DY".
///
/// The traps: the current of 0x356 is positive while **discharging**, 0x359 has other bits than Pylontech's, and 0x371 carries
/// the limits on the grid beside those off the grid in 0x351 (the bank has one pair of limits, sent as both). Frames of single
/// packs (0x110 and up) are read, not sent: the report speaks of the bank.
///
/// Bits of 0x359; a warning has the bit four bytes later. Bits that the vendor no longer reports are still sent when there is no
/// other for an alarm.
///
/// | protection | alarms of the bank |
/// |---|---|
/// | byte 0 bits 0, 1 | over-, under-voltage of a cell or the pack |
/// | byte 0 bits 4, 5 | charge, discharge over-current; as a warning also a short circuit |
/// | byte 0 bits 6, 7 | charge over-temperature (MOSFET, cells, box), charge under-temperature (cells) |
/// | byte 1 bits 0, 1 | discharge over-, under-temperature |
/// | byte 1 bits 2, 4 | imbalance, MOSFET over-temperature |
/// | byte 2 bit 7 | short circuit (no warning) |
/// | byte 3 bits 1, 2, 3 | number of cells, temperature sensor, charge or discharge switch (no warnings) |
/// | byte 3 bit 5 "internal communication" | every other protection (no warning) |
public enum DeyePCSCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(
            CANFrame(
                id: 0x371, length: 8,
                word: WireValue.littleEndian(
                    WireValue.chargeCurrent(report), WireValue.dischargeCurrent(report), 0)))
        frames.append(CANFrame(id: 0x355, length: 8, word: StateFrame.word(report)))
        frames.append(measurement(report))
        frames.append(CANFrame(id: 0x359, length: 8, word: faults(report)))
        frames.append(PylontechRequest.encode(report, length: 2))
        frames.append(name(report))
        frames.append(extremes(report))
        frames.append(packs(report))
    }

    /// The inverter sends its clock on 0x305.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    /// The limits on the grid too.
    public static func carriesLimits(_ frame: CANFrame) -> Bool {
        frame.id == 0x351 || frame.id == 0x371 || frame.id == 0x35C
    }

    private static func measurement(_ report: borrowing BankReport) -> CANFrame {
        let discharge = WireValue.int16(0 &- max(WireValue.nearest(report.current, 100), -32_767))
        return CANFrame(
            id: 0x356, length: 8,
            word: WireValue.littleEndian(
                WireValue.measured(report.voltage, step: 10), discharge, WireValue.temperature(report.temperature)))
    }

    private static func faults(_ report: borrowing BankReport) -> UInt64 {
        let protections = report.protections
        let warnings = report.warnings
        let stopped = !report.dischargeEnabled
        return group(protections, dischargeStopped: stopped)
            | protections.bit(23, .shortCircuit) | protections.bit(25, .cellCount)
            | protections.bit(26, .temperatureSensor) | protections.bit(27, switches)
            | protections.bit(29, otherThan: named)
            | group(warnings, dischargeStopped: stopped) << 32 | warnings.bit(37, .shortCircuit)
    }

    private static func group(_ alarms: Alarms, dischargeStopped: Bool) -> UInt64 {
        alarms.bit(0, .overVoltage) | alarms.bit(1, .underVoltage)
            | alarms.bit(4, .chargeOverCurrent) | alarms.bit(5, .dischargeOverCurrent)
            | alarms.bit(6, .chargeHeat) | alarms.bit(7, .chargeCold)
            | alarms.bit(8, .dischargeHeat(isStopped: dischargeStopped))
            | alarms.bit(9, .dischargeCold(isStopped: dischargeStopped))
            | alarms.bit(10, .cellImbalance) | alarms.bit(12, .mosfetOverTemperature)
    }

    private static var switches: Alarms { Alarms.chargeSwitchFault.union(.dischargeSwitchFault) }
    private static var named: Alarms {
        .withDirection.union(Alarms.cellImbalance.union(.cellCount).union(.temperatureSensor).union(switches))
    }

    /// "DY", pack 001, maker of the cells (0: not one of Deye's list), nominal capacity in 0.1 Ah.
    private static func name(_ report: borrowing BankReport) -> CANFrame {
        let rated = report.rated
        let capacity = WireValue.uint16((rated > 0 ? rated : report.full) / 100)
        return CANFrame(
            id: 0x35E, length: 8, word: TextFrame.word("DY001", padding: 0) | UInt64(capacity) << 48)
    }

    private static func extremes(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x361, length: 8,
            word: WireValue.littleEndian(
                WireValue.uint16(report.highestCell), WireValue.uint16(report.lowestCell),
                WireValue.temperature(report.highestTemperature, otherwise: report.temperature),
                WireValue.temperature(report.lowestTemperature, otherwise: report.temperature)))
    }

    private static func packs(_ report: borrowing BankReport) -> CANFrame {
        let online = WireValue.uint8(report.packsOnline)
        let noCharge = WireValue.uint8(report.packsBlockingCharge)
        let noDischarge = WireValue.uint8(report.packsBlockingDischarge)
        let offline = WireValue.uint8(report.packsOffline)
        let total = WireValue.uint8(report.packsExpected)
        let limited = max(noCharge, noDischarge)
        let normal = online > limited ? online - limited : 0
        return CANFrame(
            id: 0x364, length: 8,
            word: UInt64(normal) | UInt64(noCharge) << 8 | UInt64(noDischarge) << 16 | UInt64(offline) << 24
                | UInt64(total) << 32)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        StateFrame.signals(visit)
        MeasurementFrame.signals(visit)
        PylontechRequest.signals(visit)
        visit(Signal(0x35C, "HeatRequest", at: 0, 1))
        faultSignals(visit)
        bankSignals(visit)
        packSignals(visit)
    }

    private static func faultSignals(_ visit: (Signal) -> Void) {
        visit(Signal(0x359, "P_CellOV", at: 0, 1))
        visit(Signal(0x359, "P_CellUV", at: 1, 1))
        visit(Signal(0x359, "P_ModuleOV", at: 2, 1))
        visit(Signal(0x359, "P_ModuleUV", at: 3, 1))
        visit(Signal(0x359, "P_ChargeOC", at: 4, 1))
        visit(Signal(0x359, "P_DischargeOC", at: 5, 1))
        visit(Signal(0x359, "P_OverTempCharge", at: 6, 1))
        visit(Signal(0x359, "P_UnderTempCharge", at: 7, 1))
        visit(Signal(0x359, "P_OverTempDischarge", at: 8, 1))
        visit(Signal(0x359, "P_UnderTempDischarge", at: 9, 1))
        visit(Signal(0x359, "P_CellDeltaV", at: 10, 1))
        visit(Signal(0x359, "P_CellDeltaT", at: 11, 1))
        visit(Signal(0x359, "P_MosOverTemp", at: 12, 1))
        visit(Signal(0x359, "P_HeaterOverTemp", at: 13, 1))
        visit(Signal(0x359, "P_AfeOCD1", at: 14, 1))
        visit(Signal(0x359, "P_AfeOCD2", at: 15, 1))
        visit(Signal(0x359, "P_AfeUV", at: 16, 1))
        visit(Signal(0x359, "P_AfeOV", at: 17, 1))
        visit(Signal(0x359, "P_AfeOCDL", at: 18, 1))
        visit(Signal(0x359, "P_AfeOCC", at: 19, 1))
        visit(Signal(0x359, "P_AfeSCD", at: 20, 1))
        visit(Signal(0x359, "P_AfeUT", at: 21, 1))
        visit(Signal(0x359, "P_AfeOT", at: 22, 1))
        visit(Signal(0x359, "P_AfeSCDL", at: 23, 1))
        visit(Signal(0x359, "P_AfeComm", at: 24, 1))
        visit(Signal(0x359, "P_CellVoltSampling", at: 25, 1))
        visit(Signal(0x359, "P_TempSampling", at: 26, 1))
        visit(Signal(0x359, "P_MosShort", at: 27, 1))
        visit(Signal(0x359, "P_Eeprom", at: 28, 1))
        visit(Signal(0x359, "P_InternalComm", at: 29, 1))
        visit(Signal(0x359, "P_PcsComm", at: 30, 1))
        visit(Signal(0x359, "P_MasterAddrRepeat", at: 31, 1))
        visit(Signal(0x359, "W_CellHighV", at: 32, 1))
        visit(Signal(0x359, "W_CellLowV", at: 33, 1))
        visit(Signal(0x359, "W_ModuleHighV", at: 34, 1))
        visit(Signal(0x359, "W_ModuleLowV", at: 35, 1))
        visit(Signal(0x359, "W_ChargeHighI", at: 36, 1))
        visit(Signal(0x359, "W_DischargeHighI", at: 37, 1))
        visit(Signal(0x359, "W_HighTempCharge", at: 38, 1))
        visit(Signal(0x359, "W_LowTempCharge", at: 39, 1))
        visit(Signal(0x359, "W_HighTempDischarge", at: 40, 1))
        visit(Signal(0x359, "W_LowTempDischarge", at: 41, 1))
        visit(Signal(0x359, "W_CellDeltaV", at: 42, 1))
        visit(Signal(0x359, "W_CellDeltaT", at: 43, 1))
        visit(Signal(0x359, "W_MosHighTemp", at: 44, 1))
        visit(Signal(0x359, "W_HeaterHighTemp", at: 45, 1))
        visit(Signal(0x359, "W_HeatMosStuck", at: 46, 1))
        visit(Signal(0x359, "W_HeatError", at: 47, 1))
        visit(Signal(0x359, "S_OverConnectorTemp", at: 48, 1))
        visit(Signal(0x359, "S_PrechargeFailed", at: 49, 1))
        visit(Signal(0x359, "S_ChargeReversed", at: 50, 1))
        visit(Signal(0x359, "S_OverTerminalTemp", at: 51, 1))
        visit(Signal(0x359, "S_FuseBlown", at: 52, 1))
        visit(Signal(0x359, "S_VoltOpenWire", at: 53, 1))
        visit(Signal(0x359, "S_TempOpenWire", at: 54, 1))
        visit(Signal(0x359, "S_ChargeVoltLow", at: 55, 1))
    }

    private static func bankSignals(_ visit: (Signal) -> Void) {
        visit(Signal(0x358, "UsbPower", at: 0, 16, divisor: 10, unit: "W"))
        visit(Signal(0x358, "UsbEnergy", at: 16, 32, divisor: 10, unit: "Wh"))
        visit(Signal(0x358, "UsbOn", at: 48, 8))
        visit(Signal(0x361, "CellMax", at: 0, 16, unit: "mV"))
        visit(Signal(0x361, "CellMin", at: 16, 16, unit: "mV"))
        visit(Signal(0x361, "TempMax", at: 32, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x361, "TempMin", at: 48, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x363, "SwVer0", at: 0, 8))
        visit(Signal(0x363, "SwVer1", at: 8, 8))
        visit(Signal(0x363, "HwVer0", at: 16, 8))
        visit(Signal(0x363, "HwVer1", at: 24, 8))
        visit(Signal(0x364, "ModulesNormal", at: 0, 8))
        visit(Signal(0x364, "ModulesChargeBlocked", at: 8, 8))
        visit(Signal(0x364, "ModulesDischargeBlocked", at: 16, 8))
        visit(Signal(0x364, "ModulesOffline", at: 24, 8))
        visit(Signal(0x364, "ModulesTotal", at: 32, 8))
        visit(Signal(0x371, "GridChargeCurrentLimit", at: 0, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x371, "GridDischargeCurrentLimit", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x35E, "Mark0", at: 0, 8))
        visit(Signal(0x35E, "Mark1", at: 8, 8))
        visit(Signal(0x35E, "PackNo0", at: 16, 8))
        visit(Signal(0x35E, "PackNo1", at: 24, 8))
        visit(Signal(0x35E, "PackNo2", at: 32, 8))
        visit(Signal(0x35E, "CellMaker", at: 40, 8))
        visit(Signal(0x35E, "NominalCapacity", at: 48, 16, divisor: 10, unit: "Ah"))
        visit(Signal(0x305, "Second", at: 0, 8))
        visit(Signal(0x305, "Minute", at: 8, 8))
        visit(Signal(0x305, "Hour", at: 16, 8))
        visit(Signal(0x305, "Day", at: 24, 8))
        visit(Signal(0x305, "Month", at: 32, 8))
        visit(Signal(0x305, "Year", at: 40, 8, offset: 2000))
        visit(Signal(0x306, "UsbSwitch", at: 0, 8))
        visit(Signal(0x306, "UsbOffTime", at: 8, 16, unit: "s"))
    }

    /// Frames of pack 1; those of pack n have identifiers higher by n − 1.
    private static func packSignals(_ visit: (Signal) -> Void) {
        visit(Signal(0x110, "FaultByte0", at: 0, 8))
        visit(Signal(0x110, "FaultByte1", at: 8, 8))
        visit(Signal(0x110, "FaultByte2", at: 16, 8))
        visit(Signal(0x110, "FaultByte3", at: 24, 8))
        visit(Signal(0x110, "FaultByte4", at: 32, 8))
        visit(Signal(0x110, "FaultByte5", at: 40, 8))
        visit(Signal(0x110, "FaultByte6", at: 48, 8))
        visit(Signal(0x110, "ParallelDone", at: 56, 1))
        visit(Signal(0x110, "ChargeMos", at: 60, 1))
        visit(Signal(0x110, "DischargeMos", at: 61, 1))
        visit(Signal(0x110, "PrechargeMos", at: 62, 1))
        visit(Signal(0x110, "HeatMos", at: 63, 1))
        visit(Signal(0x150, "PackVoltage", at: 0, 16, divisor: 10, unit: "V"))
        visit(Signal(0x150, "PackCurrent", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x150, "PackSOC", at: 32, 16, divisor: 10, unit: "%"))
        visit(Signal(0x150, "PackSOH", at: 48, 16, divisor: 10, unit: "%"))
        visit(Signal(0x200, "PackCellMax", at: 0, 16, unit: "mV"))
        visit(Signal(0x200, "PackCellMin", at: 16, 16, unit: "mV"))
        visit(Signal(0x200, "PackTempMax", at: 32, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x200, "PackTempMin", at: 48, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x250, "PackMosTemp", at: 0, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x250, "PackHeaterTemp", at: 16, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x250, "PackChargeLimit", at: 32, 16, unit: "A"))
        visit(Signal(0x250, "PackDischargeLimit", at: 48, 16, unit: "A"))
        visit(Signal(0x400, "PackMode", at: 0, 8))
        visit(Signal(0x400, "PackFaultLevel", at: 8, 8))
        visit(Signal(0x400, "PackCycles", at: 16, 16))
        visit(Signal(0x400, "PackBalance", at: 32, 16))
        visit(Signal(0x400, "PackSubState", at: 48, 8))
        visit(Signal(0x500, "PackSwVer0", at: 0, 8))
        visit(Signal(0x500, "PackSwVer1", at: 8, 8))
        visit(Signal(0x500, "PackMarkAA", at: 16, 8))
        visit(Signal(0x500, "BootVer0", at: 24, 8))
        visit(Signal(0x500, "BootVer1", at: 32, 8))
        visit(Signal(0x500, "BootVer2", at: 40, 8))
        visit(Signal(0x500, "BootVer3", at: 48, 8))
        visit(Signal(0x500, "BootVer4", at: 56, 8))
        visit(Signal(0x550, "PackEnergyCharged", at: 0, 32, divisor: 1000, unit: "kWh"))
        visit(Signal(0x550, "PackEnergyDischarged", at: 32, 32, divisor: 1000, unit: "kWh"))
        visit(Signal(0x700, "CntOverCharge", at: 0, 16))
        visit(Signal(0x700, "CntOverDischarge", at: 16, 16))
        visit(Signal(0x700, "CntShort", at: 32, 16))
        visit(Signal(0x700, "CntMosOT", at: 48, 16))
        visit(Signal(0x750, "CntChargeOC", at: 0, 16))
        visit(Signal(0x750, "CntDischargeOC", at: 16, 16))
        visit(Signal(0x750, "CntChargeOT", at: 32, 16))
        visit(Signal(0x750, "CntDischargeOT", at: 48, 16))
        TextFrame.signals(0x600, "SnA_", visit)
        TextFrame.signals(0x650, "SnB_", visit)
    }
}
