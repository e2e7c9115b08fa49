import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import Simulation
import Testing

/// The engine with two packs and two inverters, of which the second asks over RS485, on a virtual clock.
private struct TwoInverterRig {
    var engine: Engine
    var ports = Recorder()
    private var packs: [SimulatedPack]
    private var uarts: [SimulatedJK4E57]
    private(set) var now: Int64 = 0
    private var wakeAt: Int64 = 0
    var isUnplugged = false

    init(
        shares: (Int32, Int32) = (500, 500), charge: Milliamps = 101_000, silentWhenLost: Bool = false,
        second dialect: DialectName? = nil
    ) {
        var control = ControlConfiguration(chemistry: .lfp)
        control.userCharge = charge
        control.userDischarge = 99_000
        control.inverter.silentWhenLost = silentWhenLost
        for _ in 0..<2 { control.packs.append(PackConfiguration()) }
        var configuration = BridgeConfiguration(control: control)
        for pack in UInt8(0)..<2 {
            var line = BMSPortConfiguration()
            line.firstPack = pack
            line.addresses.append(0)
            configuration.bmsPorts.append(line)
        }
        var first = InverterPortConfiguration()
        first.sharePerMille = shares.0
        var second = InverterPortConfiguration()
        second.sharePerMille = shares.1
        if let dialect { second.dialect = dialect } else { second.rs485 = PylontechRS485Settings() }
        configuration.inverterPorts.append(first)
        configuration.inverterPorts.append(second)
        packs = (0..<2).map { SimulatedPack(PackDesign(), seed: UInt64($0 + 1)) }
        uarts = packs.map { _ in SimulatedJK4E57(cells: 16, capacity: 280, chemistry: .lfp) }
        let start = Instant(milliseconds: 0)
        engine = Engine(configuration: configuration, record: nil, at: start)
        for port in 0..<2 {
            engine.bmsPort(port, isOpen: true, at: start, ports: &ports)
            engine.inverterPort(port, state: .active, at: start, ports: &ports)
        }
    }

    mutating func run(seconds: Int64) {
        let end = now + seconds * 1000
        while now < end {
            let at = Instant(milliseconds: now)
            if now % 1000 == 0 { for i in packs.indices { packs[i].step(current: 10, seconds: 1, ambient: 22) } }
            ports.now = now
            let requests = ports.requests
            ports.requests = []
            for (port, bytes) in requests where !isUnplugged {
                var measurement = PackMeasurement()
                packs[port].measure(into: &measurement)
                guard uarts[port].receive(bytes.span, measurement: { measurement }) else { continue }
                let reply = uarts[port].reply
                engine.received(reply.span, onBMSPort: port, at: at, ports: &ports)
                wakeAt = now
            }
            if now >= wakeAt { wakeAt = engine.wake(at: at, ports: &ports).milliseconds }
            now += 1
        }
    }

    /// What the battery says to `body` (VER to INFO of a request) on port 1; empty = silence.
    mutating func ask(_ body: String, after pause: Int64 = 0) -> String {
        ports.answer = []
        let sum = body.utf8.reduce(UInt16(0)) { $0 &+ UInt16($1) }
        let digits = String(0 &- sum, radix: 16, uppercase: true)
        let telegram = Array("~\(body)\(String(repeating: "0", count: 4 - digits.count))\(digits)\r".utf8)
        engine.received(telegram.span, onInverterPort: 1, at: Instant(milliseconds: now + pause), ports: &ports)
        return String(decoding: ports.answer, as: UTF8.self)
    }

    /// Charge and discharge limit of the answer to 63, in tenths of an ampere.
    mutating func askLimits(after pause: Int64 = 0) -> (charge: Int, discharge: Int, status: Int)? {
        let answer = ask("20024663E00201", after: pause)
        guard answer.count == 36 else { return nil }
        let info = Array(answer.dropFirst(13).prefix(18))
        func word(_ at: Int) -> Int { Int(String(info[at..<at + 4]), radix: 16)! }
        return (word(8), word(12), Int(String(info[16...]), radix: 16)!)
    }

    /// The same out of the last 0x351 of the CAN port.
    var canLimits: (charge: Int, discharge: Int)? {
        ports.frames.last { $0.id == 0x351 }.map {
            (Int($0[2]) | Int($0[3]) << 8, Int($0[4]) | Int($0[5]) << 8)
        }
    }
}

private struct Recorder: EnginePorts {
    var now: Int64 = 0
    var requests: [(port: Int, bytes: [UInt8])] = []
    var frames: [CANFrame] = []
    var framesOfSecond: [CANFrame] = []
    var answer: [UInt8] = []
    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        requests.append((port, bytes.indices.map { bytes[$0] }))
    }
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        if port == 0 { frames.append(frame) } else { framesOfSecond.append(frame) }
        return .queued
    }
    mutating func transmit(_ bytes: Span<UInt8>, onInverterPort port: Int) {
        if port != 1 { Issue.record("RS485 on the CAN port") }
        answer += bytes.indices.map { bytes[$0] }
    }
    mutating func restartBus(inverterPort port: Int) {}
    mutating func reopen(bmsPort port: Int) {}
    mutating func publish(_ message: Span<UInt8>) {}
    mutating func persist(_ image: Span<UInt8>) {}
}

@Suite struct RS485PortTests {
    @Test func `nothing is answered before the battery is known`() {
        var rig = TwoInverterRig()
        rig.isUnplugged = true
        rig.run(seconds: 30)
        let answer = rig.ask("20024663E00201")
        #expect(answer == "")
    }

    @Test func `an answer has the limits of its share, and the requests count as heartbeat`() throws {
        var rig = TwoInverterRig(shares: (700, 300))
        rig.run(seconds: 120)
        let told = rig.askLimits()
        let limits = try #require(told)
        // 30 % of 101 A and of 99 A, cut to 0.1 A.
        #expect(limits.charge == 303)
        #expect(limits.discharge == 297)
        #expect(limits.status == 0xC0)
        #expect(rig.engine.isHeartbeatFresh(1, at: Instant(milliseconds: rig.now)))
        #expect(!rig.engine.isHeartbeatFresh(0, at: Instant(milliseconds: rig.now)))
    }

    @Test(arguments: [(500, 500), (999, 1), (333, 333), (1, 999), (650, 350)])
    func `both inverters together never get more than the bank`(shares: (Int32, Int32)) throws {
        var rig = TwoInverterRig(shares: shares, charge: 100_700)
        for _ in 0..<30 {
            rig.run(seconds: 5)
            guard let can = rig.canLimits, let line = rig.askLimits() else { continue }
            let report = rig.engine.controller.output.report
            #expect((can.charge + line.charge) * 100 <= Int(report.chargeCurrentLimit))
            #expect((can.discharge + line.discharge) * 100 <= Int(report.dischargeCurrentLimit))
        }
        #expect(rig.engine.controller.output.report.chargeCurrentLimit == 100_700, "the limits have risen in between")
    }

    /// Charge current limit of a dialect in tenths of an ampere, out of the last frames.
    private func chargeLimit(_ frames: [CANFrame], _ dialect: DialectName) -> Int64? {
        var found: Int64?
        dialect.signals { signal in
            guard signal.name.description == "ChargeCurrentLimit", let frame = frames.last(where: { $0.id == signal.frame })
            else { return }
            found = signal.raw(in: frame)
        }
        return found
    }

    @Test(arguments: [DialectName.growatt, .victron, .sma])
    func `two inverters on CAN are each spoken to in their own dialect`(dialect: DialectName) throws {
        var rig = TwoInverterRig(shares: (600, 400), second: dialect)
        for _ in 0..<40 {
            rig.run(seconds: 4)
            guard let first = chargeLimit(rig.ports.frames, .pylontech),
                let second = chargeLimit(rig.ports.framesOfSecond, dialect)
            else { continue }
            #expect((first + second) * 100 <= rig.engine.controller.output.report.chargeCurrentLimit)
        }
        #expect(chargeLimit(rig.ports.frames, .pylontech) == 606)
        #expect(chargeLimit(rig.ports.framesOfSecond, dialect) == 404)
        let ids = Set(rig.ports.framesOfSecond.map(\.id))
        var set = FrameSet(filler: CANFrame(id: 0, length: 0))
        dialect.encode(BankReport(), into: &set)
        #expect(ids == Set((0..<set.count).map { set[$0].id }))
    }

    @Test func `a lost battery is told as zero limits, and as silence where the profile wants that`() throws {
        var rig = TwoInverterRig()
        rig.run(seconds: 120)
        rig.isUnplugged = true
        rig.run(seconds: 40)
        let told = rig.askLimits()
        let limits = try #require(told)
        #expect(limits.charge == 0 && limits.discharge == 0 && limits.status & 0xC0 == 0)
        let cells = rig.ask("20024642E00202")
        #expect(cells.hasPrefix("~20024691"), "the cells of a lost pack are no longer told")
        var silent = TwoInverterRig(silentWhenLost: true)
        silent.run(seconds: 120)
        silent.isUnplugged = true
        silent.run(seconds: 40)
        let silence = silent.ask("20024663E00201")
        #expect(silence == "")
    }

    @Test func `after a pause of the process no old limit is told`() throws {
        var rig = TwoInverterRig()
        rig.run(seconds: 120)
        let before = rig.askLimits()
        #expect(try #require(before).charge > 0)
        // Nobody has called the engine for a minute when these bytes come.
        let told = rig.askLimits(after: 60_000)
        let limits = try #require(told)
        #expect(limits.charge == 0 && limits.discharge == 0)
    }

    @Test func `of several requests in one piece only the last is answered`() {
        var rig = TwoInverterRig()
        rig.run(seconds: 120)
        rig.ports.answer = []
        let requests = Array("~20024661E00201FD33\r~2002464F0000FD98\r".utf8)
        rig.engine.received(requests.span, onInverterPort: 1, at: Instant(milliseconds: rig.now), ports: &rig.ports)
        #expect(String(decoding: rig.ports.answer, as: UTF8.self) == "~330246000000FDAE\r")
    }

    @Test func `the answer for a group of 42 tells both packs`() {
        var rig = TwoInverterRig()
        rig.run(seconds: 120)
        let answer = rig.ask("20024642E002FF")
        #expect(answer.hasPrefix("~20024600"))
        #expect(answer.dropFirst(13).hasPrefix("000210"), "flags, two modules, 16 cells: \(answer.prefix(30))")
    }
}
