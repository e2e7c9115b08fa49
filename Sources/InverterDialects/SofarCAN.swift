import Battery

/// Sofar ME3000SP and HYD ES: real Pylontech packs run them with plain V1.2 frames (sofar-can.md).
///
/// These inverters ignore a limit of exactly 0; their profile makes zero 0.1 A. The further signals are those of the "General
/// lithium" set as other projects describe it: they are read, not sent.
public enum SofarCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        PylontechCAN.encode(report, into: &frames)
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        PylontechCAN.isHeartbeat(frame)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        PylontechCAN.signals(visit)
        visit(Signal(0x355, "Spare355", at: 32, 16))
        visit(Signal(0x355, "RemainingCapacity", at: 48, 16, unit: "Ah"))
        visit(Signal(0x356, "Cycles", at: 48, 16))
        AlarmPairs.signals(visit)
        InfoFrame.signals(visit)
    }
}
