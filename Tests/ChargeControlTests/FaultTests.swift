import Battery
import Testing

@testable import ChargeControl

/// Implausible data, sensors, alarms, faults (failsafe.md §2, §4; amendments 1–9, 17; F6, F7, F15).
@Suite struct FaultTests {
    func settled(_ change: (inout PackReading) -> Void = { _ in }, _ configuration: ControlConfiguration = .reference())
        -> Rig
    {
        var reading = PackReading.reference()
        change(&reading)
        var rig = Rig(configuration, packs: [reading])
        rig.settle()
        return rig
    }

    @Test(arguments: [0, 1499, 4001, 65_535]) func `F6 a cell of an impossible voltage rejects the whole snapshot`(
        cell: Int
    ) {
        var rig = settled()
        rig.packs[0].cells[3] = UInt16(cell)
        let verdict = rig.controller.accept(rig.packs[0], pack: 0, at: rig.now + 500)
        #expect(verdict == .cellVoltage)
        let before = rig.report
        rig.run(seconds: 40)
        #expect(
            rig.history.suffix(40).allSatisfy {
                $0.ccl <= before.chargeCurrentLimit && $0.cvl <= before.chargeVoltageLimit
            })
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.report.lowestCell == before.lowestCell)
    }

    @Test func `F6 a temperature code makes the sensor BAD: no charge, and no looser discharge`() {
        for code in [SensorReading.invalid, .absent, .value(-2000), .value(65_535), .value(1001)] {
            var rig = settled { $0.setTemperature(520) }
            let before = rig.report
            #expect(before.dischargeCurrentLimit == 54_000)
            rig.packs[0].cellTemperatures[1] = code
            rig.packs[0].cellTemperatures[0] = .value(500)
            rig.run(seconds: 100)
            #expect(rig.report.chargeCurrentLimit == 0, "\(code)")
            #expect(rig.output.chargeReason.rule == .noTemperature)
            #expect(
                rig.report.dischargeCurrentLimit <= before.dischargeCurrentLimit, "the lost sensor's last effect stays")
            #expect(rig.output.warnings.contains(.temperatureSensor))
            rig.packs[0].cellTemperatures[1] = .value(250)
            rig.packs[0].cellTemperatures[0] = .value(250)
            rig.run(seconds: 100)
            #expect(rig.report.chargeCurrentLimit == 135_000)
        }
    }

    @Test func `a sensor that the owner has disabled is not missed`() {
        var configuration = ControlConfiguration.reference()
        configuration.packs[0].disabledSensors = 0b10
        let rig = settled({ $0.cellTemperatures[1] = .invalid }, configuration)
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `F7 one sensor at -2 °C among warm ones stops charging at once`() {
        var rig = settled()
        rig.packs[0].cellTemperatures[1] = .value(-20)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.rule == .cold)
        #expect(rig.output.chargeReason.place == CellPlace(pack: 1, cell: 2))
        #expect(!rig.report.chargeEnabled)
        #expect(rig.output.phase == .hold)
        #expect(rig.output.rememberedPhase == .bulk)
    }

    @Test func `F15 an OVP that is lowered in the BMS lowers CVL with the next settings`() {
        var rig = settled { $0.current = 20_000 }
        #expect(rig.report.chargeVoltageLimit == 55_200)
        rig.packs[0].settings!.cellOverVoltage = 3480
        rig.second()
        #expect(rig.report.chargeVoltageLimit == 54_800)
        #expect(rig.output.voltageReason.rule == .absoluteVoltage)
        #expect(rig.output.voltageReason.input == 3480)
    }

    @Test func `a jump of a cell is believed at once where it tightens and elsewhere only when repeated`() {
        var rig = settled { $0.setHighest(3500) }
        #expect(rig.report.chargeCurrentLimit == 20_250)
        rig.packs[0].cells[6] = 3150
        rig.packs[0].addUp()
        let verdict = rig.controller.accept(rig.packs[0], pack: 0, at: rig.now + 500)
        #expect(verdict == .unconfirmed)
        rig.controller.tick(at: rig.now + 500)
        #expect(rig.report.highestCell == 3500, "the old high value still counts")
        #expect(rig.report.lowestCell == 3150, "the new low value counts already")
        rig.second()
        #expect(rig.report.highestCell == 3340)
    }

    @Test func `a sum that does not fit rejects four times, the fifth uses the cells and warns`() {
        var rig = settled()
        rig.packs[0].packVoltage! += 600
        rig.run(seconds: 4)
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(!rig.output.warnings.contains(.sumMismatch))
        rig.second()
        #expect(rig.output.warnings.contains(.sumMismatch))
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(rig.output.packs[0].age == 0)
    }

    @Test func `an impossible current, a missing switch or a missing alarm word rejects the snapshot`() {
        var rig = settled()
        func verdict(_ change: (inout PackReading) -> Void) -> SnapshotRejection {
            var reading = rig.packs[0]
            change(&reading)
            return rig.controller.accept(reading, pack: 0, at: rig.now + 100)
        }
        #expect(verdict { $0.current = 300_001 } == .current)
        #expect(verdict { $0.current = -300_001 } == .current)
        #expect(verdict { $0.current = 300_000 } == .none)
        #expect(verdict { $0.current = nil } == .incomplete)
        #expect(verdict { $0.packVoltage = nil } == .incomplete)
        #expect(verdict { $0.chargeSwitch = nil } == .incomplete)
        #expect(verdict { $0.alarms = nil } == .incomplete)
        #expect(verdict { $0.cells.removeAll() } == .cellCount)
        #expect(rig.controller.accept(rig.packs[0], pack: 7, at: rig.now) == .notConfigured)
    }

    @Test func `amendment 5 a missing SoC or temperature keeps the pack in the merge`() {
        var rig = settled()
        rig.packs[0].soc = nil
        rig.run(seconds: 30)
        #expect(rig.output.packs[0].state == .active)
        #expect(rig.report.soc == 60)
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `the MOSFET factor: full at 70 °C, a quarter at 80, nothing at 90`() {
        for (temperature, expected) in [(700, 135_000), (750, 84_375), (800, 33_750), (850, 16_875), (900, 0)]
            as [(Int32, Int32)]
        {
            let rig = settled { $0.mosfetTemperature = .value(temperature) }
            #expect(rig.report.chargeCurrentLimit == expected)
            #expect(rig.report.dischargeCurrentLimit == expected)
        }
    }

    @Test func `a MOSFET sensor that was never seen is ignored, one that is lost gives a quarter or its last effect`() {
        #expect(settled { $0.mosfetTemperature = .absent }.report.chargeCurrentLimit == 135_000)
        var rig = settled()
        rig.packs[0].mosfetTemperature = .invalid
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 33_750)
        #expect(rig.output.chargeReason.rule == .mosfetLost)
        #expect(rig.output.warnings.contains(.mosfetSensorLost))
        rig.packs[0].mosfetTemperature = .value(850)
        rig.second()
        rig.packs[0].mosfetTemperature = .invalid
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 16_875)
    }

    @Test func `without an over-current setting the limit is 0 until the owner types one`() {
        var rig = settled { $0.settings = nil }
        #expect(rig.output.mayTransmit, "zero limits are a message")
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(rig.output.chargeReason.rule == .unknownOverCurrentLimit)
        var configuration = ControlConfiguration.reference()
        configuration.packs[0].chargeOverCurrent = 100_000
        configuration.packs[0].dischargeOverCurrent = 120_000
        rig = settled({ $0.settings = nil }, configuration)
        #expect(rig.report.chargeCurrentLimit == 90_000)
        #expect(rig.report.dischargeCurrentLimit == 108_000)
    }

    @Test func `amendment 17 settings stay known when they stop coming, with a warning after 10 minutes`() {
        var rig = settled()
        rig.packs[0].settings = nil
        rig.run(seconds: 500)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(!rig.output.warnings.contains(.settingsOld))
        rig.run(seconds: 200)
        #expect(rig.report.chargeCurrentLimit == 135_000)
        #expect(rig.output.warnings.contains(.settingsOld))
    }

    @Test func `an implausible OVP is not used`() {
        let rig = settled { $0.settings!.cellOverVoltage = 5000 }
        #expect(rig.report.chargeVoltageLimit == 55_200)
        #expect(rig.output.warnings.contains(.settingsImplausible))
        #expect(rig.controller.band.overVoltage == 3650)
    }

    @Test func `alarms are held for 10 s, through silence, and behind their hysteresis`() {
        var rig = settled { $0.settings!.cellOverVoltageRelease = 3350 }
        rig.packs[0].alarms = .cellOverVoltage
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 0)
        rig.packs[0].alarms = []
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit == 0, "3.360 V is above the release of 3.350 V")
        rig.packs[0].setHighest(3345)
        rig.second()
        #expect(rig.report.chargeEnabled == false)
        rig.run(seconds: 60)
        #expect(rig.report.chargeCurrentLimit > 0)

        rig.packs[0].alarms = .mosfetOverTemperature
        rig.second()
        rig.answers[0] = false
        rig.run(seconds: 3600)
        #expect(rig.report.warnings.contains(.mosfetOverTemperature), "P24")
        #expect(rig.output.packs[0].alarms.contains(.mosfetOverTemperature))
    }

    @Test func `amendment 8 each alarm stops its direction`() {
        let table: [(Alarms, charge: Bool, discharge: Bool)] = [
            (.lowStateOfCharge, false, false), (.mosfetOverTemperature, true, true), (.packOverVoltage, true, false),
            (.packUnderVoltage, false, true), (.cellOverTemperature, true, false), (.chargeOverCurrent, true, false),
            (.dischargeOverCurrent, false, true), (.cellImbalance, false, false), (.boxOverTemperature, true, false),
            (.cellUnderTemperature, true, false), (.cellOverVoltage, true, false), (.cellUnderVoltage, false, true),
            (.hardwareA, true, true), (.hardwareB, true, true), (.wireResistance, false, false),
            (.bmsInternal, true, true),
        ]
        for row in table {
            var rig = settled()
            rig.packs[0].alarms = row.0
            rig.second()
            #expect((rig.report.chargeCurrentLimit == 0) == row.charge, "\(row.0)")
            #expect((rig.report.dischargeCurrentLimit == 0) == row.discharge, "\(row.0)")
            #expect(rig.report.chargeEnabled == !row.charge)
            #expect(rig.report.dischargeEnabled == !row.discharge)
        }
    }

    @Test func `heat of unstated direction stops discharge only past the setting or when the BMS has`() {
        var rig = settled { $0.settings!.dischargeOverTemperature = 480 }
        rig.packs[0].alarms = .cellOverTemperature
        rig.packs[0].setTemperature(340)
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 135_000)
        rig.packs[0].setTemperature(430)
        rig.second()
        rig.packs[0].setTemperature(490)
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 0)
    }

    @Test func `amendment 9 three snapshots above v_abs_max + 50 mV stop charging only, until 60 s below z`() {
        var rig = settled()
        rig.packs[0].setHighest(3600)
        rig.second()
        rig.packs[0].setHighest(3710)
        rig.run(seconds: 2)
        #expect(rig.output.packs[0].state == .active)
        rig.second()
        #expect(rig.output.packs[0].state == .fault)
        #expect(!rig.report.chargeEnabled)
        #expect(rig.report.dischargeCurrentLimit == 135_000 && rig.report.dischargeEnabled)
        rig.packs[0].setHighest(3450)
        rig.run(seconds: 59)
        #expect(rig.output.packs[0].state == .fault)
        rig.run(seconds: 3)
        #expect(rig.output.packs[0].state == .active)
    }

    @Test func `amendment 9 a cell below 2.0 V stops both until somebody acknowledges`() throws {
        var rig = settled { r in
            for i in 0..<16 { r.cells[i] = 2750 }
            r.addUp()
        }
        for voltage in [2500, 2250, 1990] {
            rig.packs[0].cells[2] = UInt16(voltage)
            rig.packs[0].addUp()
            rig.second()
        }
        rig.run(seconds: 1)
        #expect(rig.output.packs[0].state == .active)
        rig.run(seconds: 1)
        #expect(rig.output.packs[0].state == .fault)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
        #expect(rig.report.protections.contains(.cellUnderVoltage))
        let early = #expect(throws: CommandRefusal.self) {
            try rig.controller.handle(.acknowledge(pack: 1), at: rig.now)
        }
        #expect(early == .causeStillPresent)
        for voltage in [2250, 2500, 2800, 3050, 3340] {
            for i in 0..<16 { rig.packs[0].cells[i] = UInt16(max(voltage, Int(rig.packs[0].cells[i]))) }
            rig.packs[0].addUp()
            rig.run(seconds: 2)
        }
        rig.run(seconds: 3600)
        #expect(rig.output.packs[0].state == .fault)
        try rig.controller.handle(.acknowledge(pack: 1), at: rig.now)
        rig.run(seconds: 100)
        #expect(rig.output.packs[0].state == .active)
        #expect(rig.report.chargeCurrentLimit > 0)
        let again = #expect(throws: CommandRefusal.self) {
            try rig.controller.handle(.acknowledge(pack: 1), at: rig.now)
        }
        #expect(again == .nothingToAcknowledge)
        let other = #expect(throws: CommandRefusal.self) {
            try rig.controller.handle(.acknowledge(pack: 2), at: rig.now)
        }
        #expect(other == .noSuchPack)
    }

    @Test func `more than a fifth of bad frames is a warning and no limit`() {
        var rig = settled()
        for i in 0..<50 {
            if i % 4 == 0 { rig.controller.linkFault(pack: 0, at: rig.now) }
            rig.second()
        }
        #expect(!rig.output.warnings.contains(.linkQuality), "12 of 62 are not more than 20 %")
        for i in 0..<50 {
            if i % 3 == 0 { rig.controller.linkFault(pack: 0, at: rig.now) }
            rig.second()
        }
        #expect(rig.output.warnings.contains(.linkQuality))
        #expect(rig.report.chargeCurrentLimit == 135_000)
    }

    @Test func `one sensor that stands still for 6 h while the other moves is a warning`() {
        var rig = settled()
        for step in 0..<370 {
            rig.packs[0].cellTemperatures[0] = .value(250 + Int32(step) / 10)
            rig.now = rig.now + 59_000
            // A minute between snapshots: the pack goes stale in between, which this check does not mind.
            rig.second()
        }
        #expect(rig.output.warnings.contains(.stuckSensor))
    }
}
