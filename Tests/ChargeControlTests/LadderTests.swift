import Battery
import Testing

@testable import ChargeControl

/// The staleness ladder (failsafe.md §3, amendment 18) and the faults F1–F4 of §11.
@Suite struct LadderTests {
    @Test func `F1 an unplugged BMS at 100 A: 15 s hold, 0 A by 30 s, enables off, SoC held, frames go on`() {
        var rig = Rig(packs: [.reference(current: 100_000)])
        rig.settle()
        rig.answers[0] = false
        for second in 1...40 {
            rig.second()
            let told = rig.history.last!
            #expect(told.mayTransmit)
            #expect(told.soc == 60)
            switch second {
            case ...15: #expect(told.ccl == 135_000 && told.dcl == 135_000 && told.chargeEnabled)
            case 16..<30: #expect(told.ccl == 135_000 * (30 - Int32(second)) / 15)
            default: #expect(told.ccl == 0 && told.dcl == 0)
            }
        }
        #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
        #expect(rig.report.chargeVoltageLimit == 53_600)
        #expect(rig.output.voltageReason.rule == .lostVoltage)
        #expect(rig.output.chargeReason.rule == .stale)
        #expect(rig.report.warnings.contains(.communication))
        #expect(rig.output.phase == .hold)
        #expect(rig.output.waiting == .freshData)
        #expect(rig.report.packsOnline == 1)
    }

    @Test func `the only pack that returns rises at once, DCL in one step`() {
        var rig = Rig()
        rig.settle()
        rig.answers[0] = false
        rig.run(seconds: 60)
        rig.answers[0] = true
        let seconds = rig.run(until: { $0.output.packs[0].state == .active }, limit: 60)
        #expect(seconds == 16)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
        #expect(rig.report.chargeCurrentLimit == 5000)
    }

    @Test func `F2 a Bluetooth drop of 40 s at mid SoC never reaches zero and recovers`() {
        var configuration = ControlConfiguration.reference()
        configuration.packs[0].extendedHold = true
        var rig = Rig(configuration, packs: [.reference(highest: 3330, others: 3325, current: 56_000)])
        rig.settle()
        rig.answers[0] = false
        rig.run(seconds: 30)
        #expect(rig.report.chargeCurrentLimit == 56_000, "0.2C after 15 s of ramp")
        rig.run(seconds: 10)
        #expect(rig.report.chargeCurrentLimit == 56_000)
        #expect(rig.report.chargeEnabled && rig.report.dischargeEnabled)
        #expect(rig.output.chargeReason.rule == .extendedHold)
        rig.answers[0] = true
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.packs[0].state == .active)
    }

    @Test func `the extended hold ends at 120 s`() {
        var configuration = ControlConfiguration.reference()
        configuration.packs[0].extendedHold = true
        var rig = Rig(configuration, packs: [.reference(highest: 3330, others: 3325)])
        rig.settle()
        rig.answers[0] = false
        rig.run(seconds: 105)
        #expect(rig.report.chargeCurrentLimit == 56_000)
        rig.run(seconds: 8)
        #expect(rig.report.chargeCurrentLimit == 56_000 * 7 / 15)
        rig.run(seconds: 8)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
    }

    @Test func `F3 the same drop at v_hi 3.44 is zero by 30 s`() {
        var configuration = ControlConfiguration.reference()
        configuration.packs[0].extendedHold = true
        var rig = Rig(configuration, packs: [.reference(highest: 3440, others: 3340, current: 20_000)])
        rig.settle()
        rig.answers[0] = false
        rig.run(seconds: 30)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
    }

    @Test func `F4 a counter that stands still makes the data stale from its last advance`() {
        var rig = Rig(packs: [.reference(current: 50_000)])
        rig.settle()
        rig.answers[0] = false
        for second in 1...31 {
            // Frames go on, the counter does not.
            rig.controller.accept(rig.packs[0], pack: 0, at: rig.now + 1000)
            rig.second()
            switch second {
            case ..<10: #expect(rig.report.chargeCurrentLimit == 135_000)
            case 16..<30: #expect(rig.report.chargeCurrentLimit == 135_000 * (30 - Int32(second)) / 15)
            case 30...: #expect(rig.report.chargeCurrentLimit == 0)
            default: break
            }
            if second >= 11 { #expect(rig.output.packs[0].state != .active) }
        }
    }

    @Test func `F4 on 4E57, without a counter, identical bodies under load count for 120 s`() {
        var rig = Rig(packs: [.reference(current: 50_000)])
        rig.settle()
        rig.answers[0] = false
        var frozen = rig.packs[0]
        (frozen.uptime, frozen.uptimeResolution) = (nil, 0)
        func feed(_ seconds: Int) {
            for _ in 0..<seconds {
                rig.controller.accept(frozen, pack: 0, at: rig.now + 1000)
                rig.second()
            }
        }
        // Two seconds of other data, so that the run of identical ones has a beginning.
        frozen.current = 49_000
        feed(2)
        frozen.current = 50_000
        feed(120)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        feed(12)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        feed(20)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
    }

    @Test func `identical bodies at rest are only a warning, after 15 minutes`() {
        var rig = Rig()
        rig.settle()
        rig.answers[0] = false
        var frozen = rig.packs[0]
        (frozen.uptime, frozen.uptimeResolution) = (nil, 0)
        for _ in 0..<1000 {
            rig.controller.accept(frozen, pack: 0, at: rig.now + 1000)
            rig.second()
        }
        #expect(rig.output.packs[0].state == .active)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.warnings.contains(.stuckAtRest))
    }

    @Test func `nothing rises while a pack is old, and three snapshots end the doubt`() {
        var rig = Rig(packs: [.reference(highest: 3500, others: 3340, current: 1000)])
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 20_250)
        rig.answers[0] = false
        rig.run(seconds: 18)
        let low = rig.report.chargeCurrentLimit
        #expect(low < 20_250)
        rig.answers[0] = true
        rig.packs[0].setHighest(3360)
        rig.second()
        #expect(rig.output.packs[0].state == .suspect)
        #expect(rig.report.chargeCurrentLimit <= low)
        rig.run(seconds: 2)
        #expect(rig.output.packs[0].state == .active)
        rig.run(seconds: 27)
        #expect(rig.report.chargeCurrentLimit <= low)
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test(arguments: [0, 4_294_967_296 - 60_000, 100 * 86_400_000] as [Milliseconds])
    func `P23 the ladder is the same at the 32-bit wrap and after 100 days`(start: Milliseconds) {
        var rig = Rig(start: start)
        rig.settle()
        rig.answers[0] = false
        rig.run(seconds: 40)
        let limits = rig.history.map(\.ccl)
        var reference = Rig(start: 5)
        reference.settle()
        reference.answers[0] = false
        reference.run(seconds: 40)
        #expect(limits == reference.history.map(\.ccl))
    }
}
