import Battery

/// One permission flag (charge-control.md §7.8): false wins at once, true comes back after 10 s of continuous permission on fresh
/// data. Held data prove nothing: a flag must not come back with their age (P10).
struct Enable: Sendable, BitwiseCopyable {
    private(set) var isOn = false
    /// It has been true in this run, so a false one "went false" and has to wait.
    private var wasOn = false
    private var permitted = Persisting()

    static let returnsAfter: Milliseconds = 10_000

    init() {}

    /// - Parameters:
    ///   - isSteady: every pack that conducts is fresh and beyond suspicion.
    ///   - cameToLife: the first pack has just left JOINING, which has waited its 10 s already (amendment 6).
    mutating func update(_ permission: Bool, isSteady: Bool, cameToLife: Bool, at now: Instant) {
        let since = permitted.update(permission && isSteady, at: now)
        if !permission {
            isOn = false
        } else if cameToLife || isSteady && (!wasOn || since >= Self.returnsAfter) {
            isOn = true
            wasOn = true
        }
    }
}

/// DVL and the part of dis_en that hangs on it (charge-control.md §7.7).
struct DischargeVoltage: Sendable, BitwiseCopyable {
    private(set) var isBelow = false
    private var low = Persisting()
    private var recovered = Persisting()
    private var charging = Persisting()

    init() {}

    mutating func update(_ bank: BankView, limit: Millivolts, cellsInSeries n: Int32, at now: Instant) {
        let known = bank.isVoltageKnown
        let lowFor = low.update(known && bank.voltage <= limit, at: now)
        let highFor = recovered.update(known && bank.isFresh && bank.voltage >= limit + n * 100, at: now)
        let chargingFor = charging.update(
            bank.isFresh && bank.isCurrentKnown && bank.current > 0 && Int64(bank.current) * 100 > Int64(bank.capacity),
            at: now)
        if lowFor >= 10_000 {
            isBelow = true
        }
        if isBelow && (highFor >= 60_000 || chargingFor >= 60_000) { isBelow = false }
    }
}

extension LimitRule {
    /// The causes of HOLD: temperature, switch, alarm, stale data, the owner (amendment 16). A BMS that publishes or is set to 0 A,
    /// the top latch and the share rule are no HOLD.
    var holds: Bool {
        switch self {
        case .cold, .coldLatch, .hot, .noTemperature, .mosfetHot, .mosfetLost, .switchOff, .alarm, .fault, .stale,
            .extendedHold,
            .cellUnknown, .userCurrent, .packUserCurrent, .command:
            true
        default:
            false
        }
    }

    /// A bound of 0 by this rule withdraws the permission, rather than only the current (charge-control.md §7.8).
    var blocks: Bool {
        switch self {
        case .unknownOverCurrentLimit, .notReady, .noPackConducts, .joining, .bmsMargin, .cRate: true
        default: holds
        }
    }
}
