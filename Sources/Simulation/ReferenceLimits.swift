import Battery
import ChargeControl
import Glibc

/// An independent calculation of what one pack may carry, straight from the tables of charge-control.md §7, in floating point.
///
/// It shares no code with `ChargeControl`. The checker uses it as an upper bound for what the bridge may say.
struct ReferenceLimits: Sendable {
    /// Volts of one cell.
    let bulk: Double
    let fullFoot: Double
    let absoluteMaximum: Double
    let taperSpan: Double
    let taper: TaperPreset
    let float: Double
    let dischargeFloor: Double
    let dischargeSpan: Double
    let cellRange: ClosedRange<Double>
    let coldZero: Double
    private let middle: ClosedRange<Double>?
    private let chargeTable: [(Double, Double)]
    private let dischargeTable: [(Double, Double)]
    private let margin: Double
    private let rateMaximum: Double

    init(_ c: ControlConfiguration) {
        bulk = Double(c.bulk) / 1000
        float = Double(c.float) / 1000
        taper = c.taper
        dischargeFloor = Double(c.dischargeZeroFloor) / 1000
        margin = Double(c.bmsMarginPercent) / 100
        rateMaximum = Double(c.chargeRateMaximum) / 1000
        coldZero = Double(c.coldZero) / 10
        let cold: [(Double, Double)] = [
            (-20, 0), (-10, 0.2), (0, 0.5), (10, 1), (45, 1), (50, 0.5), (55, 0.25), (60, 0),
        ]
        switch c.chemistry {
        case .lfp:
            middle = 3.20...3.38
            (fullFoot, absoluteMaximum, taperSpan, dischargeSpan, cellRange) = (3.370, 3.650, 0.150, 0.300, 1.5...4.0)
            chargeTable = [
                (0, 0), (2, 0.05), (5, 0.10), (10, 0.20), (15, 0.20), (20, 0.50), (45, 0.50), (50, 0.10), (55, 0),
            ]
            dischargeTable = cold
        case .nmc:
            middle = 3.50...3.95
            (fullFoot, absoluteMaximum, taperSpan, dischargeSpan, cellRange) = (3.900, 4.200, 0.080, 0.300, 2.0...4.5)
            chargeTable = [(0, 0), (5, 0.10), (10, 0.20), (20, 0.50), (40, 0.50), (45, 0.30), (50, 0.10), (52, 0)]
            dischargeTable = cold
        case .lto:
            middle = nil
            (fullFoot, absoluteMaximum, taperSpan, dischargeSpan, cellRange) = (2.550, 2.850, 0.100, 0.200, 1.0...3.2)
            chargeTable = [(-20, 0), (-10, 0.2), (0, 0.5), (10, 1), (45, 1), (50, 0.5), (55, 0)]
            // No row of its own in the specification: the LFP / NMC fractions.
            dischargeTable = cold
        }
    }

    private static let chargeTaper = [(0.0, 1.0), (0.25, 0.50), (0.50, 0.15), (0.75, 0.02), (1.0, 0.0)]
    private static let dischargeTaper = [(0.0, 0.0), (0.25, 0.05), (0.50, 0.20), (0.75, 0.50), (1.0, 1.0)]
    private static let mosfetTable = [(70.0, 1.0), (80, 0.25), (90, 0)]

    private static func line(_ table: [(Double, Double)], _ x: Double) -> Double {
        if x <= table[0].0 { return table[0].1 }
        for i in 1..<table.count where x <= table[i].0 {
            let (low, high) = (table[i - 1], table[i])
            return low.1 + (high.1 - low.1) * (x - low.0) / (high.0 - low.0)
        }
        return table[table.count - 1].1
    }

    /// Volts at which charging stops, with `overVoltage` the lowest over-voltage limit among the packs (volts).
    func chargeZero(overVoltage: Double) -> Double {
        let highest = min(overVoltage - 0.030, absoluteMaximum - 0.020)
        return switch taper {
        case .standard: min(bulk + taperSpan, highest)
        case .gentle: min(bulk + 0.050, highest)
        case .late: min(((overVoltage > 90 ? absoluteMaximum : overVoltage) + bulk) / 2, highest)
        }
    }

    /// What the highest cell leaves of the charge current, 0...1.
    private func chargeFraction(highest: Double, overVoltage: Double) -> Double {
        let zero = chargeZero(overVoltage: overVoltage)
        let start =
            switch taper {
            case .standard: bulk - 0.050
            case .gentle: bulk - 0.075
            case .late: float
            }
        let r = (highest - min(start, zero - 0.020)) / (zero - min(start, zero - 0.020))
        if taper != .late { return Self.line(Self.chargeTaper, r) }
        // The curve 2 − 2^(r^1.8) of the preset's origin (charge-control.md §7.2).
        return r <= 0 ? 1 : r >= 1 ? 0 : 2 - pow(2, pow(r, 1.8))
    }

    /// Volts at which discharging stops, with `underVoltage` the highest under-voltage limit among the packs (volts).
    func dischargeZero(underVoltage: Double) -> Double {
        max(underVoltage + 0.100, dischargeFloor)
    }

    /// The two temperatures that count; nil when a sensor is broken (amendment 3).
    private func temperatures(_ m: PackMeasurement) -> (coldest: Double, hottest: Double)? {
        guard let a = m.temperature1, let b = m.temperature2 else { return nil }
        return (Double(min(a, b)), Double(max(a, b)))
    }

    /// True when amendment 3, the cold limit or a missing sensor forbids charging.
    func isTooColdOrUnknown(_ m: PackMeasurement) -> Bool {
        guard let t = temperatures(m) else { return true }
        return t.coldest <= coldZero
    }

    /// Amperes that the pack may be charged with; −1 when its switch is open and it takes no part.
    func charge(_ m: PackMeasurement, capacity: Double, overVoltage: Double, userCap: Double?) -> Double {
        if !m.chargeSwitch { return -1 }
        if !m.warnings.isDisjoint(with: .stopCharge) { return 0 }
        guard let t = temperatures(m), t.coldest > coldZero else { return 0 }
        let base = min(margin * Double(m.settings.chargeOverCurrent), userCap ?? .infinity)
        let byVoltage = base * chargeFraction(highest: Double(m.highest) / 1000, overVoltage: overVoltage)
        let rate = min(Self.line(chargeTable, t.coldest), Self.line(chargeTable, t.hottest), rateMaximum)
        return min(byVoltage, rate * capacity, base * mosfet(m))
    }

    /// Amperes that the pack may be discharged with; −1 when its switch is open.
    ///
    /// - Parameter grace: the lowest cell is at the zero for less than 5 s (amendment 10): a hundredth may stay.
    func discharge(_ m: PackMeasurement, capacity: Double, underVoltage: Double, userCap: Double?, grace: Bool)
        -> Double
    {
        if !m.dischargeSwitch { return -1 }
        if !m.warnings.isDisjoint(with: .stopDischarge) { return 0 }
        let base = min(margin * Double(m.settings.dischargeOverCurrent), userCap ?? .infinity)
        let zero = dischargeZero(underVoltage: underVoltage)
        let taper = Self.line(Self.dischargeTaper, (Double(m.lowest) / 1000 - zero) / dischargeSpan)
        let byVoltage = base * max(taper, grace ? 0.01 : 0)
        guard let t = temperatures(m) else { return min(byVoltage, 0.2 * capacity, base * mosfet(m)) }
        let fraction = min(Self.line(dischargeTable, t.coldest), Self.line(dischargeTable, t.hottest))
        return min(byVoltage, base * fraction, base * mosfet(m))
    }

    /// The last snapshot permits the extended hold (failsafe.md §3); LTO has no flat middle.
    func isMidRange(_ m: PackMeasurement) -> Bool {
        guard let middle, let t = temperatures(m) else { return false }
        return middle.contains(Double(m.lowest) / 1000) && middle.contains(Double(m.highest) / 1000)
            && (15...90).contains(m.soc) && t.coldest >= 5 && t.hottest <= 45
    }

    private func mosfet(_ m: PackMeasurement) -> Double {
        m.mosfet.map { Self.line(Self.mosfetTable, Double($0)) } ?? 0.25
    }
}
