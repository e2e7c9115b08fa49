import Battery
import BridgeEngine
import ChargeControl
import Testing

@testable import Firmware

@Suite struct BridgeLoopTests {
    @Test func `the first frame comes at most 200 ms later than the start-up rule asks for`() throws {
        var rig = Rig()
        rig.run(3000)
        // Three agreeing snapshots over 1.5 s: the fourth answer of a poll each 503 ms.
        let first = try #require(rig.firstFrame)
        #expect(first >= 1500 && first <= 1509 + 200)
    }

    @Test func `the factory state sends frames that allow nothing`() {
        var rig = Rig()
        rig.run(30_000)
        #expect(rig.limits! == (0, 0))
        #expect(rig.loop.status == .factory)
    }

    @Test func `a configuration over Link is stored, confirmed, and in force after the restart`() {
        var rig = Rig()
        rig.run(3000)
        rig.send(Rig.configuration())
        rig.run(20_000)
        #expect(rig.replies == [nil])
        #expect(rig.wires.restarts > 0)
        var again = Rig(restarting: rig, reset: ResetReport(.restart))
        again.run(40_000)
        #expect(again.limits! == (300, 400))
    }

    @Test func `limits come down before a planned restart`() throws {
        var rig = Rig()
        rig.send(Rig.configuration(charge: 100_000))
        rig.run(20_000)
        var configured = Rig(restarting: rig)
        configured.run(60_000)
        #expect(configured.limits!.charge > 600)
        configured.send(Rig.configuration())
        while configured.wires.restarts == 0 && configured.elapsed < 90_000 { configured.run(1) }
        #expect(configured.wires.restarts == 1)
        #expect(configured.limits!.charge <= 280)
    }

    @Test func `what a board cannot do is refused and nothing is stored`() {
        var rig = Rig()
        rig.run(500)
        var two = Rig.configuration()
        two.bmsPorts.append(two.bmsPorts[0])
        var absurd = Rig.configuration()
        absurd.control.bulk = 9000
        var strayAddress = Rig.configuration()
        strayAddress.bmsPorts[0].firstPack = 200
        for configuration in [two, strayAddress] {
            rig.send(configuration)
            rig.run(50)
        }
        #expect(rig.replies == [.notSupported, .notSupported])
        rig.send(absurd)
        rig.run(50)
        #expect(rig.replies.last == .badConfiguration)
        let stored = rig.loop.ports.storedConfiguration()
        #expect(stored == nil)
        #expect(rig.wires.restarts == 0)
    }

    @Test func `a configuration that is longer than the buffer is refused at once, and the next one is taken`() {
        var rig = Rig()
        rig.run(500)
        // Kind 20, a payload of 8000 bytes, number 1, identity 7: whoever sends this has more room.
        rig.wires.consoleIn += [0x50, 0x42, 1, 20, 0x40, 0x1F, 1, 0, 0, 0, 7, 0, 0, 0]
        rig.wires.consoleIn += (0..<8000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
        rig.run(200)
        #expect(rig.replies == [.noRoom])
        #expect(rig.loop.ports.storedConfiguration() == nil)
        rig.send(Rig.configuration())
        rig.run(100)
        #expect(rig.replies == [.noRoom, nil])
    }

    @Test func `more packs than there is room for are refused as that`() {
        var rig = Rig()
        rig.run(500)
        let image = Rig.configuration().image()
        var bytes = (0..<image.count).map { image.bytes[$0] }
        // Layout, generation, chemistry and cells stand before the number of packs.
        let place = 11
        #expect(bytes[place] == 1)
        bytes[place] = UInt8(maximumPacks + 1)
        let pack = Array(bytes[(place + 1)...])
        for _ in 0..<maximumPacks { bytes.insert(contentsOf: pack.prefix(40), at: place + 1) }
        var crc = CRC32()
        bytes.removeLast(4)
        for byte in bytes { crc.update(byte) }
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: crc.value >> UInt32(shift))) }
        let refusal = rig.loop.ports.configure(bytes.span)
        #expect(refusal == .noRoom)
        #expect(rig.loop.ports.storedConfiguration() == nil)
    }

    @Test func `a power cut at any byte of storing leaves the old configuration or the new one`() {
        var rig = Rig()
        rig.send(Rig.configuration(charge: 10_000))
        rig.run(50)
        let before = rig.wires.flash.cells
        let old = Rig.configuration(charge: 10_000)
        let new = Rig.configuration(charge: 20_000)
        let image = new.image()
        var found = Set<Milliamps>()
        for budget in stride(from: 0, to: 4096 + image.count + 40, by: 1) where budget < 700 || budget % 61 == 0 {
            let wires = Wires()
            wires.flash.cells = before
            var cut = BoardPorts(FakeBoard(wires))
            wires.flash.budget = budget
            _ = image.withBytes { bytes in cut.configure(bytes) }
            wires.flash.budget = nil
            var after = BoardPorts(FakeBoard(wires))
            let restarted = after.storedConfiguration()
            #expect(restarted == old || restarted == new)
            if let restarted { found.insert(restarted.control.userCharge) }
        }
        #expect(found == [10_000, 20_000])
    }

    @Test func `flash that takes nothing is reported, and the bridge goes on`() {
        var rig = Rig()
        rig.wires.flash.isWorn = true
        rig.run(3000)
        rig.send(Rig.configuration())
        rig.run(2000)
        #expect(rig.replies == [.notStored])
        #expect(rig.wires.restarts == 0)
        #expect(rig.loop.ports.flashFailures > 0)
        #expect(rig.limits! == (0, 0))
    }

    @Test func `the watchdog is fed only while the control logic is evaluated in time`() {
        var rig = Rig()
        rig.run(100)
        let fed = rig.wires.feeds
        #expect(fed == 100)
        #expect(BridgeLoop<FakeBoard>.isHealthy(lastEvaluation: Instant(milliseconds: 0), at: Instant(milliseconds: 1499)))
        #expect(!BridgeLoop<FakeBoard>.isHealthy(lastEvaluation: Instant(milliseconds: 0), at: Instant(milliseconds: 1500)))
    }

    @Test func `a console that takes nothing holds up no frame, and what is lost is counted in whole messages`() {
        var rig = Rig()
        rig.wires.consoleTakes = false
        rig.run(20_000)
        let sets = rig.wires.controller.sent.filter { $0.id == 0x351 }.count
        #expect(sets >= 17)
        #expect(rig.loop.ports.consoleOut.lost > 0)
    }

    @Test func `bus-off is left after a back-off that grows, for ever`() {
        var rig = Rig()
        rig.run(3000)
        #expect(rig.wires.controller.joins == 1)
        var joins: [Int64] = []
        for _ in 0..<4000 {
            let before = rig.wires.controller.joins
            if rig.wires.controller.mode == 0 { rig.wires.controller.status |= 0x80 }
            rig.run(1)
            if rig.wires.controller.joins > before { joins.append(rig.elapsed) }
            rig.wires.controller.mode = 1
        }
        let pauses = zip(joins, joins.dropFirst()).map { $1 - $0 }
        #expect(joins.first! - 3000 >= 200)
        #expect(pauses.allSatisfy { $0 >= 200 && $0 <= 1100 })
        #expect(pauses.max()! >= 1000)
        #expect(rig.loop.status == .busFault)
    }

    @Test func `a question mark is answered with limits and reasons, and Link is silent for a while`() {
        var rig = Rig()
        rig.run(3000)
        rig.wires.consoleOut.removeAll()
        rig.type("?\r")
        rig.run(2000)
        #expect(rig.console.contains("PackBridge on test, started by power on, up 3 s, status not configured"))
        #expect(rig.console.contains("CCL 0.000 A: "))
        #expect(rig.console.hasSuffix("> "))
        rig.run(20_000)
        #expect(rig.wires.consoleOut.count > 4000)
    }

    @Test func `a trap is reported with cause and address`() {
        let wires = Wires()
        wires.reset = ResetReport(.trap, trapCause: 2, trapAddress: 0x4038_1234)
        var rig = Rig(wires)
        rig.run(100)
        #expect(rig.console.contains("started by a trap (mcause 00000002 mepc 40381234)"))
    }

    @Test func `restarts in a row are counted in the record in flash`() {
        var rig = Rig()
        for boot in 1...4 as ClosedRange<UInt8> {
            rig.run(100)
            let record = rig.loop.ports.storedRecord()
            #expect(record?.boots == boot)
            rig = Rig(restarting: rig, reset: ResetReport(.watchdog))
        }
    }

    @Test func `a silent battery ends in limits of 0 A and its own pattern of the LED`() {
        var rig = Rig()
        rig.send(Rig.configuration())
        rig.run(20_000)
        rig = Rig(restarting: rig)
        rig.run(40_000)
        #expect(rig.limits! == (300, 400))
        #expect(rig.loop.status == .inverterSilent)
        rig.unitIsSilent = true
        rig.run(31_500)
        #expect(rig.limits! == (0, 0))
        #expect(rig.loop.status == .batteryLost)
        rig.wires.led.removeAll()
        rig.run(1000)
        let on = rig.wires.led.filter(\.self).count
        #expect(on == 250)  // two of eight steps of 1000 turns
    }
}
