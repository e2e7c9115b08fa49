import Battery

/// Pylontech low-voltage CAN V1.2 (2018-04-08): what Growatt SPF `L52`, Deye `Lithium 00`, Sofar and most hybrids understand.
///
/// 500 kbit/s, 11-bit identifiers, little-endian. Identifiers, lengths and order are those of the published captures of real
/// US2000, US3000 and US5000 (pylontech-can.md).
public enum PylontechCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(stateOfCharge(report))
        frames.append(MeasurementFrame.encode(report, length: 6))
        frames.append(PylontechAlarms.encode(report, length: 7))
        frames.append(PylontechRequest.encode(report, length: 2))
        // "PYLON" and three spaces. Deye refuses names that do not begin with it.
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PYLON")))
    }

    /// The battery never transmits 0x305 itself. Schneider XW Pro sends it with 29 bits, so both forms count.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        StateFrame.signals(visit)
        MeasurementFrame.signals(visit)
        PylontechAlarms.signals(visit)
        PylontechAlarms.markSignals(visit)
        PylontechRequest.signals(visit)
        TextFrame.signals(0x35E, "Name", visit)
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
    }

    /// Four bytes: an SMA-like reader takes bytes 4–5 for a state of charge in 0.01 %, zeros there would say "empty".
    private static func stateOfCharge(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x355, length: 4, word: StateFrame.word(report))
    }
}
