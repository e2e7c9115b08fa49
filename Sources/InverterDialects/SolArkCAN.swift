import Battery

/// Sol-Ark LV CAN V1.3 (2023-01-20): Pylontech with eight bytes in every frame, otherwise it is not recognised (solark-can.md).
///
/// The document counts the voltage of 0x356 in 0.1 V, where Pylontech has 0.01 V, and Discover packs really send it so. Other
/// projects send 0.01 V: compare with the inverter's display.
public enum SolArkCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(CANFrame(id: 0x355, length: 8, word: StateFrame.word(report)))
        frames.append(MeasurementFrame.encodeInTenths(report))
        frames.append(PylontechAlarms.encode(report, length: 8))
        // "Forced 2" (charge now) is bit 5 and "forced 1" (low state of charge) bit 4: the same bits as Pylontech's I and II.
        frames.append(PylontechRequest.encode(report, length: 8))
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PYLON")))
        frames.append(CapacityFrame.encode(report))
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        StateFrame.signals(visit)
        MeasurementFrame.signals(voltageDivisor: 10, visit)
        PylontechAlarms.signals(visit)
        PylontechAlarms.markSignals(visit)
        PylontechRequest.signals(visit)
        TextFrame.signals(0x35E, "Name", visit)
        CapacityFrame.signals(visit)
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
    }
}
