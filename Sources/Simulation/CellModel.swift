import Battery

/// Open-circuit voltage of one chemistry over its state of charge, as a table in fine steps.
///
/// The curves are drawn from the general shape of published cells: flat middle and steep ends for LFP, a slope for NMC and LTO. They
/// are no particular maker's cell; the control logic has to work on all of them.
public struct OpenCircuitCurve: Sendable {
    /// Below empty and above full a cell still has a voltage: the table spans −5 % ... +10 %.
    private static let first = -0.05
    private static let stepsPerUnit = 2000.0
    private let volts: [Double]

    public init(_ chemistry: Chemistry) {
        let points: [(soc: Double, volts: Double)] =
            switch chemistry {
            case .lfp:
                [
                    (-0.05, 1.80), (0, 2.50), (0.01, 2.80), (0.02, 2.95), (0.05, 3.10), (0.10, 3.20), (0.20, 3.245),
                    (0.30, 3.275), (0.45, 3.290), (0.60, 3.300), (0.70, 3.325), (0.90, 3.337), (0.95, 3.342),
                    (0.98, 3.352),
                    (0.99, 3.365), (0.995, 3.385), (1.0, 3.440), (1.005, 3.540), (1.01, 3.680), (1.02, 3.950),
                    (1.10, 4.50),
                ]
            case .nmc:
                [
                    (-0.05, 2.20), (0, 2.90), (0.02, 3.20), (0.05, 3.38), (0.10, 3.48), (0.20, 3.56), (0.40, 3.65),
                    (0.60, 3.80), (0.80, 3.98), (0.90, 4.06), (0.95, 4.10), (1.0, 4.17), (1.01, 4.22), (1.03, 4.32),
                    (1.10, 4.50),
                ]
            case .lto:
                [
                    (-0.05, 1.40), (0, 1.80), (0.02, 2.00), (0.05, 2.10), (0.10, 2.17), (0.30, 2.22), (0.50, 2.28),
                    (0.70, 2.37), (0.85, 2.47), (0.95, 2.56), (0.98, 2.62), (1.0, 2.72), (1.01, 2.82), (1.03, 2.95),
                    (1.10, 3.1),
                ]
            }
        var table: [Double] = []
        var segment = 0
        for i in 0...Int(1.15 * Self.stepsPerUnit) {
            let soc = Self.first + Double(i) / Self.stepsPerUnit
            while segment < points.count - 2 && soc > points[segment + 1].soc { segment += 1 }
            let (low, high) = (points[segment], points[segment + 1])
            table.append(low.volts + (high.volts - low.volts) * (soc - low.soc) / (high.soc - low.soc))
        }
        volts = table
    }

    /// Volts at `soc` (0...1), linear between the steps and clamped at the ends of the table.
    @inline(__always)
    func voltage(at soc: Double) -> Double {
        let position = min(max((soc - Self.first) * Self.stepsPerUnit, 0), Double(volts.count - 2))
        let index = Int(position)
        let low = volts[index]
        return low + (volts[index + 1] - low) * (position - Double(index))
    }
}

/// One cell: capacity, charge, resistance and one slow polarisation.
public struct Cell: Sendable {
    /// Ah it can hold.
    public var capacity: Double
    /// Ah it holds now.
    public var charge: Double
    /// Ohms that act at once.
    public var ohms: Double
    /// Volts of polarisation (one resistor and capacitor, time constant `polarisationSeconds`).
    public var polarisation = 0.0
    /// Ah lost per second by itself.
    public var selfDischarge: Double
    /// Volts at the terminals after the last step.
    public var voltage = 0.0

    public var soc: Double { charge / capacity }

    static let polarisationSeconds = 60.0
    /// The slow resistance as a multiple of `ohms`.
    static let polarisationRatio = 0.8
}
