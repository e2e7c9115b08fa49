import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

/// The witness of the simulation: it hears every snapshot that reaches the bridge undamaged and every frame that the bridge puts on
/// the bus, decodes the frames by itself (`HeardFrames`) and holds them against its own calculation of the limits
/// (`ReferenceLimits`). It shares no code with the control logic and knows nothing of its state, except for the record of reasons
/// (P22) and the report that a frame was made of (P25).
///
/// Where the specification leaves the bridge a choice, the checker allows the loosest reading: what it reports is wrong under
/// every reading.
public struct InvariantChecker: Sendable {
    public private(set) var violations: [Violation] = []
    /// How often each invariant was broken, those beyond the first `keptViolations` included.
    public private(set) var counts = InlineArray<26, Int>(repeating: 0)
    /// How many frames were looked at.
    public private(set) var checks = 0
    public var stopsAtFirst = false
    public var shouldStop: Bool { stopsAtFirst && !violations.isEmpty }
    static let keptViolations = 20

    private(set) var control: ControlConfiguration
    let dialect: DialectName
    let cycle: Int64
    private(set) var reference: ReferenceLimits
    let start: Int64
    private(set) var userCharge: Double
    private(set) var userDischarge: Double
    let cells: Double

    var packs: [PackWitness]
    var heard = HeardFrames()
    /// The set before the one that is being heard.
    var before = HeardFrames()

    // The life of the bridge and of the bus.
    var isUp = false
    var bootedAt: Int64 = 0
    var firstFrameAt: Int64 = -1
    var busHealthySince: Int64 = 0
    var busIsWell = true
    /// Indexed by `HeardFrames.Content`.
    var lastHeardAt = InlineArray<7, Int64>(repeating: -1)
    var healthChecked = true

    // Voltage limits among the packs.
    var overVoltage = 100.0
    var underVoltage = 0.0
    /// Charge voltage caps of the last seconds, stored in a history so that a cap that fell has its time to get through.
    var voltageCaps = BoundHistory()

    private var flow = FlowWatch()

    // Rises.
    var chargeRise: RiseWatch
    var dischargeRise: RiseWatch

    // What the owner ordered (P14).
    var orders = OrderWatch()

    // State of charge.
    var fullness: FullnessWatch

    // What was meant when the last limits went out.
    var meant = BankReport()
    var alarmsAtLoss: UInt32?
    var socAtLoss: Int32?
    /// Since when every pack has said 0 % with a cycle count, that is: in earnest; −1 = not now.
    var zeroSoCSince: Int64 = -1

    /// Milliseconds that a protective cut may take: one tick and one frame period (P7).
    static let cutTime: Int64 = 2_500
    /// How far back an old value still counts as late rather than as wrong.
    static let lateTime: Int64 = 10_000
    /// Amperes by which rounding and the order of calculation may differ.
    static let tolerance = 0.051

    public init(_ plan: WorldPlan) {
        control = plan.bridge.control
        dialect = plan.bridge.inverterPorts[0].dialect
        cycle = plan.bridge.inverterPorts[0].cycle
        reference = ReferenceLimits(control)
        start = plan.start
        userCharge = Double(control.userCharge) / 1000
        userDischarge = Double(control.userDischarge) / 1000
        cells = Double(control.cellsInSeries)
        let user = max(userCharge, userDischarge)
        let range = reference.cellRange
        let seats = plan.seats ?? Array(plan.packs.indices)
        packs = seats.map { PackWitness(capacity: plan.packs[$0].capacity, cellRange: range, userAmperes: user) }
        for i in packs.indices { packs[i].isExtended = control.packs[i].extendedHold }
        chargeRise = RiseWatch(amperesPerSecond: max(5, 0.02 * userCharge * Double(packs.count)))
        dischargeRise = RiseWatch(amperesPerSecond: max(5, 0.02 * userDischarge * Double(packs.count)))
        fullness = FullnessWatch(plan)
    }

    // MARK: what happens in the world

    /// The bridge starts; it knows nothing but its record.
    mutating func started(at now: Int64) {
        isUp = true
        bootedAt = now
        firstFrameAt = -1
        for i in packs.indices { packs[i].forget() }
        flow = FlowWatch()
        heard = HeardFrames()
        before = HeardFrames()
        lastHeardAt = InlineArray(repeating: -1)
        chargeRise.restart(at: now)
        dischargeRise.restart(at: now)
        (alarmsAtLoss, socAtLoss) = (nil, nil)
        voltageCaps = BoundHistory()
        (overVoltage, underVoltage) = (100, 0)
        meant = BankReport()
        zeroSoCSince = -1
        orders = OrderWatch()
    }

    mutating func stopped(at now: Int64) {
        isUp = false
    }

    /// A planned stop: before it the limits have come down to 0.1C (failsafe.md §5.6), when the bus was there to tell them.
    mutating func stoppedAsPlanned(after seconds: Double, at now: Int64) {
        stopped(at: now)
        if seconds > 16 { report(.p18, at: now, expected: "a planned stop within 16 s", found: "\(seconds) s") }
        guard busIsWell, now - busHealthySince > 20_000, heard.hasLimits else { return }
        var capacity = 0.0
        for p in packs where p.heardAt >= 0 { capacity += p.capacity }
        let most = Double(max(heard.chargeLimit, heard.dischargeLimit)) / 10
        if most > 0.1 * capacity + Self.tolerance {
            report(
                .p18, at: now, expected: "at most \(0.1 * capacity) A before a planned stop", found: "\(most) A")
        }
    }

    /// Another configuration is in force from now on (failsafe.md §9).
    mutating func reconfigured(_ new: ControlConfiguration, at now: Int64) {
        control = new
        reference = ReferenceLimits(new)
        userCharge = Double(new.userCharge) / 1000
        userDischarge = Double(new.userDischarge) / 1000
        // The slew follows the larger of two caps until it has settled.
        chargeRise.widen(max(5, 0.02 * userCharge * Double(packs.count)))
        dischargeRise.widen(max(5, 0.02 * userDischarge * Double(packs.count)))
        for i in packs.indices { packs[i].isExtended = new.packs[i].extendedHold }
        for i in packs.indices where packs[i].heardAt >= 0 {
            packs[i].charge.append(chargeLimit(i), at: now)
            packs[i].discharge.append(dischargeLimit(i, grace: false), at: now)
        }
        voltageCaps.append(voltageCap, at: now)
    }

    mutating func busIsHealthy(_ healthy: Bool, at now: Int64) {
        if healthy && !busIsWell {
            busHealthySince = now
            healthChecked = false
        }
        busIsWell = healthy
    }

    /// A snapshot that arrived as the BMS meant it.
    mutating func delivered(_ m: PackMeasurement, pack: Int, at now: Int64) {
        let wasGone = packs[pack].age(at: now) > control.hold
        let wasLive = isLive(at: now)
        // Five seconds at the empty level count from when it is heard without a gap.
        if packs[pack].age(at: now) > 3_000 { packs[pack].emptySince = -1 }
        let verdict = packs[pack].hear(m, at: now)
        if verdict == .rejected { return }
        if flow.hear(packs, at: now) {
            for i in packs.indices { packs[i].restartAverage() }
        }
        if wasGone {
            packs[pack].lastGap = now
            packs[pack].cameBack = true
        }
        if overVoltageChanged() { voltageCaps.append(voltageCap, at: now) }
        let zero = reference.dischargeZero(underVoltage: underVoltage)
        // After a loss the pack proves itself with three snapshots over 5 s before it is looked at.
        let start = max(now, packs[pack].lastGap + 7_000)
        let since = packs[pack].lowest <= zero ? (packs[pack].emptySince < 0 ? start : packs[pack].emptySince) : -1
        packs[pack].emptySince = since
        let p = packs[pack]
        let grace = since >= 0 && now - since < 5_000 && p.lowest > underVoltage + 0.030
        let charge = chargeLimit(pack)
        let discharge = dischargeLimit(pack, grace: grace)
        // A doubtful snapshot may still wait for its second: then the old bound is valid.
        packs[pack].charge.append(verdict == .accepted ? charge : max(charge, p.charge.latest), at: now)
        packs[pack].discharge.append(verdict == .accepted ? discharge : max(discharge, p.discharge.latest), at: now)
        if !wasLive && isLive(at: now) {
            chargeRise.comeToLife()
            dischargeRise.comeToLife()
        }
        fullness.heard(packs, pack: pack, emptyBelow: zero, at: now)
        let allZero = packs.allSatisfy {
            $0.heardAt >= 0 && $0.last.soc == 0 && $0.last.cycles > 0 && $0.age(at: now) < 5_000
        }
        zeroSoCSince = allZero ? (zeroSoCSince < 0 ? now : zeroSoCSince) : -1
    }

    /// Time has passed; called once a simulated second. Notices what should have come and did not.
    mutating func passed(at now: Int64) {
        guard isUp else { return }
        checkPeriod(at: now)
        checkBusRecovery(at: now)
        checkResumption(at: now)
    }

    /// A frame is on the bus. `wasPending`: it had waited in the controller for an acknowledgement and was made earlier.
    mutating func sent(_ frame: CANFrame, at now: Int64, output: ControlOutput, wasPending: Bool) {
        let content = heard.hear(frame, dialect: dialect)
        if content == .limits && !wasPending { checkGap(at: now) }
        lastHeardAt[content.rawValue] = now
        if firstFrameAt < 0 {
            firstFrameAt = now
            checkFirstFrame(at: now)
        }
        if wasPending { return }
        checks += 1
        checkCoding(frame, content, output.report, at: now)
        switch content {
        case .limits:
            checkLimits(output, at: now)
            before = heard
        case .flags:
            checkFlags(at: now)
        case .gridLimits:
            checkGridLimits(at: now)
        case .soc:
            checkStateOfCharge(at: now)
        case .measurements:
            if dialect == .growatt { checkStateOfCharge(at: now) }
            checkMeasurements(at: now)
        case .alarms:
            checkAlarms(at: now)
        case .other:
            break
        }
    }

    /// A promise was broken.
    mutating func report(_ invariant: Invariant, at now: Int64, expected: String, found: String) {
        counts[invariant.rawValue] += 1
        if violations.count < Self.keptViolations {
            violations.append(Violation(invariant, at: now - start, expected: expected, found: found))
        }
    }

    /// Breaks of an invariant that is checked outside, by comparing two bridges.
    public mutating func note(_ invariant: Invariant, at now: Int64, expected: String, found: String) {
        report(invariant, at: now, expected: expected, found: found)
    }

    // MARK: what follows from the snapshots

    private func chargeLimit(_ pack: Int) -> Double {
        let p = packs[pack]
        return reference.charge(
            p.last, capacity: p.capacity, overVoltage: overVoltage,
            userCap: control.packs[pack].chargeLimit.map { Double($0) / 1000 })
    }

    private func dischargeLimit(_ pack: Int, grace: Bool) -> Double {
        let p = packs[pack]
        return reference.discharge(
            p.last, capacity: p.capacity, underVoltage: underVoltage,
            userCap: control.packs[pack].dischargeLimit.map { Double($0) / 1000 }, grace: grace)
    }

    /// Volts that the bank may be driven to (P2).
    var voltageCap: Double {
        cells * min(overVoltage - 0.050, reference.absoluteMaximum)
    }

    private mutating func overVoltageChanged() -> Bool {
        var (over, under) = (100.0, 0.0)
        for p in packs where p.heardAt >= 0 {
            over = min(over, Double(p.last.settings.cellOverVoltage) / 1000)
            under = max(under, Double(p.last.settings.cellUnderVoltage) / 1000)
        }
        let changed = over != overVoltage
        (overVoltage, underVoltage) = (over, under)
        return changed
    }

    /// Amperes that the bank may be told at `now`, when a cut may be as late as `delay`.
    ///
    /// A pack that was lost meanwhile takes no part any more: the bound without delay counts as well.
    func bankBound(charging: Bool, at now: Int64, delay: Int64) -> Double {
        let present = bankBound(charging: charging, at: now, since: now)
        return delay == 0 ? present : max(present, bankBound(charging: charging, at: now, since: now - delay))
    }

    /// A pack that fell silent leaves the rule little by little: what it adds and its weight fade together, its last limit binds
    /// until then (A4).
    private func bankBound(charging: Bool, at now: Int64, since: Int64) -> Double {
        let plain = bankBound(charging: charging, at: now, since: since, extended: false)
        if !packs.contains(where: { $0.isExtended }) { return plain }
        return max(plain, bankBound(charging: charging, at: now, since: since, extended: true))
    }

    /// - Parameter extended: packs with the extended hold are on its ladder, where their last snapshot permits that.
    private func bankBound(charging: Bool, at now: Int64, since: Int64, extended: Bool) -> Double {
        let user = charging ? userCharge : userDischarge
        var (sum, capacity, carried) = (0.0, 0.0, 0.0)
        for p in packs {
            let (limit, left) = bound(p, charging, since, extended)
            if left <= 0 { continue }
            sum += limit * left
            capacity += p.capacity * left
            carried += p.average
        }
        if capacity == 0 { return 0 }
        var isCurrent = true
        for p in packs where p.age(at: now) > 4_000 || now - p.lastGap < 60_000 { isCurrent = false }
        var result = min(user, sum)
        if flow.hasJustChanged(at: now) { isCurrent = false }
        for p in packs {
            let (limit, left) = bound(p, charging, since, extended)
            if left <= 0 { continue }
            // A pack heard again: some seconds pass until it is counted (aggregation.md §3).
            if now - p.lastGap < 9_000 { continue }
            // A switch that closed again limits at once, but not before the snapshot that says so.
            if now - (charging ? p.chargeClosedAt : p.dischargeClosedAt) < Self.cutTime { continue }
            var share = p.capacity / capacity
            if packs.count > 1 && !isCurrent {
                // What a pack that is not heard carries is anybody's guess within the bounds of aggregation.md §5.
                share *= 0.5
            } else if packs.count > 1 && flow.isMeasured(at: now) {
                share = min(share, max(0.5 * share, 0.85 * p.average / carried))
            }
            result = min(result, limit / share)
        }
        return result
    }

    /// One pack's limit, and how much of the pack is left at its age: 1 while it is heard, 0 = it takes no part.
    private func bound(
        _ p: PackWitness, _ charging: Bool, _ since: Int64, _ extended: Bool
    ) -> (limit: Double, left: Double) {
        if p.heardAt < 0 { return (0, 0) }
        let limit = charging ? p.charge.maximum(since: since) : p.discharge.maximum(since: since)
        let age = since - p.heardAt
        if limit < 0 { return (0, 0) }
        if age <= control.hold { return (limit, 1) }
        if extended && p.isExtended && reference.isMidRange(p.last) {
            // Amendment 18: over 15 s down to 0.2C, stay until 105 s, 0 at 120 s.
            let kept = min(limit, 0.2 * p.capacity)
            let fallen = Double(min(age - control.hold, 15_000)) / 15_000
            let left = age <= 105_000 ? 1 : Double(max(120_000 - age, 0)) / 15_000
            return (limit + (kept - limit) * fallen, left)
        }
        return (limit, Double(max(control.zero - age, 0)) / Double(control.zero - control.hold))
    }

    /// At least one pack conducts and is heard.
    private func isLive(at now: Int64) -> Bool {
        for p in packs where p.age(at: now) <= control.zero && (p.charge.latest >= 0 || p.discharge.latest >= 0) {
            return true
        }
        return false
    }

    /// The youngest snapshot of any pack.
    func newestAge(at now: Int64) -> Int64 {
        var age = Int64.max
        for p in packs { age = min(age, p.age(at: now)) }
        return age
    }
}
