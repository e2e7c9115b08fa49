import Battery

/// Growatt low-voltage BMS CAN V1.04 (2019-02-22), menu 36 = `L51`: big-endian, 11-bit identifiers, 500 kbit/s.
///
/// The set goes out unasked, as the real ARK does; the inverter's 0x301 is its heartbeat (growatt-can.md).
///
/// Bits of 0x312 (the warning has the same bit two bytes later unless said):
///
/// | protection | alarms of the bank |
/// |---|---|
/// | byte 0 bit 7 | discharge over-current; as a warning also a short circuit |
/// | byte 0 bit 6 | charge over-current |
/// | byte 0 bit 5 | short circuit (no warning bit) |
/// | byte 0 bit 4, 3 | cell over-voltage, cell under-voltage |
/// | byte 0 bit 2, 1 | pack over-voltage, pack under-voltage |
/// | byte 1 bit 7 | discharge over-temperature, MOSFET; cells and box when discharge is blocked |
/// | byte 1 bit 6 | charge over-temperature, MOSFET, cells, box |
/// | byte 1 bit 5 | discharge under-temperature; cells when discharge is blocked |
/// | byte 1 bit 4 | charge under-temperature, cells |
/// | byte 1 bit 3 | every other protection (no warning bit) |
/// | byte 1 bit 2 | imbalance |
/// | warning only: byte 3 bit 0 "internal communication" | a fault of the electronics, or the bridge has lost the BMS |
///
/// "Soft start failed" and "pack about to turn off" are never sent: no BMS tells us either. 0x315–0x318 (single cells) are optional
/// and not sent, because the report speaks of the bank and not of cells.
public enum GrowattCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        let alarms = alarmBits(report)
        frames.append(
            frame(
                0x311, WireValue.chargeVoltage(report), WireValue.chargeCurrent(report),
                WireValue.dischargeCurrent(report), status(report, hasAlarms: alarms != 0)))
        frames.append(CANFrame(id: 0x312, length: 8, word: alarms | counts(report)))
        frames.append(
            frame(
                0x313, WireValue.measured(report.voltage, step: 10), WireValue.measured(report.current, step: 100),
                WireValue.temperature(report.highestTemperature, otherwise: report.temperature),
                WireValue.percent(report.soc) << 8 | WireValue.percent(report.soh)))
        let highest = WireValue.uint16(report.highestCell)
        let lowest = WireValue.uint16(report.lowestCell)
        frames.append(
            frame(
                0x314, WireValue.uint16(report.remaining / 10), WireValue.uint16(report.full / 10),
                highest > lowest ? highest - lowest : 0, WireValue.uint16(report.cycles)))
        frames.append(CANFrame(id: 0x319, length: 8, word: request(report)))
        frames.append(CANFrame(id: 0x320, length: 8, word: version))
        frames.append(CANFrame(id: 0x321, length: 8))
    }

    /// Limits with the output bits, and the enable and force-charge bits.
    public static func carriesLimits(_ frame: CANFrame) -> Bool {
        frame.id == 0x311 || frame.id == 0x319
    }

    /// The document prints the payload 11 22 33 44 55 66 77 88 beside the word "decimal"; any payload counts.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x301
    }

    private static func frame(_ id: UInt32, _ a: UInt16, _ b: UInt16, _ c: UInt16, _ d: UInt16) -> CANFrame {
        CANFrame(id: id, length: 8, word: WireValue.bigEndian(a, b, c, d))
    }

    /// The status word of 0x311. Bits 5 and 6 are the output enables that the real ARK sets (Battery-Emulator leaves them 0).
    /// Bit 3 stays 0: the document does not say whether it means balanced or balancing.
    private static func status(_ report: borrowing BankReport, hasAlarms: Bool) -> UInt16 {
        let current = WireValue.nearest(report.current, 100)
        var status: UInt16 = current == 0 ? 1 : current > 0 ? 2 : 3
        if hasAlarms { status |= 1 << 2 }
        if report.dischargeEnabled { status |= 1 << 5 }
        if report.chargeEnabled { status |= 1 << 6 }
        if report.packsOnline > 1 { status |= 1 << 8 }
        return status
    }

    private static func alarmBits(_ report: borrowing BankReport) -> UInt64 {
        let protections = report.protections
        let warnings = report.warnings
        if protections.isEmpty && warnings.isEmpty { return 0 }
        let stopped = !report.dischargeEnabled
        return group(protections, dischargeStopped: stopped)
            | protections.bit(5, .shortCircuit) | protections.bit(11, otherThan: named)
            | group(warnings, dischargeStopped: stopped) << 16
            | warnings.bit(23, .shortCircuit) | warnings.bit(24, .electronics)
    }

    private static func group(_ alarms: Alarms, dischargeStopped: Bool) -> UInt64 {
        alarms.bit(1, .packUnderVoltage) | alarms.bit(2, .packOverVoltage)
            | alarms.bit(3, .cellUnderVoltage) | alarms.bit(4, .cellOverVoltage)
            | alarms.bit(6, .chargeOverCurrent) | alarms.bit(7, .dischargeOverCurrent)
            | alarms.bit(10, .cellImbalance)
            | alarms.bit(12, .chargeCold) | alarms.bit(13, .dischargeCold(isStopped: dischargeStopped))
            | alarms.bit(14, .chargeHeat) | alarms.bit(15, .dischargeHeat(isStopped: dischargeStopped))
    }

    private static var named: Alarms { .withDirection.union(.cellImbalance) }

    /// 0x312 bytes 4–7: packs in parallel 1...254, maker code 0 (we have none), cells in total.
    private static func counts(_ report: borrowing BankReport) -> UInt64 {
        let packs = WireValue.uint8(report.packsOnline, in: 1...254)
        let series = WireValue.uint8(report.cellsInSeries)
        let cells = WireValue.uint8(Int32(packs) &* Int32(series))
        return UInt64(packs) << 32 | UInt64(cells) << 56
    }

    /// 0x319: 16-bit values at odd offsets, so it is built byte by byte.
    private static func request(_ report: borrowing BankReport) -> UInt64 {
        var flags = UInt64(report.chemistry.rawValue)
        if report.chargeEnabled { flags |= 1 << 7 }
        if report.dischargeEnabled { flags |= 1 << 6 }
        if report.requests.contains(.forceCharge1) { flags |= 1 << 5 }
        if report.requests.contains(.forceCharge2) { flags |= 1 << 4 }
        let highest = UInt64(WireValue.uint16(report.highestCell).byteSwapped)
        let lowest = UInt64(WireValue.uint16(report.lowestCell).byteSwapped)
        return flags | highest << 8 | lowest << 24
            | UInt64(cellNumber(report.highestCellPlace, report.cellsInSeries)) << 40
            | UInt64(cellNumber(report.lowestCellPlace, report.cellsInSeries)) << 48
    }

    /// Cells of parallel packs are counted on from the first pack. 0 when the place is unknown.
    private static func cellNumber(_ place: CellPlace, _ series: Int32) -> UInt8 {
        if place.cell == 0 || place.pack == 0 { return 0 }
        let earlier = (Int32(place.pack) &- 1) &* Int32(WireValue.uint8(series))
        return WireValue.uint8(earlier &+ Int32(place.cell))
    }

    /// 0x320: maker 0, hardware 1, software 1 (the document allows 1...9), date and time 0: the core has no wall clock.
    private static let version: UInt64 = 0x0000_0000_0101_0000

    public static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x311, "ChargeVoltage", at: 7, 16, bigEndian: true, divisor: 10, unit: "V"))
        visit(Signal(0x311, "ChargeCurrentLimit", at: 23, 16, bigEndian: true, divisor: 10, unit: "A"))
        visit(Signal(0x311, "DischargeCurrentLimit", at: 39, 16, bigEndian: true, divisor: 10, unit: "A"))
        visit(Signal(0x311, "Status", at: 57, 2, bigEndian: true))
        visit(Signal(0x311, "ErrorValid", at: 58, 1, bigEndian: true))
        visit(Signal(0x311, "CellBalance", at: 59, 1, bigEndian: true))
        visit(Signal(0x311, "Sleep", at: 60, 1, bigEndian: true))
        visit(Signal(0x311, "DischargeOutput", at: 61, 1, bigEndian: true))
        visit(Signal(0x311, "ChargeOutput", at: 62, 1, bigEndian: true))
        visit(Signal(0x311, "TerminalOpen", at: 63, 1, bigEndian: true))
        visit(Signal(0x311, "MasterBoxMode", at: 49, 2, bigEndian: true))
        visit(Signal(0x311, "SpStatus", at: 51, 2, bigEndian: true))

        visit(Signal(0x312, "Prot_SoftStartFail", at: 0, 1))
        visit(Signal(0x312, "Prot_ModuleUV", at: 1, 1))
        visit(Signal(0x312, "Prot_ModuleOV", at: 2, 1))
        visit(Signal(0x312, "Prot_CellUV", at: 3, 1))
        visit(Signal(0x312, "Prot_CellOV", at: 4, 1))
        visit(Signal(0x312, "Prot_ShortCircuit", at: 5, 1))
        visit(Signal(0x312, "Prot_ChargeOC", at: 6, 1))
        visit(Signal(0x312, "Prot_DischargeOC", at: 7, 1))
        visit(Signal(0x312, "Prot_DeltaV", at: 10, 1))
        visit(Signal(0x312, "Prot_SystemError", at: 11, 1))
        visit(Signal(0x312, "Prot_UnderTempCharge", at: 12, 1))
        visit(Signal(0x312, "Prot_UnderTempDischarge", at: 13, 1))
        visit(Signal(0x312, "Prot_OverTempCharge", at: 14, 1))
        visit(Signal(0x312, "Prot_OverTempDischarge", at: 15, 1))
        visit(Signal(0x312, "Warn_ModuleUV", at: 17, 1))
        visit(Signal(0x312, "Warn_ModuleOV", at: 18, 1))
        visit(Signal(0x312, "Warn_CellUV", at: 19, 1))
        visit(Signal(0x312, "Warn_CellOV", at: 20, 1))
        visit(Signal(0x312, "Warn_ChargeOC", at: 22, 1))
        visit(Signal(0x312, "Warn_DischargeOC", at: 23, 1))
        visit(Signal(0x312, "Warn_InternalComm", at: 24, 1))
        visit(Signal(0x312, "Warn_PackAboutToTurnOff", at: 25, 1))
        visit(Signal(0x312, "Warn_DeltaV", at: 26, 1))
        visit(Signal(0x312, "Warn_UnderTempCharge", at: 28, 1))
        visit(Signal(0x312, "Warn_UnderTempDischarge", at: 29, 1))
        visit(Signal(0x312, "Warn_OverTempCharge", at: 30, 1))
        visit(Signal(0x312, "Warn_OverTempDischarge", at: 31, 1))
        visit(Signal(0x312, "PackCount", at: 32, 8))
        visit(Signal(0x312, "MakerCode0", at: 40, 8))
        visit(Signal(0x312, "MakerCode1", at: 48, 8))
        visit(Signal(0x312, "CellCount", at: 56, 8))

        visit(Signal(0x313, "Voltage", at: 7, 16, bigEndian: true, signed: true, divisor: 100, unit: "V"))
        visit(Signal(0x313, "Current", at: 23, 16, bigEndian: true, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x313, "CellTempMax", at: 39, 16, bigEndian: true, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x313, "SOC", at: 55, 8, bigEndian: true, unit: "%"))
        visit(Signal(0x313, "SOH", at: 62, 7, bigEndian: true, unit: "%"))
        visit(Signal(0x313, "SOH_Flag", at: 63, 1, bigEndian: true))

        visit(Signal(0x314, "RemainingCapacity", at: 7, 16, bigEndian: true, divisor: 100, unit: "Ah"))
        visit(Signal(0x314, "FullCapacity", at: 23, 16, bigEndian: true, divisor: 100, unit: "Ah"))
        visit(Signal(0x314, "CellDelta", at: 39, 16, bigEndian: true, unit: "mV"))
        visit(Signal(0x314, "Cycles", at: 55, 16, bigEndian: true))

        for cell in 0..<16 as Range<UInt8> {
            visit(
                Signal(
                    0x315 + UInt32(cell / 4), "Cell", part: Int8(cell + 1), at: 7 + cell % 4 * 16, 16,
                    bigEndian: true, unit: "mV"))
        }

        visit(Signal(0x319, "ChargeEnable", at: 7, 1))
        visit(Signal(0x319, "DischargeEnable", at: 6, 1))
        visit(Signal(0x319, "ForceChargeI", at: 5, 1))
        visit(Signal(0x319, "ForceChargeII", at: 4, 1))
        visit(Signal(0x319, "Chemistry", at: 0, 2))
        visit(Signal(0x319, "CellMax", at: 15, 16, bigEndian: true, unit: "mV"))
        visit(Signal(0x319, "CellMin", at: 31, 16, bigEndian: true, unit: "mV"))
        visit(Signal(0x319, "CellMaxNo", at: 47, 8, bigEndian: true))
        visit(Signal(0x319, "CellMinNo", at: 55, 8, bigEndian: true))
        visit(Signal(0x319, "FaultPackId", at: 63, 8, bigEndian: true))

        visit(Signal(0x320, "Maker", at: 7, 16, bigEndian: true))
        visit(Signal(0x320, "HardwareVersion", at: 23, 8, bigEndian: true))
        visit(Signal(0x320, "SoftwareVersion", at: 31, 8, bigEndian: true))
        visit(Signal(0x320, "Year", at: 39, 6, bigEndian: true, offset: 2000))
        visit(Signal(0x320, "Month", at: 33, 4, bigEndian: true))
        visit(Signal(0x320, "Day", at: 45, 5, bigEndian: true))
        visit(Signal(0x320, "Hour", at: 40, 5, bigEndian: true))
        visit(Signal(0x320, "Minute", at: 51, 6, bigEndian: true))
        visit(Signal(0x320, "Second", at: 61, 6, bigEndian: true))

        visit(Signal(0x321, "Programming", at: 0, 1))
        visit(Signal(0x321, "MasterUpdate", at: 1, 2))
        visit(Signal(0x321, "SlaveUpdate", at: 3, 2))
        visit(Signal(0x321, "UpdateProgress", at: 8, 8, unit: "%"))
        visit(Signal(0x321, "UpdatePackId", at: 16, 8))
        visit(Signal(0x321, "UpdateSuccessCount", at: 24, 8))

        visit(Signal(0x301, "Heartbeat", at: 0, 64))
    }
}
