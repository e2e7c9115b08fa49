import Battery

/// "PYLON V2" or "PYLON+": Pylontech V1.2 plus the frames of the Victron set, so that a reader of either finds its own.
///
/// No vendor document of this name exists. The layouts are those of a US5000 stack after its update to "V1.3" and of what other
/// projects send to GoodWe, SRNE, Solis and Studer (pylontech-can.md §PYLON V2).
public enum PylontechV2CAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PYLON")))
        appendBody(report, &frames)
    }

    /// Everything but the name; GoodWe's set has another one.
    static func appendBody(_ report: borrowing BankReport, _ frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        // Six bytes as the captured pack sends. Its third word is 0; ours is the real state of charge.
        frames.append(FineStateFrame.encode(report, length: 6))
        frames.append(CycleMeasurementFrame.encode(report))
        frames.append(PylontechAlarms.encodeWithMask(report))
        frames.append(PylontechRequest.encode(report, length: 2))
        frames.append(AlarmPairs.encode(report))
        BankFrames.append(report, &frames)
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        FineStateFrame.signals(visit)
        visit(Signal(0x355, "RemainingCapacity", at: 48, 16, unit: "Ah"))
        CycleMeasurementFrame.signals(visit)
        PylontechAlarms.signals(visit)
        PylontechAlarms.markSignals(visit)
        PylontechAlarms.maskSignal(visit)
        PylontechRequest.signals(visit)
        AlarmPairs.signals(visit)
        TextFrame.signals(0x35E, "Name", visit)
        InfoFrame.signals(visit)
        BankFrames.signals(visit)
        ChargeRequestFrame.signals(visit)
        visit(Signal(0x354, "CapacityTotal", at: 0, 16, divisor: 10, unit: "Ah"))
        visit(Signal(0x354, "CapacityRemaining", at: 16, 16, divisor: 10, unit: "Ah"))
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
    }
}
