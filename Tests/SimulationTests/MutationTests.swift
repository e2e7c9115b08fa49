import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import Testing

@testable import Simulation

/// Breaks the bridge on purpose, once for each invariant, and asks whether the checker notices exactly that.
///
/// What the bridge meant, or a frame, is changed between the bridge and the checker: to the checker that is a bridge that is wrong.
@Suite struct MutationTests {
    /// One pack at 60 %, an obedient inverter, 100 A of sun.
    private static func plan(_ change: (inout WorldPlan) -> Void = { _ in }) -> WorldPlan {
        var plan = WorldPlan(seed: 11)
        plan.packs[0].soc = 0.6
        plan.constantSurplus = 5300
        change(&plan)
        return plan
    }

    private func broken(_ world: World) -> [Invariant] {
        Invariant.allCases.filter { world.checker.counts[$0.rawValue] > 0 }
    }

    /// Runs an unbroken world for `settle` seconds, breaks it and runs on.
    private func findings(
        _ plan: WorldPlan = plan(), settle: Int64 = 120, seconds: Int64 = 30, _ prepare: (inout World) -> Void
    ) -> [Invariant] {
        var world = World(plan)
        world.run(seconds: settle)
        #expect(broken(world) == [], "the unbroken bridge: \(world.checker.violations.first?.text ?? "")")
        prepare(&world)
        world.run(seconds: seconds)
        return broken(world)
    }

    @Test func `P1: a charge limit 1 A above the user's cap`() {
        #expect(findings { $0.tamperOutput = { output, _ in output.report.chargeCurrentLimit += 1_000 } } == [.p1])
    }

    @Test func `P1: a discharge limit above the BMS's margin`() {
        let plan = Self.plan { $0.packs[0].settings.dischargeOverCurrent = 100 }
        #expect(
            findings(plan) { $0.tamperOutput = { output, _ in output.report.dischargeCurrentLimit += 1_000 } } == [.p1])
    }

    @Test func `P2: a charge voltage above the over-voltage limit, and one below the rebulk level`() {
        #expect(findings { $0.tamperOutput = { output, _ in output.report.chargeVoltageLimit = 57_700 } } == [.p2])
        #expect(findings { $0.tamperOutput = { output, _ in output.report.chargeVoltageLimit = 52_600 } } == [.p2])
    }

    @Test func `P3: a bridge that goes on after its data are too old`() {
        let found = findings(seconds: 60) { world in
            world.faults.plan(Fault(.unplug, from: world.now, until: world.now + 100_000))
            let lost = world.now + 31_000
            world.tamperOutput = { output, now in
                if now > lost { (output.report.dischargeCurrentLimit, output.report.dischargeEnabled) = (200, true) }
            }
        }
        #expect(found == [.p3])
    }

    @Test func `P3: an enable that stays after the data are too old`() {
        let found = findings(seconds: 60) { world in
            world.faults.plan(Fault(.unplug, from: world.now, until: world.now + 100_000))
            world.tamperOutput = { output, _ in output.report.dischargeEnabled = true }
        }
        #expect(found == [.p3])
    }

    @Test func `P4: a frame before the battery has been heard`() {
        var world = World(Self.plan())
        world.run(seconds: 1)
        #expect(broken(world) == [])
        world.inject(CANFrame(id: 0x35E, length: 8, word: 0x2020_204E_4F4C_5950))
        #expect(broken(world) == [.p4])
    }

    @Test func `P5: charge with a full cell`() {
        let plan = Self.plan { $0.constantSurplus = -100 }
        let found = findings(plan) { world in
            world.bank.packs[0].lead(cell: 3, by: 1.0075 - world.bank.packs[0].cells[3].soc)
            world.run(seconds: 40)
            world.tamperOutput = { output, _ in output.report.chargeCurrentLimit = 2_000 }
        }
        #expect(found == [.p5])
    }

    @Test func `P6: charge in frost`() {
        let plan = Self.plan {
            $0.packs[0].temperature = 0.3
            ($0.ambient, $0.ambientSwing) = (0.3, 0)
        }
        let found = findings(plan) { world in
            world.tamperOutput = { output, _ in
                (output.report.chargeCurrentLimit, output.report.chargeEnabled) = (2_000, true)
            }
        }
        #expect(found == [.p6])
    }

    @Test func `P7: a cut that comes five seconds late`() {
        final class Memory: @unchecked Sendable {
            var value: Milliamps = 0
            var fell: Milliseconds = .max
        }
        let found = findings { world in
            let memory = Memory()
            memory.value = world.engine.controller.output.report.chargeCurrentLimit
            world.faults.plan(Fault(.sensorCold, from: world.now + 2_000, until: world.now + 100_000))
            world.tamperOutput = { output, now in
                if output.report.chargeCurrentLimit < memory.value { memory.fell = min(memory.fell, now) }
                if now < memory.fell || now - memory.fell < 5_000 {
                    output.report.chargeEnabled = true
                    output.report.chargeCurrentLimit = memory.value
                }
            }
        }
        #expect(found == [.p7])
    }

    @Test func `P8: a limit that jumps up at the start, and one that rises within 30 s after a cut`() {
        let jump = findings(settle: 0, seconds: 60) { world in
            world.tamperOutput = { output, _ in
                if output.report.chargeCurrentLimit > 0 { output.report.chargeCurrentLimit = 100_000 }
            }
        }
        #expect(jump == [.p8])
        let early = findings(seconds: 40) { world in
            world.faults.plan(Fault(.sensorHot, from: world.now, until: world.now + 4_000))
            let after = world.now + 12_000
            world.tamperOutput = { output, now in
                if now > after { output.report.chargeCurrentLimit += 3_000 }
            }
        }
        #expect(early == [.p8])
    }

    @Test
    func
        `P9, P10 and P14: a second bridge that is looser after losing an input, a hotter cell, a higher cell or a command`()
    {
        let expected: [(World.Difference, Invariant)] = [
            (.missingItem, .p9), (.higherCell, .p10), (.older, .p10), (.command, .p14),
        ]
        for (difference, invariant) in expected {
            var world = World(Self.plan())
            world.run(seconds: 120)
            world.experiment(difference)
            #expect(broken(world) == [])
            world.tamperExperiments = 200_000
            world.experiment(difference)
            #expect(broken(world) == [invariant], "\(difference)")
        }
    }

    @Test func `P11: 100 % without a full charge and 0 % without an empty battery`() {
        for soc in [Int32(100), 0] {
            #expect(findings { $0.tamperOutput = { output, _ in output.report.soc = soc } } == [.p11])
        }
    }

    @Test func `P12: a state of charge that decays while the data are missing`() {
        let found = findings(seconds: 40) { world in
            world.faults.plan(Fault(.unplug, from: world.now, until: world.now + 100_000))
            let later = world.now + 25_000
            world.tamperOutput = { output, now in
                if now > later { output.report.soc -= 1 }
            }
        }
        #expect(found == [.p12])
    }

    @Test func `P13: a pack that was never heard is counted`() {
        #expect(findings { $0.tamperOutput = { output, _ in output.report.packsOnline = 2 } } == [.p13])
    }

    @Test func `P15: a bridge that looks at the wall clock`() {
        func digest(jumps: Bool, wrong: Bool) -> UInt64 {
            var world = World(Self.plan())
            if jumps {
                world.faults.plan(
                    Fault(.clockJump, from: world.now + 60_000, until: world.now + 60_000, bits: 3_600_000))
            }
            world.run(seconds: 60)
            let wall = jumps && wrong
            if wall { world.tamperOutput = { output, _ in output.report.chargeCurrentLimit -= 100 } }
            world.run(seconds: 60)
            return world.digest
        }
        #expect(digest(jumps: true, wrong: false) == digest(jumps: false, wrong: false))
        #expect(digest(jumps: true, wrong: true) != digest(jumps: false, wrong: true))
    }

    @Test func `P16: limits that stay away for two seconds`() {
        let found = findings { world in
            let from = world.now + 5_000
            world.tamperFrame = { frame, now in frame.id == 0x351 && now > from && now < from + 2_000 ? nil : frame }
        }
        #expect(found == [.p16])
    }

    @Test func `P17: a set that is not complete after bus-off`() {
        let found = findings { world in
            world.faults.plan(Fault(.busOff, from: world.now + 1_000, until: world.now + 11_000))
            let well = world.now + 11_000
            world.tamperFrame = { frame, now in frame.id == 0x359 && now > well && now < well + 4_000 ? nil : frame }
        }
        #expect(found == [.p17])
    }

    @Test func `P18: frames that do not come back after a reset`() {
        let found = findings(seconds: 60) { world in
            let reset = world.now + 500
            world.faults.plan(Fault(.restart, from: reset, until: reset))
            world.tamperFrame = { frame, now in now > reset ? nil : frame }
        }
        #expect(found == [.p18])
    }

    @Test func `P20: a request for charge while charge is forbidden`() {
        let plan = Self.plan {
            $0.packs[0].temperature = 0.3
            ($0.ambient, $0.ambientSwing) = (0.3, 0)
        }
        #expect(findings(plan) { $0.tamperOutput = { output, _ in output.report.requests = .forceCharge2 } } == [.p20])
    }

    @Test func `P21: a BMS that counts 0 % is not believed`() {
        let found = findings(seconds: 1_500) { world in
            world.faults.plan(Fault(.zeroSoC, from: world.now, until: world.now + 2_000_000))
            world.tamperOutput = { output, _ in output.report.soc = 60 }
        }
        #expect(found == [.p21])
    }

    @Test func `P22: a reduced limit without a reason`() {
        let plan = Self.plan { $0.packs[0].settings.chargeOverCurrent = 100 }
        #expect(findings(plan) { $0.tamperOutput = { output, _ in output.chargeReason.rule = .none } } == [.p22])
    }

    @Test func `P24: alarms that vanish with the data`() {
        let found = findings(seconds: 60) { world in
            let start = world.now
            world.faults.plan(Fault(.bmsAlarm, from: start, until: start + 200_000, bits: 4))
            world.faults.plan(Fault(.unplug, from: start + 8_000, until: start + 200_000))
            world.tamperOutput = { output, now in
                if now > start + 35_000 { (output.report.protections, output.report.warnings) = ([], []) }
            }
        }
        #expect(found == [.p24])
    }

    @Test func `P25: a reserved bit, and a limit that was rounded up`() {
        let reserved = findings { world in
            world.tamperFrame = { frame, _ in
                var frame = frame
                if frame.id == 0x35C { frame[0] |= 1 }
                return frame
            }
        }
        #expect(reserved == [.p25])
        let rounded = findings { world in
            world.tamperFrame = { frame, _ in
                var frame = frame
                if frame.id == 0x351 { frame[6] &-= 1 }
                return frame
            }
        }
        #expect(rounded == [.p25])
    }

    @Test func `P1: a bank that goes on counting on a pack that has fallen silent`() {
        var plan = WorldPlan(seed: 12, packs: 3)
        plan.constantSurplus = -2_000
        let found = findings(plan, seconds: 60) { world in
            let before = world.engine.controller.output.report.dischargeCurrentLimit
            world.faults.plan(Fault(.unplug, pack: 1, from: world.now, until: world.now + 100_000))
            world.tamperOutput = { output, _ in output.report.dischargeCurrentLimit = before }
        }
        #expect(found.contains(.p1))
    }

    @Test func `P14: a limit above what the owner ordered`() {
        let found = findings(seconds: 40) { world in
            let order = LinkCommand(identity: 1, order: .chargeCap, value: 20_000, timeToLive: 600_000)
            world.send(order)
            let start = world.now
            world.run(seconds: 20)
            #expect(world.inverter.heard.chargeLimit == 200)
            world.tamperOutput = { output, now in
                if now > start + 20_000 { output.report.chargeCurrentLimit += 1_000 }
            }
        }
        #expect(found.contains(.p14))
    }

    @Test func `P18: full limits up to a planned stop`() {
        let found = findings(seconds: 40) { world in
            world.faults.plan(Fault(.plannedRestart, from: world.now + 1_000, until: world.now + 1_000))
            let stop = world.now + 1_000
            let before = world.engine.controller.output.report.chargeCurrentLimit
            world.tamperOutput = { output, now in
                if now >= stop && now < stop + 14_000 { output.report.chargeCurrentLimit = before }
            }
        }
        #expect(found == [.p18])
    }

    /// The state of charge that the witness heard of three unequal packs in the given seats, with a bridge that is right or made wrong.
    private func heardCharge(_ seats: [Int], wrong: Bool) -> Int32 {
        var plan = WorldPlan(seed: 3, packs: 3)
        plan.packs[2].soc = 0.55
        plan.seats = seats
        plan.constantSurplus = 6_000
        var world = World(plan)
        if wrong {
            // A bridge that takes the first pack for the bank.
            world.tamperOutput = { output, _ in output.report.soc = output.packs[0].soc / 100 }
        }
        // Which pack is heard first at the start is a matter of milliseconds on the lines: only afterwards order means nothing.
        world.run(seconds: 300)
        return world.checker.heard.soc
    }

    @Test func `P19: a bridge that looks at the first pack only`() {
        #expect(heardCharge([0, 1, 2], wrong: false) == heardCharge([2, 0, 1], wrong: false))
        #expect(heardCharge([0, 1, 2], wrong: true) != heardCharge([2, 0, 1], wrong: true))
    }

    @Test func `P23: a bridge whose clock has 32 bits`() {
        func digest(start: Milliseconds, wrong: Bool) -> UInt64 {
            var plan = Self.plan()
            plan.start = start
            var world = World(plan)
            if wrong {
                // It waits 30 s after a cut that it remembers in a counter that wraps.
                world.tamperOutput = { output, now in
                    let clock = UInt32(truncatingIfNeeded: now)
                    if clock < UInt32(truncatingIfNeeded: start) { output.report.chargeCurrentLimit = 0 }
                }
            }
            world.run(seconds: 120)
            return world.digest
        }
        let wrap: Milliseconds = 4_294_967_296 - 90_000
        #expect(digest(start: 1_000, wrong: false) == digest(start: wrap, wrong: false))
        #expect(digest(start: 1_000, wrong: true) != digest(start: wrap, wrong: true))
    }

    @Test(arguments: DialectName.allCases)
    func `in every dialect a limit 1 A too high and a voltage too high are noticed`(dialect: DialectName) {
        let plan = Self.plan { $0.bridge.inverterPorts[0].dialect = dialect }
        let current = findings(plan, seconds: 10) { world in
            world.tamperOutput = { output, _ in
                output.report.chargeCurrentLimit += 1_000
                output.report.dischargeCurrentLimit += 1_000
            }
        }
        #expect(current == [.p1])
        let voltage = findings(plan, seconds: 10) { world in
            world.tamperOutput = { output, _ in output.report.chargeVoltageLimit = 57_700 }
        }
        #expect(voltage == [.p2])
    }

    @Test func `P25: exact 0 to an inverter that takes it for nothing`() {
        let plan = Self.plan {
            $0.bridge.inverterPorts[0].dialect = .sofar
            $0.bridge.control.inverter.zeroCurrent = 100
            $0.packs[0].temperature = 0.3
            ($0.ambient, $0.ambientSwing) = (0.3, 0)
        }
        #expect(findings(plan) { $0.tamperOutput = { output, _ in output.report.chargeCurrentLimit = 0 } } == [.p25])
    }
}
