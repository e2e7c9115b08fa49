import Battery
import Testing

@testable import ChargeControl

@Suite struct StartTests {
    @Test func `nothing may be sent before three agreeing snapshots`() {
        var rig = Rig()
        rig.run(seconds: 2)
        #expect(!rig.output.mayTransmit)
        rig.second()
        #expect(rig.output.mayTransmit)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.report.dischargeCurrentLimit == 0)
        #expect(!rig.report.chargeEnabled)
    }

    @Test func `the first frame carries the real voltage and SoC with limits 0`() {
        var rig = Rig()
        rig.run(seconds: 3)
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(rig.report.soc == 60)
        #expect(rig.output.chargeReason.rule == .joining)
    }

    @Test func `after joining DCL steps to its bound and CCL ramps at 5 A per second`() throws {
        var rig = Rig()
        let seconds = rig.run(until: { $0.output.packs.count == 1 && $0.output.packs[0].state == .active })
        let joined = try #require(seconds)
        #expect(joined >= 12 && joined <= 14)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
        #expect(rig.report.chargeCurrentLimit == 5000)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 10_000)
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.chargeReason.rule == .bmsMargin)
        #expect(rig.report.chargeVoltageLimit == 55_200)
    }
}
