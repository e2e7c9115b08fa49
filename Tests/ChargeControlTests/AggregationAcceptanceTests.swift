import Battery
import Testing

@testable import ChargeControl

/// The acceptance table A1–A15 of aggregation.md §9, as amended.
@Suite struct AggregationAcceptanceTests {
    /// Three packs of 280 Ah with OCP 150 A, settled, user 500 A.
    func three(highest: Int = 3360, others: Int = 3340, current: Milliamps = 0) -> Rig {
        let pack = PackReading.reference(highest: highest, others: others, current: current)
        var rig = Rig(.reference(charge: 500_000, discharge: 500_000, packs: 3), packs: [pack, pack, pack])
        rig.run(seconds: 200)
        return rig
    }

    @Test func `A1 three equal packs of 135 A carry 405 A, and the voltage is the median`() {
        var rig = three()
        #expect(rig.report.chargeCurrentLimit == 405_000)
        #expect(rig.report.dischargeCurrentLimit == 405_000)
        rig.packs[0].packVoltage! += 90
        rig.packs[2].packVoltage! -= 30
        rig.second()
        #expect(rig.report.voltage == 3340 * 15 + 3360)
        #expect(rig.report.packsOnline == 3)
    }

    @Test func `A2 a charge switch that opens takes its share in the same tick, its cells and SoC stay`() {
        var rig = three()
        rig.packs[2].chargeSwitch = false
        rig.packs[2].setHighest(3390)
        rig.packs[2].soc = 6300
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 270_000)
        #expect(rig.report.dischargeCurrentLimit == 405_000)
        #expect(rig.output.packs[2].state == .chargeOff)
        #expect(rig.report.highestCellPlace == CellPlace(pack: 3, cell: 7))
        #expect(rig.controller.bank.soc == 6100)
        #expect(rig.report.protections.isEmpty)
        #expect(rig.report.chargeEnabled)
        #expect(rig.report.packsBlockingCharge == 1)
    }

    @Test func `A3 a pack that tapers to 13.5 A limits the bank to 40.5 A and is named with its cell`() {
        var rig = three()
        // f_v = 0.10: between 3.500 (0.15) and 3.550 (0.02): 0.15 - 0.13 × 19.23 / 50.
        rig.packs[2].dynamicChargeLimit = 13_500
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 40_500)
        #expect(rig.output.chargeReason.place.pack == 3)
        #expect(rig.output.chargeReason.rule == .bmsDynamic)
        rig = three()
        rig.packs[2].setHighest(3500)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 60_750)
        #expect(rig.output.chargeReason.place == CellPlace(pack: 3, cell: 7))
    }

    @Test(arguments: [0, 1, 2]) func `A4 and A10 a lost pack freezes, ramps, then leaves a degraded bank`(lost: Int) {
        var rig = three(highest: 3440, others: 3440, current: 20_000)
        let before = rig.report
        #expect(before.chargeVoltageLimit == 55_200)
        rig.answers[lost] = false
        rig.packs[(lost + 1) % 3].soc = 6400
        for _ in 0..<15 {
            rig.second()
            #expect(rig.report.chargeCurrentLimit == before.chargeCurrentLimit)
            #expect(rig.report.chargeVoltageLimit <= before.chargeVoltageLimit)
        }
        #expect(rig.output.packs[lost].stage == .keep)
        rig.second()
        #expect(rig.output.packs[lost].state == .suspect)
        #expect(rig.report.chargeCurrentLimit < before.chargeCurrentLimit)
        #expect(rig.output.chargeReason.rule == .stale)
        #expect(Int(rig.output.chargeReason.place.pack) == lost + 1)
        // The ramp ends at what the other two may carry: 67.5 A each at 3.44 V (f_v 0.6), 81 A × 2, and 135 A × 2.
        for second in 17...30 {
            let last = rig.report
            rig.second()
            #expect(rig.report.chargeCurrentLimit < last.chargeCurrentLimit, "\(second) s")
            #expect(rig.report.chargeCurrentLimit == 162_000 + 81_000 * (30 - Int32(second)) / 15, "\(second) s")
            #expect(rig.report.dischargeCurrentLimit == 270_000 + 135_000 * (30 - Int32(second)) / 15, "\(second) s")
            #expect(rig.report.chargeEnabled && rig.report.dischargeEnabled, "the house does not go dark")
        }
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 162_000 && rig.report.dischargeCurrentLimit == 270_000)
        #expect(rig.output.packs[lost].state == .lost)
        #expect(rig.report.chargeVoltageLimit <= 53_600)
        #expect(rig.output.warnings.contains(.degraded))
        #expect(rig.report.warnings.contains(.communication))
        let socs = rig.history.suffix(60).map(\.soc)
        #expect(zip(socs, socs.dropFirst()).allSatisfy { abs($0 - $1) <= 1 })
        rig.run(seconds: 120)
        #expect(rig.report.chargeCurrentLimit == 162_000)
        #expect(rig.report.dischargeCurrentLimit == 270_000)
        #expect(rig.report.packsOffline == 1)
    }

    @Test func `a silent pack that was the weakest gets no more than it last allowed, until it is lost`() {
        var rig = three()
        rig.packs[2].dynamicChargeLimit = 13_500
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 40_500)
        rig.answers[2] = false
        for second in 1...30 {
            rig.second()
            // A third of the bank's current is its share.
            #expect(rig.report.chargeCurrentLimit / 3 <= 13_500)
            if second > 15 { #expect(rig.output.chargeReason.rule == .stale) }
        }
        #expect(rig.report.chargeCurrentLimit == 27_000)
        rig.run(seconds: 30)
        #expect(rig.report.chargeCurrentLimit == 27_000, "30 s after the last cut")
    }

    @Test func `two of three packs that fall silent together leave what the third may carry`() {
        var rig = three()
        rig.answers[0] = false
        rig.answers[1] = false
        rig.run(seconds: 31)
        #expect(rig.report.chargeCurrentLimit == 135_000 && rig.report.dischargeCurrentLimit == 135_000)
        rig.answers[2] = false
        rig.run(seconds: 31)
        #expect(rig.report.chargeCurrentLimit == 0 && rig.report.dischargeCurrentLimit == 0)
        #expect(!rig.report.chargeEnabled && !rig.report.dischargeEnabled)
    }

    @Test func `P10 the age of one of several packs never raises a limit`() {
        let c = ControlConfiguration.reference(charge: 500_000, discharge: 500_000, packs: 3)
        var last: (charge: Int32, discharge: Int32) = (.max, .max)
        for age in stride(from: 0 as Milliseconds, through: 40_000, by: 250) {
            var controller = Controller.stateless(configuration: c)
            for i in 0..<3 { controller.adopt(.reference(), age: i == 1 ? age : 0, pack: i) }
            controller.evaluate()
            let report = controller.output.report
            #expect(report.chargeCurrentLimit <= last.charge && report.dischargeCurrentLimit <= last.discharge, "\(age)")
            last = (report.chargeCurrentLimit, report.dischargeCurrentLimit)
        }
        #expect(last.charge == 270_000 && last.discharge == 270_000)
    }

    @Test
    func
        `a pack that drops out of a direction leaves its current to the others: their measured shares grow at once (soak, seed 2021)`()
    {
        let pack = PackReading.reference()
        var rig = Rig(.reference(charge: 500_000, discharge: 600_000, packs: 4), packs: [pack, pack, pack, pack])
        rig.run(seconds: 60)
        // A strong pack takes twice as much as each of the others.
        for (i, current) in [-40_000, -40_000, -80_000, -40_000].enumerated() { rig.packs[i].current = Int32(current) }
        rig.run(seconds: 120)
        #expect(rig.report.dischargeCurrentLimit == 337_500, "135 A at a share of 0.4")
        rig.packs[3].dischargeSwitch = false
        rig.second()
        #expect(rig.report.dischargeCurrentLimit == 270_000, "135 A at a share of one half")
    }

    @Test func `A5 a pack that returns joins after 3 snapshots and 10 s, and limits rise 30 s later`() {
        var rig = three()
        rig.answers[2] = false
        rig.run(seconds: 300)
        #expect(rig.report.chargeCurrentLimit == 270_000)
        rig.answers[2] = true
        rig.packs[2].packVoltage! += 200
        rig.packs[2].soc = 6400
        let joined = rig.run(until: { $0.output.packs[2].state == .active }, limit: 40)
        #expect(joined == 16, "3 snapshots spread over 5 s, then 10 s")
        #expect(rig.history.suffix(16).allSatisfy { $0.ccl <= 270_000 })
        let start = rig.history.count
        rig.run(seconds: 30)
        #expect(rig.history[start...].allSatisfy { $0.ccl <= 270_000 && $0.dcl <= 270_000 })
        var before = rig.report.chargeCurrentLimit
        for _ in 0..<20 {
            rig.second()
            // 2 % of 500 A
            #expect(rig.report.chargeCurrentLimit - before <= 10_000)
            before = rig.report.chargeCurrentLimit
        }
        #expect(before == 405_000)
    }

    @Test func `A6 a pack that returns 1.2 V apart and conducts holds the bank at one pack's limit`() {
        var rig = three()
        rig.answers[2] = false
        rig.run(seconds: 300)
        rig.answers[2] = true
        rig.packs[2].setAll(3267)
        rig.packs[2].current = 60_000
        rig.run(seconds: 40)
        #expect(rig.output.packs[2].state == .joining)
        #expect(rig.report.chargeCurrentLimit <= 135_000)
        #expect(rig.report.dischargeCurrentLimit <= 135_000)
        #expect(rig.output.warnings.contains(.equalisingCurrent))
        rig.packs[2].setAll(3322)
        rig.packs[2].current = 10_000
        rig.run(seconds: 150)
        #expect(rig.output.packs[2].state == .active)
        #expect(rig.report.chargeCurrentLimit == 405_000)
    }

    @Test func `A7 the third loss within an hour makes a pack wait 10 minutes, and limits do not oscillate`() {
        var rig = three()
        var joinTimes: [Int] = []
        for _ in 0..<3 {
            rig.answers[2] = false
            rig.run(seconds: 60)
            rig.answers[2] = true
            let joined = rig.run(until: { $0.output.packs[2].state == .active }, limit: 700)
            joinTimes.append(joined ?? -1)
        }
        #expect(joinTimes == [16, 66, 606])
        // While it waits the other two carry the bank; a flapping pack never gets it above them.
        let waiting = rig.history.suffix(500)
        #expect(waiting.allSatisfy { $0.ccl <= 270_000 })
        #expect(zip(waiting, waiting.dropFirst()).allSatisfy { $0.ccl <= $1.ccl })
    }

    @Test func `A8 a pack with a published limit of 0 A and its switch on stays in the merge and zeroes the bank`() {
        var rig = three()
        rig.packs[1].dynamicChargeLimit = 0
        rig.packs[1].setHighest(3395)
        rig.second()
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.output.packs[1].state == .active)
        #expect(rig.report.highestCellPlace.pack == 2)
        #expect(rig.report.packsOnline == 3)
    }

    @Test func `A9 zeros with a good checksum are rejected and never merged`() {
        var rig = three()
        let good = rig.packs[1]
        var zeros = PackReading.reference()
        for i in 0..<16 { zeros.cells[i] = 0 }
        (zeros.packVoltage, zeros.current, zeros.soc) = (0, 0, 0)
        rig.packs[1] = zeros
        rig.run(seconds: 4)
        #expect(rig.output.packs[1].state == .suspect)
        #expect(rig.report.voltage == good.packVoltage)
        #expect(rig.report.lowestCell == 3340)
        #expect(rig.report.soc == 60)
    }

    @Test func `A11 280 Ah with 135 A and 100 Ah with 90 A carry 183.2 A`() {
        let large = PackReading.reference()
        var small = PackReading.reference(capacity: 100_000)
        small.settings?.chargeOverCurrent = 100_000
        small.settings?.dischargeOverCurrent = 100_000
        var configuration = ControlConfiguration.reference(charge: 500_000, discharge: 500_000, packs: 2)
        configuration.chargeRateMaximum = 1000
        var rig = Rig(configuration, packs: [large, small])
        rig.run(seconds: 200)
        // The small pack alone would allow 190 A of charge (0.5C = 50 A at 25 °C) and 342 A of discharge: the large one decides.
        #expect(rig.report.dischargeCurrentLimit == 183_214)
        #expect(rig.report.chargeCurrentLimit == 183_214)
        let told = Int64(rig.report.dischargeCurrentLimit)
        #expect(told * 280 / 380 <= 135_000)
        #expect(told * 100 / 380 <= 90_000)
    }

    @Test func `A12 an over-voltage alarm with the switch open is a warning, the others carry on`() {
        var rig = three()
        rig.packs[0].alarms = .cellOverVoltage
        rig.packs[0].chargeSwitch = false
        rig.second()
        #expect(rig.report.warnings.contains(.cellOverVoltage))
        #expect(rig.report.protections.isEmpty)
        #expect(rig.report.chargeEnabled)
        #expect(rig.report.chargeCurrentLimit == 270_000)
    }

    @Test(arguments: [true, false])
    func `A13 an over-voltage alarm of all packs stops charging; the bit depends on the inverter`(
        cutsOutput: Bool
    ) {
        var configuration = ControlConfiguration.reference(charge: 500_000, discharge: 500_000, packs: 3)
        configuration.inverter.protectionCutsOutput = cutsOutput
        let pack = PackReading.reference()
        var rig = Rig(configuration, packs: [pack, pack, pack])
        rig.run(seconds: 100)
        for i in 0..<3 { rig.packs[i].alarms = .cellOverVoltage }
        rig.second()
        #expect(!rig.report.chargeEnabled)
        #expect(rig.report.chargeCurrentLimit == 0)
        #expect(rig.report.dischargeEnabled)
        #expect(rig.report.dischargeCurrentLimit == 405_000)
        #expect(rig.report.protections.contains(.cellOverVoltage) == !cutsOutput)
        #expect(rig.report.warnings.contains(.cellOverVoltage))
        for i in 0..<3 { rig.packs[i].alarms = [.cellOverVoltage, .mosfetOverTemperature] }
        rig.second()
        #expect(!rig.report.dischargeEnabled)
        #expect(
            rig.report.protections.contains(.cellOverVoltage), "both directions blocked: nothing is lost by the bit")
    }

    @Test func `A14 a shunt over three packs is dropped when one is lost and comes back by itself`() {
        var rig = three()
        func shunt(_ rig: inout Rig, seconds: Int) {
            for _ in 0..<seconds {
                rig.controller.acceptShunt(ShuntReading(soc: 7000, current: 9000, packs: 0b111), at: rig.now)
                rig.second()
            }
        }
        shunt(&rig, seconds: 150)
        #expect(rig.report.soc == 70)
        #expect(rig.report.current == 9000)
        #expect(!rig.output.warnings.contains(.shuntDropped))
        rig.answers[2] = false
        shunt(&rig, seconds: 200)
        #expect(rig.output.warnings.contains(.shuntDropped))
        #expect(rig.report.soc == 60)
        #expect(rig.report.current == 0)
        rig.answers[2] = true
        shunt(&rig, seconds: 200)
        #expect(!rig.output.warnings.contains(.shuntDropped))
        #expect(rig.report.soc == 70)
    }

    @Test func `A15 every pack's share stays below its limit, whatever the packs and their order`() {
        var random = SplitMix(seed: 15)
        for _ in 0..<20_000 {
            let count = 1 + random.below(6)
            var limits: [Int64] = []
            var capacities: [Int64] = []
            for _ in 0..<count {
                limits.append(Int64(random.below(8) == 0 ? 0 : random.below(300_000)))
                capacities.append(Int64(1000 + random.below(1_000_000)))
            }
            let total = capacities.reduce(0, +)
            func bank(_ order: [Int]) -> Int64 {
                var limit = BankLimit()
                for i in order {
                    let one = Int32(limits[i])
                    limit.add(Reason(.bmsMargin, bound: one), counted: one, share: Fraction(capacities[i], total))
                }
                return Int64(limit.reason?.bound ?? -1)
            }
            let result = bank(Array(0..<count))
            #expect(result >= 0 && result <= limits.reduce(0, +))
            for i in 0..<count { #expect(result * capacities[i] <= limits[i] * total) }
            #expect(bank(Array((0..<count).reversed())) == result)
            // Not needlessly small either: one more amp would overload some pack.
            #expect(
                (0..<count).contains { (result + 1) * capacities[$0] > limits[$0] * total }
                    || result == limits.reduce(0, +))
        }
    }
}
