import Battery
import ChargeControl
import InverterDialects
import Testing

@testable import BridgeEngine

/// The engine with one pack of a given protocol, fed over Link.
private struct Fed {
    var engine: Engine
    var ports = RecordingPorts()

    init(_ name: BMSProtocolName) {
        var control = ControlConfiguration(chemistry: .lfp)
        control.packs.append(PackConfiguration())
        var configuration = BridgeConfiguration(control: control)
        var line = BMSPortConfiguration()
        line.bmsProtocol = name
        line.addresses.append(0)
        configuration.bmsPorts.append(line)
        engine = Engine(configuration: configuration, record: nil, at: Instant(milliseconds: 0))
        engine.bmsPort(0, isOpen: true, at: Instant(milliseconds: 0), ports: &ports)
    }

    mutating func feed(pack: UInt8, identity: UInt32 = 9, at now: Int64) {
        var reading = PackReading()
        for _ in 0..<16 { reading.cells.append(3320) }
        reading.packVoltage = 53_120
        let message = LinkReading(identity: identity, pack: pack, reading: reading).message(sequence: identity)
        message.withBytes { engine.receivedLink($0, at: Instant(milliseconds: now), ports: &ports) }
    }

    var counters: BMSPortCounters { engine.bmsPorts[0].counters }

    var refusals: [LinkCommandReply] {
        ports.received(.commandReply).map { message in
            var reply = LinkCommandReply()
            var reader = message.payload
            reply.visitFields(&reader)
            return reply
        }
    }
}

@Suite struct LinkInputTests {
    @Test func `a reading arrives with every field as it was sent`() {
        var fed = Fed(.link)
        fed.feed(pack: 1, at: 1000)
        #expect(fed.counters.snapshots == 1)
        #expect(fed.engine.readings[0].reading.packVoltage == 53_120)
        #expect(fed.engine.readings[0].reading.cells.count == 16)
        #expect(fed.engine.readings[0].at == Instant(milliseconds: 1000))
        #expect(fed.refusals.isEmpty)
    }

    @Test(arguments: BMSProtocolName.allCases.filter { $0 != .link })
    func `nobody can speak for a pack that has a BMS of its own`(name: BMSProtocolName) {
        var fed = Fed(name)
        fed.feed(pack: 1, identity: 77, at: 1000)
        #expect(fed.counters.snapshots == 0)
        #expect(fed.engine.readings[0].at == nil)
        #expect(fed.refusals.map(\.identity) == [77])
        #expect(fed.refusals.map(\.refusal) == [.noSuchPack])
    }

    @Test(arguments: [UInt8(0), 2, 255])
    func `a pack that does not exist is refused`(pack: UInt8) {
        var fed = Fed(.link)
        fed.feed(pack: pack, at: 1000)
        #expect(fed.counters.snapshots == 0)
        #expect(fed.refusals.map(\.refusal) == [.noSuchPack])
    }

    @Test func `of a flood ten readings in a second are looked at`() {
        var fed = Fed(.link)
        for now in 1000..<3000 { fed.feed(pack: 1, at: Int64(now)) }
        #expect(fed.counters.snapshots == 20)
    }

    @Test func `silence is reported every five seconds and opens nothing again`() {
        var fed = Fed(.link)
        fed.feed(pack: 1, at: 0)
        var now = Int64(0)
        while now < 61_000 { now = fed.engine.wake(at: Instant(milliseconds: now), ports: &fed.ports).milliseconds }
        #expect(fed.counters.timeouts == 12)
        #expect(fed.ports.reopened.isEmpty)
    }
}
