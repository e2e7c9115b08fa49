import Battery

/// Deye and Sunsynk low voltage V1.2 (2018-04-08), battery type "Lithium 00": word for word Pylontech V1.2 (deye-can.md §A).
///
/// The name stays PYLON: one that begins with "DY" would select `DeyePCSCAN` with its inverted current.
public enum DeyeCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        PylontechCAN.encode(report, into: &frames)
    }

    /// Comes as an answer to 0x356, with gaps of 3 to 5 s now and then.
    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        PylontechCAN.isHeartbeat(frame)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        PylontechCAN.signals(visit)
    }
}
