import BridgeEngine
import LinkClient
import ServicesTesting
import Testing

@testable import Services

@Suite struct LinkConnectionTests {
    @Test func `a snapshot of the control process becomes the snapshot of the interface`() async throws {
        try await withServe { serve in
            let snapshot = try #require(await serve.hub.snapshot)
            let sent = FakeSnapshot(second: 1)
            #expect(snapshot.snapshot == 1)
            #expect(snapshot.packs.count == 2)
            #expect(snapshot.packs[1].cells_mV.count == 16)
            #expect(snapshot.packs[1].cells_mV[6] == UInt16(snapshot.bank.highest_cell?.mV ?? 0))
            #expect(snapshot.bank.highest_cell?.pack == 2 && snapshot.bank.highest_cell?.cell == 7)
            #expect(snapshot.bank.current_mA == sent.bank.report.current)
            #expect(snapshot.limits.charge_current.reason.rule == "cell_high")
            #expect(snapshot.limits.charge_current.reason.cell == 7)
            #expect(snapshot.phase.waiting.for == "tail_current")
            serve.control.send(FakeSnapshot(second: 2))
            let knowsLines = await eventually { await serve.hub.snapshot?.bms_ports.map(\.packs) == [[1], [2]] }
            #expect(knowsLines)
            #expect(snapshot.health.bms == .ok && snapshot.health.heartbeat == .ok)
        }
    }

    @Test func `the frames on the bus are decoded with the names of the DBC file`() async throws {
        try await withServe { serve in
            let snapshot = try #require(await serve.hub.snapshot)
            let limits = try #require(snapshot.inverters.first?.frames.first { $0.id == "351" })
            #expect(limits.data.hasPrefix("2A02AE01"))
            #expect(limits.signals.first?.value == "55.4")
            let name = try #require(snapshot.inverters.first?.frames.first { $0.id == "35E" })
            #expect(name.signals.contains { $0.value.contains("PYLON") })
        }
    }

    @Test func `garbage between messages is skipped and counted, and the next snapshot arrives`() async throws {
        try await withServe { serve in
            var numbers = LinearNumbers(seed: 7)
            for second in Int64(2)...20 {
                let garbage = (0..<Int(numbers.next() % 3000)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                serve.control.send(raw: garbage)
                // What begins like a message holds the receiver until a later byte shows that it is none.
                serve.control.send(FakeSnapshot(second: second))
                serve.control.send(FakeSnapshot(second: second))
            }
            serve.control.send(FakeSnapshot(second: 21))
            serve.control.send(FakeSnapshot(second: 21))
            let arrived = await eventually { await serve.hub.snapshot?.snapshot == 21 }
            #expect(arrived)
            #expect(await serve.hub.linkStatistics.discardedBytes > 1000)
        }
    }

    @Test func `bytes flipped at random inside snapshots never reach the interface`() async throws {
        try await withServe { serve in
            var numbers = LinearNumbers(seed: 11)
            var sequence: UInt32 = 1000
            let good = FakeSnapshot(second: 2)
            for _ in 0..<200 {
                var bytes = good.messages(sequence: &sequence, lastEvent: 0)
                for _ in 0..<3 { bytes[Int(numbers.next()) % bytes.count] ^= UInt8(1 << (numbers.next() % 8)) }
                serve.control.send(raw: bytes)
            }
            serve.control.send(raw: [UInt8](repeating: 0, count: 4200))
            serve.control.send(FakeSnapshot(second: 3))
            let arrived = await eventually { await serve.hub.snapshot?.snapshot == 3 }
            #expect(arrived)
            let snapshot = try #require(await serve.hub.snapshot)
            #expect(snapshot.packs.count == 2 && snapshot.packs[0].cells_mV.count == 16)
            #expect(await serve.hub.linkStatistics.incompleteSnapshots > 0)
        }
    }

    @Test func `a control process that comes back is found again`() async throws {
        try await withServe { serve in
            await serve.control.disconnectReaders()
            let back = await eventually { serve.control.readerCount == 1 }
            #expect(back)
            serve.control.send(FakeSnapshot(second: 9))
            let arrived = await eventually { await serve.hub.snapshot?.snapshot == 9 }
            #expect(arrived)
            #expect(await serve.hub.linkStatistics.reconnects == 1)
        }
    }

    @Test func `a control process that is silent for ten seconds is an alarm, a start is none`() async throws {
        let clock = TestClock()
        try await withServe(snapshots: 0, clock: clock.clock) { serve in
            try await Task.sleep(for: .milliseconds(1500))
            #expect(await !serve.hub.recentEvents.contains { $0.kind == "link" })
            clock.advance(11_000)
            let told = await eventually { await serve.hub.recentEvents.contains { $0.kind == "link" && $0.ongoing == true } }
            #expect(told)
            serve.control.send(FakeSnapshot(second: 1))
            let over = await eventually { await serve.hub.recentEvents.contains { $0.kind == "link" && $0.until_ms != nil } }
            #expect(over)
        }
    }

    @Test func `events that were missed are asked for again, and none is told twice`() async throws {
        try await withServe { serve in
            await serve.control.disconnectReaders()
            // Nobody listens: these are kept by the control process only.
            for number in 0..<5 { serve.control.send(.phase, a: Int32(number % 5), b: 3, at: 51_000) }
            _ = await eventually { serve.control.readerCount == 1 }
            serve.control.send(FakeSnapshot(second: 2))
            let arrived = await eventually { await serve.hub.recentEvents.count { $0.kind == "phase" } == 5 }
            #expect(arrived)
            serve.control.send(FakeSnapshot(second: 3))
            _ = await eventually { await serve.hub.snapshot?.snapshot == 3 }
            #expect(await serve.hub.recentEvents.count { $0.kind == "phase" } == 5)
        }
    }

    @Test func `an order reaches the control process with its value and its time to live`() async throws {
        try await withServe { serve in
            let result = try await serve.hub.execute(
                CommandRequest(order: "charge_cap", value: 20_000, time_to_live_s: 600), by: "test")
            let command = try #require(serve.control.commands.first)
            #expect(command.order == .chargeCap && command.value == 20_000 && command.timeToLive == 600_000)
            #expect(result.until_ms != nil)
            #expect(await serve.hub.activeCommands.map(\.order) == ["charge_cap"])
        }
    }

    @Test func `a refused order says why and is not in force`() async throws {
        try await withServe { serve in
            serve.control.answerCommands(with: .causeStillPresent)
            await #expect(throws: CommandProblem.refused("refused by the control process: the cause of the fault is still present"))
            {
                _ = try await serve.hub.execute(CommandRequest(order: "acknowledge", value: 1), by: "test")
            }
            #expect(await serve.hub.activeCommands.isEmpty)
        }
    }

    @Test func `an order without an answer is not said to be accepted`() async throws {
        try await withServe { serve in
            serve.control.ignoreCommands()
            await #expect(throws: CommandProblem.self) {
                _ = try await serve.hub.execute(CommandRequest(order: "resume"), by: "test")
            }
        }
    }

    @Test func `the orders in force are those that the control process tells, whoever gave them`() async throws {
        try await withServe { serve in
            _ = try await serve.hub.execute(CommandRequest(order: "pause_charge", time_to_live_s: 3600), by: "web")
            let ordered = ContinuousClock.now
            _ = try await serve.hub.execute(CommandRequest(order: "full_now"), by: "script")
            var told = FakeSnapshot(second: 2)
            told.orders = [
                OrderInForce(.pauseCharge, remaining: 3_600_000 - Int64((ContinuousClock.now - ordered) / .milliseconds(1))),
                OrderInForce(.dischargeCap, value: 30_000, remaining: 5000),
                OrderInForce(.fullNow, remaining: 40_000_000),
            ]
            serve.control.send(told)
            _ = await eventually { await serve.hub.snapshot?.snapshot == 2 }
            let commands = try #require(await serve.hub.snapshot?.commands)
            #expect(commands.map(\.order) == ["discharge_cap", "full_now", "pause_charge"])
            #expect(commands.map(\.by) == [nil, "script", "web"])
            #expect(commands.map(\.value) == [30_000, nil, nil])
            // Taken back by somebody else: gone here, too.
            told = FakeSnapshot(second: 3)
            told.orders = []
            serve.control.send(told)
            _ = await eventually { await serve.hub.snapshot?.snapshot == 3 }
            #expect(await serve.hub.activeCommands.isEmpty)
        }
    }

    @Test func `an order that is told anew every second keeps its end`() {
        var orders = ActiveOrders()
        orders.take([OrderInForce(.chargeCap, value: 1000, remaining: 60_000)], at: 0)
        orders.take([OrderInForce(.chargeCap, value: 1000, remaining: 58_990)], at: 1020)
        #expect(orders.list.map(\.until_ms) == [60_000])
        orders.take([OrderInForce(.chargeCap, value: 2000, remaining: 57_000)], at: 2000)
        #expect(orders.list.map(\.until_ms) == [59_000])
        orders.expire(at: 59_000)
        #expect(orders.list.isEmpty)
    }

    @Test func `messages of a newer control process between those of a snapshot do not spoil it`() async throws {
        try await withServe { serve in
            var sequence: UInt32 = 100
            let newer = FakeSnapshot(second: 2).messages(sequence: &sequence, lastEvent: 0, futureKinds: true)
            serve.control.send(raw: newer)
            let arrived = await eventually { await serve.hub.snapshot?.snapshot == 2 }
            #expect(arrived)
            #expect(await serve.hub.linkStatistics.unknownMessages == 5)
            #expect(await serve.hub.linkStatistics.incompleteSnapshots == 0)
        }
    }

    @Test func `orders are forgotten when the control process starts anew`() async throws {
        try await withServe(snapshots: 2) { serve in
            _ = try await serve.hub.execute(CommandRequest(order: "pause_charge", time_to_live_s: 60), by: "test")
            var other = FakeSnapshot(second: 1)
            other.bank.started.milliseconds += 1
            serve.control.send(other)
            let forgotten = await eventually { await serve.hub.activeCommands.isEmpty }
            #expect(forgotten)
        }
    }
}
