import Battery
import Testing

@testable import ChargeControl

/// What `packbridge explain` asks: one snapshot by itself, through the same limiters.
@Suite struct StatelessTests {
    func explain(
        _ packs: [PackReading], _ configuration: ControlConfiguration = .reference(), ages: [Milliseconds]? = nil
    ) -> Controller {
        var controller = Controller.stateless(configuration: configuration)
        for i in packs.indices { controller.adopt(packs[i], age: ages?[i] ?? 0, pack: i) }
        controller.evaluate()
        return controller
    }

    @Test func `the protective bound comes at once, in mA, with its reason`() {
        let output = explain([.reference(highest: 3500)]).output
        #expect(output.report.chargeCurrentLimit == 20_250)
        #expect(output.chargeReason.rule == .cellHigh)
        #expect(output.report.dischargeCurrentLimit == 135_000)
        // S − e = 53.600 − 0.040 V, but never below float.
        #expect(output.report.chargeVoltageLimit == 53_600)
        #expect(output.voltageReason.rule == .runnerCell)
        #expect(output.report.chargeEnabled && output.report.dischargeEnabled)
        #expect(output.phase == .bulk)
    }

    @Test func `every limiter is listed once and the lowest is the binding one`() {
        let output = explain([.reference(highest: 3470)]).output
        var rules: [LimitRule] = []
        for i in 0..<output.chargeLimiters.count { rules.append(output.chargeLimiters[i].rule) }
        #expect(Set(rules).count == rules.count)
        #expect(Set(rules).isSuperset(of: [.bmsMargin, .cellHigh, .cold, .cRate, .mosfetHot, .userCurrent]))
        let lowest = (0..<output.chargeLimiters.count).map { output.chargeLimiters[$0].bound }.min()
        #expect(lowest == output.report.chargeCurrentLimit)
        let voltages = (0..<output.voltageLimiters.count).map { output.voltageLimiters[$0].bound }
        #expect(voltages.min()! / 100 * 100 == output.report.chargeVoltageLimit)
    }

    @Test func `the listed bounds of one pack are what they mean for the bank`() {
        var configuration = ControlConfiguration.reference(charge: 500_000, discharge: 500_000, packs: 2)
        configuration.chargeRateMaximum = 1000
        let output = explain([.reference(), .reference(highest: 3450)], configuration).output
        #expect(output.report.chargeCurrentLimit == 135_000)
        #expect(output.chargeReason.place == CellPlace(pack: 2, cell: 7))
        for i in 0..<output.chargeLimiters.count {
            let limiter = output.chargeLimiters[i]
            if limiter.rule == .cellHigh { #expect(limiter.bound == 135_000) }
            if limiter.rule == .bmsMargin { #expect(limiter.bound == 270_000) }
        }
    }

    @Test func `an age moves through the ladder`() {
        for (age, expected) in [(0, 135_000), (15_000, 135_000), (18_000, 108_000), (30_000, 0), (31_000, 0)]
            as [(Int64, Int32)]
        {
            let output = explain([.reference()], ages: [age]).output
            #expect(output.report.chargeCurrentLimit == expected)
            #expect(output.report.dischargeCurrentLimit == expected)
        }
        #expect(explain([.reference()], ages: [31_000]).output.report.chargeEnabled == false)
    }

    @Test func `latches, start-up and the correction by measured current are off`() {
        var reading = PackReading.reference(current: 200_000)
        reading.setTemperature(10)
        let cold = explain([reading]).output
        #expect(cold.chargeReason.rule == .cold)
        #expect(cold.report.chargeCurrentLimit == 7000)
        var low = PackReading.reference(highest: 2810, others: 2800)
        low.soc = 500
        #expect(explain([low]).output.report.dischargeCurrentLimit == 0)
    }

    @Test func `the phase comes from SoC and voltage`() {
        #expect(explain([.reference(highest: 3340, others: 3335, soc: 9700)]).output.phase == .float)
        #expect(explain([.reference(highest: 3340, others: 3335, soc: 9699)]).output.phase == .bulk)
        #expect(explain([.reference(highest: 3320, others: 3320, soc: 9900)]).output.phase == .bulk)
        var resting = ControlConfiguration.reference()
        resting.floatMode = .none
        let output = explain([.reference(highest: 3340, others: 3335, soc: 9800)], resting).output
        #expect(output.phase == .rest)
        #expect(output.report.chargeCurrentLimit == 0)
    }

    @Test func `a given pack that is not believed zeroes the bank`() {
        var broken = PackReading.reference()
        broken.cells[3] = 0
        let output = explain([.reference(), broken], .reference(packs: 2)).output
        #expect(output.report.chargeCurrentLimit == 0 && output.report.dischargeCurrentLimit == 0)
        #expect(output.chargeReason.rule == .cellUnknown)
        #expect(output.chargeReason.place.pack == 2)
        #expect(output.report.chargeVoltageLimit <= 53_600)
    }

    @Test func `a missing pack voltage is the sum, a missing current only stops the full test`() {
        var reading = PackReading.reference()
        reading.packVoltage = nil
        reading.current = nil
        let output = explain([reading]).output
        #expect(output.report.chargeCurrentLimit == 135_000)
        #expect(output.report.voltage == 3340 * 15 + 3360)
        #expect(output.warnings.contains(.currentUnknown))
        reading.chargeSwitch = nil
        #expect(explain([reading]).output.report.chargeCurrentLimit == 0)
    }

    @Test func `the same snapshot gives the same bound as a bank that has settled on it`() {
        var random = SplitMix(seed: 77)
        for _ in 0..<25 {
            var reading = PackReading.reference(
                highest: random.within(3330...3560), others: 3330, soc: Int32(random.within(2000...9000)), current: 50)
            reading.setTemperature(Int32(random.within(40...520)))
            reading.mosfetTemperature = .value(Int32(random.within(200...880)))
            var rig = Rig(packs: [reading])
            rig.run(seconds: 100)
            let output = explain([reading]).output
            #expect(output.report.chargeCurrentLimit == rig.report.chargeCurrentLimit)
            #expect(output.report.dischargeCurrentLimit == rig.report.dischargeCurrentLimit)
            #expect(output.chargeReason.rule == rig.output.chargeReason.rule)
        }
    }
}
