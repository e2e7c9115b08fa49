import Battery
import Testing

@testable import Simulation

@Suite struct PackPhysicsTests {
    @Test func `charge that goes in comes out of the state of charge`() {
        var pack = SimulatedPack(PackDesign(), seed: 1)
        let before = pack.soc
        for _ in 0..<3600 { pack.step(current: 28, seconds: 1, ambient: 20) }
        #expect(abs(pack.soc - before - 0.1) < 0.003)
    }

    @Test func `a pack under load shows less voltage than at rest and recovers slowly`() {
        var pack = SimulatedPack(PackDesign(), seed: 1)
        let rest = pack.voltage
        for _ in 0..<120 { pack.step(current: -100, seconds: 1, ambient: 20) }
        let loaded = pack.voltage
        pack.step(current: 0, seconds: 1, ambient: 20)
        let justAfter = pack.voltage
        for _ in 0..<300 { pack.step(current: 0, seconds: 1, ambient: 20) }
        #expect(loaded < rest - 0.5)
        #expect(loaded < justAfter && justAfter < pack.voltage)
    }

    @Test
    func
        `an overcharged cell makes the BMS open its charge switch after its delay, and release below the release voltage`()
    {
        var pack = SimulatedPack(PackDesign(), seed: 3)
        pack.shift(toSoC: 0.99)
        var opened: Int?
        var above = 0
        for _ in 0..<7200 where opened == nil {
            pack.step(current: 60, seconds: 1, ambient: 20)
            if pack.highest >= 3.650 { above += 1 }
            if !pack.chargeSwitch { opened = above }
        }
        #expect(opened == 5)
        #expect(pack.warnings.contains(.cellOverVoltage))
        #expect(pack.dischargeSwitch)
        for _ in 0..<900 { pack.step(current: -20, seconds: 1, ambient: 20) }
        #expect(pack.chargeSwitch)
        #expect(!pack.warnings.contains(.cellOverVoltage))
    }

    @Test func `the balancer brings a runner cell back to the others`() {
        var design = PackDesign()
        (design.runnerLead, design.balancerAmperes) = (0.02, 2)
        var pack = SimulatedPack(design, seed: 5)
        pack.shift(toSoC: 0.985)
        func spread() -> Double { pack.highest - pack.lowest }
        for _ in 0..<10 { pack.step(current: 5, seconds: 1, ambient: 20) }
        let before = spread()
        for _ in 0..<(3 * 3600) { pack.step(current: 0.2, seconds: 1, ambient: 20) }
        #expect(before > 0.010)
        #expect(spread() < before / 2)
    }

    @Test func `a cold pack forbids charging and a hot one too`() {
        var design = PackDesign()
        design.temperature = -3
        var cold = SimulatedPack(design, seed: 1)
        for _ in 0..<10 { cold.step(current: 0, seconds: 1, ambient: -3) }
        #expect(!cold.chargeSwitch && cold.dischargeSwitch)
        #expect(cold.warnings == .batteryCold)
        var hot = SimulatedPack(PackDesign(), seed: 1)
        hot.cellTemperature = 62
        for _ in 0..<10 { hot.step(current: 0, seconds: 1, ambient: 62) }
        #expect(!hot.chargeSwitch && hot.warnings == .batteryHot)
    }

    @Test func `packs in parallel share the current by resistance and the sum is what the inverter moves`() {
        var weak = PackDesign()
        weak.milliohms = 0.7
        var bank = SimulatedBank([SimulatedPack(PackDesign(), seed: 1), SimulatedPack(weak, seed: 1)])
        for _ in 0..<5 { bank.step(wanted: -90, seconds: 1, ambient: 20) }
        let shares = bank.packs.map(\.current)
        #expect(abs(shares[0] + shares[1] + 90) < 0.01)
        #expect(abs(shares[0] / shares[1] - 2) < 0.25)
    }

    @Test func `a pack with its charge switch off takes no charge but still discharges`() {
        var bank = SimulatedBank([SimulatedPack(PackDesign(), seed: 1), SimulatedPack(PackDesign(), seed: 2)])
        bank.packs[1].settings.chargeAllowed = false
        bank.step(wanted: 0, seconds: 1, ambient: 20)
        bank.step(wanted: 60, seconds: 1, ambient: 20)
        #expect(bank.packs[1].current <= 0)
        #expect(abs(bank.current - 60) < 0.01)
        for _ in 0..<60 { bank.step(wanted: -60, seconds: 1, ambient: 20) }
        #expect(bank.packs[1].current < -10)
    }

    @Test func `the same seed builds the same pack and another seed another one`() {
        var a = SimulatedPack(PackDesign(), seed: 42)
        var b = SimulatedPack(PackDesign(), seed: 42)
        var c = SimulatedPack(PackDesign(), seed: 43)
        var (ma, mb, mc) = (PackMeasurement(), PackMeasurement(), PackMeasurement())
        for _ in 0..<100 {
            for current in [0.0, 10] { a.step(current: current, seconds: 1, ambient: 20) }
            for current in [0.0, 10] { b.step(current: current, seconds: 1, ambient: 20) }
        }
        a.measure(into: &ma)
        b.measure(into: &mb)
        c.measure(into: &mc)
        #expect((0..<16).allSatisfy { ma.millivolts[$0] == mb.millivolts[$0] })
        #expect((0..<16).contains { ma.millivolts[$0] != mc.millivolts[$0] })
    }
}
