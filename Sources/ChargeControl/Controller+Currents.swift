import Battery

/// CCL and DCL of the bank (charge-control.md §7, aggregation.md §5).
extension Controller {
    /// The lowest protective bound on CCL, with its reason.
    mutating func chargeProtection(at now: Instant) -> Reason {
        chargeListing.wholeBank()
        chargeListing.isOn = listsLimiters
        var bounds = Bounds(unbelieved ?? bankLimit(charging: true))
        let user = Reason(.userCurrent, bound: max(configuration.userCharge, 0), input: configuration.userCharge)
        chargeListing.consider(user, &bounds)
        considerBank(&bounds, charging: true)
        if let excess = correction(charging: true, at: now) { chargeListing.consider(excess, &bounds) }
        if isInconsistent {
            chargeListing.consider(Reason(.absoluteVoltage, bound: 0, input: band.overVoltage), &bounds)
        }
        return bounds.least
    }

    mutating func dischargeProtection(at now: Instant) -> Reason {
        dischargeListing.wholeBank()
        dischargeListing.isOn = listsLimiters
        var bounds = Bounds(unbelieved ?? bankLimit(charging: false))
        let user = Reason(.userCurrent, bound: max(configuration.userDischarge, 0), input: configuration.userDischarge)
        dischargeListing.consider(user, &bounds)
        considerBank(&bounds, charging: false)
        if let excess = correction(charging: false, at: now) { dischargeListing.consider(excess, &bounds) }
        return bounds.least
    }

    /// `explain`: a given pack whose snapshot is not believed is on the busbar all the same.
    private var unbelieved: Reason? {
        mutating get {
            if unknownPack == 0 { return nil }
            return Reason(.cellUnknown, bound: 0, place: CellPlace(pack: unknownPack, cell: 0))
        }
    }

    /// A pack that carries more than its limit although the bank keeps to its own (aggregation.md §5). In discharge only between
    /// several packs, and only while the bank obeys: a surge of the house is not answered with less (amendment 7).
    private mutating func correction(charging: Bool, at now: Instant) -> Reason? {
        // It compares with what was told before; a lone snapshot has no before.
        if isStateless { return nil }
        var worst: (limit: Milliamps, current: Milliamps, pack: UInt8)?
        for i in 0..<packCount
        where takesPart(i, charging) && views[i].stage == .fresh && views[i].measures.isCurrentKnown {
            let current = charging ? views[i].measures.current : -views[i].measures.current
            let limit = charging ? views[i].chargeLimit.bound : views[i].dischargeLimit.bound
            if current <= limit { continue }
            // The largest excess in proportion; cross-multiplied, so that nothing is rounded.
            if let w = worst, Int64(current) * Int64(max(w.limit, 1)) <= Int64(w.current) * Int64(max(limit, 1)) {
                continue
            }
            worst = (limit, current, UInt8(i + 1))
        }
        let bankCurrent = charging ? bank.current : -bank.current
        if charging { return chargeCorrection.bound(excess: worst, bankCurrent: bankCurrent, sent: chargeSlew.value) }
        if bank.conducting < 2 || bankCurrent > dischargeSlew.value { worst = nil }
        return dischargeCorrection.bound(excess: worst, bankCurrent: bankCurrent, sent: dischargeSlew.value)
    }

    /// The share rule over the packs that take part in this direction. JOINING packs and switches that have just closed only tighten.
    ///
    /// A pack that has fallen silent leaves the rule between T_hold and T_zero: what is counted on it and its weight fade together,
    /// while its last limit goes on binding. So the bank comes down, in a ramp, to what the other packs may carry (A4), and until
    /// then the silent pack gets no more than it last allowed.
    private mutating func bankLimit(charging: Bool) -> Reason {
        guard let limit = shareRule(charging: charging, fades: true) else { return nobody(charging: charging) }
        for i in 0..<packCount where views[i].isConnected && !views[i].fade.isWhole {
            guard let whole = shareRule(charging: charging, fades: false), limit.bound < whole.bound else { break }
            let silent = views[i].staleness(bound: limit.bound, number: UInt8(i + 1))
            if charging { chargeListing.add(silent) } else { dischargeListing.add(silent) }
            return silent
        }
        return limit
    }

    /// - Parameter fades: false: as if all packs were still heard, to see whether a silent one is what binds.
    private mutating func shareRule(charging: Bool, fades: Bool) -> Reason? {
        var total: Int64 = 0
        var flow: Int64 = 0
        for i in 0..<packCount where takesPart(i, charging) {
            total += weight(i, fades: fades)
            flow += share.mean(i)
        }
        var limit = BankLimit()
        for i in 0..<packCount {
            let held = charging ? views[i].chargeHeld : views[i].dischargeHeld
            if takesPart(i, charging) {
                let counted = charging ? views[i].chargeLimit.bound : views[i].dischargeLimit.bound
                limit.add(
                    held, counted: fades ? counted : held.bound,
                    share: share.share(i, capacity: views[i].capacity, total: total, flow: flow, charging: charging))
            } else if onlyTightens(i, charging) {
                let c = Int64(views[i].capacity ?? 0)
                limit.constrain(held, share: c > 0 ? Fraction(c, total + weight(i, fades: fades)) : .whole)
            }
        }
        return limit.reason
    }

    private mutating func weight(_ i: Int, fades: Bool) -> Int64 {
        fades ? views[i].weight : Int64(views[i].capacity ?? 0)
    }

    /// On the busbar with a closed switch, but not to be counted on yet.
    private mutating func onlyTightens(_ i: Int, _ charging: Bool) -> Bool {
        switch views[i].membership {
        case .joining: isSwitchedOn(i, charging)
        case .member: charging ? views[i].isChargeClosing : views[i].isDischargeClosing
        case .absent, .isolated, .lost, .excluded: false
        }
    }

    private mutating func takesPart(_ i: Int, _ charging: Bool) -> Bool {
        charging ? views[i].takesCharge : views[i].givesCharge
    }

    private mutating func isSwitchedOn(_ i: Int, _ charging: Bool) -> Bool {
        charging ? views[i].measures.chargeSwitch : views[i].measures.dischargeSwitch
    }

    /// No pack takes part: the reason of the first pack that is configured tells why.
    private mutating func nobody(charging: Bool) -> Reason {
        for i in 0..<packCount where views[i].membership != .excluded {
            if views[i].membership == .joining {
                return Reason(.joining, bound: 0, place: CellPlace(pack: UInt8(i + 1), cell: 0))
            }
            var reason = charging ? views[i].chargeLimit : views[i].dischargeLimit
            if reason.bound != 0 { reason = Reason(.noPackConducts, bound: 0) }
            return reason
        }
        return Reason(.noPackConducts, bound: 0)
    }

    private mutating func considerBank(_ bounds: inout Bounds, charging: Bool) {
        if recentBoots >= 6 {
            // Six restarts in ten minutes: something is wrong that nobody has understood yet (failsafe.md §5.7).
            considerBank(Reason(.bootLoop, bound: bank.capacity / 5, input: recentBoots), &bounds, charging)
        }
        for i in 0..<packCount where views[i].membership == .member || views[i].membership == .joining {
            let place = CellPlace(pack: UInt8(i + 1), cell: 0)
            if views[i].isFaultSevere {
                considerBank(Reason(.fault, bound: 0, place: place, input: views[i].faultInput), &bounds, charging)
            }
            if views[i].isEqualising { considerBank(equalising(place, charging: charging), &bounds, charging) }
        }
    }

    private mutating func considerBank(_ reason: Reason, _ bounds: inout Bounds, _ charging: Bool) {
        if charging { chargeListing.consider(reason, &bounds) } else { dischargeListing.consider(reason, &bounds) }
    }

    /// While voltages equalise the bank carries no more than its weakest pack could alone (aggregation.md §4 rule 2).
    private mutating func equalising(_ place: CellPlace, charging: Bool) -> Reason {
        var least = Milliamps.max
        for i in 0..<packCount where views[i].isConnected && isSwitchedOn(i, charging) {
            least = min(least, charging ? views[i].chargeHeld.bound : views[i].dischargeHeld.bound)
        }
        return Reason(.equalising, bound: least == .max ? 0 : least, place: place)
    }

    /// A pack is stale, suspect or joining: nothing rises (amendment 19, aggregation.md §3).
    mutating func mayRise(at now: Instant) -> Bool {
        if !bank.isSteady { return false }
        for i in 0..<packCount where views[i].freezesBank { return false }
        return true
    }

    /// Slew and enables: what is really told (charge-control.md §8, §7.8).
    @inline(never)
    mutating func updateCurrents(charge: Reason, discharge: Reason, at now: Instant) {
        let planned = plannedCharge(at: now)
        let plannedDischarge = plannedDischarge(at: now)
        let mayRise = mayRise(at: now)
        dischargeVoltage.update(
            bank, limit: output.report.dischargeVoltageLimit, cellsInSeries: configuration.cellsInSeries, at: now)
        if isStateless {
            output.chargeReason = charge.bound <= planned.bound ? charge : planned
            output.dischargeReason = discharge.bound <= plannedDischarge.bound ? discharge : plannedDischarge
            output.report.chargeEnabled = !(charge.bound == 0 && charge.rule.blocks)
            output.report.dischargeEnabled =
                !(discharge.bound == 0 && (discharge.rule.blocks || discharge.rule == .emptyLatch))
            output.report.chargeCurrentLimit = output.chargeReason.bound
            output.report.dischargeCurrentLimit = output.dischargeReason.bound
            return
        }
        // An ordered pause ramps down first; the flag goes when the current has gone.
        let isPaused = overrides.pausesCharge(at: now) && chargeSlew.value == 0
        let isResting = phase.phase == .rest && configuration.inverter.disablesChargeInRest && chargeSlew.value == 0
        chargeEnable.update(
            !(charge.bound == 0 && charge.rule.blocks) && !isPaused && !isResting && !chargeObedience.withdraws,
            isSteady: bank.isSteady, cameToLife: cameToLife, at: now)
        let dischargeBlocked = discharge.bound == 0 && (discharge.rule.blocks || discharge.rule == .emptyLatch)
        let isDischargePaused = overrides.pausesDischarge(at: now) && dischargeSlew.value == 0
        let isCut = dischargeObedience.withdraws && configuration.obeyDischargeAction == .cut
        dischargeEnable.update(
            !dischargeBlocked && !isDischargePaused && !dischargeVoltage.isBelow && !isCut, isSteady: bank.isSteady,
            cameToLife: cameToLife, at: now)

        let before = (output.report.chargeCurrentLimit, output.report.dischargeCurrentLimit)
        let wereEnabled = (output.report.chargeEnabled, output.report.dischargeEnabled)
        var chargeBound = charge
        if !chargeEnable.isOn && charge.bound > 0 {
            let why: LimitRule =
                chargeObedience.withdraws ? .obedience : isPaused ? .command : isResting ? .phaseCurrent : .enableDelay
            chargeBound = Reason(why, bound: 0, input: bank.current)
        }
        var dischargeBound = discharge
        if !dischargeEnable.isOn && discharge.bound > 0 {
            dischargeBound =
                dischargeVoltage.isBelow
                ? Reason(.dischargeVoltage, bound: 0, input: bank.voltage)
                : Reason(
                    isCut ? .obedience : isDischargePaused ? .command : .enableDelay, bound: 0, input: bank.current)
        }
        chargeSlew.advance(
            protective: chargeBound.bound, planned: planned.bound, mayRise: mayRise, maximum: configuration.userCharge,
            at: now)
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
            || wereEnabled.0 && !chargeEnable.isOn || wereEnabled.1 && !dischargeEnable.isOn
    }

    /// What binds now: the limiter, or the slew on its way to it.
    private mutating func reason(_ slew: Slew, _ protective: Reason, _ planned: Reason, at now: Instant) -> Reason {
        let least = planned.bound < protective.bound ? planned : protective
        if slew.value >= least.bound { return least }
        switch slew.motion {
        case .held:
            return Reason(
                .holdAfterCut, bound: slew.value, place: least.place,
                input: Int32(clamping: slew.remainingHold(at: now)))
        case .frozen:
            return frozen(at: slew.value)
        case .settled, .rising, .falling:
            return Reason(.ramp, bound: slew.value, place: least.place, input: least.bound)
        }
    }

    /// Which pack keeps limits from rising.
    mutating func frozen(at value: Int32) -> Reason {
        for i in 0..<packCount {
            let place = CellPlace(pack: UInt8(i + 1), cell: 0)
            if views[i].membership == .joining { return Reason(.joining, bound: value, place: place) }
            if views[i].conducts && (views[i].stage != .fresh || views[i].isSuspect || views[i].isOffMedian) {
                return Reason(.stale, bound: value, place: place)
            }
        }
        return Reason(.ramp, bound: value)
    }

    /// Planned bounds on CCL: phase, SoC ceiling and taper, the owner's commands.
    private mutating func plannedCharge(at now: Instant) -> Reason {
        var bounds = Bounds(Reason(.none, bound: .max))
        if phase.phase == .rest { chargeListing.consider(Reason(.phaseCurrent, bound: 0), &bounds) }
        if ceiling.isReached {
            chargeListing.consider(Reason(.socCeiling, bound: 0, input: soc.fine ?? 10_000), &bounds)
        }
        if configuration.socTaper {
            let bound = SoCTaper.chargeScaled(configuration.userCharge, soc: soc.fine)
            chargeListing.consider(Reason(.socTaper, bound: bound, input: soc.fine ?? 10_000), &bounds)
        }
        if let command = overrides.chargeBound(at: now) { chargeListing.consider(command, &bounds) }
        if isPreparingRestart { chargeListing.consider(Reason(.plannedStop, bound: bank.capacity / 10), &bounds) }
        return bounds.least
    }

    private mutating func plannedDischarge(at now: Instant) -> Reason {
        var bounds = Bounds(Reason(.none, bound: .max))
        if reserve.isReached { dischargeListing.consider(Reason(.socReserve, bound: 0, input: soc.fine ?? 0), &bounds) }
        if configuration.socTaper {
            let bound = SoCTaper.dischargeScaled(configuration.userDischarge, soc: soc.fine)
            dischargeListing.consider(Reason(.socTaper, bound: bound, input: soc.fine ?? 0), &bounds)
        }
        if let command = overrides.dischargeBound(at: now) { dischargeListing.consider(command, &bounds) }
        if isPreparingRestart { dischargeListing.consider(Reason(.plannedStop, bound: bank.capacity / 10), &bounds) }
        return bounds.least
    }
}
