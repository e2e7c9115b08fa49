import Battery

/// CCL and DCL of the bank (charge-control.md §7, aggregation.md §5).
extension Controller {
    /// The lowest protective bound on CCL, with its reason.
    mutating func chargeProtection(at now: Instant) -> Reason {
        output.chargeLimiters.removeAll()
        var bounds = Bounds(bankLimit(charging: true, at: now))
        bounds.consider(Reason(.userCurrent, bound: max(configuration.userCharge, 0), input: configuration.userCharge))
        considerBank(&bounds, charging: true)
        return bounds.least
    }

    mutating func dischargeProtection(at now: Instant) -> Reason {
        output.dischargeLimiters.removeAll()
        var bounds = Bounds(bankLimit(charging: false, at: now))
        bounds.consider(Reason(.userCurrent, bound: max(configuration.userDischarge, 0), input: configuration.userDischarge))
        considerBank(&bounds, charging: false)
        return bounds.least
    }

    /// The share rule over the packs that take part in this direction; JOINING packs only tighten.
    private func bankLimit(charging: Bool, at now: Instant) -> Reason {
        var total: Int64 = 0
        for i in 0..<packCount where takesPart(i, charging) { total += Int64(packs[i].capacity ?? 0) }
        var limit = BankLimit()
        for i in 0..<packCount {
            let reason = charging ? chargeLimits[i] : dischargeLimits[i]
            if takesPart(i, charging) {
                limit.add(reason, share: share.share(i, capacity: packs[i].capacity, total: total, charging: charging))
            } else if packs[i].membership == .joining && isSwitchedOn(i, charging) {
                let c = Int64(packs[i].capacity ?? 0)
                limit.constrain(reason, share: c > 0 ? Fraction(c, total + c) : Fraction(1, 1))
            }
        }
        return limit.reason ?? nobody(charging: charging)
    }

    private func takesPart(_ i: Int, _ charging: Bool) -> Bool {
        charging ? packs[i].takesCharge : packs[i].givesCharge
    }

    private func isSwitchedOn(_ i: Int, _ charging: Bool) -> Bool {
        charging ? packs[i].measures.chargeSwitch : packs[i].measures.dischargeSwitch
    }

    /// No pack takes part: the reason of the first pack that is configured tells why.
    private func nobody(charging: Bool) -> Reason {
        for i in 0..<packCount where packs[i].membership != .excluded {
            if packs[i].membership == .joining { return Reason(.joining, bound: 0, place: CellPlace(pack: UInt8(i + 1), cell: 0)) }
            var reason = charging ? chargeLimits[i] : dischargeLimits[i]
            if reason.bound != 0 { reason = Reason(.noPackConducts, bound: 0) }
            return reason
        }
        return Reason(.noPackConducts, bound: 0)
    }

    private func considerBank(_ bounds: inout Bounds, charging: Bool) {
        for i in 0..<packCount where packs[i].membership == .member || packs[i].membership == .joining {
            let place = CellPlace(pack: UInt8(i + 1), cell: 0)
            if packs[i].fault.isSevere { bounds.consider(Reason(.fault, bound: 0, place: place, input: packs[i].fault.input)) }
            if packs[i].isEqualising { bounds.consider(equalising(place, charging: charging)) }
        }
    }

    /// While voltages equalise the bank carries no more than its weakest pack could alone (aggregation.md §4 rule 2).
    private func equalising(_ place: CellPlace, charging: Bool) -> Reason {
        var least = Milliamps.max
        for i in 0..<packCount where packs[i].isConnected && isSwitchedOn(i, charging) {
            least = min(least, charging ? chargeLimits[i].bound : dischargeLimits[i].bound)
        }
        return Reason(.equalising, bound: least == .max ? 0 : least, place: place)
    }

    /// A pack is stale, suspect or joining: nothing rises (amendment 19, aggregation.md §3).
    func mayRise(at now: Instant) -> Bool {
        if !bank.isSteady { return false }
        for i in 0..<packCount where packs[i].freezesBank(at: now) { return false }
        return true
    }

    /// Slew and enables: what is really told (charge-control.md §8, §7.8).
    mutating func updateCurrents(charge: Reason, discharge: Reason, at now: Instant) {
        let planned = plannedCharge(at: now)
        let plannedDischarge = plannedDischarge(at: now)
        let mayRise = mayRise(at: now)
        dischargeVoltage.update(bank, limit: output.report.dischargeVoltageLimit, cellsInSeries: configuration.cellsInSeries, at: now)
        if isStateless {
            output.chargeReason = charge.bound <= planned.bound ? charge : planned
            output.dischargeReason = discharge.bound <= plannedDischarge.bound ? discharge : plannedDischarge
            output.report.chargeEnabled = !(charge.bound == 0 && charge.rule.blocks)
            output.report.dischargeEnabled = !(discharge.bound == 0 && (discharge.rule.blocks || discharge.rule == .emptyLatch))
            output.report.chargeCurrentLimit = output.chargeReason.bound
            output.report.dischargeCurrentLimit = output.dischargeReason.bound
            return
        }
        chargeEnable.update(!(charge.bound == 0 && charge.rule.blocks), at: now)
        let dischargeBlocked = discharge.bound == 0 && (discharge.rule.blocks || discharge.rule == .emptyLatch)
        dischargeEnable.update(!dischargeBlocked && !dischargeVoltage.isBelow, at: now)

        let before = (output.report.chargeCurrentLimit, output.report.dischargeCurrentLimit)
        var chargeBound = charge
        if !chargeEnable.isOn && charge.bound > 0 { chargeBound = Reason(.enableDelay, bound: 0) }
        var dischargeBound = discharge
        if !dischargeEnable.isOn && discharge.bound > 0 {
            dischargeBound = dischargeVoltage.isBelow
                ? Reason(.dischargeVoltage, bound: 0, input: bank.voltage) : Reason(.enableDelay, bound: 0)
        }
        chargeSlew.advance(
            protective: chargeBound.bound, planned: planned.bound, mayRise: mayRise, maximum: configuration.userCharge, at: now)
        if cameToLife { dischargeSlew.step(to: min(dischargeBound.bound, plannedDischarge.bound)) }
        dischargeSlew.advance(
            protective: dischargeBound.bound, planned: plannedDischarge.bound, mayRise: mayRise,
            maximum: configuration.userDischarge, at: now)
        output.report.chargeCurrentLimit = chargeSlew.value
        output.report.dischargeCurrentLimit = dischargeSlew.value
        output.report.chargeEnabled = chargeEnable.isOn
        output.report.dischargeEnabled = dischargeEnable.isOn
        output.chargeReason = reason(chargeSlew, chargeBound, planned, at: now)
        output.dischargeReason = reason(dischargeSlew, dischargeBound, plannedDischarge, at: now)
        output.tightened =
            output.report.chargeCurrentLimit < before.0 || output.report.dischargeCurrentLimit < before.1
    }

    /// What binds now: the limiter, or the slew on its way to it.
    private func reason(_ slew: Slew, _ protective: Reason, _ planned: Reason, at now: Instant) -> Reason {
        let least = planned.bound < protective.bound ? planned : protective
        if slew.value >= least.bound { return least }
        switch slew.motion {
        case .held:
            return Reason(.holdAfterCut, bound: slew.value, place: least.place, input: Int32(clamping: slew.remainingHold(at: now)))
        case .frozen:
            return frozen(at: slew.value)
        case .settled, .rising, .falling:
            return Reason(.ramp, bound: slew.value, place: least.place, input: least.bound)
        }
    }

    /// Which pack keeps limits from rising.
    func frozen(at value: Int32) -> Reason {
        for i in 0..<packCount {
            let place = CellPlace(pack: UInt8(i + 1), cell: 0)
            if packs[i].membership == .joining { return Reason(.joining, bound: value, place: place) }
            if packs[i].conducts && (packs[i].stage != .fresh || packs[i].isSuspect || packs[i].isOffMedian) {
                return Reason(.stale, bound: value, place: place)
            }
        }
        return Reason(.ramp, bound: value)
    }

    /// Planned bounds on CCL: phase, SoC ceiling, the owner's commands.
    private func plannedCharge(at now: Instant) -> Reason {
        var bounds = Bounds(Reason(.none, bound: .max))
        if phase.phase == .rest { bounds.consider(Reason(.phaseCurrent, bound: 0)) }
        return bounds.least
    }

    private func plannedDischarge(at now: Instant) -> Reason {
        Reason(.none, bound: .max)
    }
}
