import Battery

/// Watches whether the inverter keeps to what it is told (charge-control.md §7.5, amendment 7). One for each direction.
///
/// Warning after 10 s above 1.1 × + 2 A; after 60 s above 1.2 × the voltage is lowered; 60 s later the enable goes. The last step of
/// the specification, opening a contact or a BMS switch, is not built: it writes to a BMS, and no profile asks for it.
struct Obedience: Sendable, BitwiseCopyable {
    private(set) var isIgnoring = false
    /// CVL is lowered to V_bank − 0.1 V.
    private(set) var lowersVoltage = false
    /// The enable of this direction is withdrawn.
    private(set) var withdraws = false
    private var above = Persisting()
    private var farAbove = Persisting()
    private var obeying = Persisting()

    static let reduction: Millivolts = 100

    init() {}

    /// - Parameters:
    ///   - current: positive in this direction.
    ///   - told: CCL as sent; for discharge the protective bound, never a value that still ramps up.
    mutating func update(current: Milliamps?, told: Milliamps, at now: Instant) {
        let i = Int64(current ?? 0)
        let isAbove = i * 10 > Int64(told) * 11 + 20_000
        let aboveFor = above.update(isAbove, at: now)
        let farFor = farAbove.update(isAbove && i * 5 > Int64(told) * 6, at: now)
        isIgnoring = aboveFor >= 10_000
        if farFor >= 60_000 { lowersVoltage = true }
        if farFor >= 120_000 { withdraws = true }
        // What was escalated is taken back after a minute of obedience, measured with known data.
        if obeying.update(current != nil && !isAbove, at: now) >= 60_000 {
            lowersVoltage = false
            withdraws = false
        }
    }
}
