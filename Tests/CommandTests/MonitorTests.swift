import Battery
import Foundation
import InverterDialects
import LinuxIO
import Testing

@testable import packbridge

@Suite struct MonitorTests {
    private static let log = [
        "(100.000000) can0 351#1402740E740ECC01", "(100.020000) can0 359#0000000001504E",
        "(100.500000) can0 305#0000000000000000", "(101.000000) can0 351#1402740E740ECC01", "",
        "(102.200000) can0 351#1402640E740ECC01", "(102.210000) can0 359#0008000001504E", "no frame",
    ]

    @Test func `a log gives a line for each frame that brings something new`() {
        let (lines, _, rejected) = play(Self.log)
        #expect(
            lines == [
                "     0.000  0x351  ChargeVoltage 53.2 V, ChargeCurrentLimit 370.0 A, DischargeCurrentLimit 370.0 A, "
                    + "DischargeVoltage 46.0 V\n",
                "     0.020  0x359  ModuleCount 1, Mark_P 80, Mark_N 78\n",
                "     0.500  0x305  Heartbeat 0\n",
                "     2.200  0x351  ChargeVoltage 53.2 V, ChargeCurrentLimit 368.4 A, DischargeCurrentLimit 370.0 A, "
                    + "DischargeVoltage 46.0 V\n",
                "     2.210  0x359  Prot_SystemError, ModuleCount 1, Mark_P 80, Mark_N 78\n",
            ])
        #expect(rejected == 1)
    }

    @Test func `the end of a log tells how often each frame came and how far apart`() {
        let (_, view, _) = play(Self.log)
        #expect(
            view.summary() == """

                dialect pylontech (guessed)
                id          frames   shortest      mean   longest  sender
                0x305            1          -         -         -  inverter
                0x351            3    1.000 s   1.100 s   1.200 s
                0x359            2    2.190 s   2.190 s   2.190 s

                """)
    }

    @Test func `a frame as JSON carries its time, bytes and signals`() {
        var json = JSONText()
        json.busFrame(CANFrame(id: 0x355, length: 4, word: 0x64_001A), at: 12.3456, .pylontech)
        #expect(
            json.string
                == #"{"time":12.346,"id":"0x355","data":"1a006400","dialect":"pylontech","signals":{"SOC":26,"SOH":100}}"#
        )
    }

    @Test func `frames without a time are counted`() {
        let (lines, _, _) = play(["351#1402", "351#1502"])
        #expect(lines.map { $0.prefix(10) } == ["     0.000", "     0.100"])
    }

    @Test(arguments: DialectName.allCases)
    func `the dialect is found from a whole set where it can be`(dialect: DialectName) {
        var report = BankReport()
        report.voltage = 53_000
        var set = FrameSet(filler: CANFrame(id: 0, length: 0))
        dialect.encode(report, into: &set)
        var guess = DialectGuess()
        for i in 0..<set.count { guess.add(set[i]) }
        // These two send exactly what a Pylontech sends.
        #expect(guess.dialect == ([.deye, .sofar].contains(dialect) ? .pylontech : dialect))
    }

    @Test func `frames of 29 bits do not disturb the guess`() {
        var guess = DialectGuess()
        guess.add(CANFrame(id: 0x311, isExtended: true, length: 8))
        #expect(guess.dialect == .pylontech)
    }

    @Test func `a bus full of noise does not fill the memory`() {
        var view = BusView(dialect: .pylontech)
        for id in 0..<10_000 as Range<UInt32> {
            _ = view.add(CANFrame(id: id, isExtended: true, length: 0), at: Double(id))
        }
        #expect(view.entries.count == 4096)
    }

    private func play(_ log: [String]) -> (lines: [String], view: BusView, rejected: Int) {
        var source = TextSource(title: "log", lines: log)
        var view = BusView(dialect: nil)
        var lines: [String] = []
        var hasMore = true
        while hasMore {
            hasMore = source.poll { frame, time in
                if view.add(frame, at: time) { lines.append(view.line(frame, at: time)) }
            }
        }
        return (lines, view, source.rejected)
    }
}
