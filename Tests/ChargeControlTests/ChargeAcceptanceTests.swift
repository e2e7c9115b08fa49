import Battery
import Testing

@testable import ChargeControl

/// The acceptance table T1–T20 of charge-control.md §14: LFP 16S 280 Ah, user 140 A, OCP 150 A, OVP 3.65, UVP 2.70, one pack.
@Suite struct ChargeAcceptanceTests {
    /// A settled bank with the highest cell at `highest`.
    func settled(highest: Int = 3360, others: Int = 3340, soc: CentiPercent = 6000, current: Milliamps = 0) -> Rig {
        var rig = Rig(packs: [.reference(highest: highest, others: others, soc: soc, current: current)])
        rig.settle()
        return rig
    }

    @Test func `T1 v_hi 3.36 at 25 °C gives 135 A by the BMS margin`() {
        let rig = settled()
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.chargeReason.rule == .bmsMargin)
        #expect(rig.output.chargeReason.input == 150_000)
    }

    @Test func `T2 v_hi 3.45 gives 67.5 A by the cell`() {
        let rig = settled(highest: 3450)
        #expect(rig.report.chargeCurrentLimit == 67_500)
        #expect(rig.output.chargeReason.rule == .cellHigh)
        #expect(rig.output.chargeReason.place == CellPlace(pack: 1, cell: 7))
        #expect(rig.output.chargeReason.input == 3450)
    }

    @Test func `T3 v_hi 3.50 gives 20.25 A, which every dialect rounds down to 20.2`() {
        #expect(settled(highest: 3500).report.chargeCurrentLimit == 20_250)
    }

    @Test func `T4 v_hi 3.61 closes the top latch, 3.45 for an hour does not open it, 3.39 for 30 s does`() {
        var rig = settled()
        rig.packs[0].setHighest(3610)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.packs[0].chargeReason.bound == 0)
        rig.packs[0].setHighest(3450)
        rig.second()
        #expect(rig.output.chargeReason.rule == .topLatch)
        for _ in 0..<3600 {
            rig.second()
            #expect(rig.report.chargeCurrentLimit == 0)
        }
        #expect(rig.report.chargeEnabled, "the top latch is no HOLD and leaves the enable on")
        rig.packs[0].setHighest(3390)
        rig.run(seconds: 29)
        #expect(rig.report.chargeCurrentLimit == 0)
        rig.run(seconds: 3)
        #expect(rig.report.chargeCurrentLimit > 0)
        #expect(rig.report.chargeCurrentLimit <= 15_000)
    }

    @Test func `T5 28 A at 5 °C, nothing at 0.0 and -0.1, nothing up to 2.9, 18.6 A after 60 s at 3.0`() {
        var rig = settled()
        for (temperature, expected) in [(50, 28_000), (0, 0), (-1, 0), (29, 0)] as [(Decidegrees, Milliamps)] {
            rig.packs[0].setTemperature(temperature)
            rig.run(seconds: 120)
            #expect(rig.report.chargeCurrentLimit == expected, "at \(temperature) tenths")
        }
        rig.packs[0].setTemperature(30)
        rig.run(seconds: 59)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.rule == .coldLatch)
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 18_666)
        #expect(rig.output.chargeReason.rule == .cold)
    }

    @Test func `T6 without temperatures CCL is 0 and DCL at most 0.2C, with a warning`() {
        var reading = PackReading.reference()
        reading.cellTemperatures.removeAll()
        var rig = Rig(packs: [reading])
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.rule == .noTemperature)
        #expect(rig.report.dischargeCurrentLimit == 56_000)
        #expect(rig.output.warnings.contains(.temperatureSensor))
    }

    @Test func `T7 the runner bound is S minus the excess and never raises CVL`() {
        var rig = settled(highest: 3440, others: 3440, current: 20_000)
        #expect(rig.report.chargeVoltageLimit == 55_200)
        rig.packs[0].setSum(55_400, highest: 3470)
        rig.second()
        #expect(rig.report.chargeVoltageLimit == 55_200)
        rig.packs[0].setSum(55_150, highest: 3470)
        rig.second()
        #expect(rig.output.voltageReason.rule == .runnerCell)
        #expect(rig.controller.packs[0].runner.bound == 55_140)
        #expect(rig.report.chargeVoltageLimit == 55_100)
    }

    @Test func `T8 v_hi 3.62 puts CVL to float and CCL to 0 in the same tick`() {
        var rig = settled(highest: 3400, others: 3400)
        rig.packs[0].setHighest(3620)
        rig.second()
        #expect(rig.report.chargeVoltageLimit == 53_600)
        #expect(rig.report.chargeCurrentLimit == 0)
    }

    @Test func `T9 3.9 A at v_hi 3.45 for 10 s is ABSORB, 4.1 A is not`() {
        var rig = settled(highest: 3450, others: 3440, current: 4100)
        rig.packs[0].balancing = true
        rig.packs[0].current = 4100
        rig.run(seconds: 30)
        #expect(rig.output.phase == .bulk)
        rig.packs[0].current = 3900
        rig.run(seconds: 9)
        #expect(rig.output.phase == .bulk)
        rig.run(seconds: 3)
        #expect(rig.output.phase == .absorb)
    }

    @Test func `T10 30 s of discharge in ABSORB take 15 s off t_abs and leave the phase`() {
        var rig = absorbing()
        rig.run(seconds: 100)
        let before = rig.controller.phase.absorbTime
        #expect(before >= 100_000)
        rig.packs[0].current = -20_000
        rig.run(seconds: 30)
        #expect(rig.controller.phase.absorbTime == before - 15_000)
        #expect(rig.output.phase == .absorb)
    }

    @Test func `T11 a charge that one cell ends early is LIMITED and names the cell`() {
        var rig = absorbing(highest: 3470, others: 3348)
        rig.run(seconds: 1000)
        #expect(rig.output.phase == .absorb)
        let seconds = rig.run(until: { $0.output.phase == .float }, limit: 900)
        #expect(seconds != nil)
        #expect(rig.controller.phase.grade == .limited)
        #expect(rig.output.preventsFull == CellPlace(pack: 1, cell: 7))
        #expect(rig.output.warnings.contains(.cellPreventsFull))
        #expect(rig.report.soc <= 99)
        #expect(rig.controller.phase.sinceFull > 1_000_000)
    }

    @Test func `T12 after FULL the ramp takes CVL from 55.2 to 53.6 V in 1600 s`() throws {
        var rig = absorbing(highest: 3450, others: 3445, balancing: false)
        let reached = rig.run(until: { $0.output.phase == .float }, limit: 120)
        try #require(reached != nil)
        #expect(rig.controller.phase.grade == .full)
        #expect(rig.report.soc == 100)
        #expect(rig.controller.phase.sinceFull == 0)
        #expect(rig.report.chargeVoltageLimit == 55_200)
        let start = rig.history.count
        let down = rig.run(until: { $0.report.chargeVoltageLimit == 53_600 }, limit: 2000)
        let seconds = try #require(down)
        #expect(abs(seconds - 1600) <= 10)
        let told = rig.history[start...]
        #expect(zip(told, told.dropFirst()).allSatisfy { $0.cvl - $1.cvl == 0 || $0.cvl - $1.cvl == 100 })
    }

    @Test func `T13 a dip to 3.28 for 60 s does not rebulk, 301 s do`() {
        var rig = floating()
        rig.run(seconds: 700)
        rig.packs[0].setAll(3280)
        rig.run(seconds: 60)
        rig.packs[0].setAll(3340)
        rig.run(seconds: 10)
        #expect(rig.output.phase == .float)
        rig.packs[0].setAll(3280)
        rig.run(seconds: 299)
        #expect(rig.output.phase == .float)
        rig.run(seconds: 3)
        #expect(rig.output.phase == .bulk)
    }

    @Test func `T14 the offset never lifts CVL above 50 mV below OVP`() {
        var configuration = ControlConfiguration.reference()
        configuration.bulk = 3580
        configuration.inverterOffset = 500
        var rig = Rig(configuration)
        rig.settle()
        #expect(rig.report.chargeVoltageLimit == 57_600)
        #expect(rig.output.voltageReason.rule == .absoluteVoltage)
        configuration.bulk = 3450
        rig = Rig(configuration)
        rig.settle()
        #expect(rig.report.chargeVoltageLimit == 55_700)
    }

    @Test func `T15 after a fault clears nothing rises for 30 s, then at most 5 A per second`() {
        var rig = settled()
        rig.packs[0].setHighest(3500)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 20_250)
        rig.packs[0].setHighest(3360)
        for _ in 0..<30 {
            rig.second()
            #expect(rig.report.chargeCurrentLimit <= 20_250)
        }
        #expect(rig.output.chargeReason.rule == .ramp || rig.output.chargeReason.rule == .holdAfterCut)
        var before = rig.report.chargeCurrentLimit
        for _ in 0..<30 {
            rig.second()
            #expect(rig.report.chargeCurrentLimit - before <= 5000)
            before = rig.report.chargeCurrentLimit
        }
        #expect(before == 135_000)
    }

    @Test func `T16 a BMS that says 0 % at 3.28 V and rest is reported at 5 % with a warning`() {
        var rig = Rig(packs: [.reference(highest: 3280, others: 3280, soc: 0)])
        rig.run(seconds: 500)
        #expect(rig.report.soc == 1)
        rig.run(seconds: 200)
        #expect(rig.report.soc == 5)
        #expect(rig.output.warnings.contains(.socDrift))
    }

    @Test func `T17 a BMS that says 100 % without FULL is reported at 99 %`() {
        let rig = settled(soc: 10_000)
        #expect(rig.report.soc == 99)
        #expect(rig.report.socFine == 9900)
    }

    @Test func `T18 a reboot in FLOAT goes on in FLOAT, at 100 %, with CCL from 0`() {
        var rig = absorbing(highest: 3450, others: 3445, balancing: false)
        rig.run(seconds: 1800)
        #expect(rig.output.phase == .float)
        let record = rig.controller.record
        var again = Rig(packs: rig.packs, record: record)
        again.run(seconds: 5)
        #expect(again.output.mayTransmit)
        #expect(again.output.phase == .float)
        #expect(again.report.soc == 100)
        #expect(again.report.chargeCurrentLimit == 0)
        again.run(seconds: 9)
        #expect(again.report.chargeCurrentLimit > 0 && again.report.chargeCurrentLimit <= 15_000)
        #expect(again.history.filter { $0.mayTransmit }.allSatisfy { $0.soc == 100 })
        #expect(again.controller.phase.sinceFull >= record.sinceFull)
    }

    @Test func `T20 a cap of 500 A from outside changes nothing`() throws {
        var rig = settled()
        try rig.controller.handle(.chargeCap(500_000, for: 60_000), at: rig.now)
        rig.run(seconds: 10)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.chargeReason.rule == .bmsMargin)
    }

    @Test func `amendment 20 a charge that is switched off below the knee is not FULL`() {
        // 100 A at v_hi 3.42, then 0 A with v_hi 3.39 for 5 min.
        var rig = Rig(packs: [.reference(highest: 3420, others: 3400, current: 100_000)])
        rig.settle()
        rig.packs[0].setSum(15 * 3380 + 3390, highest: 3390)
        rig.packs[0].current = 0
        rig.run(seconds: 300)
        #expect(rig.output.phase == .absorb)
        #expect(rig.controller.phase.grade == .none)
        #expect(rig.report.soc < 100)
    }

    @Test func `three over-voltage trips within one charge end it as LIMITED`() {
        var rig = Rig(packs: [.reference(highest: 3360, others: 3340, current: 20_000)])
        rig.settle()
        for trip in 1...3 {
            #expect(rig.output.phase == .bulk, "before trip \(trip)")
            rig.packs[0].alarms = .cellOverVoltage
            rig.run(seconds: 2)
            #expect(rig.output.phase == .hold)
            rig.packs[0].alarms = []
            rig.run(seconds: 20)
        }
        #expect(rig.output.phase == .float)
        #expect(rig.controller.phase.grade == .limited)
        #expect(rig.report.soc == 60)
    }

    // MARK: Starting points

    /// In ABSORB with the balancer at work, so that only the time ends it.
    func absorbing(highest: Int = 3450, others: Int = 3400, balancing: Bool = true) -> Rig {
        var reading = PackReading.reference(highest: highest, others: others, soc: 9000)
        reading.balancing = balancing
        reading.current = 1000
        var rig = Rig(packs: [reading])
        _ = rig.run(until: { $0.output.phase == .absorb }, limit: 60)
        return rig
    }

    /// In FLOAT after a restart near full.
    func floating() -> Rig {
        var rig = Rig(packs: [.reference(highest: 3345, others: 3345, soc: 9800)])
        rig.run(seconds: 20)
        return rig
    }
}

extension PackReading {
    /// Cell 7 at `highest`, the others share the rest of `sum` as evenly as whole millivolts allow.
    mutating func setSum(_ sum: Int, highest: Int) {
        let rest = sum - highest
        for i in 0..<16 where i != 6 { cells[i] = UInt16(rest / 15) }
        for i in 0..<(rest % 15) { cells[i < 6 ? i : i + 1] += 1 }
        cells[6] = UInt16(highest)
        addUp()
    }
}
