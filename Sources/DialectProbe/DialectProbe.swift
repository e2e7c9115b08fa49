import Battery
import InverterDialects
import ProbeBoard

/// A program that speaks one dialect: nothing of the others may be in its image (`make embedded-check`).
@main
struct DialectProbe {
    static func main() {
        while true {
            var report = BankReport()
            report.chargeCurrentLimit = Int32(truncatingIfNeeded: probe_read())
            var frames = FrameSet(filler: CANFrame(id: 0, length: 0))
            PylontechCAN.encode(report, into: &frames)
            for i in 0..<frames.count { probe_write(UInt32(truncatingIfNeeded: frames[i].word)) }
        }
    }
}
