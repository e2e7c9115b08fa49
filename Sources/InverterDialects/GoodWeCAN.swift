import Battery

/// GoodWe ES, ES-BP and SBP with 48 V: the PYLON V2 set under GoodWe's name (goodwe-can.md).
///
/// No GoodWe document for low voltage was found. 0x370, 0x371 and 0x35F are those of the Seplos and "Goodwe/SMA" documents: they
/// are read, not sent, because the unit of 0x370's voltages is misprinted.
public enum GoodWeCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("GOODWE")))
        frames.append(LimitsFrame.encode(report))
        frames.append(FineStateFrame.encode(report, length: 6))
        frames.append(MeasurementFrame.encode(report, length: 6))
        // Bytes 5 and 6 are empty in this one.
        frames.append(
            CANFrame(
                id: 0x359, length: 8,
                word: PylontechAlarms.bits(report) | PylontechAlarms.packs(report) | PylontechAlarms.mask(report)))
        frames.append(request(report))
        frames.append(AlarmPairs.encode(report))
        BankFrames.append(report, &frames)
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    /// Bits 7–4 only: there is no request for a full charge.
    private static func request(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x35C, length: 2, word: PylontechRequest.encode(report, length: 2).word & 0xF0)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        FineStateFrame.signals(visit)
        MeasurementFrame.signals(visit)
        PylontechAlarms.signals(visit)
        visit(Signal(0x359, "Alarm_CellFailure", at: 28, 1))
        PylontechAlarms.maskSignal(visit)
        AlarmPairs.signals(visit)
        visit(Signal(0x35B, "Events", at: 0, 64))
        visit(Signal(0x35C, "ForceChargeII", at: 4, 1))
        visit(Signal(0x35C, "ForceChargeI", at: 5, 1))
        visit(Signal(0x35C, "DischargeEnable", at: 6, 1))
        visit(Signal(0x35C, "ChargeEnable", at: 7, 1))
        TextFrame.signals(0x35E, "Name", visit)
        visit(Signal(0x35F, "Chemistry", at: 0, 16))
        visit(Signal(0x35F, "HwVerLow", at: 16, 8))
        visit(Signal(0x35F, "HwVerHigh", at: 24, 8))
        visit(Signal(0x35F, "CapacityAh", at: 32, 16, unit: "Ah"))
        visit(Signal(0x35F, "SwVerLow", at: 48, 8))
        visit(Signal(0x35F, "SwVerHigh", at: 56, 8))
        visit(Signal(0x370, "TempMax", at: 0, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x370, "TempMin", at: 16, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x370, "CellMaxRaw", at: 32, 16, signed: true))
        visit(Signal(0x370, "CellMinRaw", at: 48, 16, signed: true))
        visit(Signal(0x371, "TempMaxId", at: 0, 16, signed: true))
        visit(Signal(0x371, "TempMinId", at: 16, 16, signed: true))
        visit(Signal(0x371, "CellMaxId", at: 32, 16, signed: true))
        visit(Signal(0x371, "CellMinId", at: 48, 16, signed: true))
        BankFrames.signals(visit)
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
    }
}
