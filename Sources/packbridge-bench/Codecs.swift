import Battery
import Foundation
import InverterDialects
import JKBMS

/// Decoding a reply of the BMS and encoding a set for the inverter.
enum Codecs {
    static func figures() -> [Figure] {
        let frame = ReplyFrame().bytes
        let decoding = measure(calls: 20_000) { decode(frame) }
        let record = StatusRecord()
        let recordDecoding = measure(calls: 20_000) { record.decode() }
        // The engine has one place for the set, too.
        var frames = FrameSet(filler: CANFrame(id: 0, length: 0))
        let encoding = measure(calls: 100_000) { encode(into: &frames) }
        return [
            Figure(name: "decode_4e57", value: decoding.nanoseconds, unit: "ns", target: .atMost(300)),
            Figure(
                name: "decode_4e57_instructions", value: instructions(), unit: "instructions", target: .atMost(4500)),
            Figure(
                name: "decode_4e57_allocations", value: decoding.allocations, unit: "allocations", target: .atMost(0)),
            Figure(name: "decode_55aaeb90", value: recordDecoding.nanoseconds, unit: "ns", target: .atMost(300)),
            Figure(
                name: "decode_55aaeb90_allocations", value: recordDecoding.allocations, unit: "allocations",
                target: .atMost(0)),
            Figure(name: "encode_pylontech", value: encoding.nanoseconds, unit: "ns", target: .atMost(30)),
            Figure(
                name: "encode_pylontech_allocations", value: encoding.allocations, unit: "allocations",
                target: .atMost(0)),
        ]
    }

    /// What `instructions` runs under valgrind: nothing but decoding.
    static func decodeOnly(_ count: Int) {
        let frame = ReplyFrame().bytes
        for _ in 0..<count { decode(frame) }
    }

    @inline(never)
    private static func decode(_ frame: [UInt8]) {
        var report = JK4E57.Report()
        do throws(FrameRejection) { try JK4E57.decode(frame.span, into: &report) } catch { fatalError("\(error)") }
        keep(report)
    }

    @inline(never)
    private static func encode(into frames: inout FrameSet) {
        frames.removeAll()
        PylontechCAN.encode(report, into: &frames)
        keep(frames)
    }

    private static let report: BankReport = {
        var report = BankReport()
        report.chargeVoltageLimit = 55_200
        report.dischargeVoltageLimit = 48_000
        report.chargeCurrentLimit = 135_000
        report.dischargeCurrentLimit = 150_000
        (report.chargeEnabled, report.dischargeEnabled) = (true, true)
        (report.soc, report.socFine) = (63, 6312)
        (report.voltage, report.current, report.temperature) = (53_120, -12_500, 215)
        return report
    }()

    /// Instructions of one decoding: the difference of two runs under callgrind, so that start and end do not count.
    private static func instructions() -> Double? {
        // Debian's valgrind stumbles over the debug information of a Swift binary.
        let bare = FileManager.default.temporaryDirectory.appending(path: "packbridge-bench-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: bare) }
        guard Program("strip", ["-o", bare, CommandLine.arguments[0]]).output() != nil,
            let few = callgrind(bare, 1000), let many = callgrind(bare, 3000)
        else { return nil }
        return Double(many - few) / 2000
    }

    private static func callgrind(_ program: String, _ count: Int) -> Int? {
        let arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", program, "decode-only", "\(count)"]
        guard let output = Program("valgrind", arguments).output()?.error,
            let line = output.split(separator: "\n").first(where: { $0.contains("Collected : ") })
        else { return nil }
        return Int(line.split(separator: " ").last!)
    }
}
