import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import LinkClient
import Testing

/// Ports that only keep what is published, message by message.
private struct Listener: EnginePorts {
    var messages: [[UInt8]] = []

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {}
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult { .queued }
    mutating func restartBus(inverterPort port: Int) {}
    mutating func reopen(bmsPort port: Int) {}
    mutating func publish(_ message: Span<UInt8>) { messages.append(message.indices.map { message[$0] }) }
    mutating func persist(_ image: Span<UInt8>) {}
}

/// Messages of an engine with two packs that runs for `seconds`.
private func published(seconds: Int64) -> [[UInt8]] {
    var control = ControlConfiguration(chemistry: .lfp)
    control.packs.append(PackConfiguration())
    control.packs.append(PackConfiguration())
    var bridge = BridgeConfiguration(control: control)
    bridge.bmsPorts.append(BMSPortConfiguration())
    bridge.inverterPorts.append(InverterPortConfiguration())
    var ports = Listener()
    var engine = Engine(configuration: bridge, record: nil, at: Instant(milliseconds: 0))
    for second in 0..<seconds { _ = engine.wake(at: Instant(milliseconds: second * 1000), ports: &ports) }
    return ports.messages
}

private func snapshots(in messages: [[UInt8]]) -> [BridgeSnapshot] {
    var feed = LinkFeed()
    var result: [BridgeSnapshot] = []
    feed.receive(messages.joined()) { if case .snapshot(let snapshot) = $0 { result.append(snapshot) } }
    return result
}

@Suite struct LinkFeedTests {
    @Test func `the messages of one second become one snapshot`() {
        let found = snapshots(in: published(seconds: 3))
        #expect(found.count == 3)
        #expect(found.map(\.bank.snapshot) == [1, 2, 3])
        #expect(found.allSatisfy { $0.bmsPorts.count == 1 && $0.inverterPorts.count == 1 })
    }

    @Test func `a lost message costs its snapshot and never mixes two seconds`() {
        let messages = published(seconds: 2)
        // The first messages are events; after them every one belongs to a snapshot.
        for lost in messages.indices where messages[lost][3] != LinkKind.event.rawValue {
            var rest = messages
            rest.remove(at: lost)
            #expect(snapshots(in: rest).count == 1, "message \(lost) of kind \(messages[lost][3]) was missing")
        }
    }

    /// The messages with others of a kind from the future between them, all numbered anew as one sender would.
    private func withFutureKinds(_ messages: [[UInt8]], after each: (Int) -> Int) -> [[UInt8]] {
        var result: [[UInt8]] = []
        for (index, message) in messages.enumerated() {
            result.append(message)
            for _ in 0..<each(index) {
                var future = message
                future[3] = 99
                result.append(future)
            }
        }
        return result.enumerated().map { index, message in
            var message = message
            for i in 0..<4 { message[6 + i] = UInt8(truncatingIfNeeded: (index + 1) >> (8 * i)) }
            var crc = CRC32()
            for byte in message[2..<(message.count - 4)] { crc.update(byte) }
            for i in 0..<4 { message[message.count - 4 + i] = UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * i)) }
            return message
        }
    }

    @Test func `messages of kinds that only a newer control process knows are counted and cost nothing else`() {
        let messages = withFutureKinds(published(seconds: 3)) { $0 % 3 }
        var feed = LinkFeed()
        var found = 0
        feed.receive(messages.joined()) { if case .snapshot = $0 { found += 1 } }
        #expect(found == 3)
        #expect(feed.unknownMessages > 5)
        #expect(feed.lostMessages == 0 && feed.incompleteSnapshots == 0)
    }

    @Test func `a message that is lost beside an unknown one is still noticed`() {
        let messages = withFutureKinds(published(seconds: 2)) { _ in 1 }
        for lost in messages.indices where messages[lost][3] != 99 && messages[lost][3] != LinkKind.event.rawValue {
            var rest = messages
            rest.remove(at: lost)
            #expect(snapshots(in: rest).count == 1, "message \(lost) of kind \(messages[lost][3]) was missing")
        }
    }

    @Test func `the orders in force are told with their remaining time; an older control process tells none`() throws {
        var control = ControlConfiguration(chemistry: .lfp)
        control.packs.append(PackConfiguration())
        var ports = Listener()
        var engine = Engine(configuration: BridgeConfiguration(control: control), record: nil, at: Instant(milliseconds: 0))
        let order = LinkCommand(identity: 1, order: .chargeCap, value: 20_000, timeToLive: 60_000).message(sequence: 1)
        _ = engine.wake(at: Instant(milliseconds: 0), ports: &ports)
        order.withBytes { engine.receivedLink($0, at: Instant(milliseconds: 500), ports: &ports) }
        _ = engine.wake(at: Instant(milliseconds: 1000), ports: &ports)
        _ = engine.wake(at: Instant(milliseconds: 60_500), ports: &ports)
        let found = snapshots(in: ports.messages)
        #expect(found.first?.orders == [])
        #expect(found.contains { $0.orders == [OrderInForce(.chargeCap, value: 20_000, remaining: 59_500)] })
        #expect(found.last?.orders == [])
        let every: [(LinkCommand.Order, Int32, Int64)] = [
            (.pauseCharge, 0, 60_000), (.pauseDischarge, 0, 61_000), (.chargeCap, 10_000, 62_000), (.dischargeCap, 9000, 63_000),
            (.socCeiling, 8000, 64_000), (.fullNow, 0, 12 * 3_600_000),
        ]
        for (order, value, time) in every {
            let timeToLive = order == .fullNow ? 0 : time
            LinkCommand(identity: 2, order: order, value: value, timeToLive: timeToLive).message(sequence: 2)
                .withBytes { engine.receivedLink($0, at: Instant(milliseconds: 61_000), ports: &ports) }
        }
        _ = engine.wake(at: Instant(milliseconds: 61_000), ports: &ports)
        _ = engine.wake(at: Instant(milliseconds: 62_000), ports: &ports)
        let all = every.map { OrderInForce($0.0, value: $0.1, remaining: $0.2 - 1000) }
        #expect(snapshots(in: ports.messages).last?.orders == all)
        // The message that an older version lacks, left out and the rest numbered as that version would.
        let older = withFutureKinds(ports.messages.filter { $0[3] != LinkKind.orders.rawValue }) { _ in 0 }
        let old = snapshots(in: older)
        #expect(old.count == found.count + 2 && old.allSatisfy { $0.orders == nil })
    }

    @Test func `a reader that asks for everything all the time is answered five times a second`() {
        var control = ControlConfiguration(chemistry: .lfp)
        control.packs.append(PackConfiguration())
        var ports = Listener()
        var engine = Engine(configuration: BridgeConfiguration(control: control), record: nil, at: Instant(milliseconds: 0))
        func configurations() -> Int { ports.messages.count { $0[3] == LinkKind.configuration.rawValue } }
        for millisecond in Int64(1)...1000 {
            LinkReplay().message(sequence: 1)
                .withBytes { engine.receivedLink($0, at: Instant(milliseconds: millisecond), ports: &ports) }
            if millisecond == 1 { #expect(configurations() == 1) }
        }
        #expect(configurations() == 5)
        // The last question waits and is not forgotten.
        let wake = engine.wake(at: Instant(milliseconds: 1000), ports: &ports)
        #expect(wake <= Instant(milliseconds: 1001))
        _ = engine.wake(at: Instant(milliseconds: 1001), ports: &ports)
        #expect(configurations() == 6)
    }

    @Test func `damaged bytes are skipped`() {
        var bytes = Array(published(seconds: 2).joined())
        bytes.insert(contentsOf: [0x50, 0x42, 0x00, 0x50], at: 0)
        #expect(snapshots(in: [bytes]).count == 2)
    }
}

@Suite struct WordsTests {
    @Test func `a reason names the place and the value that decided`() {
        let reason = Reason(.cellHigh, bound: 20_200, place: CellPlace(pack: 1, cell: 7), input: 3512)
        #expect(reason.sentence == "pack 1 cell 7 at 3.512 V: charge taper by cell voltage")
    }

    @Test func `a shown limit is never rounded up`() {
        #expect(amperes(20_249) == "20.2 A")
        #expect(amperes(99) == "0.0 A")
        #expect(volts(55_199, decimals: 1) == "55.1 V")
        #expect(amperes(-250) == "-0.2 A")
    }

    @Test func `names are stable, unique and complete`() {
        #expect(stableName(LimitRule.cellHigh) == "cell_high")
        #expect(Set(Alarms.table.map(\.name)).count == 27)
        #expect(Alarms.table.reduce(into: Alarms()) { $0.formUnion($1.alarm) }.rawValue == (1 << 27) - 1)
        #expect(Set(Warnings.table.map(\.name)).count == Warnings.table.count)
        #expect(Warnings.table.reduce(into: Warnings()) { $0.formUnion($1.warning) }.rawValue == (1 << 24) - 1 - (1 << 22))
    }

    @Test func `durations are read at a glance`() {
        #expect(duration(3500) == "3.5 s")
        #expect(duration(130_000) == "2 min 10 s")
        #expect(duration(3_900_000) == "1 h 5 min")
    }
}
