import Battery

/// Packs in parallel on one busbar: the current divides by resistance and open-circuit voltage, not by anybody's wish
/// (aggregation.md §1).
public struct SimulatedBank: Sendable {
    public var packs: [SimulatedPack]
    /// Volts on the busbar; the last value when nothing is connected.
    public private(set) var voltage = 0.0
    /// Amperes into the bank, positive while charging.
    public private(set) var current = 0.0
    private var shares: [Double]
    private var conducts: [Bool]

    public init(_ packs: [SimulatedPack]) {
        self.packs = packs
        shares = Array(repeating: 0, count: packs.count)
        conducts = Array(repeating: false, count: packs.count)
        voltage = packs[0].voltage
    }

    /// Volts on the busbar at zero current and the ohms behind them; nil when no pack can carry current in this direction.
    public func source(charging: Bool) -> (volts: Double, ohms: Double)? {
        var (siemens, norton) = (0.0, 0.0)
        for pack in packs where pack.isConnected && (charging ? pack.chargeSwitch : pack.dischargeSwitch) {
            siemens += 1 / pack.resistance
            norton += pack.openVoltage / pack.resistance
        }
        return siemens == 0 ? nil : (norton / siemens, 1 / siemens)
    }

    /// One step of `dt` seconds in which the inverter moves `wanted` amperes.
    ///
    /// A pack whose charge switch is off still discharges through the body diode of that switch, and the other way round; a pack
    /// that would carry current against its open switch drops out and the others share again.
    public mutating func step(wanted: Double, seconds dt: Double, ambient: Double) {
        var remaining = wanted
        for i in packs.indices {
            conducts[i] = packs[i].isConnected && (packs[i].chargeSwitch || packs[i].dischargeSwitch)
            shares[i] = 0
        }
        for _ in 0..<(packs.count + 1) {
            var (siemens, norton) = (0.0, 0.0)
            for i in packs.indices where conducts[i] {
                siemens += 1 / packs[i].resistance
                norton += packs[i].openVoltage / packs[i].resistance
            }
            if siemens == 0 {
                remaining = 0
                break
            }
            voltage = (norton + remaining) / siemens
            var someoneLeft = false
            for i in packs.indices {
                if !conducts[i] {
                    shares[i] = 0
                    continue
                }
                shares[i] = (voltage - packs[i].openVoltage) / packs[i].resistance
                let blocked =
                    shares[i] > 0.001 ? !packs[i].chargeSwitch : shares[i] < -0.001 ? !packs[i].dischargeSwitch : false
                if blocked { (conducts[i], someoneLeft) = (false, true) }
            }
            if !someoneLeft { break }
        }
        var sum = 0.0
        for i in packs.indices {
            let share = conducts[i] ? shares[i] : 0
            packs[i].step(current: share, seconds: dt, ambient: ambient)
            sum += share
        }
        current = sum
    }
}
