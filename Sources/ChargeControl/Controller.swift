import Battery

/// The control logic of one bank: snapshots of packs in, what the inverter may be told out.
///
/// A value without I/O and without a clock: the same calls with the same instants give the same result, on a Raspberry Pi, on the
/// microcontroller and in the simulator (charge-control.md §0, §4).
public struct Controller: Sendable {
    public internal(set) var output = ControlOutput()
    /// Fill the limiter lists of `output` too. Costs time; off on the hot path.
    public var listsLimiters = false
    public let configuration: ControlConfiguration

    let table: ChemistryTable
    let rules: AcceptanceRules
    let isStateless: Bool
    let recentBoots: Int32
    let bootRecord: ControlRecord?

    var packs = PackArray(repeating: PackTracker())
    var bank = BankView()
    var band: CellBand
    var chargeLimits = InlineArray<16, Reason>(repeating: Reason(.notReady, bound: 0))
    var dischargeLimits = InlineArray<16, Reason>(repeating: Reason(.notReady, bound: 0))
    var share = ShareMeter()
    var chargeCorrection = MeasuredCorrection()
    var dischargeCorrection = MeasuredCorrection()
    var phase = PhaseMachine()
    var soc = SoCReport()
    var chargeSlew = Slew()
    var dischargeSlew = Slew()
    var chargeEnable = Enable()
    var dischargeEnable = Enable()
    var dischargeVoltage = DischargeVoltage()

    var firstReadyAt = never
    var wasLive = false
    /// The bank came to life in this tick: DCL steps (amendment 6).
    var cameToLife = false
    var lastVoltage: Millivolts = 0
    var isRecordUrgent = false

    /// - Parameter record: what was persisted, when its checksum was good.
    /// - Parameter recentBoots: restarts within the last 10 minutes, for the boot-loop guard.
    public init(configuration: ControlConfiguration, record: ControlRecord?, recentBoots: Int32 = 0, at now: Instant) {
        self.init(configuration: configuration, record: record, recentBoots: recentBoots, isStateless: false, at: now)
    }

    init(configuration: ControlConfiguration, record: ControlRecord?, recentBoots: Int32, isStateless: Bool, at now: Instant) {
        self.configuration = configuration
        self.isStateless = isStateless
        self.recentBoots = recentBoots
        bootRecord = record
        table = ChemistryTable(configuration.chemistry)
        rules = AcceptanceRules(
            table: table, cellsInSeries: configuration.cellsInSeries,
            userLimit: max(configuration.userCharge, configuration.userDischarge), isStateless: isStateless)
        band = CellBand(configuration, table: table, overVoltage: nil, underVoltage: nil)
        if let record {
            soc.restore(record)
            for i in 0..<maximumPacks { packs[i].restoreFlaps(record.flaps[i], at: now) }
        }
    }

    var packCount: Int { configuration.packs.count }

    /// A decoded snapshot of pack `pack` (index from 0). It is judged here; what is implausible is not used.
    @discardableResult
    public mutating func accept(_ reading: PackReading, pack: Int, at now: Instant) -> SnapshotRejection {
        if pack < 0 || pack >= packCount || !configuration.packs[pack].isEnabled { return .notConfigured }
        return packs[pack].accept(reading, rules: rules, pack: configuration.packs[pack], at: now)
    }

    /// A frame of this pack was damaged or the pack did not answer: link quality only, never a limit by itself.
    public mutating func linkFault(pack: Int, at now: Instant) {
        if pack >= 0 && pack < packCount { packs[pack].linkFault() }
    }

    public mutating func handle(_ command: Command, at now: Instant) throws(CommandRefusal) {}

    /// One evaluation: at 1 Hz, and at once after every accepted snapshot and every fault event (amendment 26).
    ///
    /// The order is that of charge-control.md §4: packs, bank, phase, CVL, CCL, DCL, slew, SoC, enables, alarms, final clamp.
    public mutating func tick(at now: Instant) {
        updateMembership(at: now)
        bank = BankView(packs, count: packCount)
        band = CellBand(configuration, table: table, overVoltage: bank.overVoltage, underVoltage: bank.underVoltage)
        updatePacks(at: now)
        share.update(packs, count: packCount, bank: bank, at: now)
        startWhenReady(at: now)

        let charge = chargeProtection(at: now)
        let discharge = dischargeProtection(at: now)
        updatePhase(charge: charge, at: now)
        updateSoC(at: now)
        let voltage = chargeVoltage(isBlocked: charge.bound == 0 && charge.rule.blocks, at: now)
        updateCurrents(charge: charge, discharge: discharge, at: now)
        report(voltage: voltage, at: now)
    }

    /// Settings of the limiters for one tick.
    var limitContext: LimitContext {
        LimitContext(
            table: table, band: band, marginPercent: configuration.bmsMarginPercent, rateMaximum: configuration.chargeRateMaximum,
            coldZero: configuration.coldZero, hold: configuration.hold, zero: configuration.zero,
            wireResistanceStops: configuration.wireResistanceStops, isStateless: isStateless)
    }

    /// The present state to persist.
    public var record: ControlRecord {
        var record = ControlRecord()
        record.phase = phase.phase
        record.absorbTime = phase.absorbTime
        record.sinceFull = phase.sinceFull
        record.grade = phase.grade
        record.preventsFull = phase.preventsFull
        record.floatVoltage = phase.phase == .float ? lastPhaseVoltage : 0
        record.soc = soc.fine ?? -1
        record.isFull = soc.isFull
        record.socOffset = soc.offset
        record.rawAtFull = soc.rawAtFull
        for i in 0..<maximumPacks { record.flaps[i] = packs[i].flapCount }
        return record
    }

    /// True when something happened that should be persisted at once (phase change, FULL, LOST).
    public var recordIsUrgent: Bool { isRecordUrgent }

    var lastPhaseVoltage: Millivolts = 0
}
