import Battery
import ChargeControl
import InverterDialects
import Testing

@testable import BridgeEngine

@Suite struct LinkTests {
    func bytes(_ writer: FieldBuffer<64>) -> [UInt8] {
        (0..<writer.count).map { writer.bytes[$0] }
    }

    func messages<S: Sequence>(in bytes: S, with receiver: inout LinkReceiver) -> [LinkMessage]
    where S.Element == UInt8 {
        var found: [LinkMessage] = []
        for byte in bytes {
            receiver.push(byte)
            while let message = receiver.next() { found.append(message) }
        }
        return found
    }

    let order = LinkCommand(identity: 77, order: .chargeCap, value: 20_000, timeToLive: 600_000)

    @Test func `a command message has the documented bytes`() {
        let message = bytes(order.message(sequence: 3))
        // 50 42 | version 1 | kind 16 | payload 17 | sequence 3
        #expect(message.prefix(10) == [0x50, 0x42, 0x01, 0x10, 0x11, 0x00, 0x03, 0x00, 0x00, 0x00])
        // identity 77 | order 3 | 20 000 mA | 600 000 ms
        #expect(
            message[10..<27] == [
                0x4D, 0x00, 0x00, 0x00, 0x03, 0x20, 0x4E, 0x00, 0x00, 0xC0, 0x27, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
            ])
        #expect(message.count == 31)
    }

    @Test func `noise, a damaged message and a wrong length before a good message cost only themselves`() {
        let good = bytes(order.message(sequence: 1))
        var damaged = good
        damaged[12] ^= 1
        var wrongLength = good
        wrongLength[4] = 0xFF
        for junk in [[0x50, 0x50, 0x42, 0x00], damaged, Array(good.prefix(20))] {
            var receiver = LinkReceiver()
            let found = messages(in: junk + good + good, with: &receiver)
            #expect(found.count == 2)
            #expect(found.allSatisfy { $0.kind == .command && $0.sequence == 1 })
        }
        // A length that reaches too far swallows what follows until the checksum fails; nothing after that is lost.
        var receiver = LinkReceiver()
        let found = messages(in: wrongLength + Array(repeating: good, count: 20).joined(), with: &receiver)
        #expect(found.count == 20)
    }

    @Test func `a message of an unknown kind is counted and skipped`() {
        var writer = FieldBuffer<64>()
        linkMessage(.event, sequence: 1, into: &writer) { _ in }
        var message = bytes(writer)
        message[3] = 200
        var crc = CRC32()
        for byte in message[2..<10] { crc.update(byte) }
        for i in 0..<4 { message[10 + i] = UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * i)) }
        var receiver = LinkReceiver()
        let found = messages(in: message, with: &receiver)
        #expect(found.isEmpty)
        #expect(receiver.unknown == 1)
        #expect(receiver.discarded == 0)
    }

    @Test func `random bytes never trap and never make a message that is obeyed`() {
        var seed: UInt64 = 1
        var receiver = LinkReceiver()
        var found = 0
        for _ in 0..<200_000 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // Starts of messages are frequent, so that the length and checksum checks are reached.
            let roll = UInt8(truncatingIfNeeded: seed >> 33)
            let byte: UInt8 =
                roll < 40
                ? 0x50 : roll < 80 ? 0x42 : roll < 120 ? 0x01 : roll < 150 ? 0 : UInt8(truncatingIfNeeded: seed >> 41)
            receiver.push(byte)
            while let message = receiver.next() {
                // What looks like the beginning of a configuration without end comes without an image, and is refused.
                let isRefused = message.kind == .configure && message.withPayload { $0.count } == LinkConfigure.headerSize
                if !isRefused { found += 1 }
            }
        }
        #expect(found == 0)
    }

    @Test func `a snapshot of the largest bank survives the way`() throws {
        var pack = PackPayload()
        pack.snapshot = 9
        pack.number = 16
        pack.status.state = .suspect
        pack.status.alarms = [.cellOverVoltage, .communication]
        for i in 0..<32 { pack.reading.cells.append(UInt16(3300 + i)) }
        for i in 0..<5 { pack.reading.cellTemperatures.append(i == 3 ? .invalid : .value(Int32(i * 10 - 20))) }
        pack.reading.mosfetTemperature = .absent
        pack.reading.current = -12_345
        pack.reading.alarms = []
        var settings = PackSettings()
        settings.cellOverVoltage = 3650
        settings.chargeUnderTemperature = -200
        pack.reading.settings = settings
        var writer = FieldBuffer<2064>()
        linkMessage(.pack, sequence: 5, into: &writer) { writer in pack.visitFields(&writer) }
        var receiver = LinkReceiver()
        let found = messages(in: (0..<writer.count).map { writer.bytes[$0] }, with: &receiver)
        let message = try #require(found.first)
        var copy = PackPayload()
        var reader = message.payload
        copy.visitFields(&reader)
        #expect(reader.isValid)
        #expect(copy.number == 16)
        #expect(copy.status.state == .suspect)
        #expect(copy.status.alarms == [.cellOverVoltage, .communication])
        #expect(copy.reading.cells == pack.reading.cells)
        #expect(copy.reading.cellTemperatures == pack.reading.cellTemperatures)
        #expect(copy.reading.current == -12_345)
        #expect(copy.reading.alarms == [])
        #expect(copy.reading.soc == nil)
        #expect(copy.reading.settings == settings)
    }
}
