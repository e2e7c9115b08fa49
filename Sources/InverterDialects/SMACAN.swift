import Battery

/// SMA Sunny Island, external battery (FSS-ConnectingBat-TI-en-10): 500 kbit/s, 11-bit, little-endian.
///
/// The bus is the Sunny Islands' internal one, so nothing but these identifiers may be on it. A field without a value carries
/// "invalid", 0xFFFF or 0x8000. A value outside its range is dropped silently and the last good one stays in force, so limits
/// are brought into range here (sma-can.md).
public enum SMACAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(limits(report))
        frames.append(FineStateFrame.encode(report, length: 6))
        frames.append(measurement(report))
        frames.append(AlarmPairs.encode(report))
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PACKBRDG")))
        // Type, version and maker are SMA's to give; we have none.
        frames.append(
            CANFrame(
                id: 0x35F, length: 8, word: WireValue.littleEndian(0xFFFF, 0xFFFF, WireValue.installed(report), 0xFFFF))
        )
    }

    /// The inverter sends its own measurements on 0x305.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    /// CVL 41...63 V, DVL 41...48 V, currents 0...1200 A.
    private static func limits(_ report: borrowing BankReport) -> CANFrame {
        let voltage = WireValue.chargeVoltage(report)
        // A CVL below the range would be ignored in favour of the last one. Then only the current can hold the charge back.
        let current = voltage < 410 ? 0 : min(WireValue.chargeCurrent(report), 12_000)
        return CANFrame(
            id: 0x351, length: 8,
            word: WireValue.littleEndian(
                min(voltage, 630), current, min(WireValue.dischargeCurrent(report), 12_000),
                min(max(WireValue.dischargeVoltage(report), 410), 480)))
    }

    private static func measurement(_ report: borrowing BankReport) -> CANFrame {
        var word = MeasurementFrame.word(report)
        if report.temperature == nil { word |= 0x8000 << 32 }
        return CANFrame(id: 0x356, length: 6, word: word)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        FineStateFrame.signals(visit)
        MeasurementFrame.signals(visit)
        AlarmPairs.signals(visit)
        visit(Signal(0x35B, "Ev_SocRecalStart", at: 0, 1))
        visit(Signal(0x35B, "Ev_SocRecalStop", at: 1, 1))
        visit(Signal(0x35B, "Ev_PowerLimitStart", at: 2, 1))
        visit(Signal(0x35B, "Ev_PowerLimitStop", at: 3, 1))
        visit(Signal(0x35B, "Ev_PreventiveShutdown", at: 4, 1))
        TextFrame.signals(0x35E, "Name", visit)
        visit(Signal(0x35F, "BatteryType", at: 0, 16))
        visit(Signal(0x35F, "FwMajor", at: 16, 8))
        visit(Signal(0x35F, "FwMinor", at: 24, 8))
        visit(Signal(0x35F, "CapacityAh", at: 32, 16, unit: "Ah"))
        visit(Signal(0x35F, "ManufacturerId", at: 48, 16))
        visit(Signal(0x305, "SI_Voltage", at: 0, 16, divisor: 10, unit: "V"))
        visit(Signal(0x305, "SI_Current", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x305, "SI_Temperature", at: 32, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x305, "SI_SOC", at: 48, 16, signed: true, divisor: 10, unit: "%"))
        visit(Signal(0x306, "SI_SOH", at: 0, 16, unit: "%"))
        visit(Signal(0x306, "SI_ChargeProcedure", at: 16, 8))
        visit(Signal(0x306, "SI_OperatingState", at: 24, 8))
        visit(Signal(0x306, "SI_Error", at: 32, 16))
        visit(Signal(0x306, "SI_ChargeSetpoint", at: 48, 16, divisor: 10, unit: "V"))
        visit(Signal(0x307, "SI_RelayBits", at: 0, 16))
    }
}
