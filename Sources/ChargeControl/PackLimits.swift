import Battery

/// What the limiters of one pack need beside the pack itself.
struct LimitContext: Sendable {
    var table: ChemistryTable
    var band: CellBand
    var marginPercent: Int32
    /// Thousandths of C.
    var rateMaximum: Int32
    var coldZero: Decidegrees
    var coldReallow: Decidegrees
    /// Bulk and float voltage of the whole pack, and of one cell.
    var packBulk: Millivolts
    var packFloat: Millivolts
    var bulk: Millivolts
    /// G of the runner rule in tenths.
    var runnerGainTenths: Int32
    var hold: Milliseconds
    var zero: Milliseconds
    var wireResistanceStops: Bool
    /// `explain`: latches are off.
    var isStateless: Bool
}

/// Collects bounds and keeps the lowest. The first of several equal ones wins, so the order in which limiters are asked decides
/// which name the owner reads; the order of packs does not change a value.
struct Bounds: Sendable, BitwiseCopyable {
    private(set) var least: Reason

    init(_ first: Reason) {
        least = first
    }

    mutating func consider(_ candidate: Reason) {
        if candidate.bound < least.bound { least = candidate }
    }
}

/// The limiters of one pack in one direction (charge-control.md §7, amendment 2), each a pure function of the pack and the context.
extension PackView {
    /// Everything that bounds the charge of this pack.
    func chargeBound(
        number: UInt8, _ context: LimitContext, pack: PackConfiguration, listing: inout LimiterListing
    ) -> Reason {
        let place = CellPlace(pack: number, cell: 0)
        let hot = CellPlace(pack: number, cell: temperatures.hottestSensor)
        let cold = CellPlace(pack: number, cell: temperatures.coldestSensor)
        let high = CellPlace(pack: number, cell: measures.highestCell)
        let effect = alarmEffect(context)

        let base = chargeBase(context, pack: pack, place: place)
        var bounds = Bounds(base)
        listing.add(base)
        if hasFault {
            let input = isFaultOverVoltage ? measures.highest : faultInput
            listing.consider(Reason(.fault, bound: 0, place: isFaultOverVoltage ? high : place, input: input), &bounds)
        }
        if !effect.charge.isEmpty {
            listing.consider(
                Reason(.alarm, bound: 0, place: place, input: Int32(bitPattern: effect.charge.rawValue)), &bounds)
        }
        if !measures.chargeSwitch && !isChargeClosing {
            listing.consider(Reason(.switchOff, bound: 0, place: place), &bounds)
        }
        listing.consider(chargeTemperature(context, hot: hot, cold: cold, place: place), &bounds)
        if isColdLatched && !context.isStateless {
            listing.consider(Reason(.coldLatch, bound: 0, place: cold, input: temperatures.coldest ?? 0), &bounds)
        }
        let byCell = context.band.chargeScaled(base.bound, highest: measures.highest)
        listing.consider(Reason(.cellHigh, bound: byCell, place: high, input: measures.highest), &bounds)
        if isTopLatched && !context.isStateless {
            listing.consider(Reason(.topLatch, bound: 0, place: high, input: measures.highest), &bounds)
        }
        listing.consider(
            Reason(
                .cRate, bound: scaledDown(capacity ?? 0, Int64(context.rateMaximum), 1000), place: place,
                input: capacity ?? 0),
            &bounds)
        if let limit = dynamic.charge {
            listing.consider(Reason(.bmsDynamic, bound: limit, place: place, input: limit), &bounds)
        }
        listing.consider(mosfetLimit(base.bound, place: place), &bounds)
        return held(bounds.least, context, place: place, listing: &listing)
    }

    /// Everything that bounds the discharge of this pack.
    func dischargeBound(
        number: UInt8, _ context: LimitContext, pack: PackConfiguration, listing: inout LimiterListing
    ) -> Reason {
        let place = CellPlace(pack: number, cell: 0)
        let low = CellPlace(pack: number, cell: measures.lowestCell)
        let effect = alarmEffect(context)

        let base = dischargeBase(context, pack: pack, place: place)
        var bounds = Bounds(base)
        listing.add(base)
        if isFaultSevere { listing.consider(Reason(.fault, bound: 0, place: place, input: faultInput), &bounds) }
        if !effect.discharge.isEmpty {
            listing.consider(
                Reason(.alarm, bound: 0, place: place, input: Int32(bitPattern: effect.discharge.rawValue)), &bounds)
        }
        if !measures.dischargeSwitch && !isDischargeClosing {
            listing.consider(Reason(.switchOff, bound: 0, place: place), &bounds)
        }
        considerDischargeTemperature(base.bound, context, number: number, &bounds, &listing)
        // The latch first: of two zeros it is the one that also takes dis_en (amendment 10).
        if isEmptyLatched && !context.isStateless {
            listing.consider(Reason(.emptyLatch, bound: 0, place: low, input: measures.lowest), &bounds)
        }
        let byCell = dischargeByCell(base.bound, context)
        listing.consider(Reason(.cellLow, bound: byCell, place: low, input: measures.lowest), &bounds)
        if let limit = dynamic.discharge {
            listing.consider(Reason(.bmsDynamic, bound: limit, place: place, input: limit), &bounds)
        }
        listing.consider(mosfetLimit(base.bound, place: place), &bounds)
        return held(bounds.least, context, place: place, listing: &listing)
    }

    /// margin × OCP, capped by the owner's current for this pack; 0 while OCP is unknown.
    private func chargeBase(_ context: LimitContext, pack: PackConfiguration, place: CellPlace) -> Reason {
        base(
            overCurrent: settings.chargeOverCurrent ?? typed(pack.chargeOverCurrent), user: pack.chargeLimit, context,
            place: place)
    }

    private func dischargeBase(_ context: LimitContext, pack: PackConfiguration, place: CellPlace) -> Reason {
        base(
            overCurrent: settings.dischargeOverCurrent ?? typed(pack.dischargeOverCurrent), user: pack.dischargeLimit,
            context,
            place: place)
    }

    private func typed(_ limit: Milliamps?) -> Milliamps? {
        if let limit, limit > 0 { limit } else { nil }
    }

    private func base(overCurrent: Milliamps?, user: Milliamps?, _ context: LimitContext, place: CellPlace) -> Reason {
        guard let overCurrent else { return Reason(.unknownOverCurrentLimit, bound: 0, place: place) }
        let margin = scaledDown(overCurrent, Int64(context.marginPercent), 100)
        if let user, user < margin { return Reason(.packUserCurrent, bound: max(user, 0), place: place, input: user) }
        return Reason(.bmsMargin, bound: margin, place: place, input: overCurrent)
    }

    func alarmEffect(_ context: LimitContext) -> AlarmEffect {
        let beyond =
            if let limit = settings.dischargeOverTemperature, let hottest = temperatures.hottestKept {
                hottest > limit
            } else { false }
        return AlarmEffect(
            alarms, wireResistanceStops: context.wireResistanceStops, dischargeSwitchOff: !measures.dischargeSwitch,
            beyondDischargeTemperature: beyond)
    }

    /// i_T for charging: C-rate by the coldest and by the hottest sensor, the lower one. A lost sensor: 0 (amendment 3).
    private func chargeTemperature(
        _ context: LimitContext, hot: CellPlace, cold: CellPlace, place: CellPlace
    ) -> Reason {
        guard !temperatures.isLost, let coldest = temperatures.coldest, let hottest = temperatures.hottest else {
            return Reason(.noTemperature, bound: 0, place: place)
        }
        if coldest <= context.coldZero { return Reason(.cold, bound: 0, place: cold, input: coldest) }
        let c = capacity ?? 0
        let byCold = context.table.chargeRate.scaled(c, at: coldest)
        let byHeat = hottest == coldest ? byCold : context.table.chargeRate.scaled(c, at: hottest)
        return byHeat < byCold
            ? Reason(.hot, bound: byHeat, place: hot, input: hottest)
            : Reason(.cold, bound: byCold, place: cold, input: coldest)
    }

    /// i_T for discharging: a fraction of the pack's own limit. Without a sensor at most 0.2C, and never more than the lost one
    /// allowed last (amendment 17).
    private func considerDischargeTemperature(
        _ amount: Milliamps, _ context: LimitContext, number: UInt8, _ bounds: inout Bounds,
        _ listing: inout LimiterListing
    ) {
        if let coldest = temperatures.coldestKept, let hottest = temperatures.hottestKept {
            let byCold = context.table.dischargeFraction.scaled(amount, at: coldest)
            let byHeat = hottest == coldest ? byCold : context.table.dischargeFraction.scaled(amount, at: hottest)
            let reason =
                byHeat < byCold
                ? Reason(
                    .hot, bound: byHeat, place: CellPlace(pack: number, cell: temperatures.hottestSensor),
                    input: hottest)
                : Reason(
                    .cold, bound: byCold, place: CellPlace(pack: number, cell: temperatures.coldestSensor),
                    input: coldest)
            listing.consider(reason, &bounds)
        }
        if temperatures.isLost {
            let reason = Reason(.noTemperature, bound: (capacity ?? 0) / 5, place: CellPlace(pack: number, cell: 0))
            listing.consider(reason, &bounds)
        }
    }

    /// At or below zd the limit is 0 — but only after 5 s, when the latch closes (amendment 10): a load step of a second must not
    /// black out a house. Until then 1 % stays, the least that is not "discharge forbidden".
    private func dischargeByCell(_ amount: Milliamps, _ context: LimitContext) -> Milliamps {
        let scaled = context.band.dischargeScaled(amount, lowest: measures.lowest)
        let isGrace = measures.lowest <= context.band.dischargeZero && !isEmptyLatched && !context.isStateless
        return isGrace ? max(scaled, amount / 100) : scaled
    }

    private func mosfetLimit(_ amount: Milliamps, place: CellPlace) -> Reason {
        Reason(
            mosfet.isLost ? .mosfetLost : .mosfetHot, bound: mosfet.scaled(amount), place: place,
            input: mosfet.value ?? 0)
    }

    /// The extended hold of amendment 18: past T_hold the limit comes down to 0.2C and stays there. What fades after that, and the
    /// plain ladder, is `faded`.
    private func held(
        _ reason: Reason, _ context: LimitContext, place: CellPlace, listing: inout LimiterListing
    ) -> Reason {
        if age <= context.hold || !usesExtendedHold { return reason }
        let bound = Ladder.extended(reason.bound, cap: (capacity ?? 0) / 5, age: age, hold: context.hold)
        let stale = Reason(.extendedHold, bound: bound, place: place, input: Int32(clamping: age))
        listing.add(stale)
        return stale.bound < reason.bound ? stale : reason
    }

    /// The staleness ladder: the limit of a silent pack ramps to 0 (failsafe.md §3).
    func faded(_ reason: Reason, number: UInt8) -> Reason {
        if fade.isWhole { return reason }
        let bound = scaledDown(reason.bound, fade.numerator, fade.denominator)
        if bound == reason.bound && fade.numerator > 0 { return reason }
        return staleness(bound: bound, number: number)
    }

    /// "It is silent", with its age.
    func staleness(bound: Milliamps, number: UInt8) -> Reason {
        Reason(
            usesExtendedHold ? .extendedHold : .stale, bound: bound, place: CellPlace(pack: number, cell: 0),
            input: Int32(clamping: age))
    }

    /// What is left of its weight in the share rule, mAh. Rounded up: of equal packs the sum of the limits binds, to the mA.
    var weight: Int64 { (Int64(capacity ?? 0) * fade.numerator + fade.denominator - 1) / fade.denominator }
}

/// How limits fall with the age of the data (failsafe.md §3, amendment 18).
enum Ladder {
    static let extendedZero: Milliseconds = 120_000
    private static let extendedEnd: Milliseconds = 105_000
    private static let extendedRamp: Milliseconds = 15_000

    /// What is left of a pack at this age: all of it until T_hold, nothing from T_zero on, linear between. Under the extended hold
    /// that happens between 105 s and 120 s.
    static func fade(age: Milliseconds, hold: Milliseconds, zero: Milliseconds, isExtended: Bool) -> Fraction {
        let begin = isExtended ? extendedEnd : hold
        let end = isExtended ? extendedZero : zero
        if age <= begin || end <= begin { return .whole }
        return Fraction(part: max(end - age, 0), of: end - begin)
    }

    /// Over 15 s to min(limit, 0.2C).
    static func extended(_ limit: Milliamps, cap: Milliamps, age: Milliseconds, hold: Milliseconds) -> Milliamps {
        let floor = min(limit, cap)
        let progress = min(max(age - hold, 0), extendedRamp)
        return limit - Int32(Int64(limit - floor) * progress / extendedRamp)
    }
}
