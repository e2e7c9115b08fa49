import Battery
import Testing

@testable import ChargeControl

/// The state machine of aggregation.md §3 and the join rule of §4, amendments 2, 4, 6, 12, 14, 19.
@Suite struct PackStateTests {
    func bank(_ count: Int, settle: Bool = true) -> Rig {
        var rig = Rig(
            .reference(charge: 500_000, discharge: 500_000, packs: count),
            packs: Array(repeating: .reference(), count: count))
        if settle { rig.run(seconds: 200) }
        return rig
    }

    @Test func `amendment 14 other packs are waited for until 15 s after the first is ready`() {
        var rig = bank(2, settle: false)
        rig.answers[1] = false
        let seconds = rig.run(until: { $0.output.mayTransmit }, limit: 30)
        #expect(seconds == 18)
        #expect(rig.output.warnings.contains(.degraded))
        #expect(rig.report.chargeVoltageLimit == 53_600)
        rig.run(seconds: 100)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.packs[1].state == .absent)
        #expect(rig.report.packsOffline == 1)
    }

    @Test func `both packs present start without waiting`() {
        var rig = bank(2, settle: false)
        let seconds = rig.run(until: { $0.output.mayTransmit }, limit: 30)
        #expect(seconds == 3)
        #expect(rig.report.packsOnline == 1)
    }

    @Test func `an excluded pack is not waited for and not missed`() {
        var configuration = ControlConfiguration.reference(packs: 2)
        configuration.packs[1].isEnabled = false
        var rig = Rig(configuration, packs: [.reference(), .reference()])
        rig.answers[1] = false
        rig.run(seconds: 100)
        #expect(rig.output.packs[1].state == .excluded)
        #expect(!rig.output.warnings.contains(.degraded))
        #expect(rig.report.packsExpected == 1)
        #expect(rig.controller.accept(.reference(), pack: 1, at: rig.now) == .notConfigured)
    }

    @Test
    func `when the last conducting pack goes, one in its back-off takes over in the same tick (amendment 4; soak, seed 1011)`() {
        var rig = bank(2)
        for _ in 0..<3 {
            rig.answers[0] = false
            rig.run(seconds: 40)
            rig.answers[0] = true
            rig.run(seconds: 120)
        }
        #expect(rig.output.packs[0].state == .joining)
        let before = rig.report.dischargeCurrentLimit
        #expect(before == 135_000)
        rig.packs[1].chargeSwitch = false
        rig.packs[1].dischargeSwitch = false
        rig.second()
        #expect(rig.output.packs[1].state == .isolated)
        #expect(rig.output.packs[0].state == .active)
        #expect(rig.report.dischargeCurrentLimit == before && rig.report.dischargeEnabled)
    }

    @Test func `a switch that has just closed is not counted on, but its pack limits at once (P5)`() {
        var rig = bank(3)
        rig.packs[2].chargeSwitch = false
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 270_000)
        rig.packs[2].chargeSwitch = true
        rig.packs[2].dynamicChargeLimit = 13_500
        rig.second()
        #expect(rig.output.packs[2].state == .chargeOff)
        #expect(rig.report.chargeCurrentLimit == 40_500, "a third of the current is its share")
        rig.packs[2].dynamicChargeLimit = nil
        rig.packs[2].chargeSwitch = false
        rig.run(seconds: 60)
        rig.packs[2].setHighest(3610)
        rig.packs[2].chargeSwitch = true
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 0)
    }

    @Test func `a switch that opens counts at once, one that closes after 10 s`() {
        var rig = bank(1)
        rig.packs[0].dischargeSwitch = false
        rig.second()
        #expect(rig.output.packs[0].state == .dischargeOff)
        #expect(rig.report.dischargeCurrentLimit == 0 && !rig.report.dischargeEnabled)
        #expect(rig.report.chargeCurrentLimit == 135_000 && rig.report.chargeEnabled, "amendment 2")
        rig.packs[0].dischargeSwitch = true
        rig.run(seconds: 10)
        #expect(rig.output.packs[0].state == .dischargeOff)
        rig.second()
        #expect(rig.output.packs[0].state == .active)
    }

    @Test func `amendment 12 a single pack with both switches open is ISOLATED and still reported`() {
        var rig = bank(1)
        rig.packs[0].chargeSwitch = false
        rig.packs[0].dischargeSwitch = false
        rig.second()
        #expect(rig.output.packs[0].state == .isolated)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(rig.report.packsOnline == 1)
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(rig.report.full == 280_000)
        #expect(rig.output.waiting == .switchOn)
        #expect(!rig.output.warnings.contains(.degraded))
        rig.packs[0].chargeSwitch = true
        rig.packs[0].dischargeSwitch = true
        let seconds = rig.run(until: { $0.output.packs[0].state == .active }, limit: 30)
        #expect(seconds == 11)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
    }

    @Test func `an isolated pack keeps its cells out of the bank, and lost it does not degrade it`() {
        var rig = bank(2)
        rig.packs[1].chargeSwitch = false
        rig.packs[1].dischargeSwitch = false
        rig.packs[1].setAll(3500)
        rig.run(seconds: 3)
        #expect(rig.report.highestCell == 3360)
        #expect(rig.output.packs[1].state == .isolated)
        #expect(rig.output.warnings.contains(.matchVoltagesFirst))
        rig.answers[1] = false
        rig.run(seconds: 60)
        #expect(rig.output.packs[1].state == .lost)
        #expect(!rig.output.warnings.contains(.degraded), "amendment 19")
        #expect(rig.report.chargeVoltageLimit == 55_200)
    }

    @Test func `a pack without current 0.4 V off while the other carries current has an open breaker`() {
        var rig = bank(2)
        rig.packs[0].current = 50_000
        rig.packs[1].setAll(3316)
        rig.run(seconds: 9)
        #expect(rig.output.packs[1].state == .active)
        rig.run(seconds: 3)
        #expect(rig.output.packs[1].state == .isolated)
        // The other one alone.
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `a unit that repeats itself proves no open breaker, one that lives does (soak, seed 4042)`() {
        var rig = bank(2)
        rig.hasCounter = false
        rig.packs[0].current = 50_000
        rig.packs[1].setAll(3316)
        rig.packs[1].dynamicDischargeLimit = 20_000
        rig.run(seconds: 60)
        #expect(rig.output.packs[1].state == .active)
        #expect(rig.report.dischargeCurrentLimit <= 40_000, "its limit goes on counting")
        rig.packs[1].cells[3] += 1
        rig.second()
        #expect(rig.output.packs[1].state == .isolated)
    }

    @Test func `a pack whose charge switch keeps the current away is no open breaker, and its limit goes on counting`() {
        var rig = bank(2)
        rig.packs[0].current = 50_000
        rig.packs[1].setAll(3316)
        rig.packs[1].chargeSwitch = false
        rig.run(seconds: 30)
        #expect(rig.output.packs[1].state == .chargeOff)
    }

    @Test func `a joining pack lets nothing rise, and its high cell zeroes the bank`() {
        var rig = bank(2)
        rig.answers[1] = false
        rig.run(seconds: 200)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        rig.answers[1] = true
        rig.run(seconds: 7)
        #expect(rig.output.packs[1].state == .joining)
        rig.packs[1].setHighest(3610)
        rig.second()
        #expect(rig.output.packs[1].state == .joining)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.place == CellPlace(pack: 2, cell: 7))
    }

    @Test func `a pack whose SoC is 30 % apart joins only after 30 s of calm`() {
        var rig = bank(2)
        rig.answers[1] = false
        rig.run(seconds: 100)
        rig.answers[1] = true
        rig.packs[1].soc = 9000
        rig.packs[1].current = 100_000
        rig.run(seconds: 60)
        #expect(rig.output.packs[1].state == .joining)
        rig.packs[1].current = 10_000
        rig.run(seconds: 28)
        #expect(rig.output.packs[1].state == .joining)
        rig.run(seconds: 4)
        #expect(rig.output.packs[1].state == .active)
    }

    @Test func `amendment 4 the last available pack always rejoins after 10 s`() {
        var rig = bank(1)
        for _ in 0..<5 {
            rig.answers[0] = false
            rig.run(seconds: 40)
            rig.answers[0] = true
            let seconds = rig.run(until: { $0.output.packs[0].state == .active }, limit: 100)
            #expect(seconds == 16)
        }
    }

    @Test func `the back-off of a flapping pack is over after an hour`() {
        var counter = FlapCounter()
        let start = Instant(milliseconds: 0)
        for i in 0..<4 { counter.lost(at: start + Int64(i) * 1000) }
        #expect(counter.joinTime(at: start + 10_000) == 3_600_000)
        #expect(counter.joinTime(at: start + 3_600_000 + 2500) == 10_000)
    }

    @Test func `three of five rejected snapshots make a pack SUSPECT, three good ones end it`() {
        var rig = bank(1)
        let good = rig.packs[0]
        rig.packs[0].cells[0] = 0
        rig.run(seconds: 2)
        #expect(rig.output.packs[0].state == .active)
        rig.second()
        #expect(rig.output.packs[0].state == .suspect)
        rig.packs[0] = good
        rig.run(seconds: 2)
        #expect(rig.output.packs[0].state == .suspect)
        rig.second()
        #expect(rig.output.packs[0].state == .active)
        #expect(rig.report.chargeCurrentLimit == 135_000, "SUSPECT forbids increases, it cuts nothing (amendment 19)")
    }

    @Test func `a pack more than 0.5 V off the median of three is not used for the voltage`() {
        var rig = bank(3)
        rig.packs[2].packVoltage! += 520
        for i in 0..<16 { rig.packs[2].cells[i] += 32 }
        rig.second()
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(rig.output.packs[2].state == .suspect)
    }

    @Test func `P19 the order of the packs changes no value`() {
        var random = SplitMix(seed: 19)
        for _ in 0..<20 {
            var packs: [PackReading] = []
            for _ in 0..<4 {
                var p = PackReading.reference(
                    highest: random.within(3300...3480), others: 3340, soc: Int32(random.within(2000...9000)),
                    capacity: Int32(random.within(90...300)) * 1000)
                p.chargeSwitch = !random.chance(15)
                p.dischargeSwitch = !random.chance(15)
                p.current = Int32(random.within(-40...40)) * 1000
                packs.append(p)
            }
            func outcome(_ order: [Int]) -> [Int32] {
                var rig = Rig(
                    .reference(charge: 900_000, discharge: 900_000, packs: 4), packs: order.map { packs[$0] })
                rig.run(seconds: 90)
                let r = rig.report
                return [
                    r.chargeVoltageLimit, r.chargeCurrentLimit, r.dischargeCurrentLimit, r.soc, r.voltage, r.current,
                    r.highestCell,
                    r.lowestCell, r.packsOnline,
                ]
            }
            let first = outcome([0, 1, 2, 3])
            #expect(outcome([3, 1, 0, 2]) == first)
            #expect(outcome([2, 3, 1, 0]) == first)
        }
    }

    @Test func `the JK start-up keeps the SoC of the record for 30 s`() {
        var record = ControlRecord()
        record.soc = 5500
        record.phase = .bulk
        var starting = PackReading.reference(soc: 0)
        starting.starting = true
        starting.cycles = 0
        var rig = Rig(packs: [starting], record: record)
        rig.run(seconds: 20)
        #expect(rig.output.mayTransmit)
        #expect(rig.report.soc == 55)
        rig = Rig(packs: [starting])
        rig.run(seconds: 29)
        #expect(!rig.output.mayTransmit, "no SoC is known from anywhere")
        rig.run(seconds: 5)
        #expect(rig.output.mayTransmit)
        #expect(rig.report.soc == 1, "0 is not proven")
    }
}
