import Battery

/// One corner of a temperature table: at `temperature`, `rate` thousandths (of C, or of the pack's own limit).
struct RatePoint: Equatable, Sendable, BitwiseCopyable {
    var temperature: Decidegrees
    var rate: Int32

    init(_ temperature: Decidegrees, _ rate: Int32) {
        self.temperature = temperature
        self.rate = rate
    }
}

/// A piecewise linear table over temperature. Outside its ends the rate is 0: both ends of every row are 0 (charge-control.md §7.3),
/// and frost below the first row must not clamp to a row that allows charging.
struct RateTable: Sendable, BitwiseCopyable {
    private var points: InlineArray<10, RatePoint>
    private var count: Int32

    init(_ corners: InlineArray<10, RatePoint>, count: Int32) {
        points = corners
        self.count = count
    }

    private var last: RatePoint { points[Int(count) - 1] }

    /// `amount` scaled by the rate at `temperature`, rounded down.
    func scaled(_ amount: Int32, at temperature: Decidegrees) -> Int32 {
        if temperature <= points[0].temperature || temperature >= last.temperature { return 0 }
        var i = 1
        while points[i].temperature < temperature { i += 1 }
        let low = points[i - 1]
        let high = points[i]
        return scaledDown(
            amount, from: low.rate, to: high.rate, at: temperature - low.temperature, of: high.temperature - low.temperature,
            whole: 1000)
    }

    var upperEnd: Decidegrees { last.temperature }

    var isStrictlyOrdered: Bool {
        for i in 1..<Int(count) where points[i].temperature <= points[i - 1].temperature { return false }
        return true
    }
}

/// What a chemistry fixes, beyond the owner's reach (charge-control.md §2, §7.2, §7.3; failsafe.md §2, §3).
///
/// The NMC and LTO rows are conservative engineering values; the data sheet of the cell decides.
struct ChemistryTable: Sendable, BitwiseCopyable {
    /// Foot of the tail line: `v_full_min`.
    var fullMinimum: Millivolts
    /// Head of the tail line at 0.05C: `v_max`.
    var tailHead: Millivolts
    /// `v_abs_max`.
    var absoluteMaximum: Millivolts
    /// Width of the charge taper above `v_bulk`.
    var chargeSpan: Millivolts
    /// Width of the discharge taper above `zd`.
    var dischargeSpan: Millivolts
    /// What a measured cell voltage may be; outside, the snapshot is not believed.
    var plausibleLow: Millivolts
    var plausibleHigh: Millivolts
    /// Range of a believable over-voltage setting of the BMS.
    var overVoltageLow: Millivolts
    var overVoltageHigh: Millivolts
    /// A cell below this on three snapshots is damaged: FAULT (amendment 9 gives LFP; the others sit at the same distance below
    /// their discharge floor, or at the lowest usual data sheet value where that is higher).
    var severeLow: Millivolts
    /// Cells between these are mid-range for the extended hold (failsafe.md §3). An empty range: never (LTO has no figure).
    var midLow: Millivolts
    var midHigh: Millivolts
    /// At or above this at rest a pack that reports ≤ 3 % is not that empty (§9 S5). Nil: no figure, so SoC is never raised.
    var notEmptyAtRest: Millivolts?
    /// Allowed ranges of the owner's voltages (§2 gives LFP; for the others the preset ± the same distances).
    var bulkLow: Millivolts
    var floatLow: Millivolts
    var rebulkLow: Millivolts
    var dischargeZeroLow: Millivolts
    var dischargeZeroHigh: Millivolts
    /// Lowest `coldZero` that the owner may set.
    var coldZeroLow: Decidegrees
    var chargeRate: RateTable
    var dischargeFraction: RateTable

    init(_ chemistry: Chemistry) {
        let discharge: InlineArray<10, RatePoint> = [
            RatePoint(-200, 0), RatePoint(-100, 200), RatePoint(0, 500), RatePoint(100, 1000), RatePoint(450, 1000),
            RatePoint(500, 500), RatePoint(550, 250), RatePoint(600, 0), RatePoint(0, 0), RatePoint(0, 0),
        ]
        dischargeFraction = RateTable(discharge, count: 8)
        switch chemistry {
        case .lfp:
            (fullMinimum, tailHead, absoluteMaximum) = (3370, 3650, 3650)
            (chargeSpan, dischargeSpan) = (150, 300)
            (plausibleLow, plausibleHigh) = (1500, 4000)
            (overVoltageLow, overVoltageHigh) = (3400, 3700)
            (severeLow, midLow, midHigh) = (2000, 3200, 3380)
            notEmptyAtRest = 3220
            (bulkLow, floatLow, rebulkLow) = (3400, 3300, 3200)
            (dischargeZeroLow, dischargeZeroHigh) = (2600, 3100)
            coldZeroLow = 0
            let charge: InlineArray<10, RatePoint> = [
                RatePoint(0, 0), RatePoint(20, 50), RatePoint(50, 100), RatePoint(100, 200), RatePoint(150, 200),
                RatePoint(200, 500), RatePoint(450, 500), RatePoint(500, 100), RatePoint(550, 0), RatePoint(0, 0),
            ]
            chargeRate = RateTable(charge, count: 9)
        case .nmc:
            (fullMinimum, tailHead, absoluteMaximum) = (3900, 4200, 4200)
            (chargeSpan, dischargeSpan) = (80, 300)
            (plausibleLow, plausibleHigh) = (2000, 4500)
            (overVoltageLow, overVoltageHigh) = (4000, 4250)
            (severeLow, midLow, midHigh) = (2500, 3500, 3950)
            notEmptyAtRest = nil
            (bulkLow, floatLow, rebulkLow) = (3930, 3800, 3700)
            (dischargeZeroLow, dischargeZeroHigh) = (2800, 3300)
            coldZeroLow = 0
            let charge: InlineArray<10, RatePoint> = [
                RatePoint(0, 0), RatePoint(50, 100), RatePoint(100, 200), RatePoint(200, 500), RatePoint(400, 500),
                RatePoint(450, 300), RatePoint(500, 100), RatePoint(520, 0), RatePoint(0, 0), RatePoint(0, 0),
            ]
            chargeRate = RateTable(charge, count: 8)
        case .lto:
            (fullMinimum, tailHead, absoluteMaximum) = (2550, 2850, 2850)
            (chargeSpan, dischargeSpan) = (100, 200)
            (plausibleLow, plausibleHigh) = (1000, 3200)
            (overVoltageLow, overVoltageHigh) = (2600, 2900)
            (severeLow, midLow, midHigh) = (1500, 1, 0)
            notEmptyAtRest = nil
            (bulkLow, floatLow, rebulkLow) = (2580, 2450, 2350)
            (dischargeZeroLow, dischargeZeroHigh) = (1700, 2200)
            coldZeroLow = -200
            let charge: InlineArray<10, RatePoint> = [
                RatePoint(-200, 0), RatePoint(-100, 200), RatePoint(0, 500), RatePoint(100, 1000), RatePoint(450, 1000),
                RatePoint(500, 500), RatePoint(550, 0), RatePoint(0, 0), RatePoint(0, 0), RatePoint(0, 0),
            ]
            chargeRate = RateTable(charge, count: 7)
        }
    }
}

extension Chemistry {
    /// Cell over-voltage settings of a BMS that are believed for this chemistry, mV (failsafe.md §2).
    public var believableOverVoltage: ClosedRange<Millivolts> {
        let table = ChemistryTable(self)
        return table.overVoltageLow...table.overVoltageHigh
    }
}
