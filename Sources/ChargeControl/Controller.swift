import Battery

/// The control logic of one bank: snapshots of packs in, what the inverter may be told out.
///
/// A value without I/O and without a clock: the same calls with the same instants give the same result, on a Raspberry Pi, on the
/// microcontroller and in the simulator (charge-control.md §0, §4).
public struct Controller: Sendable {
    public internal(set) var output = ControlOutput()
    /// Fill the limiter lists of `output` too. Costs time; off on the hot path.
    #if MICROCONTROLLER
        public var listsLimiters: Bool {
            get { false }
            set {}
        }
    #else
        public var listsLimiters = false
    #endif
    public private(set) var configuration: ControlConfiguration

    /// `configuration.packs`, where one element can be read without the others.
    private(set) var packConfigurations: PerPack<PackConfiguration>
    private(set) var table: ChemistryTable
    private(set) var rules: AcceptanceRules
    let isStateless: Bool
    private(set) var recentBoots: Int32
    private(set) var bootRecord: ControlRecord?

    /// The packs in their places. They never move; what only reads them reads `views`.
    var packs = PerPack<PackTracker>(repeating: PackTracker())
    var views = PackViews(repeating: PackView())
    var bank = BankView()
    var band: CellBand
    var chargeListing = LimiterListing()
    var dischargeListing = LimiterListing()
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
    var overrides = Overrides()
    var ceiling = SoCMark()
    var reserve = SoCMark()
    var chargeObedience = Obedience()
    var dischargeObedience = Obedience()
    var force1 = ForceCharge()
    var force2 = ForceCharge()
    var fullRequest = FullChargeRequest()
    var counter = CoulombCounter()
    var energy = EnergyMeter()
    /// How long each limiter has been the binding one.
    var limitedTime = LimitedTime()
    var shunt: ShuntReading?
    var shuntAt = never
    var isShuntDropped = false
    /// A BMS setting puts the upper cap below the rebulk voltage (charge-control.md §6.3).
    var isInconsistent = false
    var lastTick = never
    var countedPacks: UInt16 = 0
    var lostPacks: UInt16 = 0
    /// `explain`: a given pack was not believed.
    var unknownPack: UInt8 = 0

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

    @inline(never)
    init(
        configuration: ControlConfiguration, record: ControlRecord?, recentBoots: Int32, isStateless: Bool,
        at now: Instant
    ) {
        self.configuration = configuration
        packConfigurations = Self.inPlaces(configuration.packs)
        self.isStateless = isStateless
        self.recentBoots = recentBoots
        let record = record.flatMap { $0.isPlausible ? $0 : nil }
        bootRecord = record
        table = ChemistryTable(configuration.chemistry)
        rules = AcceptanceRules(configuration, table: table, isStateless: isStateless)
        band = CellBand(configuration, table: table, overVoltage: nil, underVoltage: nil)
        restore(at: now)
    }

    /// What `begin` puts anew besides the state.
    @inline(never)
    mutating func configure(_ new: ControlConfiguration, record: ControlRecord?, recentBoots boots: Int32) {
        configuration = new
        packConfigurations = Self.inPlaces(new.packs)
        recentBoots = boots
        bootRecord = record.flatMap { $0.isPlausible ? $0 : nil }
        table = ChemistryTable(new.chemistry)
        rules = AcceptanceRules(new, table: table, isStateless: isStateless)
    }

    @inline(never)
    mutating func restore(at now: Instant) {
        guard let record = bootRecord else { return }
        soc.restore(record)
        fullRequest.restore(record)
        counter.restore(record)
        energy.restore(record)
        for i in 0..<maximumPacks { packs[i].restoreFlaps(record.flaps[i], at: now) }
    }

    private static func inPlaces(_ packs: PackList<PackConfiguration>) -> PerPack<PackConfiguration> {
        InlineArray { $0 < packs.count ? packs[$0] : PackConfiguration() }
    }

    /// Takes another configuration of the same packs into use; everything that is known and latched goes on (failsafe.md §9).
    /// A limit that became lower cuts in the next tick, one that became higher is reached by the slew.
    ///
    /// - Precondition: `new` has no problems.
    /// - Returns: false, with nothing changed, when it concerns other packs: their number, cells or chemistry.
    public mutating func reconfigure(_ new: ControlConfiguration) -> Bool {
        if new.chemistry != configuration.chemistry || new.cellsInSeries != configuration.cellsInSeries
            || new.packs.count != configuration.packs.count
        {
            return false
        }
        configuration = new
        packConfigurations = Self.inPlaces(new.packs)
        rules = AcceptanceRules(new, table: table, isStateless: isStateless)
        return true
    }

    /// At least one; in a build with room for one a constant, so that nothing is made for the others.
    var packCount: Int { maximumPacks == 1 ? 1 : configuration.packs.count }

    /// A decoded snapshot of pack `pack` (index from 0). It is judged here; what is implausible is not used.
    @discardableResult
    public mutating func accept(_ reading: PackReading, pack: Int, at now: Instant) -> SnapshotRejection {
        if pack < 0 || pack >= packCount || !packConfigurations[pack].isEnabled { return .notConfigured }
        return packs[pack].accept(reading, rules: rules, pack: packConfigurations[pack], at: now)
    }

    /// A frame of this pack was damaged or the pack did not answer: link quality only, never a limit by itself.
    public mutating func linkFault(pack: Int, at now: Instant) {
        if pack >= 0 && pack < packCount { packs[pack].linkFault() }
    }

    /// An order of the owner. It can only tighten; "full now" lifts the SoC ceiling and the phase, nothing else (P14, amendment 25).
    public mutating func handle(_ command: Command, at now: Instant) throws(CommandRefusal) {
        if case .acknowledge(let number) = command {
            if number < 1 || Int(number) > packCount { throw .noSuchPack }
            try packs[Int(number) - 1].fault.acknowledge()
            return
        }
        try overrides.handle(command, at: now)
    }

    /// Every order in force with the time that it has left; "full now" ends with the charge, if that is earlier.
    public func forEachOrder(at now: Instant, _ body: (Command, _ remaining: Milliseconds) -> Void) {
        overrides.forEachActive(at: now, body)
    }

    /// A reading of an external shunt.
    public mutating func acceptShunt(_ reading: ShuntReading, at now: Instant) {
        if let soc = reading.soc, soc < 0 || soc > 10_000 { return }
        if let current = reading.current, current.magnitude > 16_000_000 { return }
        shunt = reading
        shuntAt = now
    }

    /// One evaluation: at 1 Hz, and at once after every accepted snapshot and every fault event (amendment 26).
    ///
    /// The order is that of charge-control.md §4: packs, bank, phase, CVL, CCL, DCL, slew, SoC, enables, alarms, final clamp.
    /// The large steps are not inlined: all their values together would be out of the reach of a microcontroller's short instructions.
    public mutating func tick(at now: Instant) {
        updateMembership(at: now)
        for i in 0..<packCount { packs[i].writeStanding(to: &views[i], at: now) }
        bank = BankView(views.span, count: packCount)
        band = CellBand(configuration, table: table, overVoltage: bank.overVoltage, underVoltage: bank.underVoltage)
        updatePacks(at: now)
        useShunt(at: now)
        share.update(views.span, count: packCount, bank: bank, at: now)
        startWhenReady(at: now)

        let charge = chargeProtection(at: now)
        let discharge = dischargeProtection(at: now)
        let isBlocked = charge.bound == 0 && charge.rule.blocks || overrides.pausesCharge(at: now)
        updatePhase(isHeld: charge.bound == 0 && charge.rule.holds || overrides.pausesCharge(at: now), at: now)
        updateSoC(at: now)
        updateObedience(discharge: discharge, at: now)
        let voltage = chargeVoltage(isBlocked: isBlocked, at: now)
        updateCurrents(charge: charge, discharge: discharge, at: now)
        updateRequests(isBlocked: isBlocked, at: now)
        report(voltage: voltage, at: now)
        reportAlarms()
        reportWarnings(at: now)
        reportPacks()
        reportWaiting(charge: charge, at: now)
        let zeroAfter = longestZero
        FinalClamp.apply(to: &output.report, packs: views.span, count: packCount, configuration, zeroAfter: zeroAfter)
        finish(at: now)
    }

    /// Settings of the limiters for one tick.
    var limitContext: LimitContext {
        mutating get {
            LimitContext(
                table: table, band: band, marginPercent: configuration.bmsMarginPercent,
                rateMaximum: configuration.chargeRateMaximum,
                coldZero: configuration.coldZero, coldReallow: configuration.coldReallow,
                packBulk: configuration.cellsInSeries * configuration.bulk,
                packFloat: configuration.cellsInSeries * configuration.float,
                bulk: configuration.bulk, runnerGainTenths: configuration.runnerGainTenths, hold: configuration.hold,
                zero: configuration.zero,
                wireResistanceStops: configuration.wireResistanceStops, isStateless: isStateless)
        }
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
        record.sinceNearlyFull = fullRequest.sinceNearlyFull
        record.charge = counter.persistedCharge
        record.learnedCapacity = counter.learned
        record.energyCharged = energy.charged
        record.energyDischarged = energy.discharged
        for i in 0..<maximumPacks { record.flaps[i] = packs[i].flapCount }
        return record
    }

    /// True when something happened in the last tick that should be persisted at once (phase change, FULL, LOST).
    public var recordIsUrgent: Bool { isRecordUrgent }

    /// Before a planned restart limits come down to 0.1C by a planned ramp (failsafe.md §5.6).
    public var isPreparingRestart = false

    /// Both limits have come down to 0.1C.
    public var isLowForRestart: Bool {
        isPreparingRestart && chargeSlew.value <= bank.capacity / 10 && dischargeSlew.value <= bank.capacity / 10
    }

    var lastPhaseVoltage: Millivolts = 0
}
