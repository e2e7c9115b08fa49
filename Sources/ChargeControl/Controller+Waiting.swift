import Battery

/// What the present phase waits for, and how much is missing (issue text: "what is this phase waiting for").
extension Controller {
    @inline(never)
    mutating func reportWaiting(charge: Reason, at now: Instant) {
        let (waiting, amount) = waiting(charge: charge, at: now)
        output.waiting = waiting
        output.waitingAmount = Int32(clamping: amount)
    }

    private mutating func waiting(charge: Reason, at now: Instant) -> (Waiting, Int64) {
        if phase.phase == .initial {
            return (bank.joining > 0 || firstReadyAt != never ? .agreeingSnapshots : .firstSnapshot, 0)
        }
        if !output.mayTransmit { return (.otherPacks, max(0, 15_000 - now.since(firstReadyAt))) }
        if phase.isHeld { return block(charge) }
        if chargeObedience.isIgnoring { return (.inverterObeys, Int64(bank.current)) }
        switch phase.phase {
        case .bulk: return forAbsorb
        case .absorb: return forEnd
        case .float, .rest: return forRebulk(at: now)
        case .initial, .hold: return (.nothing, 0)
        }
    }

    private mutating func block(_ charge: Reason) -> (Waiting, Int64) {
        switch charge.rule {
        case .cold, .coldLatch, .hot, .noTemperature, .mosfetHot, .mosfetLost: (.temperature, Int64(charge.input))
        case .switchOff, .noPackConducts: (.switchOn, 0)
        case .alarm, .fault: (.alarmClear, 0)
        case .stale, .extendedHold, .cellUnknown, .notReady, .joining: (.freshData, Int64(charge.input))
        default: (.userResume, 0)
        }
    }

    /// The tail line of §5.2: first the voltage has to come, then the current has to go.
    private var forAbsorb: (Waiting, Int64) {
        mutating get {
            if bank.highest < table.fullMinimum { return (.cellVoltage, Int64(table.fullMinimum - bank.highest)) }
            let tail =
                Int64(bank.capacity) * Int64(bank.highest - table.fullMinimum)
                / (20 * Int64(table.tailHead - table.fullMinimum))
            return (.tailCurrent, max(0, Int64(bank.current) - tail))
        }
    }

    private var forEnd: (Waiting, Int64) {
        mutating get {
            if bank.highest < configuration.bulk - 50 {
                return (.cellVoltage, Int64(configuration.bulk - 50 - bank.highest))
            }
            if phase.calmFor >= 0 { return (.calm, max(0, PhaseMachine.calmTime - phase.calmFor)) }
            if bank.balancing && bank.spread > PhaseMachine.balanceSpread {
                return (.balancing, max(0, configuration.absorbMaximum - phase.absorbTime))
            }
            return (.absorbTime, max(0, configuration.absorbMaximum - phase.absorbTime))
        }
    }

    private mutating func forRebulk(at now: Instant) -> (Waiting, Int64) {
        let target = configuration.cellsInSeries * configuration.float
        if phase.phase == .float && lastPhaseVoltage > target { return (.floatRamp, Int64(lastPhaseVoltage - target)) }
        if bank.highest <= configuration.rebulk { return (.rebulkVoltage, phase.untilFloatRested(at: now)) }
        let day: Milliseconds = 86_400_000
        if configuration.fullEveryDays > 0 && phase.sinceFull >= Int64(configuration.fullEveryDays) * day {
            return (.fullChargeDay, 0)
        }
        let missing = Int64((soc.fine ?? 0) - configuration.rebulkSoC)
        return missing > 0 ? (.rebulkSoC, missing) : (.rebulkSoC, 0)
    }
}
