import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import Testing

@testable import Simulation

/// The fault-injection table F1–F16 of failsafe.md §11, as amended, for those faults that concern software alone.
@Suite struct FaultTableTests {
    /// One pack at `soc`, `surplus` watts of sun, settled for two minutes.
    private func world(soc: Double = 0.6, surplus: Double = 5_300, _ change: (inout WorldPlan) -> Void = { _ in })
        -> World
    {
        var plan = WorldPlan(seed: 21)
        plan.packs[0].soc = soc
        plan.constantSurplus = surplus
        change(&plan)
        var world = World(plan)
        world.run(seconds: 120)
        return world
    }

    private func expectClean(_ world: World) {
        #expect(world.checker.violations.isEmpty, "\(world.checker.violations.first?.text ?? "")")
    }

    @Test func `F1: a BMS unplugged at 100 A: 15 s hold, 0 A by 30 s, enables off, state of charge held, frames go on`() {
        var world = world()
        let before = world.inverter.heard
        #expect(before.chargeLimit == 1_350 && before.chargeEnabled && world.bank.current > 90)
        world.faults.plan(Fault(.unplug, from: world.now, until: .max))
        world.run(seconds: 14)
        #expect(world.inverter.heard.chargeLimit == before.chargeLimit)
        world.run(seconds: 8)
        let half = world.inverter.heard
        #expect(half.chargeLimit > 0 && half.chargeLimit < before.chargeLimit)
        world.run(seconds: 9)
        let after = world.inverter.heard
        #expect(after.chargeLimit == 0 && after.dischargeLimit == 0)
        #expect(!after.chargeEnabled && !after.dischargeEnabled)
        #expect(after.soc == before.soc && after.chargeVoltage <= 536)
        let frames = world.framesSent
        world.run(seconds: 60)
        #expect(world.framesSent - frames >= 6 * 59)
        #expect(world.inverter.heard.soc == before.soc)
        expectClean(world)
    }

    @Test func `F2: with the extended hold 40 s of silence in the middle cost no zero, are capped at 0.2C and heal`() {
        var world = world(surplus: 1_500) { $0.bridge.control.packs[0].extendedHold = true }
        world.faults.plan(Fault(.unplug, from: world.now, until: world.now + 40_000))
        var lowest = Int32.max
        for _ in 0..<42 {
            world.run(seconds: 1)
            lowest = min(lowest, world.inverter.heard.chargeLimit)
        }
        #expect(lowest > 0 && lowest <= 560)
        world.run(seconds: 120)
        #expect(world.inverter.heard.chargeLimit == 1_350)
        expectClean(world)
    }

    @Test func `F3: with a cell at 3.44 V the extended hold does not apply: 0 by 30 s`() {
        var world = world(surplus: 0) { $0.bridge.control.packs[0].extendedHold = true }
        world.bank.packs[0].lead(cell: 2, by: 1.0 - world.bank.packs[0].cells[2].soc)
        world.run(seconds: 5)
        world.faults.plan(Fault(.unplug, from: world.now, until: .max))
        world.run(seconds: 32)
        #expect(world.inverter.heard.chargeLimit == 0 && world.inverter.heard.dischargeLimit == 0)
        expectClean(world)
    }

    @Test func `F4: the same body again and again under current is stale 120 s after the first, then as F1`() {
        var world = world()
        world.faults.plan(Fault(.freeze, from: world.now, until: .max))
        world.run(seconds: 100)
        #expect(world.inverter.heard.chargeLimit == 1_350)
        world.run(seconds: 55)
        #expect(world.inverter.heard.chargeLimit == 0 && !world.inverter.heard.dischargeEnabled)
        expectClean(world)
    }

    @Test func `F5: one flipped bit in any byte is rejected, or changes nothing that was decoded`() {
        let world = world()
        var measurement = PackMeasurement()
        var pack = world.bank.packs[0]
        pack.measure(into: &measurement)
        var uart = SimulatedJK4E57(cells: 16, capacity: 280, chemistry: .lfp)
        uart.encode(measurement)
        func hear(_ reply: [UInt8]) -> (age: Milliseconds, highest: Millivolts, voltage: Millivolts, soc: CentiPercent) {
            var engine = world.engine
            var sink = Wire(ports: 1)
            let at = Instant(milliseconds: world.now + 900)
            engine.received(reply.span, onBMSPort: 0, at: at, ports: &sink)
            _ = engine.wake(at: at + 1, ports: &sink)
            let status = engine.controller.output.packs[0]
            return (status.age, status.highestCell, status.voltage, status.soc)
        }
        let good = hear(uart.reply)
        #expect(good.age < 100)
        var accepted = 0
        for index in uart.reply.indices {
            for bit in 0..<8 {
                var damaged = uart.reply
                damaged[index] ^= UInt8(1 << bit)
                let result = hear(damaged)
                if result.age < 100 {
                    accepted += 1
                    #expect(result == good, "byte \(index), bit \(bit)")
                }
            }
        }
        // Only the unused CRC field may change unnoticed.
        #expect(accepted <= 16)
    }

    @Test func `F6: a cell at 0 or 65.535 V and a sensor that sends no temperature raise no limit`() {
        for kind in [FaultKind.cellZero, .cellMaximum, .sensorMissing] {
            var world = world()
            let before = world.inverter.heard
            world.faults.plan(Fault(kind, from: world.now, until: world.now + 60_000))
            for _ in 0..<60 {
                world.run(seconds: 1)
                #expect(world.inverter.heard.chargeLimit <= before.chargeLimit, "\(kind)")
                #expect(world.inverter.heard.dischargeLimit <= before.dischargeLimit, "\(kind)")
            }
            if kind == .sensorMissing { #expect(world.inverter.heard.chargeLimit == 0) }
            expectClean(world)
        }
    }

    @Test func `F7: one sensor at -2 °C among warm ones forbids charging at once`() {
        var world = world()
        world.faults.plan(Fault(.sensorCold, from: world.now, until: .max))
        world.run(seconds: 3)
        #expect(world.inverter.heard.chargeLimit == 0 && world.inverter.heard.dischargeLimit > 0)
        expectClean(world)
    }

    @Test func `F8: ten minutes of short circuit on the bus: no reset, a complete set 3 s later`() {
        var world = world()
        world.faults.plan(Fault(.busOff, from: world.now, until: world.now + 600_000))
        world.run(seconds: 601)
        let frames = world.framesSent
        world.run(seconds: 3)
        #expect(world.framesSent - frames >= 6)
        #expect(world.restarts == 0)
        expectClean(world)
    }

    @Test func `F9: an inverter that is off for a night: nobody acknowledges, and the bridge goes on in the morning`() {
        var world = world(surplus: 0)
        world.faults.plan(Fault(.noAcknowledge, from: world.now, until: world.now + 8 * 3_600_000))
        world.run(seconds: 8 * 3_600 + 4)
        #expect(world.restarts == 0 && world.inverter.lastHeard > world.now - 1_500)
        expectClean(world)
    }

    @Test func `F10: an inverter without heartbeat is reported and gets its frames all the same`() {
        var world = world()
        world.faults.plan(Fault(.heartbeatStops, from: world.now, until: .max))
        let frames = world.framesSent
        world.run(seconds: 120)
        #expect(world.framesSent - frames >= 6 * 119)
        #expect(world.inverter.heard.chargeLimit == 1_350)
        expectClean(world)
    }

    @Test func `F11: the wall clock ten years ahead and one hour back changes no frame`() {
        func digest(_ jumps: [Int64]) -> UInt64 {
            var world = world()
            for (index, jump) in jumps.enumerated() {
                let at = world.now + Int64(index + 1) * 20_000
                world.faults.plan(Fault(.clockJump, from: at, until: at, bits: UInt64(bitPattern: jump)))
            }
            world.run(seconds: 120)
            #expect(world.wallClock == 0 || !jumps.isEmpty)
            return world.digest
        }
        #expect(digest([]) == digest([10 * 365 * 86_400_000 - 1, -3_600_000]))
    }

    @Test func `F12: nobody reads, a broker hangs, twenty clients order and talk nonsense: not one frame moves`() {
        var quiet: World = world()
        quiet.run(seconds: 120)
        var busy: World = world({ (plan: inout WorldPlan) in plan.hasReader = true })
        busy.faults.plan(Fault(.publishBlocked, from: busy.now, until: busy.now + 3_600_000))
        for second in 0..<120 {
            busy.run(seconds: 1)
            for client in 0..<20 {
                // Half a message, noise, and an order that is refused.
                let refused: [UInt8] = LinkCommand(identity: UInt32(client), order: .pauseCharge, timeToLive: 0).bytes
                busy.hear([UInt8](refused[..<(second % 30)]))
                busy.hear([UInt8](repeating: 0x50, count: client * 7))
                busy.hear(refused)
            }
        }
        #expect(quiet.digest == busy.digest)
        expectClean(busy)
    }

    @Test func `F14: an update that crashes at every start, rolled back: frames resume within 60 s, limits reduced while in doubt`()
    {
        var world = world(surplus: -2_000)
        #expect(world.inverter.heard.dischargeLimit > 560)
        // The new image lives for two seconds each time, seven times; then the old one is back.
        for crash in 0..<7 as Range<Int64> {
            let at: Milliseconds = world.now + crash * 6_000
            world.faults.plan(Fault(.restart, from: at, until: at, bits: 3_800))
        }
        world.run(seconds: 40)
        #expect(world.restarts == 7)
        let frames = world.framesSent
        world.run(seconds: 60)
        #expect(world.framesSent > frames)
        #expect(world.inverter.lastHeard > world.now - 1_500)
        // Six restarts in ten minutes: 0.2C until the eleventh minute is over (failsafe.md §5.7).
        #expect(world.inverter.heard.dischargeLimit == 560)
        #expect(world.engine.controller.output.dischargeReason.rule == .bootLoop)
        expectClean(world)
    }

    @Test func `a planned restart: the limits come down first, the gap is short, the phase is kept`() {
        var world = world()
        let phase = world.engine.controller.output.phase
        world.faults.plan(Fault(.plannedRestart, from: world.now + 1_000, until: world.now + 1_000, bits: 300))
        world.run(seconds: 10)
        #expect(world.restarts == 0)
        #expect(world.inverter.heard.chargeLimit < 1_350)
        var longest: Milliseconds = 0
        for _ in 0..<200 {
            world.run(until: world.now + 100)
            longest = max(longest, world.now - world.inverter.lastHeard)
        }
        #expect(world.restarts == 1)
        #expect(longest <= 5_000, "\(longest) ms without limits")
        #expect(world.engine.controller.output.phase == phase)
        world.run(seconds: 120)
        #expect(world.inverter.heard.chargeLimit == 1_350)
        expectClean(world)
    }

    @Test func `another configuration while everything runs: no gap, tighter at once, looser slowly`() {
        var world = world()
        world.faults.plan(Fault(.reconfigure, from: world.now, until: world.now, bits: 0))
        world.run(seconds: 3)
        // 40 % of 140 A.
        #expect(world.inverter.heard.chargeLimit == 560 && world.inverter.heard.dischargeLimit == 560)
        world.faults.plan(Fault(.reconfigure, from: world.now, until: world.now, bits: 0x3C0B))
        world.run(seconds: 20)
        #expect(world.inverter.heard.chargeLimit == 560)
        world.run(seconds: 120)
        let output = world.engine.controller.output
        #expect(world.inverter.heard.chargeLimit == 1_350, "\(output.chargeReason)")
        #expect(world.inverter.heard.dischargeLimit == 1_350, "\(output.dischargeReason)")
        #expect(world.restarts == 0)
        expectClean(world)
    }

    @Test func `F13: the state record cut at any byte: the bridge starts, with the older record or none`() {
        var original = world(surplus: 5_300)
        original.run(seconds: 1_200)
        let length = original.wire.store.newestLength
        #expect(length > 20 && original.wire.store.record != nil)
        for cut in 0...length {
            var store = original.wire.store
            store.cutNewest(to: cut)
            #expect(store.damagedRecord == nil, "cut at \(cut)")
        }
        for cut in stride(from: 0, through: length, by: 16) {
            var world = original
            world.wire.store.cutNewest(to: cut)
            world.faults.plan(Fault(.restart, from: world.now, until: world.now))
            world.run(seconds: 45)
            #expect(world.inverter.lastHeard > world.now - 1_500 && world.restarts == 1, "cut at \(cut)")
            expectClean(world)
        }
    }

    @Test func `F15: an over-voltage limit lowered in the BMS lowers the charge voltage, and says why`() {
        var world = world()
        #expect(world.inverter.heard.chargeVoltage == 552)
        world.bank.packs[0].settings.cellOverVoltage = 3_480
        world.run(seconds: 60)
        #expect(world.inverter.heard.chargeVoltage == 548)
        #expect(world.engine.controller.output.voltageReason.rule == .absoluteVoltage)
        expectClean(world)
    }

    @Test func `F16: two BMS that talk at the same time are never merged into one`() {
        var plan = WorldPlan(seed: 22, packs: 3)
        plan.constantSurplus = 5_300
        var world = World(plan)
        world.run(seconds: 120)
        let before = world.inverter.heard
        world.faults.plan(Fault(.collide, pack: 0, from: world.now, until: world.now + 120_000))
        world.run(seconds: 120)
        #expect(
            world.engine.controller.output.warnings.contains(.linkQuality)
                || world.inverter.heard.chargeLimit < before.chargeLimit)
        #expect(world.inverter.heard.chargeLimit <= before.chargeLimit)
        expectClean(world)
    }
}
