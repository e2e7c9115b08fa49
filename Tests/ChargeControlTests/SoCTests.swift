import Battery
import Testing

@testable import ChargeControl

/// Reported SoC and SoH: S1–S9 of charge-control.md §9, amendments 21 and 22, and the own counter of §9.2.
@Suite struct SoCTests {
    let configuration = ControlConfiguration.reference()
    let table = ChemistryTable(.lfp)

    struct Bench {
        var report = SoCReport()
        var input = SoCInput()
        var now = Instant(milliseconds: 0)

        init(raw: CentiPercent) {
            input.raw = raw
            input.isLive = true
            input.isCurrentKnown = true
            input.capacity = 280_000
            input.lowest = 3300
        }

        mutating func run(seconds: Int, _ configuration: ControlConfiguration, _ table: ChemistryTable) {
            for _ in 0..<seconds {
                now = now + 1000
                report.update(input, configuration, table: table, at: now)
                input.becameFull = false
            }
        }
    }

    func bench(raw: CentiPercent) -> Bench {
        var b = Bench(raw: raw)
        b.run(seconds: 1, configuration, table)
        return b
    }

    @Test func `S7 and P12 a slew that was under way stands still without fresh data`() {
        var b = bench(raw: 6000)
        b.input.raw = 5000
        b.run(seconds: 25, configuration, table)
        let shown = b.report.percent(configuration)
        #expect(shown < 60 && shown > 50)
        b.input.isLive = false
        b.run(seconds: 600, configuration, table)
        #expect(b.report.percent(configuration) == shown)
        b.input.isLive = true
        b.run(seconds: 200, configuration, table)
        #expect(b.report.percent(configuration) == 50)
    }

    @Test func `S1 and P11 100 comes with FULL and goes with 1 % of discharge`() {
        var b = bench(raw: 9800)
        #expect(b.report.percent(configuration) == 98)
        b.input.becameFull = true
        b.run(seconds: 1, configuration, table)
        #expect(b.report.percent(configuration) == 100)
        #expect(b.report.offset == 200)
        // 28 A for 6 min are 1 % of 280 Ah.
        b.input.current = -28_000
        b.run(seconds: 359, configuration, table)
        #expect(b.report.percent(configuration) == 100)
        b.run(seconds: 3, configuration, table)
        #expect(b.report.percent(configuration) == 99)
    }

    @Test func `S2 the correction at FULL fades out by 80 %`() {
        var b = bench(raw: 9600)
        b.input.becameFull = true
        b.run(seconds: 1, configuration, table)
        b.input.raw = 8800
        b.run(seconds: 2000, configuration, table)
        // 88 + 4 × (88 − 80) / (96 − 80)
        #expect(b.report.fine == 9000)
        b.input.raw = 7900
        b.run(seconds: 2000, configuration, table)
        #expect(b.report.fine == 7900)
    }

    @Test func `amendment 22 an offset beyond 15 % is not applied, only warned of`() {
        var b = bench(raw: 8300)
        b.input.becameFull = true
        b.run(seconds: 1, configuration, table)
        #expect(b.report.percent(configuration) == 100)
        b.input.raw = 8200 - 101
        b.run(seconds: 3000, configuration, table)
        #expect(b.report.fine == 8099)
        #expect(b.report.isDrifting)
    }

    @Test func `S3 0 is told only when empty is proven, and at once`() {
        var b = bench(raw: 0)
        #expect(b.report.percent(configuration) == 1)
        b.input.isProvenEmpty = true
        b.run(seconds: 1, configuration, table)
        #expect(b.report.percent(configuration) == 0)
        b.input.isProvenEmpty = false
        b.run(seconds: 1, configuration, table)
        #expect(b.report.percent(configuration) == 1)
    }

    @Test func `S4 a low cell at rest pulls the SoC down`() {
        for (lowest, expected) in [(2999, 10), (2899, 3), (3000, 40)] as [(Int32, Int32)] {
            var b = bench(raw: 4000)
            b.input.lowest = lowest
            b.run(seconds: 60, configuration, table)
            #expect(b.report.percent(configuration) == 40)
            b.run(seconds: 400, configuration, table)
            #expect(b.report.percent(configuration) == expected)
        }
        var loaded = bench(raw: 4000)
        loaded.input.lowest = 2950
        loaded.input.current = -28_000
        loaded.run(seconds: 600, configuration, table)
        #expect(loaded.report.percent(configuration) == 40, "under load a low cell says nothing")
    }

    @Test func `S6 the told value moves at most 1 % in 10 s`() {
        var b = bench(raw: 5000)
        b.input.raw = 7000
        var before = b.report.fine!
        for _ in 0..<100 {
            b.run(seconds: 10, configuration, table)
            #expect(b.report.fine! - before <= 100)
            before = b.report.fine!
        }
        #expect(before == 7000)
    }

    @Test func `S7 and P21 without data the value is held, and an exact 0 is data`() {
        var b = bench(raw: 5000)
        b.input.isLive = false
        b.input.raw = nil
        b.run(seconds: 3600, configuration, table)
        #expect(b.report.fine == 5000)
        b.input.isLive = true
        b.input.raw = 0
        b.run(seconds: 10, configuration, table)
        #expect(b.report.fine! < 5000)
    }

    @Test func `S9 a jump without matching charge warns, the same jump with it does not`() {
        var b = bench(raw: 5000)
        b.input.raw = 5600
        b.run(seconds: 2, configuration, table)
        #expect(b.report.isDrifting)
        b = bench(raw: 5000)
        b.input.current = 100_800
        // 100.8 A for 10 min are 16.8 Ah, 6 % of 280 Ah.
        b.run(seconds: 600, configuration, table)
        b.input.raw = 5600
        b.run(seconds: 2, configuration, table)
        #expect(!b.report.isDrifting)
    }

    @Test func `three seconds of under-voltage alarm are 0 %, an empty latch is after 30 s`() {
        var reading = PackReading.reference(highest: 2810, others: 2790, soc: 800)
        reading.current = -2000
        var rig = Rig(packs: [reading])
        rig.run(seconds: 40)
        #expect(rig.report.dischargeCurrentLimit == 0)
        let proven = rig.run(until: { $0.report.soc == 0 }, limit: 60)
        #expect(proven != nil)
        rig = Rig(packs: [.reference(soc: 800)])
        rig.settle()
        rig.packs[0].alarms = .cellUnderVoltage
        rig.second()
        #expect(rig.report.soc == 0)
    }

    @Test func `SoH is never below 1 and is the BMS's when it is 1 to 100`() {
        var rig = Rig()
        rig.packs[0].soh = 9350
        rig.run(seconds: 5)
        #expect(rig.report.soh == 93)
        rig.packs[0].soh = 0
        rig.second()
        #expect(rig.report.soh == 100, "0 is no SoH that anybody has measured")
    }

    @Test func `the counter integrates with 99.5 % on charge and full on discharge`() {
        var counter = CoulombCounter()
        var now = Instant(milliseconds: 0)
        counter.update(current: 28_000, bank: 280_000, bmsSoC: 5000, reseed: false, at: now)
        for _ in 0..<3600 {
            now = now + 1000
            counter.update(current: 28_000, bank: 280_000, bmsSoC: 5000, reseed: false, at: now)
        }
        // 28 Ah × 0.995 on 140 Ah.
        #expect(counter.persistedCharge == 167_860)
        for _ in 0..<3600 {
            now = now + 1000
            counter.update(current: -28_000, bank: 280_000, bmsSoC: 5000, reseed: false, at: now)
        }
        #expect(abs(counter.persistedCharge - 139_860) <= 30)
    }

    @Test func `a gap of more than 10 s seeds the counter again from the BMS`() {
        var counter = CoulombCounter()
        let now = Instant(milliseconds: 0)
        counter.update(current: 0, bank: 280_000, bmsSoC: 5000, reseed: false, at: now)
        counter.update(current: -100_000, bank: 280_000, bmsSoC: 4500, reseed: false, at: now + 60_000)
        #expect(counter.isHeld)
        #expect(counter.persistedCharge == 126_000)
    }

    @Test func `the persisted count is used only within 10 % of the BMS`() {
        for (stored, expected) in [(150_000, 150_000), (180_000, 140_000)] as [(Int32, Int32)] {
            var record = ControlRecord()
            record.charge = stored
            var counter = CoulombCounter()
            counter.restore(record)
            counter.update(current: 0, bank: 280_000, bmsSoC: 5000, reseed: false, at: Instant(milliseconds: 0))
            #expect(counter.persistedCharge == expected)
        }
    }

    @Test func `capacity is learned from FULL to empty with weight 0.2, within 70 to 110 % of rated`() {
        var counter = CoulombCounter()
        var now = Instant(milliseconds: 0)
        counter.update(current: 0, bank: 280_000, bmsSoC: 10_000, reseed: false, at: now)
        counter.becameFull(bank: 280_000, rated: 280_000)
        #expect(counter.learned == 0)
        for _ in 0..<36_000 {
            now = now + 1000
            counter.update(current: -25_000, bank: 280_000, bmsSoC: 3000, reseed: false, at: now)
        }
        counter.becameEmpty(bank: 280_000, rated: 280_000)
        // 250 Ah came out: 0.8 × 280 + 0.2 × 250.
        #expect(abs(counter.learned - 274_000) <= 10)
        #expect(counter.persistedCharge == 0)
    }
}
