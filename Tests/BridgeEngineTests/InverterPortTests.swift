import Battery
import InverterDialects
import Testing

@testable import BridgeEngine

@Suite struct InverterPortTests {
    var report: BankReport {
        var report = BankReport()
        report.chargeVoltageLimit = 55_200
        report.chargeCurrentLimit = 100_000
        report.dischargeCurrentLimit = 120_000
        report.chargeEnabled = true
        report.dischargeEnabled = true
        return report
    }

    /// Calls `wake` each 5 ms as a simple host would.
    func run(
        _ port: inout InverterPort, _ ports: inout RecordingPorts, from: Int64, to: Int64, report: BankReport,
        mayTransmit: Bool = true
    ) {
        for t in stride(from: from, to: to, by: 5) {
            ports.now = t
            _ = port.wake(
                report: report, mayTransmit: mayTransmit, port: 0, at: Instant(milliseconds: t), ports: &ports)
        }
    }

    func opened(cycle: Int64 = 1000, share: Int32 = 1000, zero: Milliamps = 0) -> InverterPort {
        var configuration = InverterPortConfiguration()
        configuration.cycle = cycle
        configuration.sharePerMille = share
        var port = InverterPort(configuration, zero: zero)
        port.changed(to: .active, at: Instant(milliseconds: 0))
        return port
    }

    @Test func `the whole set goes out each second, spread, and the rhythm does not drift`() {
        var port = opened()
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 10_000, report: report)
        let limits = ports.sent.filter { $0.frame.id == 0x351 }.map(\.at)
        #expect(limits == (0..<10).map { Int64($0) * 1000 })
        let first = ports.sent.prefix(6)
        #expect(first.map(\.frame.id) == [0x351, 0x355, 0x356, 0x359, 0x35C, 0x35E])
        #expect(first.map(\.at) == [0, 100, 200, 300, 400, 500])
    }

    @Test(arguments: [(0, 0), (100, 1)] as [(Milliamps, Int)])
    func `half of what an inverter takes for zero is still its zero`(zero: Milliamps, tenths: Int) {
        var port = opened(share: 500, zero: zero)
        var ports = RecordingPorts()
        var blocked = report
        (blocked.chargeCurrentLimit, blocked.dischargeCurrentLimit) = (zero, 40_100)
        run(&port, &ports, from: 0, to: 100, report: blocked)
        let limits = ports.sent.first { $0.frame.id == 0x351 }?.frame
        #expect(limits.map { Int($0[2]) | Int($0[3]) << 8 } == tenths)
        #expect(limits.map { Int($0[4]) | Int($0[5]) << 8 } == 200, "half of 40.1 A, cut")
    }

    @Test(arguments: [100, 250, 1200] as [Int64])
    func `a configured cycle is kept`(cycle: Int64) {
        var port = opened(cycle: cycle)
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 12_000, report: report)
        let limits = ports.sent.filter { $0.frame.id == 0x351 }.map(\.at)
        #expect(zip(limits, limits.dropFirst()).allSatisfy { $1 - $0 == cycle })
        #expect(limits.count == Int(12_000 / cycle))
    }

    @Test func `a tighter limit reaches the bus at once, in the frames that carry limits, in front of the rest`() {
        var port = opened()
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 2150, report: report)
        ports.sent.removeAll()
        var tight = report
        tight.chargeCurrentLimit = 0
        tight.chargeEnabled = false
        ports.now = 2152
        port.tighten(to: tight, port: 0, at: Instant(milliseconds: 2152), ports: &ports)
        #expect(ports.sent.map(\.frame.id) == [0x351, 0x35C])
        #expect(ports.sent[0].frame[2] == 0 && ports.sent[0].frame[3] == 0)
        #expect(ports.sent[1].frame[0] & 0x80 == 0)
        run(&port, &ports, from: 2155, to: 3000, report: tight)
        // The rest of the fresh set follows once each, and no old limit is repeated.
        #expect(ports.sent.map(\.frame.id) == [0x351, 0x35C, 0x355, 0x356, 0x359, 0x35E])
    }

    @Test(arguments: DialectName.allCases)
    func `after a cut the limits keep their period, wherever they stand in the set (P16)`(dialect: DialectName) {
        var configuration = InverterPortConfiguration()
        configuration.dialect = dialect
        var port = InverterPort(configuration)
        port.changed(to: .active, at: Instant(milliseconds: 0))
        var ports = RecordingPorts()
        var now: Int64 = 0
        for cut in [2_150, 3_400, 4_405, 4_990, 6_700] as [Int64] {
            run(&port, &ports, from: now, to: cut, report: report)
            ports.now = cut
            port.tighten(to: report, port: 0, at: Instant(milliseconds: cut), ports: &ports)
            now = cut + 5
        }
        run(&port, &ports, from: now, to: 12_000, report: report)
        let limits = ports.sent.filter { $0.frame.id == (dialect == .growatt ? 0x311 : 0x351) }.map(\.at)
        let gaps = zip(limits, limits.dropFirst()).map { $1 - $0 }
        #expect(gaps.max()! <= 1_200, "\(gaps)")
    }

    @Test func `nothing is sent before the control logic allows it, nor on a closed port`() {
        var port = opened()
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 3000, report: report, mayTransmit: false)
        #expect(ports.sent.isEmpty)
        port.changed(to: .closed, at: Instant(milliseconds: 3000))
        run(&port, &ports, from: 3000, to: 5000, report: report)
        port.tighten(to: report, port: 0, at: Instant(milliseconds: 5000), ports: &ports)
        #expect(ports.sent.isEmpty)
    }

    @Test func `a full queue costs status frames, never limits`() {
        var port = opened()
        var ports = RecordingPorts()
        ports.answer = { _ in .busy }
        run(&port, &ports, from: 0, to: 450, report: report)
        #expect(ports.sent.isEmpty)
        #expect(port.counters.dropped == 0)
        ports.answer = { $0.id == 0x356 ? .busy : .queued }
        run(&port, &ports, from: 450, to: 1000, report: report)
        #expect(ports.sent.first?.frame.id == 0x351)
        #expect(ports.sent.contains { $0.frame.id == 0x35C })
        #expect(!ports.sent.contains { $0.frame.id == 0x356 })
        #expect(port.counters.dropped == 1)
    }

    @Test func `bus-off is answered with restarts after 0.2, 0.5 and then each 1 s, and a complete set follows`() {
        var port = opened()
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 1000, report: report)
        port.changed(to: .busOff, at: Instant(milliseconds: 1000))
        ports.sent.removeAll()
        run(&port, &ports, from: 1000, to: 5000, report: report)
        #expect(ports.restarts == [1200, 1700, 2700, 3700, 4700])
        #expect(ports.sent.isEmpty)
        port.changed(to: .active, at: Instant(milliseconds: 5000))
        run(&port, &ports, from: 5000, to: 5600, report: report)
        #expect(ports.sent.map(\.frame.id) == [0x351, 0x355, 0x356, 0x359, 0x35C, 0x35E])
    }

    @Test func `a bus that goes off again and again is left alone for longer, up to 1 s`() {
        var port = opened()
        var ports = RecordingPorts()
        var now: Int64 = 0
        for _ in 0..<4 {
            port.changed(to: .busOff, at: Instant(milliseconds: now))
            let restarts = ports.restarts.count
            let began = now
            while ports.restarts.count == restarts {
                run(&port, &ports, from: now, to: now + 5, report: report)
                now += 5
            }
            #expect(ports.restarts.last! - began == [200, 500, 1000, 1000][restarts])
            port.changed(to: .active, at: Instant(milliseconds: now))
            now += 50
        }
        run(&port, &ports, from: now, to: now + 11_000, report: report)
        now += 11_000
        port.changed(to: .busOff, at: Instant(milliseconds: now))
        run(&port, &ports, from: now, to: now + 300, report: report)
        #expect(ports.restarts.last! - now == 200)
    }

    @Test func `an error-passive bus keeps the period with one set at a time`() {
        var port = opened()
        var ports = RecordingPorts()
        port.changed(to: .passive, at: Instant(milliseconds: 0))
        run(&port, &ports, from: 0, to: 5000, report: report)
        #expect(ports.sent.filter { $0.frame.id == 0x351 }.count == 5)
    }

    @Test func `a port with a share hands out only its part, rounded down`() {
        var port = opened(share: 333)
        var ports = RecordingPorts()
        run(&port, &ports, from: 0, to: 100, report: report)
        let frame = ports.sent[0].frame
        #expect(UInt16(frame[2]) | UInt16(frame[3]) << 8 == 333)
        #expect(UInt16(frame[4]) | UInt16(frame[5]) << 8 == 399)
    }

    @Test func `a heartbeat in either id width counts and grows old after ten seconds`() {
        var port = opened()
        #expect(!port.isHeartbeatFresh(at: Instant(milliseconds: 0)))
        port.received(CANFrame(id: 0x305, isExtended: true, length: 8), at: Instant(milliseconds: 500))
        port.received(CANFrame(id: 0x123, length: 8), at: Instant(milliseconds: 600))
        #expect(port.counters.heartbeats == 1)
        #expect(port.isHeartbeatFresh(at: Instant(milliseconds: 10_500)))
        #expect(!port.isHeartbeatFresh(at: Instant(milliseconds: 10_501)))
    }
}
