import Battery

/// The three quantities that carry a reason.
public enum LimitedQuantity: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case voltage = 0, charge = 1, discharge = 2
}

#if MICROCONTROLLER
    /// A microcontroller does not count: who reads Link sees every reason and can.
    struct LimitedTime: Sendable, BitwiseCopyable {
        mutating func add(_ dt: Milliseconds, voltage v: LimitRule, charge c: LimitRule, discharge d: LimitRule) {}
    }
#else
    /// How long each limiter has held CVL, CCL or DCL below its configured maximum since start, ms.
    public struct LimitedTime: Sendable, BitwiseCopyable {
        private var voltage = InlineArray<64, Milliseconds>(repeating: 0)
        private var charge = InlineArray<64, Milliseconds>(repeating: 0)
        private var discharge = InlineArray<64, Milliseconds>(repeating: 0)

        init() {}

        public subscript(_ quantity: LimitedQuantity, _ rule: LimitRule) -> Milliseconds {
            let i = Int(rule.rawValue) & 63
            return switch quantity {
            case .voltage: voltage[i]
            case .charge: charge[i]
            case .discharge: discharge[i]
            }
        }

        mutating func add(_ dt: Milliseconds, voltage v: LimitRule, charge c: LimitRule, discharge d: LimitRule) {
            voltage[Int(v.rawValue) & 63] += dt
            charge[Int(c.rawValue) & 63] += dt
            discharge[Int(d.rawValue) & 63] += dt
        }
    }
#endif

/// Energy through the bank in each direction, Wh, monotonic; the part of a Wh is kept.
struct EnergyMeter: Sendable, BitwiseCopyable {
    private(set) var charged: Int64 = 0
    private(set) var discharged: Int64 = 0
    /// mV·mA·ms below one Wh.
    private var chargeRest: Int64 = 0
    private var dischargeRest: Int64 = 0

    private static let wattHour: Int64 = 3_600_000_000_000

    init() {}

    mutating func restore(_ record: ControlRecord) {
        charged = record.energyCharged
        discharged = record.energyDischarged
    }

    /// - Parameter dt: at most a minute.
    mutating func add(voltage: Millivolts, current: Milliamps, dt: Milliseconds) {
        let work = Int64(voltage) * Int64(current) * dt
        if work > 0 {
            chargeRest += work
            charged += chargeRest / Self.wattHour
            chargeRest %= Self.wattHour
        } else {
            dischargeRest -= work
            discharged += dischargeRest / Self.wattHour
            dischargeRest %= Self.wattHour
        }
    }
}
