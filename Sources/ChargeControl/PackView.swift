import Battery

/// What one pack means to the bank in one tick: everything that merge, limiters and report look at, and nothing of how the tracker
/// came to know it.
///
/// It is small on purpose. Sixteen trackers are 20 KB, and a value that is merely read must not be copied for it.
struct PackView: Sendable, BitwiseCopyable {
    var membership = Membership.absent
    var stage = StaleStage.lost
    /// Time since the last believed snapshot; `.max` = never.
    var age: Milliseconds = .max
    var isReady = false
    var isSuspect = false
    var isOffMedian = false
    var isEqualising = false
    /// Joining, in a way that keeps a running bank from rising.
    var freezesBank = false
    var wasIsolatedWhenLost = false
    var usesExtendedHold = false
    /// What is left of a silent pack on the staleness ladder: its limit and its weight go together.
    var fade = Fraction.whole
    /// The switch has closed, but for 10 s it is not counted on (aggregation.md §3). It takes current all the same.
    var isChargeClosing = false
    var isDischargeClosing = false

    var measures = PackMeasures()
    var temperatures = TemperatureView()
    var mosfet = MosfetSensor()
    var dynamic = DynamicLimits()
    var settings = KnownSettings()
    var capacity: MilliampHours?
    var soc: CentiPercent?
    var isSoCHeld = false
    /// Highest CVL for the sake of this pack's leading cell.
    var runner: Millivolts = .max

    var isTopLatched = false
    var isEmptyLatched = false
    var isColdLatched = false
    /// How long the empty latch has been set; negative: it is not.
    var emptyFor: Milliseconds = -1
    var isFaultSevere = false
    var isFaultOverVoltage = false
    var faultInput: Int32 = 0
    var alarms = Alarms()
    var overVoltageTrips: Int32 = 0
    var warnings = Warnings()

    /// `lim_p`, and the same as it was before the pack fell silent.
    var chargeLimit = Reason(.notReady, bound: 0)
    var dischargeLimit = Reason(.notReady, bound: 0)
    var chargeHeld = Reason(.notReady, bound: 0)
    var dischargeHeld = Reason(.notReady, bound: 0)

    @inline(never)
    init() {}

    /// Its current is part of the bank's: ACTIVE, CHG_OFF, DIS_OFF, also while SUSPECT.
    var conducts: Bool { membership == .member }
    /// Its cells are on the busbar.
    var isConnected: Bool { membership == .member || membership == .joining }
    /// It takes part in sharing the current of this direction.
    var takesCharge: Bool { membership == .member && measures.chargeSwitch }
    var givesCharge: Bool { membership == .member && measures.dischargeSwitch }
    var hasFault: Bool { isFaultSevere || isFaultOverVoltage }

    var state: PackState {
        switch membership {
        case .absent: .absent
        case .joining: .joining
        case .isolated: .isolated
        case .lost: .lost
        case .excluded: .excluded
        case .member:
            if hasFault {
                .fault
            } else if isSuspect || isOffMedian {
                .suspect
            } else if !measures.chargeSwitch {
                .chargeOff
            } else if !measures.dischargeSwitch {
                .dischargeOff
            } else {
                .active
            }
        }
    }
}

/// The packs as views, in their places.
typealias PackViews = PerPack<PackView>

/// The extremes of a pack's cell sensors.
struct TemperatureView: Sendable, BitwiseCopyable {
    var isLost = true
    var coldest: Decidegrees?
    var hottest: Decidegrees?
    var coldestSensor: UInt8 = 0
    var hottestSensor: UInt8 = 0
    /// These also count the last good value of sensors lost since: their last effect stays (amendment 17).
    var coldestKept: Decidegrees?
    var hottestKept: Decidegrees?

    init() {}
}
