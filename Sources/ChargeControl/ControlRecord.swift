import Battery

/// What survives a restart (failsafe.md §5.8): phase, absorb time, days since full, SoC state, counters.
///
/// The engine writes it to alternating slots with a CRC, at most once in 5 minutes and on events.
public struct ControlRecord: Equatable, Sendable, BitwiseCopyable {
    /// Counts up with every image written; of two good slots the higher one is the newer.
    public var sequence: UInt32 = 0
    /// Generation of the configuration that was in force.
    public var generation: UInt32 = 0
    public var phase = Phase.initial
    /// `t_abs`, the accumulated time near full, ms.
    public var absorbTime: Milliseconds = 0
    /// Monotonic time since FULL, and since SoC was last ≥ 97 %, ms.
    public var sinceFull: Milliseconds = 0
    public var sinceNearlyFull: Milliseconds = 0
    public var grade = ChargeGrade.none
    public var preventsFull = CellPlace.unknown
    /// Where the ramp down to float was, pack mV; 0 = not on a ramp.
    public var floatVoltage: Millivolts = 0
    /// Reported SoC, 0.01 %; -1 = none.
    public var soc: CentiPercent = -1
    public var isFull = false
    public var socOffset: CentiPercent = 0
    public var rawAtFull: CentiPercent = 10_000
    /// Own coulomb counter, mAh; -1 = not initialised.
    public var charge: MilliampHours = -1
    /// Learned capacity of the bank, mAh; 0 = not learned.
    public var learnedCapacity: MilliampHours = 0
    /// Recent losses of each pack, for the back-off (amendment 4).
    public var flaps = InlineCounts()
    /// Energy through the bank, Wh.
    public var energyCharged: Int64 = 0
    public var energyDischarged: Int64 = 0

    @inline(never)
    public init() {}

    /// A good checksum over nonsense is still nonsense: what goes into arithmetic is in range. A record is valid or ignored, never
    /// half used (P18).
    public var isPlausible: Bool {
        let longest: Milliseconds = 400 * 86_400_000
        return (0...longest).contains(absorbTime) && (0...longest).contains(sinceFull)
            && (0...longest).contains(sinceNearlyFull)
            && (0...200_000).contains(floatVoltage) && (-1...10_000).contains(soc)
            && (-10_000...10_000).contains(socOffset)
            && (0...10_000).contains(rawAtFull) && charge >= -1 && learnedCapacity >= 0
            && (0...1 << 50).contains(energyCharged) && (0...1 << 50).contains(energyDischarged)
    }
}

/// One small counter per pack.
public struct InlineCounts: Equatable, Sendable, BitwiseCopyable {
    /// As many as the record has on every machine, whatever a build has room for.
    public static let places = 16

    private var low: UInt64 = 0
    private var high: UInt64 = 0

    @inline(never)
    public init() {}

    public subscript(_ pack: Int) -> UInt8 {
        get { UInt8(truncatingIfNeeded: pack < 8 ? low >> UInt64(8 * pack) : high >> UInt64(8 * (pack - 8))) }
        set {
            let shift = UInt64(8 * (pack % 8))
            if pack < 8 {
                low = low & ~(0xFF << shift) | UInt64(newValue) << shift
            } else {
                high = high & ~(0xFF << shift) | UInt64(newValue) << shift
            }
        }
    }
}
