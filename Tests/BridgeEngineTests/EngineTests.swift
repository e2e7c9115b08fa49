import Battery
import ChargeControl
import InverterDialects
import JKBMS
import Testing

@testable import BridgeEngine

/// The engine with one JK pack on one line and one Pylontech inverter, driven by hand.
struct Bench {
    var engine: Engine
    var ports = RecordingPorts()
    var now: Int64 = 0
    /// Answers requests while true.
    var bmsAlive = true
    var report = JK4E57.Report()
    private var answered = 0
    private var wakeAt: Int64 = 0

    init(pollInterval: Int64 = 1000, record: PersistedRecord? = nil) {
        var control = ControlConfiguration(chemistry: .lfp)
        control.packs.append(PackConfiguration())
        control.userCharge = 100_000
        control.userDischarge = 100_000
        var configuration = BridgeConfiguration(control: control)
        var line = BMSPortConfiguration()
        line.pace.interval = pollInterval
        line.addresses.append(0)
        configuration.bmsPorts.append(line)
        configuration.inverterPorts.append(InverterPortConfiguration())
        engine = Engine(configuration: configuration, record: record, at: Instant(milliseconds: 0))
        report.command = 6
        report.transport = 1
        for _ in 0..<16 { report.cells.append(3320) }
        report.setRaw(.protocolVersion, to: 1)
        let values: [(JK4E57.Identifier, Int64)] = [
            (.mosfetTemperature, 25), (.temperature1, 22), (.temperature2, 23), (.packVoltage, 53_120),
            (.current, 10_000),
            (.soc, 60), (.probeCount, 2), (.cycles, 12), (.cellCount, 16), (.warnings, 0), (.status, 3),
            (.cellOverVoltage, 3650), (.cellUnderVoltage, 2700), (.dischargeOverCurrent, 150),
            (.chargeOverCurrent, 120),
            (.chargeOverTemperature, 60), (.dischargeOverTemperature, 70), (.chargeUnderTemperature, 0),
            (.configuredCellCount, 16), (.configuredCapacity, 280), (.chargeEnabled, 1), (.dischargeEnabled, 1),
            (.learnedCapacity, 280),
        ]
        for (id, value) in values { report.setValue(of: id, to: value) }
        engine.bmsPort(0, isOpen: true, at: Instant(milliseconds: 0), ports: &ports)
        engine.inverterPort(0, state: .active, at: Instant(milliseconds: 0), ports: &ports)
    }

    /// Lets time pass in steps of 1 ms, waking the engine exactly when it asked for it; a reply takes 27 ms.
    mutating func run(for duration: Int64) {
        let end = now + duration
        while now < end {
            ports.now = now
            if now >= wakeAt {
                wakeAt = engine.wake(at: Instant(milliseconds: now), ports: &ports).milliseconds
            }
            if ports.requests.count > answered, now >= ports.requests[answered].at + 27 {
                answered += 1
                if bmsAlive { reply() }
                wakeAt = now + 1
            }
            now += 1
        }
    }

    mutating func reply() {
        // A body that never changes counts as stuck after two minutes (amendment 1), so one cell moves by a millivolt.
        report.cells[0] ^= 1
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        let bytes = (0..<frame.count).map { frame[$0] }
        engine.received(bytes.span, onBMSPort: 0, at: Instant(milliseconds: now), ports: &ports)
    }

    mutating func order(_ command: LinkCommand) {
        let message = command.message(sequence: command.identity)
        message.withBytes { bytes in engine.receivedLink(bytes, at: Instant(milliseconds: now), ports: &ports) }
    }

    func replies() -> [LinkCommandReply] {
        ports.received(.commandReply).map { message in
            var reply = LinkCommandReply()
            var reader = message.payload
            reply.visitFields(&reader)
            return reply
        }
    }

    func events(_ kind: EngineEventKind) -> [EngineEvent] {
        ports.received(.event).compactMap { message in
            var event = EngineEvent()
            var reader = message.payload
            event.visitFields(&reader)
            return reader.isValid && event.kind == kind ? event : nil
        }
    }
}

@Suite struct EngineTests {
    @Test func `the first request goes out when the line opens and asks for the whole table`() {
        var bench = Bench()
        bench.run(for: 5)
        let request = bench.ports.requests.first
        #expect(request?.at == 0)
        #expect(request?.bytes.prefix(2) == [0x4E, 0x57])
        #expect(request?.bytes.count == 21)
    }

    @Test func `in the fast mode each reply is followed by the next request at once`() {
        var bench = Bench(pollInterval: 0)
        bench.run(for: 1000)
        // 27 ms for a reply, 1 ms for the step of this bench.
        #expect(bench.ports.requests.count >= 1000 / 29)
    }

    @Test func `what the BMS says reaches the readers of Link within the second`() throws {
        var bench = Bench()
        bench.run(for: 2500)
        let packs = bench.ports.received(.pack)
        let last = try #require(packs.last)
        var pack = PackPayload()
        var reader = last.payload
        pack.visitFields(&reader)
        #expect(reader.isValid)
        #expect(pack.reading.cells.count == 16)
        #expect(pack.reading.cells[15] == 3320)
        #expect(pack.reading.current == 10_000)
        #expect(pack.reading.soc == 6000)
        #expect(pack.readingAge >= 0 && pack.readingAge < 1000)
        #expect(pack.reading.settings?.cellOverVoltage == 3650)
        let ends = bench.ports.received(.endOfSnapshot).count
        #expect(ends == 3)
    }

    @Test func `a silent BMS is asked on, and its port is opened again each 30 s`() {
        var bench = Bench()
        bench.bmsAlive = false
        bench.run(for: 61_000)
        #expect(bench.ports.reopened == [0, 0])
        #expect(bench.ports.requests.count > 60)
        #expect(bench.engine.bmsPorts[0].counters.timeouts > 10)
    }

    @Test func `a heartbeat heard and lost is told as two events`() {
        var bench = Bench()
        bench.run(for: 100)
        bench.engine.received(
            CANFrame(id: 0x305, length: 8), onInverterPort: 0, at: Instant(milliseconds: 100), ports: &bench.ports)
        bench.run(for: 12_000)
        #expect(bench.events(.heartbeat).map(\.a) == [1, 0])
    }

    @Test func `a reader that was away gets the events that it missed, and the configuration`() throws {
        var bench = Bench()
        bench.run(for: 3000)
        bench.ports.messages.removeAll()
        let request = LinkReplay(after: 0).message(sequence: 1)
        request.withBytes { bytes in
            bench.engine.receivedLink(bytes, at: Instant(milliseconds: bench.now), ports: &bench.ports)
        }
        let numbers = bench.ports.received(.event).map { message in
            var event = EngineEvent()
            var reader = message.payload
            event.visitFields(&reader)
            return event.number
        }
        #expect(numbers == (1...bench.engine.events.last).map { $0 })
        let message = try #require(bench.ports.received(.configuration).first)
        let copy = try message.withPayload { bytes in try BridgeConfiguration(image: bytes) }
        #expect(copy == bench.engine.configuration)
    }

    @Test func `an engine that begins anew where another has worked is like a new one`() {
        var fresh = Bench()
        var reused = Bench()
        reused.bmsAlive = false
        reused.run(for: 60_000)
        let (worn, configuration) = (reused.engine, reused.engine.configuration)
        reused = Bench()
        reused.engine = worn
        reused.engine.begin(configuration: configuration, record: nil, at: Instant(milliseconds: 0))
        fresh.engine = Engine(configuration: configuration, record: nil, at: Instant(milliseconds: 0))
        fresh.engine.bmsPort(0, isOpen: true, at: Instant(milliseconds: 0), ports: &fresh.ports)
        reused.engine.bmsPort(0, isOpen: true, at: Instant(milliseconds: 0), ports: &reused.ports)
        fresh.engine.inverterPort(0, state: .active, at: Instant(milliseconds: 0), ports: &fresh.ports)
        reused.engine.inverterPort(0, state: .active, at: Instant(milliseconds: 0), ports: &reused.ports)
        fresh.run(for: 120_000)
        reused.run(for: 120_000)
        #expect(!fresh.ports.sent.isEmpty)
        #expect(reused.ports.sent.map(\.frame) == fresh.ports.sent.map(\.frame))
        #expect(reused.ports.messages == fresh.ports.messages)
    }

    @Test func `half a frame from before the port was lost is not completed by what comes after`() {
        var bench = Bench()
        bench.bmsAlive = false
        bench.run(for: 10)
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(bench.report, into: &frame)
        let bytes = (0..<frame.count).map { frame[$0] }
        let (head, tail) = (Array(bytes[0..<100]), Array(bytes[100...]))
        bench.engine.received(head.span, onBMSPort: 0, at: Instant(milliseconds: 10), ports: &bench.ports)
        bench.engine.bmsPort(0, isOpen: false, at: Instant(milliseconds: 11), ports: &bench.ports)
        bench.engine.bmsPort(0, isOpen: true, at: Instant(milliseconds: 12), ports: &bench.ports)
        bench.engine.received(tail.span, onBMSPort: 0, at: Instant(milliseconds: 13), ports: &bench.ports)
        #expect(bench.engine.bmsPorts[0].counters.snapshots == 0)
    }

    // MARK: with the control logic

    func sent(_ bench: Bench, _ id: UInt32) -> [RecordingPorts.Sent] {
        bench.ports.sent.filter { $0.frame.id == id }
    }

    /// CCL of a Pylontech 0x351, mA.
    func chargeLimit(_ frame: CANFrame) -> Int { Int(UInt16(frame[2]) | UInt16(frame[3]) << 8) * 100 }
    func dischargeLimit(_ frame: CANFrame) -> Int { Int(UInt16(frame[4]) | UInt16(frame[5]) << 8) * 100 }

    @Test func `the first set goes out right after the snapshots that the start-up rule asks for, with limits 0`()
        throws
    {
        var bench = Bench()
        bench.run(for: 3000)
        let first = try #require(bench.ports.sent.first)
        // Three agreeing snapshots over at least 1.5 s (amendment 14); a reply takes 27 ms.
        #expect(first.at >= 1527 && first.at <= 1577)
        #expect(first.frame.id == 0x351)
        #expect(chargeLimit(first.frame) == 0 && dischargeLimit(first.frame) == 0)
        #expect(bench.events(.transmitting).count == 1)
    }

    @Test func `F1: a BMS unplugged at 100 A: held for 15 s, 0 A by 30 s, and the frames go on`() throws {
        var bench = Bench()
        bench.report.setValue(of: .current, to: -100_000)
        bench.run(for: 120_000)
        #expect(dischargeLimit(try #require(sent(bench, 0x351).last).frame) == 100_000)
        let unplugged = bench.now
        bench.bmsAlive = false
        bench.run(for: 60_000)
        let after = sent(bench, 0x351).filter { $0.at > unplugged }
        let held = after.filter { $0.at < unplugged + 14_000 }
        #expect(held.allSatisfy { dischargeLimit($0.frame) == 100_000 })
        let zero = after.filter { $0.at >= unplugged + 30_000 }
        #expect(zero.count >= 29)
        #expect(zero.allSatisfy { chargeLimit($0.frame) == 0 && dischargeLimit($0.frame) == 0 })
        let enables = sent(bench, 0x35C).filter { $0.at >= unplugged + 30_000 }
        #expect(enables.allSatisfy { $0.frame[0] & 0xC0 == 0 })
        #expect(zip(after, after.dropFirst()).allSatisfy { $1.at - $0.at <= 1500 })
        #expect(bench.events(.packState).contains { $0.b == Int32(PackState.lost.rawValue) })
    }

    @Test func `a protective cut is on the bus in the same millisecond as the reply that asked for it`() throws {
        var bench = Bench()
        bench.run(for: 90_000)
        bench.report.cells[6] = 3610
        let before = bench.now
        bench.run(for: 2000)
        let cut = try #require(sent(bench, 0x351).first { $0.at > before && chargeLimit($0.frame) == 0 })
        let reply = try #require(bench.ports.requests.first { $0.at + 27 >= before }).at + 27
        #expect(cut.at == reply)
        #expect(bench.engine.controller.output.chargeReason.place == CellPlace(pack: 1, cell: 7))
    }

    @Test func `a command lowers the limit, is acknowledged, and expires`() throws {
        var bench = Bench()
        bench.run(for: 120_000)
        #expect(chargeLimit(try #require(sent(bench, 0x351).last).frame) == 100_000)
        bench.order(LinkCommand(identity: 9, order: .chargeCap, value: 20_000, timeToLive: 60_000))
        bench.run(for: 30_000)
        #expect(chargeLimit(try #require(sent(bench, 0x351).last).frame) == 20_000)
        #expect(bench.replies().map(\.identity) == [9])
        #expect(bench.replies().map(\.refusal) == [nil])
        bench.run(for: 90_000)
        #expect(chargeLimit(try #require(sent(bench, 0x351).last).frame) == 100_000)
    }

    @Test func `a command that would raise a limit changes nothing, one without time to live is refused`() throws {
        var bench = Bench()
        bench.run(for: 120_000)
        bench.order(LinkCommand(identity: 1, order: .chargeCap, value: 500_000, timeToLive: 60_000))
        bench.order(LinkCommand(identity: 2, order: .pauseCharge, timeToLive: 0))
        bench.run(for: 5000)
        #expect(chargeLimit(try #require(sent(bench, 0x351).last).frame) == 100_000)
        #expect(bench.replies().last?.refusal == .timeToLiveOutOfRange)
    }

    @Test
    func `after a restart with the record the first set is as early as after a cold start and limits ramp from 0`()
        throws
    {
        var bench = Bench()
        bench.run(for: 120_000)
        let image = try #require(bench.ports.records.last)
        let read = PersistedRecord(image: image.span)
        let record = try #require(read)
        #expect(record.boots == 1)
        var again = Bench(record: record)
        again.run(for: 5000)
        let first = try #require(again.ports.sent.first)
        #expect(first.at <= 1577)
        #expect(chargeLimit(first.frame) == 0)
    }

    /// Limits in 0x351 as the last one said, A.
    private func told(_ bench: Bench) -> (charge: Int32, discharge: Int32) {
        guard let frame = bench.ports.sent.last(where: { $0.frame.id == 0x351 })?.frame else { return (-1, -1) }
        return ((Int32(frame[2]) | Int32(frame[3]) << 8) / 10, (Int32(frame[4]) | Int32(frame[5]) << 8) / 10)
    }

    @Test func `before a planned stop limits come down to 0.1C, the inverter is told, and no reset is counted`() throws {
        var bench = Bench()
        bench.run(for: 90_000)
        #expect(told(bench) == (100, 100))
        bench.engine.prepareStop(at: Instant(milliseconds: bench.now), ports: &bench.ports)
        #expect(!bench.engine.isReadyToStop(at: Instant(milliseconds: bench.now)))
        bench.run(for: 4_000)
        #expect(told(bench).charge > 28 && told(bench).charge < 100)
        #expect(!bench.engine.isReadyToStop(at: Instant(milliseconds: bench.now)))
        var waited: Int64 = 4_000
        while !bench.engine.isReadyToStop(at: Instant(milliseconds: bench.now)) && waited < 30_000 {
            bench.run(for: 100)
            waited += 100
        }
        #expect(waited <= 12_000)
        #expect(told(bench) == (28, 28), "0.1C of 280 Ah")
        bench.engine.stop(at: Instant(milliseconds: bench.now), ports: &bench.ports)
        let image = bench.ports.records.last!
        let record = PersistedRecord(image: image.span)
        #expect(record?.boots == 0)
    }

    @Test func `a planned stop waits for nobody when nothing is told, and not for ever when limits stay high`() {
        var silent = Bench()
        silent.bmsAlive = false
        silent.run(for: 3_000)
        silent.engine.prepareStop(at: Instant(milliseconds: silent.now), ports: &silent.ports)
        #expect(silent.engine.isReadyToStop(at: Instant(milliseconds: silent.now)))
        var deaf = Bench()
        deaf.run(for: 60_000)
        deaf.engine.inverterPort(0, state: .busOff, at: Instant(milliseconds: deaf.now), ports: &deaf.ports)
        deaf.engine.prepareStop(at: Instant(milliseconds: deaf.now), ports: &deaf.ports)
        #expect(deaf.engine.isReadyToStop(at: Instant(milliseconds: deaf.now)))
        // Nobody wakes it: the time is over all the same.
        var stuck = Bench()
        stuck.run(for: 60_000)
        stuck.engine.prepareStop(at: Instant(milliseconds: stuck.now), ports: &stuck.ports)
        #expect(!stuck.engine.isReadyToStop(at: Instant(milliseconds: stuck.now + 14_000)))
        #expect(stuck.engine.isReadyToStop(at: Instant(milliseconds: stuck.now + 15_000)))
    }

    @Test func `a changed configuration comes into force without a gap on the bus, and is told over Link`() throws {
        var bench = Bench()
        bench.run(for: 90_000)
        var changed = bench.engine.configuration
        changed.control.userCharge = 30_000
        let before = bench.now
        try bench.engine.reconfigure(changed, at: Instant(milliseconds: before), ports: &bench.ports)
        #expect(told(bench) == (30, 100), "tighter at once")
        #expect(bench.engine.configuration.generation == 1)
        let image = try #require(bench.ports.received(.configuration).last)
        let read = try image.withPayload { (bytes) throws(BridgeConfiguration.ImageProblem) in
            try BridgeConfiguration(image: bytes)
        }
        #expect(read == bench.engine.configuration)
        bench.run(for: 5_000)
        let times = bench.ports.sent.filter { $0.frame.id == 0x351 && $0.at > before - 5_000 }.map(\.at)
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 <= 1_200 })
    }

    @Test func `a configuration that is wrong or concerns other devices is refused as a whole`() {
        var bench = Bench()
        bench.run(for: 60_000)
        let before = bench.engine.configuration
        var wrong = before
        wrong.control.userCharge = 20_000
        wrong.control.bulk = 9_999
        #expect(throws: Engine.Refusal.invalid) {
            try bench.engine.reconfigure(wrong, at: Instant(milliseconds: bench.now), ports: &bench.ports)
        }
        var other = before
        other.control.userCharge = 20_000
        other.inverterPorts[0].dialect = .growatt
        #expect(throws: Engine.Refusal.needsRestart) {
            try bench.engine.reconfigure(other, at: Instant(milliseconds: bench.now), ports: &bench.ports)
        }
        #expect(bench.engine.configuration == before)
        bench.run(for: 2_000)
        #expect(told(bench) == (100, 100))
    }
}
