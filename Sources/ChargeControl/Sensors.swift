import Battery

/// The cell sensors of one pack over time (failsafe.md §2, amendments 3 and 17).
///
/// A sensor that was good once, or that sends nonsense, is a configured sensor; when it is BAD the pack has "no temperature" for
/// charging until it is good again or the owner disables it.
struct CellSensors: Sendable, BitwiseCopyable {
    /// Last good value of each sensor; meaningful where `seen` has the bit.
    private var value = InlineArray<5, Int16>(repeating: 0)
    private var seen: UInt8 = 0
    private var bad: UInt8 = 0
    /// Extremes of the last snapshot.
    private(set) var extremes = TemperatureView()

    /// Since when each sensor shows the same value, and what all of them showed then.
    private var sameSince = InlineArray<5, Instant>(repeating: never)
    private var anchor = InlineArray<25, Int16>(repeating: 0)
    private(set) var isStuck = false

    init() {}

    /// A configured sensor is broken, or there is none at all: charging is not allowed.
    var isLost: Bool { extremes.isLost }

    static func number(_ reading: SensorReading) -> Int16? {
        if let t = reading.temperature, AcceptanceRules.temperatureRange.contains(t) { Int16(t) } else { nil }
    }

    /// A step of more than 10 °C on any sensor since the last good value.
    func jumps(_ readings: CellTemperatures, disabled: UInt8) -> Bool {
        for i in 0..<readings.count where disabled & (1 << UInt8(i)) == 0 && seen & ~bad & (1 << UInt8(i)) != 0 {
            if let t = Self.number(readings[i]), abs(Int32(t) - Int32(value[i])) > AcceptanceRules.temperatureJump {
                return true
            }
        }
        return false
    }

    static func agree(_ a: CellTemperatures, _ b: CellTemperatures) -> Bool {
        if a.count != b.count { return false }
        for i in 0..<a.count {
            if let x = number(a[i]), let y = number(b[i]), abs(Int32(x) - Int32(y)) > AcceptanceRules.temperatureJump {
                return false
            }
        }
        return true
    }

    mutating func update(_ readings: CellTemperatures, disabled: UInt8, at now: Instant) {
        bad = 0
        extremes = TemperatureView()
        for i in 0..<maximumCellSensors where disabled & (1 << UInt8(i)) == 0 {
            let reading = i < readings.count ? readings[i] : .absent
            if let t = Self.number(reading) {
                if seen & (1 << UInt8(i)) == 0 || value[i] != t {
                    value[i] = t
                    restartStuckTimer(i, at: now)
                }
                seen |= 1 << UInt8(i)
                include(Int32(t), sensor: UInt8(i + 1))
            } else if reading != .absent || seen & (1 << UInt8(i)) != 0 {
                bad |= 1 << UInt8(i)
            }
        }
        keepLost()
        findStuck(at: now)
    }

    /// An unconfirmed snapshot: its extremes count where they are worse, nothing else does.
    mutating func widen(_ readings: CellTemperatures, disabled: UInt8) {
        for i in 0..<readings.count where disabled & (1 << UInt8(i)) == 0 {
            if let t = Self.number(readings[i]) {
                include(Int32(t), sensor: UInt8(i + 1))
            } else if readings[i] != .absent || seen & (1 << UInt8(i)) != 0 {
                bad |= 1 << UInt8(i)
            }
        }
        keepLost()
    }

    private mutating func include(_ t: Decidegrees, sensor: UInt8) {
        if t < extremes.coldest ?? .max { (extremes.coldest, extremes.coldestSensor) = (t, sensor) }
        if t > extremes.hottest ?? .min { (extremes.hottest, extremes.hottestSensor) = (t, sensor) }
    }

    private mutating func keepLost() {
        extremes.isLost = bad != 0 || extremes.coldest == nil
        extremes.coldestKept = extremes.coldest
        extremes.hottestKept = extremes.hottest
        for i in 0..<maximumCellSensors where bad & seen & (1 << UInt8(i)) != 0 {
            extremes.coldestKept = min(extremes.coldestKept ?? .max, Int32(value[i]))
            extremes.hottestKept = max(extremes.hottestKept ?? .min, Int32(value[i]))
        }
    }

    private mutating func restartStuckTimer(_ i: Int, at now: Instant) {
        sameSince[i] = now
        for j in 0..<maximumCellSensors { anchor[5 * i + j] = value[j] }
    }

    /// One sensor has not moved for 6 h while another has moved by more than 3 °C: a warning, no limit (failsafe.md §2).
    private mutating func findStuck(at now: Instant) {
        isStuck = false
        for i in 0..<maximumCellSensors where seen & ~bad & (1 << UInt8(i)) != 0 {
            if now.since(sameSince[i]) < 6 * 3_600_000 { continue }
            for j in 0..<maximumCellSensors where j != i && seen & ~bad & (1 << UInt8(j)) != 0 {
                if abs(Int32(value[j]) - Int32(anchor[5 * i + j])) > 30 { isStuck = true }
            }
        }
    }
}

/// The MOSFET or board sensor of one pack. Never seen: it does not exist. Seen and lost: factor 0.25 or worse (charge-control.md §1).
struct MosfetSensor: Sendable, BitwiseCopyable {
    private(set) var value: Decidegrees?
    private(set) var isLost = false

    init() {}

    mutating func update(_ reading: SensorReading) {
        if let t = CellSensors.number(reading) {
            value = Int32(t)
            isLost = false
        } else if reading != .absent || value != nil {
            isLost = true
        }
    }

    /// `amount` with the factor 70 °C → 1.00, 80 °C → 0.25, 90 °C → 0, and at most 0.25 when the sensor was lost.
    func scaled(_ amount: Milliamps) -> Milliamps {
        let quarter = isLost ? amount / 4 : amount
        guard let value, value > 700 else { return quarter }
        if value >= 900 { return 0 }
        let byHeat =
            value <= 800
            ? scaledDown(amount, 10_000 - 75 * Int64(value - 700), 10_000)
            : scaledDown(amount, 25 * Int64(900 - value), 10_000)
        return min(quarter, byHeat)
    }
}
