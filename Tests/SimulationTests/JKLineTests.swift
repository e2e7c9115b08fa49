import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import Simulation
import Testing

/// The whole engine with simulated JK units on one line of any protocol, on a virtual clock.
private struct LineRig {
    var engine: Engine
    var ports = LinePorts()
    var packs: [SimulatedPack]
    var bus: SimulatedJKBus
    var can: [SimulatedJKCAN]
    var silent: Set<Int> = []
    let isCAN: Bool
    private var now: Int64 = 0
    private var wakeAt: Int64 = 0
    private var waiting: [(at: Int64, bytes: [UInt8])] = []

    init(_ name: BMSProtocolName, addresses: [UInt8], change: (inout BMSPortConfiguration) -> Void = { _ in }) {
        var control = ControlConfiguration(chemistry: .lfp)
        control.userCharge = 100_000
        control.userDischarge = 100_000
        for _ in addresses {
            var pack = PackConfiguration()
            pack.chargeOverCurrent = name == .jkCAN ? 150_000 : nil
            pack.dischargeOverCurrent = name == .jkCAN ? 150_000 : nil
            control.packs.append(pack)
        }
        var configuration = BridgeConfiguration(control: control)
        isCAN = name == .jkCAN
        // A CAN port has one unit; the others are ports of their own on the same bus.
        for group in isCAN ? addresses.map({ [$0] }) : [addresses] {
            var line = BMSPortConfiguration()
            line.bmsProtocol = name
            line.firstPack = UInt8(isCAN ? configuration.bmsPorts.count : 0)
            for address in group { line.addresses.append(address) }
            change(&line)
            configuration.bmsPorts.append(line)
        }
        configuration.inverterPorts.append(InverterPortConfiguration())
        packs = addresses.indices.map { index in
            var pack = SimulatedPack(PackDesign(), seed: UInt64(index + 1))
            for _ in 0..<60 { pack.step(current: 20, seconds: 1, ambient: 22) }
            return pack
        }
        bus = SimulatedJKBus(addresses: addresses)
        can = addresses.map { SimulatedJKCAN(address: $0) }
        let start = Instant(milliseconds: 0)
        engine = Engine(configuration: configuration, record: nil, at: start)
        for port in 0..<configuration.bmsPorts.count { engine.bmsPort(port, isOpen: true, at: start, ports: &ports) }
        engine.inverterPort(0, state: .active, at: start, ports: &ports)
    }

    mutating func run(seconds: Int64) {
        let end = now + seconds * 1000
        while now < end {
            if now % 1000 == 0 { for i in packs.indices { packs[i].step(current: 20, seconds: 1, ambient: 22) } }
            let at = Instant(milliseconds: now)
            if isCAN { sendFrames(at) } else { exchange(at) }
            if now >= wakeAt { wakeAt = engine.wake(at: at, ports: &ports).milliseconds }
            now += 1
        }
    }

    private mutating func exchange(_ at: Instant) {
        var copy = packs
        let silent = silent
        let measure = { measurement($0, &copy, silent) }
        for request in ports.takeRequests() {
            for answer in bus.receive(request.span, measure: measure) {
                waiting.append((now + answer.delay + Int64(answer.bytes.count * 1000 / 11_520), answer.bytes))
            }
        }
        if let told = bus.masterTraffic(at: now, measure: measure) { waiting.append((now, told)) }
        packs = copy
        while let first = waiting.first, first.at <= now {
            engine.received(first.bytes.span, onBMSPort: 0, at: at, ports: &ports)
            wakeAt = now
            waiting.removeFirst()
        }
    }

    private mutating func sendFrames(_ at: Instant) {
        if now % 100 != 0 { return }
        for index in can.indices {
            guard let m = measurement(index, &packs, silent) else { continue }
            for frame in can[index].frames(m) {
                for port in can.indices { engine.received(frame, onBMSPort: port, at: at, ports: &ports) }
            }
        }
    }

    var report: BankReport { engine.controller.output.report }
    func ages() -> [Milliseconds] {
        (0..<engine.controller.output.packs.count).map { engine.controller.output.packs[$0].age }
    }
}

private func measurement(_ index: Int, _ packs: inout [SimulatedPack], _ silent: Set<Int>) -> PackMeasurement? {
    if silent.contains(index) { return nil }
    var m = PackMeasurement()
    packs[index].measure(into: &m)
    return m
}

private struct LinePorts: EnginePorts {
    private var requests: [[UInt8]] = []
    private(set) var transmitted = 0
    mutating func takeRequests() -> [[UInt8]] {
        defer { requests = [] }
        return requests
    }
    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        transmitted += 1
        requests.append(bytes.indices.map { bytes[$0] })
    }
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult { .queued }
    mutating func restartBus(inverterPort port: Int) {}
    mutating func reopen(bmsPort port: Int) {}
    mutating func publish(_ message: Span<UInt8>) {}
    mutating func persist(_ image: Span<UInt8>) {}
}

@Suite struct JKLineTests {
    /// Two packs of 280 Ah: 100 A is the owner's cap, everything else allows more.
    @Test(arguments: [BMSProtocolName.jkModbus, .jk55AA, .jkCAN])
    func `two packs on one line reach the owner's limits`(name: BMSProtocolName) {
        var rig = LineRig(name, addresses: [1, 2])
        rig.run(seconds: 90)
        #expect(rig.report.packsOnline == 2)
        #expect(rig.report.chargeCurrentLimit == 100_000)
        #expect(rig.report.dischargeCurrentLimit == 100_000)
        #expect(rig.ages().allSatisfy { (0...3000).contains($0) }, "\(rig.ages())")
        #expect((rig.ports.transmitted > 0) == (name != .jkCAN), "CAN is only listened to")
    }

    @Test func `a bus with a master is listened to without one byte being sent`() {
        var rig = LineRig(.jk55AA, addresses: [0, 1, 2])
        rig.run(seconds: 120)
        #expect(rig.ports.transmitted == 0)
        #expect(rig.report.packsOnline == 3)
        #expect(rig.report.chargeCurrentLimit == 100_000)
    }

    @Test func `listening alone is a setting`() {
        var rig = LineRig(.jk55AA, addresses: [1, 2]) { $0.listenOnly = true }
        rig.run(seconds: 20)
        #expect(rig.ports.transmitted == 0)
        #expect(rig.ages() == [-1, -1], "nobody asks these units")
    }

    @Test(arguments: [BMSProtocolName.jkModbus, .jk55AA, .jkCAN])
    func `a unit that falls silent is lost alone`(name: BMSProtocolName) {
        var rig = LineRig(name, addresses: [4, 9, 15])
        rig.run(seconds: 90)
        #expect(rig.report.packsOnline == 3)
        rig.silent = [1]
        rig.run(seconds: 60)
        #expect(rig.report.packsOnline == 2)
        #expect(rig.ages()[1] >= 50_000)
        #expect(rig.ages()[0] <= 5000 && rig.ages()[2] <= 5000)
    }

    @Test(arguments: [BMSProtocolName.jkModbus, .jk55AA])
    func `all packs that a line can have are polled in time`(name: BMSProtocolName) {
        // Address 0 would be the master of a bus of records.
        var rig = LineRig(name, addresses: Array(name == .jk55AA ? 1...15 : 0...15))
        rig.run(seconds: 120)
        #expect(Int(rig.report.packsOnline) == rig.packs.count)
        #expect(rig.ages().allSatisfy { $0 <= 5000 }, "\(rig.ages())")
    }

    @Test func `the sign of the current over CAN is a setting`() {
        var vendor = LineRig(.jkCAN, addresses: [3]) { $0.dischargeIsPositive = true }
        var others = LineRig(.jkCAN, addresses: [3])
        vendor.run(seconds: 20)
        others.run(seconds: 20)
        #expect(others.report.current > 15_000)
        #expect(vendor.report.current < -15_000)
    }
}
