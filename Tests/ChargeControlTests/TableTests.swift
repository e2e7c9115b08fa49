import Battery
import Testing

@testable import ChargeControl

/// The tables of charge-control.md §2 and §7, corner by corner, and the arithmetic between the corners.
@Suite struct TableTests {
    func band(_ chemistry: Chemistry, ovp: Int32?, uvp: Int32?, bulk: Int32? = nil, taper: TaperPreset = .standard)
        -> CellBand
    {
        var c = ControlConfiguration(chemistry: chemistry)
        if let bulk { c.bulk = bulk }
        c.taper = taper
        return CellBand(c, table: ChemistryTable(chemistry), overVoltage: ovp, underVoltage: uvp)
    }

    @Test func `charge taper corners of every row of §7.2`() {
        let rows: [(CellBand, [Int32])] = [
            (band(.lfp, ovp: 3650, uvp: 2700), [3400, 3450, 3500, 3550, 3600]),
            (band(.lfp, ovp: 3650, uvp: 2700, bulk: 3550), [3500, 3530, 3560, 3590, 3620]),
            (band(.lto, ovp: 2850, uvp: 1800), [2650, 2688, 2725, 2763, 2800]),
            (band(.nmc, ovp: 4220, uvp: 2900), [4050, 4083, 4115, 4148, 4180]),
        ]
        for (band, corners) in rows {
            #expect(band.chargeStart == corners[0])
            #expect(band.chargeZero == corners[4])
            let factors: [Int32] = [1000, 500, 150, 20, 0]
            for (corner, factor) in zip(corners, factors) {
                // The printed corners are rounded to a millivolt.
                #expect(abs(band.chargeScaled(1000, highest: corner) - factor) <= 8)
            }
        }
        let lfp = band(.lfp, ovp: 3650, uvp: 2700)
        #expect(
            [3400, 3425, 3450, 3475, 3500, 3550, 3599, 3600].map { lfp.chargeScaled(135_000, highest: $0) }
                == [135_000, 101_250, 67_500, 43_875, 20_250, 2700, 54, 0])
    }

    @Test func `discharge taper corners of §7.2`() {
        let lfp = band(.lfp, ovp: 3650, uvp: 2700)
        #expect(
            [2800, 2875, 2950, 3025, 3100].map { lfp.dischargeScaled(1000, lowest: $0) } == [0, 50, 200, 500, 1000])
        let nmc = band(.nmc, ovp: 4220, uvp: 2900)
        #expect(
            [3000, 3075, 3150, 3225, 3300].map { nmc.dischargeScaled(1000, lowest: $0) } == [0, 50, 200, 500, 1000])
        let strict = band(.lfp, ovp: 3650, uvp: 2900)
        #expect(strict.dischargeZero == 3000)
        #expect(band(.lto, ovp: nil, uvp: nil).dischargeFull == 2100)
    }

    @Test func `the presets gentle and late, and an OVP below the bulk voltage`() {
        let gentle = band(.lfp, ovp: 3650, uvp: 2700, taper: .gentle)
        #expect((gentle.chargeStart, gentle.chargeZero) == (3375, 3500))
        let late = band(.lfp, ovp: 3650, uvp: 2700, taper: .late)
        #expect((late.chargeStart, late.chargeZero) == (3350, 3550))
        #expect(late.chargeScaled(1000, highest: 3450) == 770)
        let low = band(.lfp, ovp: 3430, uvp: 2700)
        #expect(low.chargeZero == 3400)
        #expect(low.chargeStart < low.chargeZero)
        #expect(low.chargeScaled(1000, highest: 3400) == 0)
    }

    @Test func `temperature rows of §7.3`() {
        let lfp = ChemistryTable(.lfp)
        let lfpRow: [(Int32, Int32)] = [
            (-300, 0), (0, 0), (20, 14_000), (50, 28_000), (100, 56_000), (150, 56_000), (200, 140_000), (450, 140_000),
            (500, 28_000), (550, 0), (900, 0), (10, 7000), (175, 98_000), (475, 84_000),
        ]
        for (t, expected) in lfpRow { #expect(lfp.chargeRate.scaled(280_000, at: t) == expected, "LFP charge at \(t)") }
        let discharge: [(Int32, Int32)] = [
            (-200, 0), (-100, 200), (0, 500), (100, 1000), (450, 1000), (500, 500), (550, 250), (600, 0), (-150, 100),
        ]
        for (t, expected) in discharge { #expect(lfp.dischargeFraction.scaled(1000, at: t) == expected) }
        let nmc: [(Int32, Int32)] = [
            (0, 0), (50, 100), (100, 200), (200, 500), (400, 500), (450, 300), (500, 100), (520, 0),
        ]
        for (t, expected) in nmc { #expect(ChemistryTable(.nmc).chargeRate.scaled(1000, at: t) == expected) }
        let lto: [(Int32, Int32)] = [(-200, 0), (-100, 200), (0, 500), (100, 1000), (450, 1000), (500, 500), (550, 0)]
        for (t, expected) in lto { #expect(ChemistryTable(.lto).chargeRate.scaled(1000, at: t) == expected) }
        for chemistry in Chemistry.allCases {
            #expect(ChemistryTable(chemistry).chargeRate.isStrictlyOrdered)
            #expect(ChemistryTable(chemistry).dischargeFraction.isStrictlyOrdered)
        }
    }

    @Test func `I_tail of §5.2`() {
        let table = ChemistryTable(.lfp)
        let rows: [(Int32, [(Int32, Int32)])] = [
            (100_000, [(3400, 535), (3450, 1428), (3500, 2321), (3550, 3214), (3650, 5000)]),
            (280_000, [(3400, 1500), (3450, 4000), (3500, 6500), (3550, 9000), (3650, 14_000)]),
            (560_000, [(3400, 3000), (3450, 8000), (3500, 13_000), (3550, 18_000), (3650, 28_000)]),
        ]
        for (capacity, points) in rows {
            for (voltage, current) in points {
                #expect(PhaseMachine.isNearFull(highest: voltage, current: current, capacity: capacity, table: table))
                #expect(
                    !PhaseMachine.isNearFull(highest: voltage, current: current + 2, capacity: capacity, table: table))
            }
        }
        #expect(!PhaseMachine.isNearFull(highest: 3369, current: 0, capacity: 280_000, table: table))
        #expect(PhaseMachine.isNearFull(highest: 3400, current: -1400, capacity: 280_000, table: table))
        #expect(!PhaseMachine.isNearFull(highest: 3400, current: -1401, capacity: 280_000, table: table))
        #expect(
            PhaseMachine.isNearFull(highest: 3370, current: 299, capacity: 280_000, table: table), "shunt noise is 0")
    }

    @Test func `unlike other projects frost is never a row of the table`() {
        for t in stride(from: Int32(-400), through: 0, by: 1) {
            #expect(ChemistryTable(.lfp).chargeRate.scaled(5_000_000, at: t) == 0)
            #expect(ChemistryTable(.nmc).chargeRate.scaled(5_000_000, at: t) == 0)
        }
    }

    @Test func `capacity is what the BMS learned within 70 to 110 % of rated`() {
        for (full, rated, typed, expected) in [
            (280_000, 280_000, nil, 280_000), (196_000, 280_000, nil, 196_000), (195_999, 280_000, nil, 280_000),
            (308_000, 280_000, nil, 308_000), (308_001, 280_000, nil, 280_000), (nil, 280_000, nil, 280_000),
            (nil, nil, 100_000, 100_000), (500, 280_000, nil, 280_000), (nil, nil, nil, nil),
        ] as [(Int32?, Int32?, Int32?, Int32?)] {
            var reading = PackReading()
            (reading.full, reading.rated) = (full, rated)
            #expect(AcceptanceRules.capacity(of: reading, typed: typed) == expected)
        }
    }

    @Test func `share and scaling do not overflow at the largest values`() {
        var limit = BankLimit()
        limit.add(Reason(.bmsMargin, bound: .max), counted: .max, share: Fraction(1, 80_000_000))
        #expect(limit.reason?.bound == .max)
        #expect(scaledDown(.max, 1_000_000, 1) == .max)
    }
}
