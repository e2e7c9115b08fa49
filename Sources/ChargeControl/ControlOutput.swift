import Battery

/// Phase of the charge (charge-control.md §5).
public enum Phase: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case initial, bulk, absorb, float, rest, hold
}

/// State of one pack in the bank (aggregation.md §3, amendments 2, 9, 12, 19).
public enum PackState: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case absent, joining, active, chargeOff, dischargeOff, isolated, suspect, lost, excluded, fault
}

/// Stage of the staleness ladder (failsafe.md §3; its stage "HOLD" is called KEEP, amendment 16).
public enum StaleStage: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case fresh, keep, derate, lost
}

/// The name of a limiter: why a limit is what it is. One for each pure function that bounds CVL, CCL or DCL.
///
/// The raw values travel in the Link protocol and in the history: append, never renumber.
public enum LimitRule: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    /// No limiter reduces the configured maximum.
    case none = 0
    // CVL (charge-control.md §6)
    case userVoltage = 1
    case bmsVoltage = 2
    case absoluteVoltage = 3
    case phaseVoltage = 4
    case runnerCell = 5
    case socCeiling = 6
    case degraded = 7
    case blockedVoltage = 8
    case obedienceVoltage = 9
    case lostVoltage = 10
    case floorVoltage = 11
    // CCL and DCL (§7)
    case userCurrent = 20
    case packUserCurrent = 21
    case bmsMargin = 22
    case bmsDynamic = 23
    case cellHigh = 24
    case cellLow = 25
    case topLatch = 26
    case emptyLatch = 27
    case cold = 28
    case coldLatch = 29
    case hot = 30
    case noTemperature = 31
    case mosfetHot = 32
    case mosfetLost = 33
    case switchOff = 34
    case alarm = 35
    case stale = 36
    case share = 37
    case measuredShare = 38
    case socTaper = 39
    case socReserve = 40
    case phaseCurrent = 41
    case obedience = 42
    case cRate = 43
    case unknownOverCurrentLimit = 44
    case cellUnknown = 45
    case joining = 46
    case equalising = 47
    case fault = 48
    case notReady = 49
    case holdAfterCut = 50
    case ramp = 51
    case command = 52
    case dischargeVoltage = 53
    case noPackConducts = 54
    case bootLoop = 55
    case enableDelay = 56
    case extendedHold = 57
    case plannedStop = 58
}

/// Why a limit has its value: the binding limiter, where, and the input that decided.
public struct Reason: Equatable, Sendable, BitwiseCopyable {
    public var rule: LimitRule
    /// The pack and the cell or sensor; 0 where the rule concerns the whole bank.
    public var place: CellPlace
    /// The input of the rule in its own unit: mV, 0.1 °C, mA, ms, 0.01 %. What it is follows from `rule`.
    public var input: Int32
    /// The bound that the rule gives, mV or mA.
    public var bound: Int32

    public init(_ rule: LimitRule, bound: Int32, place: CellPlace = .unknown, input: Int32 = 0) {
        self.rule = rule
        self.place = place
        self.input = input
        self.bound = bound
    }
}

#if MICROCONTROLLER
    /// A microcontroller keeps no lists: what binds is in the reasons, and the lists are made on the host.
    public typealias ReasonList = FixedArray<1, Reason>
#else
    /// Every limiter's bound in one tick, for `packbridge explain` and the web page. The binding one has the lowest bound.
    public typealias ReasonList = FixedArray<32, Reason>
#endif

/// What the present phase waits for, in a form that the host and the firmware turn into the same sentence.
public enum Waiting: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case nothing, firstSnapshot, agreeingSnapshots, otherPacks, cellVoltage, tailCurrent, calm, absorbTime, balancing
    case floatRamp, rebulkVoltage, rebulkSoC, fullChargeDay, temperature, switchOn, alarmClear, freshData, userResume
    case inverterObeys
}

/// What the owner is warned of beside the battery's own alarms.
public struct Warnings: OptionSet, Equatable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// More than a fifth of the last 50 frames of a pack were damaged or did not come (failsafe.md §2).
    public static let linkQuality = Warnings(rawValue: 1 << 0)
    /// A pack that may be on the busbar cannot be heard; CVL is at float (amendment 19).
    public static let degraded = Warnings(rawValue: 1 << 1)
    /// The charge ended early because one cell was ahead of the others: grade LIMITED (charge-control.md §5).
    public static let cellPreventsFull = Warnings(rawValue: 1 << 2)
    /// The SoC that the BMS tells does not fit current or voltage (charge-control.md §9).
    public static let socDrift = Warnings(rawValue: 1 << 3)
    /// The packs' states of charge are more than 15 % apart.
    public static let socSpread = Warnings(rawValue: 1 << 4)
    /// A pack and the bank exchange current because their voltages differ (aggregation.md §4).
    public static let equalisingCurrent = Warnings(rawValue: 1 << 5)
    /// An isolated pack is more than 31 mV per cell off the bank: it must not be connected like that (aggregation.md §4).
    public static let matchVoltagesFirst = Warnings(rawValue: 1 << 6)
    /// It has charged with more than 1.1 times CCL plus 2 A for 10 s.
    public static let inverterIgnoresChargeLimit = Warnings(rawValue: 1 << 7)
    /// It has drawn more than 1.1 times DCL plus 2 A for 10 s.
    public static let inverterIgnoresDischargeLimit = Warnings(rawValue: 1 << 8)
    /// A configured cell sensor gives no value: nothing is charged.
    public static let temperatureSensor = Warnings(rawValue: 1 << 9)
    /// The MOSFET sensor was there and gives no value any more.
    public static let mosfetSensorLost = Warnings(rawValue: 1 << 10)
    /// Nothing of the BMS's protection settings has come for 10 minutes; the last ones hold (amendment 17).
    public static let settingsOld = Warnings(rawValue: 1 << 11)
    /// A protection setting of the BMS is not believed; the last good one holds (amendment 17).
    public static let settingsImplausible = Warnings(rawValue: 1 << 12)
    /// A limit of the owner is above the margin below the packs' over-current settings, so that binds instead.
    public static let userLimitClamped = Warnings(rawValue: 1 << 13)
    /// The cells' sum has contradicted the pack voltage in five snapshots or more; the sum is used (failsafe.md §2).
    public static let sumMismatch = Warnings(rawValue: 1 << 14)
    /// Nothing in the readings has changed for 15 minutes (amendment 1).
    public static let stuckAtRest = Warnings(rawValue: 1 << 15)
    /// A cell sensor has not moved for 6 h while another moved by more than 3 °C (failsafe.md §2).
    public static let stuckSensor = Warnings(rawValue: 1 << 16)
    /// The BMS does not tell its current.
    public static let currentUnknown = Warnings(rawValue: 1 << 17)
    /// Nothing believable for T_zero: the pack is LOST.
    public static let bmsLost = Warnings(rawValue: 1 << 18)
    /// A cell far outside its range was seen; see `PackFault` and the order `acknowledge` (amendment 9).
    public static let packFault = Warnings(rawValue: 1 << 19)
    /// The BMS's over-voltage setting puts the highest CVL below the rebulk voltage (charge-control.md §6.3).
    public static let configurationInconsistent = Warnings(rawValue: 1 << 20)
    /// Six restarts within ten minutes: limits stay low (failsafe.md §5.7).
    public static let bootLoop = Warnings(rawValue: 1 << 21)
    // 1 << 22 meant something once: bits travel over Link and are not used again.
    /// The external shunt is silent or measures other packs than those that conduct (charge-control.md §9.1).
    public static let shuntDropped = Warnings(rawValue: 1 << 23)
}

/// One pack as the owner sees it.
public struct PackStatus: Sendable, BitwiseCopyable {
    public var state: PackState = .absent
    /// How old its data are (failsafe.md §3).
    public var stage: StaleStage = .lost
    /// Time since the last accepted snapshot; -1 = never.
    public var age: Milliseconds = -1
    public var chargeLimit: Milliamps = 0
    public var chargeReason = Reason(.notReady, bound: 0)
    public var dischargeLimit: Milliamps = 0
    public var dischargeReason = Reason(.notReady, bound: 0)
    /// Alarms as held: cleared only by fresh data (P24).
    public var alarms = Alarms()
    public var warnings = Warnings()
    public var voltage: Millivolts = 0
    public var current: Milliamps = 0
    public var soc: CentiPercent = 0
    /// Numbers of cells count from 1.
    public var highestCell: Millivolts = 0
    public var highestCellNumber: UInt8 = 0
    public var lowestCell: Millivolts = 0
    public var lowestCellNumber: UInt8 = 0

    @inline(never)
    public init() {}
}

/// The result of one control tick.
public struct ControlOutput: Sendable {
    /// What the inverter is to be told. Valid only while `mayTransmit`.
    public var report = BankReport()
    /// False before the first complete valid snapshot since boot (P4), and in profiles that prefer silence.
    public var mayTransmit = false
    /// A limit is tighter, or an enable went false, since the last tick: the set goes out at once (P7).
    public var tightened = false
    /// HOLD while something stops the charge (charge-control.md §5).
    public var phase = Phase.initial
    /// The phase behind HOLD.
    public var rememberedPhase = Phase.bulk
    /// What the phase waits for, for the sentence that is shown.
    public var waiting = Waiting.firstSnapshot
    /// The remaining time or the missing amount that `waiting` speaks of, in ms, mV or mA.
    public var waitingAmount: Int32 = 0
    /// Why CVL, CCL and DCL are what they are: the binding limiter with its place and its input.
    public var voltageReason = Reason(.notReady, bound: 0)
    public var chargeReason = Reason(.notReady, bound: 0)
    public var dischargeReason = Reason(.notReady, bound: 0)
    /// Every limiter's bound; empty unless `Controller.listsLimiters` is set.
    public var voltageLimiters = ReasonList(filler: Reason(.none, bound: 0))
    public var chargeLimiters = ReasonList(filler: Reason(.none, bound: 0))
    public var dischargeLimiters = ReasonList(filler: Reason(.none, bound: 0))
    /// In the order of the configuration.
    public var packs = PackList<PackStatus>(filler: PackStatus())
    /// Those of the bank and of every pack.
    public var warnings = Warnings()
    /// The worst stage among the packs that count.
    public var stage = StaleStage.lost
    /// False while no SoC is known from any source; `report.soc` means nothing then.
    public var isSoCKnown = false
    /// The charge ended early because of this cell.
    public var preventsFull = CellPlace.unknown

    @inline(never)
    public init() {}
}
