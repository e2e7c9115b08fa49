import Battery

/// How the last charge ended (charge-control.md §5.3).
public enum ChargeGrade: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case none = 0
    case full = 1
    /// One cell ended it early.
    case limited = 2
}

/// What the phase machine looks at in one tick.
struct PhaseInput: Sendable, BitwiseCopyable {
    var bank: BankView
    /// Reported SoC, 0.01 %.
    var soc: CentiPercent?
    /// Highest and lowest mean: bank voltage / n is compared without dividing.
    var cellsInSeries: Int32
    /// CCL is 0 because of temperature, switch, alarm, stale data or the owner (amendment 16).
    var isBlocked = false
    var forceChargeActive = false
    var fullNow = false
    /// Over-voltage trips of the worst pack in this charge.
    var overVoltageTrips: Int32 = 0
    /// The CVL in force before the offset: where a ramp starts.
    var presentVoltage: Millivolts = 0
}

/// The phases of a charge (charge-control.md §5, amendments 16, 19, 20).
///
/// HOLD lies over the phase: `phase` stays what it was, its timers stand still, and it goes on when the block ends.
struct PhaseMachine: Sendable, BitwiseCopyable {
    private(set) var phase = Phase.initial
    private(set) var isHeld = false
    /// `t_abs`.
    private(set) var absorbTime: Milliseconds = 0
    /// Monotonic time since the last FULL, for R3.
    private(set) var sinceFull: Milliseconds = 0
    private(set) var grade = ChargeGrade.none
    private(set) var preventsFull = CellPlace.unknown
    private(set) var preventsFullSpread: Millivolts = 0
    /// True in the tick in which a charge ended FULL, or a phase changed.
    private(set) var becameFull = false
    private(set) var changed = false

    private var nearFull = Persisting()
    private var notNearFull = Persisting()
    private var calm = PerPack<Persisting>(repeating: Persisting())
    private(set) var calmFor: Milliseconds = -1
    private var rebulkBySoC = Persisting()
    private var rebulkByVoltage = Persisting()
    private var rebulkByImbalance = Persisting()
    private var floatSince = never
    /// R3 and a charge that always ends LIMITED would follow each other without pause.
    private var chargeEndedAt = never
    private var last = never

    /// The way down to float: where and when it began, and for `follow` where it is.
    private var rampFrom: Millivolts = 0
    private var rampSince = never
    private var followed: Millivolts = 0

    static let enterAbsorb: Milliseconds = 10_000
    static let leaveAbsorb: Milliseconds = 60_000
    static let calmTime: Milliseconds = 60_000
    static let floatMinimum: Milliseconds = 600_000
    static let balanceSpread: Millivolts = 20
    static let tripsThatEndACharge: Int32 = 3
    static let fullAgainAfter: Milliseconds = 86_400_000

    init() {}

    // MARK: E1

    /// BMS shunts are noisy around zero.
    static func quiet(_ current: Milliamps) -> Int64 { current.magnitude < 300 ? 0 : Int64(current) }

    /// Left side of E1 minus `v_full_min`, times C, in mV·mAh: not negative = near full. `R_tail` never gets rounded.
    static func tail(highest: Millivolts, current: Int64, capacity: Int64, table: ChemistryTable) -> Int64 {
        Int64(highest - table.fullMinimum) * capacity - 20 * Int64(table.tailHead - table.fullMinimum) * max(current, 0)
    }

    static func isNearFull(highest: Millivolts, current: Milliamps, capacity: MilliampHours, table: ChemistryTable)
        -> Bool
    {
        let i = quiet(current)
        let c = Int64(capacity)
        return c > 0 && tail(highest: highest, current: i, capacity: c, table: table) >= 0 && i * 200 >= -c
    }

    /// E1 is false with the margin that leaving ABSORB needs: 15 mV, or a discharge above 0.02C.
    static func isClearlyNotFull(
        highest: Millivolts, current: Milliamps, capacity: MilliampHours, table: ChemistryTable
    ) -> Bool {
        let i = quiet(current)
        let c = Int64(capacity)
        return tail(highest: highest, current: i, capacity: c, table: table) < -15 * c || i * 50 < -c
    }

    // MARK: One tick

    @inline(never)
    mutating func advance(
        _ input: PhaseInput, packs: Span<PackView>, count: Int, _ configuration: ControlConfiguration,
        table: ChemistryTable, at now: Instant
    ) {
        becameFull = false
        changed = false
        let dt = last == never ? 0 : max(now.since(last), 0)
        last = now
        if phase != .initial { sinceFull = min(sinceFull + dt, 400 * 86_400_000) }
        if phase == .initial { return }
        isHeld = input.isBlocked
        if isHeld || !input.bank.isFresh || !input.bank.isCurrentKnown {
            pauseTimers()
            return
        }
        let bank = input.bank
        let e1 = Self.isNearFull(highest: bank.highest, current: bank.current, capacity: bank.capacity, table: table)
        updateCalm(packs, count: count, configuration.bulk, table: table, at: now)
        switch phase {
        case .bulk, .absorb:
            charge(input, e1: e1, configuration, table: table, dt: dt, at: now)
        case .float, .rest:
            considerRebulk(input, configuration, at: now)
        case .initial, .hold:
            break
        }
    }

    private mutating func pauseTimers() {
        nearFull.reset()
        notNearFull.reset()
        rebulkBySoC.reset()
        rebulkByVoltage.reset()
        rebulkByImbalance.reset()
        calmFor = -1
        for i in 0..<maximumPacks { calm[i].reset() }
    }

    /// `t_calm` of the pack that is least ready: every pack that takes charge must be near full and calm (§5.3, amendment 20).
    private mutating func updateCalm(
        _ packs: Span<PackView>, count: Int, _ bulk: Millivolts, table: ChemistryTable, at now: Instant
    ) {
        var least = Milliseconds.max
        for i in 0..<count where packs[i].takesCharge {
            let m = packs[i].measures
            let isCalm =
                (m.balancing == false || m.spread <= Self.balanceSpread) && m.highest >= bulk - 50
                && Self.isNearFull(
                    highest: m.highest, current: m.current, capacity: packs[i].capacity ?? 0, table: table)
            least = min(least, calm[i].update(isCalm, at: now))
        }
        calmFor = least == .max ? -1 : least
    }

    private mutating func charge(
        _ input: PhaseInput, e1: Bool, _ configuration: ControlConfiguration, table: ChemistryTable, dt: Milliseconds,
        at now: Instant
    ) {
        let bank = input.bank
        absorbTime = e1 ? min(absorbTime + dt, 86_400_000) : max(0, absorbTime - (dt + 1) / 2)
        let near = nearFull.update(e1, at: now)
        let far = notNearFull.update(
            Self.isClearlyNotFull(highest: bank.highest, current: bank.current, capacity: bank.capacity, table: table),
            at: now)
        if input.overVoltageTrips >= Self.tripsThatEndACharge {
            end(.limited, input, configuration, at: now)
            return
        }
        if phase == .bulk {
            if near >= Self.enterAbsorb { enter(.absorb) }
            return
        }
        if far >= Self.leaveAbsorb {
            enter(.bulk)
        } else if calmFor >= Self.calmTime || absorbTime >= configuration.absorbMaximum {
            let isFull =
                e1 && !bank.isDegraded && bank.isVoltageKnown
                && Int64(bank.voltage) >= Int64(table.fullMinimum) * Int64(input.cellsInSeries)
            end(isFull ? .full : .limited, input, configuration, at: now)
        }
    }

    private mutating func end(
        _ result: ChargeGrade, _ input: PhaseInput, _ configuration: ControlConfiguration, at now: Instant
    ) {
        grade = result
        preventsFull = result == .limited ? input.bank.spreadPlace : .unknown
        preventsFullSpread = input.bank.spread
        // A bank with an unseen pack is never full, whatever the policy (aggregation.md §5).
        if result == .full || (configuration.fullPolicy == .lenient && !input.bank.isDegraded) {
            becameFull = true
            sinceFull = 0
        }
        chargeEndedAt = now
        enterFloat(from: input.presentVoltage, configuration, at: now)
    }

    private mutating func enterFloat(from present: Millivolts, _ configuration: ControlConfiguration, at now: Instant) {
        enter(configuration.floatMode == .none ? .rest : .float)
        floatSince = now
        rampFrom = present
        rampSince = now
        followed = present
        rebulkBySoC.reset()
        rebulkByVoltage.reset()
        rebulkByImbalance.reset()
    }

    private mutating func enter(_ next: Phase) {
        phase = next
        changed = true
        nearFull.reset()
        notNearFull.reset()
    }

    // MARK: Rebulk (§5.5)

    private mutating func considerRebulk(_ input: PhaseInput, _ configuration: ControlConfiguration, at now: Instant) {
        let bank = input.bank
        let low = rebulkBySoC.update(input.soc.map { $0 <= configuration.rebulkSoC } ?? false, at: now)
        let sagged = rebulkByVoltage.update(bank.highest <= configuration.rebulk, at: now)
        let uneven = rebulkByImbalance.update(configuration.rebulkOnImbalance && bank.spread >= 80, at: now)
        let rested = now.sinceOrForever(floatSince) >= Self.floatMinimum
        let r1 = rested && low >= 30_000
        let r2 = rested && sagged >= 300_000
        let r3 =
            configuration.fullEveryDays > 0 && sinceFull >= Int64(configuration.fullEveryDays) * 86_400_000
            && now.sinceOrForever(chargeEndedAt) >= Self.fullAgainAfter && !bank.isDegraded
        let r6 = rested && uneven >= 0
        if r1 || r2 || r3 || input.fullNow || input.forceChargeActive || r6 {
            absorbTime = 0
            grade = .none
            preventsFull = .unknown
            enter(.bulk)
        }
    }

    /// How long R2 must still wait, for the owner.
    func untilFloatRested(at now: Instant) -> Milliseconds {
        max(0, Self.floatMinimum - now.sinceOrForever(floatSince))
    }

    // MARK: Voltage

    /// L_phase and its name. Downwards the pack value moves 1 mV/s, or follows the bank, so that an inverter does not dump the
    /// battery into the grid (§5.4); upwards it steps.
    mutating func voltage(
        _ bank: BankView, _ configuration: ControlConfiguration, at now: Instant
    ) -> Millivolts {
        let n = configuration.cellsInSeries
        switch phase {
        case .initial, .hold: return n * configuration.float
        case .bulk, .absorb: return n * configuration.bulk
        case .rest:
            return max(n * configuration.rebulk, bank.voltage)
        case .float:
            let target = n * configuration.float
            switch configuration.floatMode {
            case .immediate, .none: return target
            case .ramp:
                if rampSince == never { return target }
                let exact = rampFrom - Int32(clamping: now.since(rampSince) / 1000)
                // In steps of 0.1 V from above: what is told falls 0.1 V every 100 s from the start to the target, and the final
                // rounding down makes no step of its own (T12).
                return max(target, min(rampFrom, (exact + 99) / 100 * 100))
            case .follow:
                if rampSince == never { return target }
                followed = max(target, min(followed, bank.voltage + configuration.followGap))
                return followed
            }
        }
    }

    // MARK: Start

    /// INIT → the phase of the record, or by SoC and voltage (§5.6).
    mutating func start(record: ControlRecord?, bank: BankView, _ configuration: ControlConfiguration, at now: Instant) {
        let down: Phase = configuration.floatMode == .none ? .rest : .float
        if let record {
            absorbTime = record.absorbTime
            sinceFull = record.sinceFull
            grade = record.grade
            preventsFull = record.preventsFull
            switch record.phase {
            case .bulk, .absorb: phase = record.phase
            case .float, .rest: phase = down
            case .initial, .hold: phase = phaseByState(bank, configuration, down: down)
            }
            if phase == .float && record.floatVoltage > configuration.cellsInSeries * configuration.float {
                // The ramp goes on where it was, never above the bulk voltage.
                rampFrom = min(record.floatVoltage, configuration.cellsInSeries * configuration.bulk)
                followed = rampFrom
                rampSince = now
            }
        } else {
            phase = phaseByState(bank, configuration, down: down)
        }
        if phase == down { floatSince = now }
        changed = true
    }

    private func phaseByState(_ bank: BankView, _ configuration: ControlConfiguration, down: Phase) -> Phase {
        let isHigh =
            bank.isVoltageKnown
            && Int64(bank.voltage) >= Int64(configuration.float - 20) * Int64(configuration.cellsInSeries)
        return (bank.soc ?? 0) >= 9700 && isHigh ? down : .bulk
    }
}
