import Battery
import Testing

@testable import ChargeControl

/// Requests, overrides, obedience and planned limits (charge-control.md §7.4, §7.5, §8, §10, §11; amendment 7).
@Suite struct RequestTests {
    func settled(_ configuration: ControlConfiguration = .reference(), _ change: (inout PackReading) -> Void = { _ in })
        -> Rig
    {
        var reading = PackReading.reference()
        change(&reading)
        var rig = Rig(configuration, packs: [reading])
        rig.settle()
        return rig
    }

    // MARK: Force charge

    func forcing() -> ControlConfiguration {
        var c = ControlConfiguration.reference()
        c.forceChargeRequests = true
        return c
    }

    @Test func `force charge II comes at 10 % after 60 s and goes at 15 % after 10 min`() {
        var rig = settled(forcing()) { $0.soc = 1100 }
        #expect(rig.report.requests.isEmpty)
        rig.packs[0].soc = 990
        let on = rig.run(until: { $0.report.requests.contains(.forceCharge2) }, limit: 200)
        #expect(on != nil && on! >= 60)
        #expect(!rig.report.requests.contains(.forceCharge1))
        rig.packs[0].soc = 1490
        rig.run(seconds: 700)
        #expect(rig.report.requests.contains(.forceCharge2))
        rig.packs[0].soc = 1520
        rig.run(seconds: 60)
        #expect(rig.report.requests.isEmpty)
    }

    @Test func `a low cell asserts force charge I, and 10 minutes are the least`() {
        var rig = settled(forcing()) { $0.setAll(3050) }
        rig.packs[0].setAll(2890)
        rig.run(seconds: 29)
        #expect(rig.report.requests.isEmpty)
        rig.run(seconds: 3)
        #expect(rig.report.requests.contains(.forceCharge1))
        rig.packs[0].setAll(3150)
        rig.run(seconds: 560)
        #expect(rig.report.requests.contains(.forceCharge1))
        rig.run(seconds: 60)
        #expect(!rig.report.requests.contains(.forceCharge1))
    }

    @Test func `P20 a request ends at once when charging is blocked, and none is made by default`() {
        var rig = settled(forcing()) { $0.soc = 500 }
        rig.run(seconds: 100)
        #expect(!rig.report.requests.isEmpty)
        rig.packs[0].setTemperature(160)
        rig.second()
        rig.packs[0].setTemperature(70)
        rig.second()
        rig.packs[0].setTemperature(-10)
        rig.second()
        #expect(rig.report.requests.isEmpty)
        rig = settled { $0.soc = 500 }
        rig.run(seconds: 200)
        #expect(rig.report.requests.isEmpty)
    }

    @Test func `a force-charge request lasts at most 12 h, then pauses for one`() {
        var force = ForceCharge()
        var now = Instant(milliseconds: 0)
        func run(minutes: Int) {
            for _ in 0..<minutes {
                now = now + 60_000
                force.update(ForceCharge.second, soc: 500, lowest: 3200, dischargeZero: 2800, isAllowed: true, at: now)
            }
        }
        run(minutes: 3)
        #expect(force.isOn)
        run(minutes: 12 * 60)
        #expect(!force.isOn)
        run(minutes: 50)
        #expect(!force.isOn)
        run(minutes: 15)
        #expect(force.isOn)
    }

    @Test func `full charge is requested 14 days after the last 97 %, not in the cold, for a day at most`() {
        var request = FullChargeRequest()
        var now = Instant(milliseconds: 0)
        func run(hours: Int, allowed: Bool = true) {
            for _ in 0..<hours {
                now = now + 3_600_000
                request.update(
                    soc: 6000, becameFull: false, everyDays: 14, releasesAt97: false, isAllowed: allowed, at: now)
            }
        }
        run(hours: 14 * 24)
        #expect(!request.isOn)
        run(hours: 2, allowed: false)
        #expect(!request.isOn)
        run(hours: 1)
        #expect(request.isOn)
        run(hours: 24)
        #expect(!request.isOn)
        run(hours: 26)
        #expect(request.isOn)
        request.update(soc: 9900, becameFull: true, everyDays: 14, releasesAt97: false, isAllowed: true, at: now + 1000)
        #expect(!request.isOn)
    }

    // MARK: Overrides

    @Test func `a permission does not come back while the data grow old (P10; soak, seeds 4079 and 4140)`() throws {
        var rig = settled()
        try rig.controller.handle(.pauseCharge(for: 60_000), at: rig.now)
        try rig.controller.handle(.pauseDischarge(for: 60_000), at: rig.now)
        rig.run(seconds: 50)
        #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
        rig.answers[0] = false
        for _ in 0..<40 {
            rig.second()
            #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
        }
        rig.answers[0] = true
        rig.run(seconds: 60)
        #expect(rig.report.chargeEnabled && rig.report.dischargeEnabled)
    }

    @Test func `a pause ramps down in 10 s, then takes the enable, and expires`() throws {
        var rig = settled()
        try rig.controller.handle(.pauseCharge(for: 60_000), at: rig.now)
        rig.run(seconds: 5)
        #expect(rig.report.chargeCurrentLimit > 50_000 && rig.report.chargeCurrentLimit < 75_000)
        #expect(rig.report.chargeEnabled)
        #expect(rig.output.phase == .hold)
        #expect(rig.output.waiting == .userResume)
        rig.run(seconds: 6)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(!rig.report.chargeEnabled)
        #expect(rig.output.chargeReason.rule == .command)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
        rig.run(seconds: 100)
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `P14 a cap lowers, expires within its time, and resume ends it`() throws {
        var rig = settled()
        try rig.controller.handle(.chargeCap(20_000, for: 60_000), at: rig.now)
        try rig.controller.handle(.dischargeCap(30_000, for: 600_000), at: rig.now)
        rig.run(seconds: 12)
        #expect(rig.report.chargeCurrentLimit == 20_000)
        #expect(rig.report.dischargeCurrentLimit == 30_000)
        rig.run(seconds: 90)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.report.dischargeCurrentLimit == 30_000)
        try rig.controller.handle(.resume, at: rig.now)
        rig.run(seconds: 60)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
    }

    @Test func `an order without an end, or with an absurd value, is refused`() {
        var rig = settled()
        func refusal(_ command: Command) -> CommandRefusal? {
            do {
                try rig.controller.handle(command, at: rig.now)
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal(.pauseCharge(for: 0)) == .timeToLiveOutOfRange)
        #expect(refusal(.chargeCap(1000, for: 86_400_001)) == .timeToLiveOutOfRange)
        #expect(refusal(.chargeCap(-1, for: 60_000)) == .valueOutOfRange)
        #expect(refusal(.socCeiling(3000, for: 60_000)) == .valueOutOfRange)
        #expect(refusal(.fullNow) == nil)
    }

    @Test func `the SoC ceiling stops charging by a ramp with 5 % hysteresis, and full now lifts it`() throws {
        var configuration = ControlConfiguration.reference()
        configuration.socCeiling = 8000
        var rig = settled(configuration) { $0.soc = 8000 }
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.report.chargeEnabled, "a ceiling is no block")
        #expect(rig.output.chargeReason.rule == .socCeiling)
        #expect(rig.report.chargeVoltageLimit == 53_400)
        rig.packs[0].soc = 7600
        rig.run(seconds: 100)
        #expect(rig.report.chargeCurrentLimit == 0)
        try rig.controller.handle(.fullNow, at: rig.now)
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.report.chargeVoltageLimit == 55_200)
    }

    @Test func `a reserve stops discharging at its mark and lets go 5 % above`() {
        var configuration = ControlConfiguration.reference()
        configuration.socReserve = 2000
        var rig = settled(configuration) { $0.soc = 2000 }
        #expect(rig.report.dischargeCurrentLimit == 0)
        #expect(rig.output.dischargeReason.rule == .socReserve)
        rig.packs[0].soc = 2400
        rig.run(seconds: 100)
        #expect(rig.report.dischargeCurrentLimit == 0)
        rig.packs[0].soc = 2500
        rig.run(seconds: 100)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
    }

    @Test func `the taper by SoC has the corners of the table`() {
        for (soc, expected) in [(8500, 1000), (8750, 750), (9000, 500), (9500, 200), (9800, 100), (10_000, 100)]
            as [(Int32, Int32)]
        {
            #expect(SoCTaper.chargeScaled(1000, soc: soc) == expected)
        }
        for (soc, expected) in [(2000, 1000), (1500, 500), (1000, 200), (500, 100), (0, 100)] as [(Int32, Int32)] {
            #expect(SoCTaper.dischargeScaled(1000, soc: soc) == expected)
        }
        #expect(SoCTaper.chargeScaled(1000, soc: nil) == 100)
        #expect(SoCTaper.dischargeScaled(1000, soc: nil) == 100)
    }

    // MARK: Obedience

    @Test func `an inverter that ignores CCL is warned of, then gets less voltage, then no enable`() {
        var rig = settled { $0.current = 60_000 }
        rig.packs[0].setHighest(3500)
        rig.run(seconds: 9)
        #expect(!rig.output.warnings.contains(.inverterIgnoresChargeLimit))
        rig.run(seconds: 3)
        #expect(rig.output.warnings.contains(.inverterIgnoresChargeLimit))
        #expect(rig.report.chargeVoltageLimit >= 53_600)
        rig.run(seconds: 50)
        // 100 mV below the bank: 15 × 3.340 + 3.500 = 53.6 V.
        #expect(rig.report.chargeVoltageLimit == 53_500)
        #expect(rig.report.chargeEnabled)
        rig.run(seconds: 60)
        #expect(!rig.report.chargeEnabled)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.rule == .obedience || rig.output.chargeReason.rule == .measuredShare)
        rig.packs[0].current = 0
        rig.packs[0].setHighest(3390)
        rig.run(seconds: 200)
        #expect(rig.report.chargeEnabled)
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test(arguments: [ObeyDischargeAction.warn, .cut])
    func `amendment 7 for discharge it only warns unless cut is configured`(
        action: ObeyDischargeAction
    ) {
        var configuration = ControlConfiguration.reference()
        configuration.obeyDischargeAction = action
        var rig = settled(configuration) { $0.current = -170_000 }
        rig.run(seconds: 300)
        #expect(rig.output.warnings.contains(.inverterIgnoresDischargeLimit))
        #expect(rig.report.dischargeEnabled == (action == .warn))
        #expect(rig.report.dischargeCurrentLimit == (action == .warn ? 135_000 : 0))
    }

    @Test func `a surge of one pack is not answered with a lower DCL`() {
        var rig = settled { $0.current = -100_000 }
        rig.packs[0].current = -200_000
        rig.run(seconds: 3)
        rig.packs[0].current = -100_000
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 135_000)
    }

    // MARK: Empty

    @Test func `amendment 10 DCL is 0 after 5 s at zd, at once near UVP, and returns at zd + 350 mV`() {
        var rig = settled { $0.setAll(3000) }
        rig.packs[0].cells[0] = 2795
        rig.packs[0].addUp()
        rig.run(seconds: 5)
        #expect(rig.report.dischargeCurrentLimit > 0 && rig.report.dischargeEnabled, "a dip is no black-out")
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 0 && !rig.report.dischargeEnabled)
        #expect(rig.output.dischargeReason.rule == .emptyLatch || rig.output.dischargeReason.rule == .cellLow)
        rig.packs[0].setAll(3040)
        rig.run(seconds: 3600)
        #expect(rig.report.dischargeCurrentLimit == 0, "a cell that recovers without charge is still empty")
        rig.packs[0].setAll(3150)
        rig.run(seconds: 59)
        #expect(rig.report.dischargeCurrentLimit == 0)
        rig.run(seconds: 60)
        #expect(rig.report.dischargeCurrentLimit == 135_000)

        rig = settled { $0.setAll(2950) }
        rig.packs[0].cells[0] = 2730
        rig.packs[0].addUp()
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 0)
        rig.packs[0].setAll(2900)
        rig.packs[0].current = 5000
        rig.run(seconds: 62)
        #expect(
            rig.report.dischargeCurrentLimit > 0 || rig.output.dischargeReason.rule != .emptyLatch,
            "charging opens it too")
    }

    @Test func `DVL takes the discharge enable after 10 s below and gives it back 0.1 V per cell above`() {
        var configuration = ControlConfiguration.reference()
        configuration.userDischargeVoltage = 3100
        var rig = settled(configuration) { $0.setAll(3150) }
        #expect(rig.report.dischargeVoltageLimit == 49_600)
        rig.packs[0].setAll(3099)
        rig.run(seconds: 10)
        #expect(rig.report.dischargeEnabled)
        rig.run(seconds: 2)
        #expect(!rig.report.dischargeEnabled && rig.report.dischargeCurrentLimit == 0)
        rig.packs[0].setAll(3205)
        rig.run(seconds: 59)
        #expect(!rig.report.dischargeEnabled)
        rig.run(seconds: 20)
        #expect(rig.report.dischargeEnabled)
    }
}
