import Battery
import BridgeEngine
import InverterDialects
import Testing

@testable import Simulation

/// Invariants that compare whole worlds.
@Suite struct TwinTests {
    private func digest(_ plan: WorldPlan, seconds: Int64 = 1_800) -> UInt64 {
        var world = World(plan)
        world.run(seconds: seconds)
        #expect(world.framesSent > 0)
        return world.digest
    }

    @Test func `the same seed gives the same frames, another seed others`() {
        let plan = WorldPlan.random(seed: 5, packs: 2, faultsPerDay: 100)
        #expect(digest(plan) == digest(plan))
        #expect(digest(plan) != digest(.random(seed: 6, packs: 2, faultsPerDay: 100)))
    }

    @Test func `P23: the value of the monotonic clock changes nothing`() {
        var plan = WorldPlan.random(seed: 9, packs: 1, faultsPerDay: 0)
        plan.start = 1_000
        let expected = digest(plan)
        for start: Milliseconds in [0, 2_147_483_000, 4_294_967_000, 100 * 86_400_000] {
            plan.start = start
            #expect(digest(plan) == expected, "\(start)")
        }
    }

    @Test func `P19: the order of the packs changes no limit`() {
        func heard(_ seats: [Int]) -> [HeardFrames] {
            var plan = WorldPlan(seed: 3, packs: 3)
            plan.packs[1].capacity = 100
            plan.packs[1].settings.chargeOverCurrent = 60
            plan.packs[2].soc = 0.55
            plan.seats = seats
            plan.constantSurplus = 6_000
            var world = World(plan)
            var result: [HeardFrames] = []
            // Which pack is heard first at the start is a matter of milliseconds on the lines; after that order means nothing.
            world.run(seconds: 30)
            for _ in 0..<28 {
                world.run(seconds: 10)
                result.append(world.inverter.heard)
            }
            return result
        }
        let straight = heard([0, 1, 2])
        let isEqual = straight == heard([2, 0, 1])
        #expect(isEqual)
        #expect(straight.last!.chargeLimit > 0)
    }

    @Test func `P16: a reader that takes everything and one that is not there make no difference to the bus`() {
        var plan = WorldPlan(seed: 4)
        let without = digest(plan)
        plan.hasReader = true
        #expect(digest(plan) == without)
    }

    @Test func `a short soak over many seeds finds nothing`() {
        for seed in UInt64(1)...6 {
            var run = SoakRun(seed: seed, packs: nil, faultsPerDay: 200)
            run.run(days: 0.04)
            #expect(
                run.world.checker.violations.isEmpty, "seed \(seed): \(run.world.checker.violations.first?.text ?? "")")
        }
    }
}
