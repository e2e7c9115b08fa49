import Battery

/// Victron "CAN-bus BMS (LV, 500 kbit/s)": 11-bit, little-endian, eight bytes in every frame (victron-can.md).
///
/// There are no enable bits: a limit of 0 A says it. The name must not begin with PYLON, because Venus OS then applies rules for
/// 15-cell packs of that brand.
public enum VictronCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(FineStateFrame.encode(report, length: 8))
        frames.append(CycleMeasurementFrame.encode(report))
        frames.append(AlarmPairs.encode(report))
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PACKBRDG")))
        frames.append(InfoFrame.encode(product: 0, firmware: 0, capacity: report.full))
        frames.append(ChargeRequestFrame.encode(report))
        frames.append(CANFrame(id: 0x370, length: 8, word: TextFrame.word("PackBrid", padding: 0)))
        frames.append(CANFrame(id: 0x371, length: 8, word: TextFrame.word("ge", padding: 0)))
        BankFrames.append(report, &frames)
        frames.append(EnergyFrame.encode(report))
    }

    /// Venus OS answers with zeros on 0x305; 0x306 and 0x307 follow once it has recognised a battery.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    public static func signals(_ visit: (Signal) -> Void) {
        setSignals(visit)
        TextFrame.signals(0x370, "ProductA_", visit)
        TextFrame.signals(0x371, "ProductB_", visit)
    }

    /// What BYD's batteries send too.
    static func setSignals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        FineStateFrame.signals(visit)
        CycleMeasurementFrame.signals(visit)
        AlarmPairs.signals(visit)
        AlarmPairs.onlineSignal(visit)
        visit(Signal(0x35B, "Events", at: 0, 64))
        TextFrame.signals(0x35E, "Name", visit)
        InfoFrame.signals(visit)
        ChargeRequestFrame.signals(visit)
        BankFrames.signals(visit)
        EnergyFrame.signals(visit)
        TextFrame.signals(0x380, "SerialA_", visit)
        TextFrame.signals(0x381, "SerialB_", visit)
        TextFrame.signals(0x382, "Family_", visit)
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
        visit(Signal(0x306, "Inv306", at: 0, 64))
        TextFrame.signals(0x307, "Ident", visit)
    }
}
