import Battery
import Testing

@testable import ChargeControl

/// Validation (charge-control.md §2, failsafe.md §3, amendments 18, 24, 27) and the record.
@Suite struct ConfigurationTests {
    func keys(_ change: (inout ControlConfiguration) -> Void) -> [ConfigurationKey] {
        var c = ControlConfiguration.reference()
        change(&c)
        let problems = c.problems()
        return (0..<problems.count).map { problems[$0].key }
    }

    @Test func `the presets of every chemistry are valid`() {
        for chemistry in Chemistry.allCases {
            for taper in TaperPreset.allCases {
                var c = ControlConfiguration(chemistry: chemistry)
                c.packs.append(PackConfiguration())
                c.taper = taper
                #expect(c.problems().isEmpty, "\(chemistry) \(taper) \(c.problems())")
            }
        }
    }

    @Test func `each value outside its range is named`() {
        #expect(keys { $0.cellsInSeries = 33 } == [.cells])
        #expect(keys { $0.cellsInSeries = 0 } == [.cells])
        #expect(keys { $0.packs.removeAll() } == [.packs])
        #expect(keys { $0.bulk = 3399 } == [.bulk])
        #expect(keys { $0.bulk = 3601 } == [.bulk])
        #expect(keys { $0.float = 3451 } == [.float])
        #expect(keys { $0.rebulk = 3331 } == [.rebulk])
        #expect(keys { $0.rebulk = 3199 } == [.rebulk])
        #expect(keys { $0.dischargeZeroFloor = 2599 } == [.dischargeZero])
        #expect(keys { $0.userCharge = -1 } == [.userCharge])
        #expect(keys { $0.userCharge = 16_000_000 } == [], "above Σ(BMS × margin) it is clamped, not refused")
        #expect(keys { $0.chargeRateMaximum = 1001 } == [.chargeRate])
        #expect(keys { $0.bmsMarginPercent = 101 } == [.bmsMargin])
        #expect(keys { $0.rebulkSoC = 3999 } == [.rebulkSoC])
        #expect(keys { $0.fullEveryDays = 91 } == [.fullEveryDays])
        #expect(keys { $0.absorbMaximum = 299_999 } == [.absorbMaximum])
        #expect(keys { $0.inverterOffset = 501 } == [.inverterOffset])
        #expect(keys { $0.inverterOffset = -1 } == [.inverterOffset])
        #expect(keys { $0.coldZero = -1 } == [.coldZero])
        #expect(keys { $0.coldReallow = 29 } == [.coldReallow])
        #expect(keys { $0.runnerGainTenths = 9 } == [.runnerGain], "amendment 24: G is 1.0 to 4")
        #expect(keys { $0.socCapBeforeFull = 100 } == [.socCap])
        #expect(keys { $0.hold = 4999 } == [.hold])
        #expect(keys { $0.zero = 19_999 } == [.zero], "amendment 18: T_zero ≥ T_hold + 5 s")
        #expect(keys { $0.zero = 60_001 } == [.zero])
        #expect(keys { $0.inverter.zeroCurrent = 200 } == [.zeroCurrent])
        #expect(keys { $0.packs[0].capacity = 999 } == [.packCapacity])
        #expect(keys { $0.packs[0].chargeOverCurrent = 0 } == [.packChargeOverCurrent])
    }

    @Test func `a problem tells the value and what is allowed`() {
        var c = ControlConfiguration.reference()
        c.packs[0].pollInterval = 9000
        let problem = c.problems()[0]
        #expect((problem.pack, problem.value, problem.low, problem.high) == (1, 9000, 0, 5000))
    }

    @Test func `absurd values are reported, not computed with`() {
        for extreme in [Int32.min, Int32.max] {
            let found = keys {
                ($0.bulk, $0.float, $0.rebulk, $0.cellsInSeries, $0.coldZero) = (
                    extreme, extreme, extreme, extreme, extreme
                )
            }
            #expect(found.count >= 4)
        }
    }

    @Test func `amendment 27 absent voltages take the preset, lowered to keep the order`() {
        var c = ControlConfiguration.reference()
        c.setVoltages(bulk: 3450, float: nil, rebulk: nil)
        #expect((c.bulk, c.float, c.rebulk) == (3450, 3350, 3300))
        c.setVoltages(bulk: 3360, float: nil, rebulk: nil)
        #expect((c.float, c.rebulk) == (3340, 3290))
        c.setVoltages(bulk: nil, float: 3320, rebulk: nil)
        #expect((c.bulk, c.rebulk) == (3450, 3270))
    }

    @Test func `factory limits of 0 A are a user pause: HOLD, frames, no current`() {
        var rig = Rig(.reference(charge: 0, discharge: 0))
        rig.settle()
        #expect(rig.output.mayTransmit)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(rig.output.phase == .hold)
        #expect(rig.output.waiting == .userResume)
        #expect(rig.output.chargeReason.rule == .userCurrent)
    }

    @Test func `a user limit above what the packs allow is shown as clamped`() {
        var rig = Rig(.reference(charge: 200_000))
        rig.settle()
        #expect(rig.output.warnings.contains(.userLimitClamped))
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `the profile's zero is sent where an exact 0 is ignored, never more than 0.1 A`() {
        var c = ControlConfiguration.reference()
        c.inverter.zeroCurrent = 100
        var rig = Rig(c, packs: [.reference(highest: 3620, others: 3340)])
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 100)
        #expect(rig.controller.chargeSlew.value == 0)
    }

    @Test func `P18 a record of nonsense is ignored as a whole`() {
        var record = Rig().controller.record
        record.phase = .float
        record.soc = 12_000
        #expect(!record.isPlausible)
        var rig = Rig(record: record)
        rig.run(seconds: 20)
        #expect(rig.output.phase == .bulk)
        #expect(rig.report.soc == 60)
    }

    @Test func `the record gives back phase, timers, SoC state and losses`() {
        var rig = Rig(packs: [.reference(highest: 3450, others: 3400, soc: 9000, current: 1000)])
        rig.packs[0].balancing = true
        rig.run(seconds: 200)
        #expect(rig.output.phase == .absorb)
        let record = rig.controller.record
        #expect(record.isPlausible)
        var again = Rig(packs: rig.packs, record: record)
        again.run(seconds: 5)
        #expect(again.controller.phase.absorbTime == record.absorbTime)
        again.run(seconds: 15)
        #expect(again.output.phase == .absorb)
        #expect(again.controller.phase.absorbTime > record.absorbTime)
        #expect(again.report.soc == rig.report.soc)
    }

    @Test func `six restarts in ten minutes cap everything at 0.2C`() {
        var rig = Rig(recentBoots: 6)
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 56_000 && rig.report.dischargeCurrentLimit == 56_000)
        #expect(rig.output.chargeReason.rule == .bootLoop)
        #expect(rig.output.warnings.contains(.bootLoop))
        rig = Rig(recentBoots: 5)
        rig.settle()
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `before a planned restart limits ramp to 0.1C`() {
        var rig = Rig()
        rig.settle()
        rig.controller.isPreparingRestart = true
        rig.run(seconds: 5)
        #expect(rig.report.chargeCurrentLimit > 28_000)
        #expect(!rig.controller.isLowForRestart)
        rig.run(seconds: 6)
        #expect(rig.report.chargeCurrentLimit == 28_000 && rig.report.dischargeCurrentLimit == 28_000)
        #expect(rig.controller.isLowForRestart)
        #expect(rig.output.chargeReason.rule == .plannedStop && rig.output.dischargeReason.rule == .plannedStop)
    }

    @Test func `a changed configuration cuts at once, rises slowly and keeps what is known`() {
        var rig = Rig(packs: [.reference(highest: 3460, others: 3440, current: 2_000)])
        rig.settle()
        let phase = rig.output.phase
        #expect(phase == .float)
        var changed = ControlConfiguration.reference(charge: 20_000, discharge: 50_000)
        var accepted = rig.controller.reconfigure(changed)
        #expect(accepted)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 20_000 && rig.report.dischargeCurrentLimit == 50_000)
        #expect(rig.output.phase == phase)
        rig.run(seconds: 60)
        changed.userDischarge = 140_000
        accepted = rig.controller.reconfigure(changed)
        #expect(accepted)
        rig.second()
        #expect(rig.report.dischargeCurrentLimit <= 55_000)
        rig.run(seconds: 60)
        #expect(rig.report.dischargeCurrentLimit == 135_000)
    }

    @Test func `a configuration of other packs is refused and changes nothing`() {
        var rig = Rig()
        rig.settle()
        let before = rig.controller.configuration
        var more = before
        more.packs.append(PackConfiguration())
        var cells = before
        cells.cellsInSeries = 15
        var chemistry = ControlConfiguration(chemistry: .nmc)
        chemistry.packs.append(PackConfiguration())
        for other in [more, cells, chemistry] {
            let accepted = rig.controller.reconfigure(other)
            #expect(!accepted)
            #expect(rig.controller.configuration == before)
        }
    }

    @Test func `seconds limited by each reason and energy are counted`() {
        var rig = Rig(packs: [.reference(highest: 3450, others: 3340, current: 50_000)])
        rig.settle()
        let before = rig.controller.limitedTime[.charge, .cellHigh]
        rig.run(seconds: 100)
        #expect(rig.controller.limitedTime[.charge, .cellHigh] - before == 100_000)
        rig.run(seconds: 3600)
        // 53.55 V × 50 A for about an hour.
        #expect(rig.report.energyCharged > 2677 && rig.report.energyCharged < 2900)
        #expect(rig.report.energyDischarged == 0)
    }
}
