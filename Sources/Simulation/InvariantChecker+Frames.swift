import Battery
import ChargeControl
import InverterDialects

/// The checks on single frames.
extension InvariantChecker {
    private var zero: Double { Double(control.inverter.zeroCurrent) / 1000 }

    // MARK: limits

    mutating func checkLimits(_ output: ControlOutput, at now: Int64) {
        let charge = Double(heard.chargeLimit) / 10
        let discharge = Double(heard.dischargeLimit) / 10
        checkVoltage(at: now)
        checkAge(charge: charge, discharge: discharge, at: now)
        checkCurrent(charge, charging: true, at: now)
        checkCurrent(discharge, charging: false, at: now)
        checkOrders(charge, charging: true, at: now)
        checkOrders(discharge, charging: false, at: now)
        checkRise(charge, charging: true, at: now)
        checkRise(discharge, charging: false, at: now)
        checkReasons(output, at: now)
        checkMeaning(output.report, at: now)
        meant = output.report
    }

    private mutating func checkVoltage(at now: Int64) {
        let sent = Double(heard.chargeVoltage) / 10
        let cap = max(voltageCap, voltageCaps.maximum(since: now - Self.cutTime))
        if sent > cap + 0.001 {
            report(.p2, at: now, expected: "CVL ≤ \(cap) V", found: "\(sent) V")
        }
        let floor = min(cells * Double(control.rebulk) / 1000, voltageCap) - 0.1
        if sent < floor - 0.001 && newestAge(at: now) != .max {
            report(.p2, at: now, expected: "CVL ≥ \(floor + 0.1) V, rounded down", found: "\(sent) V")
        }
    }

    private mutating func checkAge(charge: Double, discharge: Double, at now: Int64) {
        if newestAge(at: now) <= longestHold { return }
        if charge > zero || discharge > zero {
            report(
                .p3, at: now, expected: "no current \(control.zero) ms after the last snapshot",
                found: "CCL \(charge) A, DCL \(discharge) A at age \(newestAge(at: now)) ms")
        }
    }

    /// Milliseconds after which everything is zero; 120 s for packs with the extended hold.
    private var longestHold: Int64 {
        var result = control.zero
        for i in 0..<control.packs.count where control.packs[i].extendedHold { result = max(result, 120_000) }
        return result
    }

    private mutating func checkCurrent(_ sent: Double, charging: Bool, at now: Int64) {
        let bound = bankBound(charging: charging, at: now, delay: Self.cutTime)
        if sent <= max(bound, zero) + Self.tolerance { return }
        let name = charging ? "CCL" : "DCL"
        if newestAge(at: now) > longestHold { return }
        let older = bankBound(charging: charging, at: now, delay: Self.lateTime)
        var broken = Invariant.p1
        if sent <= older + Self.tolerance {
            broken = .p7
        } else if charging && isAnyPackTooCold {
            broken = .p6
        } else if charging ? isAnyCellFull : isAnyCellEmpty {
            broken = .p5
        }
        report(broken, at: now, expected: "\(name) ≤ \(bound) A", found: "\(sent) A")
    }

    private mutating func checkOrders(_ sent: Double, charging: Bool, at now: Int64) {
        let bound = orders.bound(charging: charging, at: now)
        if sent > max(bound, zero) + Self.tolerance {
            report(.p14, at: now, expected: "\(charging ? "CCL" : "DCL") ≤ \(bound) A as ordered", found: "\(sent) A")
        }
    }

    /// Limits that a dialect tells a second time are no looser.
    mutating func checkGridLimits(at now: Int64) {
        checkCurrent(Double(heard.gridChargeLimit) / 10, charging: true, at: now)
        checkCurrent(Double(heard.gridDischargeLimit) / 10, charging: false, at: now)
    }

    private var isAnyPackTooCold: Bool {
        for p in packs where p.charge.latest >= 0 && reference.isTooColdOrUnknown(p.last) { return true }
        return false
    }

    private var isAnyCellFull: Bool {
        let limit = reference.chargeZero(overVoltage: overVoltage)
        for p in packs where p.charge.latest >= 0 && p.highest >= limit { return true }
        return false
    }

    private var isAnyCellEmpty: Bool {
        let limit = reference.dischargeZero(underVoltage: underVoltage)
        for p in packs where p.discharge.latest >= 0 && p.lowest <= limit { return true }
        return false
    }

    private mutating func checkRise(_ told: Double, charging: Bool, at now: Int64) {
        // What means zero on this inverter is no step.
        let sent = told <= zero ? 0 : told
        let bound = bankBound(charging: charging, at: now, delay: 0)
        let last = charging ? chargeRise.last : dischargeRise.last
        // A cut by age in a bank of one pack starts no hold (amendment 6).
        let onlyAge = packs.count == 1 && packs[0].age(at: now) > control.hold
        let mustCut = last > bound + 0.2 && !onlyAge
        for i in packs.indices where packs[i].cameBack {
            // One step of DCL is allowed.
            dischargeRise.allowStep()
            packs[i].cameBack = false
        }
        // Nothing but packs in their back-off is left: the first of them to be counted is a start (amendments 4 and 6).
        if !charging && last <= 0.05 && packs.allSatisfy({ isGoneOrReturning($0, at: now) }) { dischargeRise.comeToLife() }
        let finding =
            charging
            ? chargeRise.see(sent, mustCut: mustCut, mayStep: false, at: now)
            : dischargeRise.see(sent, mustCut: mustCut, mayStep: true, at: now)
        let name = charging ? "CCL" : "DCL"
        switch finding {
        case .fine: break
        case .tooFast: report(.p8, at: now, expected: "\(name) to rise from \(last) A slowly", found: "\(sent) A")
        case .tooSoon:
            report(.p8, at: now, expected: "\(name) to stay at \(last) A for 30 s after a cut", found: "\(sent) A")
        }
    }

    /// It gives nothing, or fell silent within the longest back-off and may still be waiting it out.
    private func isGoneOrReturning(_ p: PackWitness, at now: Int64) -> Bool {
        p.discharge.latest < 0 || p.age(at: now) > control.hold || now - p.lastGap < 3_700_000
    }

    private mutating func checkReasons(_ output: ControlOutput, at now: Int64) {
        if heard.chargeLimit < Int32(control.userCharge / 100) && output.chargeReason.rule == .none {
            report(.p22, at: now, expected: "a reason for CCL \(heard.chargeLimit)", found: "none")
        }
        if heard.dischargeLimit < Int32(control.userDischarge / 100) && output.dischargeReason.rule == .none {
            report(.p22, at: now, expected: "a reason for DCL \(heard.dischargeLimit)", found: "none")
        }
        let maximum = cells * Double(control.bulk) / 1000
        if Double(heard.chargeVoltage) / 10 < (maximum * 10).rounded(.down) / 10 && output.voltageReason.rule == .none {
            report(.p22, at: now, expected: "a reason for CVL \(heard.chargeVoltage)", found: "none")
        }
    }

    // MARK: flags

    mutating func checkFlags(at now: Int64) {
        let isEnabled = HeardFrames.hasEnables(dialect) && (heard.chargeEnabled || heard.dischargeEnabled)
        if newestAge(at: now) > longestHold && isEnabled {
            report(.p3, at: now, expected: "no enable after \(longestHold) ms", found: "age \(newestAge(at: now)) ms")
        }
        let requests = heard.forceCharge1 || heard.forceCharge2 || heard.fullCharge
        if !requests { return }
        if !heard.chargeEnabled {
            report(
                .p20, at: now, expected: "no request while charge is disabled", found: "force or full charge requested")
        } else if bankBound(charging: true, at: now, delay: Self.cutTime) <= 0 && (isAnyPackTooCold || isAnyPackAlarmed) {
            report(
                .p20, at: now, expected: "no request while charge is blocked", found: "force or full charge requested")
        }
    }

    private var isAnyPackAlarmed: Bool {
        for p in packs where p.charge.latest >= 0 && !p.last.warnings.isDisjoint(with: .stopCharge) { return true }
        return false
    }

    // MARK: state of charge

    mutating func checkStateOfCharge(at now: Int64) {
        let soc = heard.soc
        if soc == 100 && !fullness.mayBeFull {
            report(
                .p11, at: now, expected: "100 % only when full",
                found: "taken since full: \(fullness.takenSinceFull ?? -1) Ah")
        }
        if soc == 0 && !fullness.emptySeen {
            report(.p11, at: now, expected: "0 % only when proven empty", found: "0 %")
        }
        if newestAge(at: now) > control.hold {
            if let held = socAtLoss, held != soc {
                report(.p12, at: now, expected: "\(held) % as when the data stopped", found: "\(soc) %")
            }
            socAtLoss = socAtLoss ?? soc
        } else {
            socAtLoss = nil
        }
        if zeroSoCSeconds(at: now) > 1_200 && soc > 12 {
            report(.p21, at: now, expected: "a count of 0 % to be believed", found: "\(soc) %")
        }
    }

    /// For how long every pack has said 0 % with a cycle count, that is: in earnest.
    private func zeroSoCSeconds(at now: Int64) -> Int64 {
        guard zeroSoCSince >= 0 else { return 0 }
        return (now - zeroSoCSince) / 1000
    }

    mutating func checkMeasurements(at now: Int64) {
        if newestAge(at: now) > 2_000 { return }
        var (low, high) = (1e9, 0.0)
        for p in packs where p.age(at: now) < control.zero {
            low = min(low, Double(p.last.packCentivolts) / 100)
            high = max(high, Double(p.last.packCentivolts) / 100)
        }
        let sent = Double(heard.voltage) / 100
        if high > 0 && (sent < low - 4.5 || sent > high + 4.5) {
            report(.p13, at: now, expected: "a voltage between \(low) and \(high) V", found: "\(sent) V")
        }
    }

    // MARK: alarms

    mutating func checkAlarms(at now: Int64) {
        let bits = heard.protections | heard.warnings
        if newestAge(at: now) > control.hold {
            if let held = alarmsAtLoss, held & ~bits != 0 {
                report(.p24, at: now, expected: "alarm bits \(hex(held)) held", found: hex(bits))
            }
            alarmsAtLoss = (alarmsAtLoss ?? 0) | bits
        } else {
            alarmsAtLoss = nil
        }
        var accepted: Int32 = 0
        for p in packs where p.heardAt >= 0 { accepted += 1 }
        if heard.modules > max(1, accepted) {
            report(.p13, at: now, expected: "at most \(accepted) packs", found: "\(heard.modules)")
        }
    }

    private func hex(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }

    // MARK: coding

    /// P25, first half: nothing but defined bits is set, and what was decoded encodes to the same bytes.
    mutating func checkCoding(_ frame: CANFrame, _ content: HeardFrames.Content, _ report: BankReport, at now: Int64) {
        guard let known = HeardFrames.definedBits(of: frame.id, dialect: dialect) else { return }
        if frame.isExtended || frame.length != known.length || frame.word & ~known.mask != 0 {
            self.report(
                .p25, at: now, expected: "frame \(hex(frame.id)) with \(known.length) bytes and defined bits only",
                found: "\(frame.length) bytes, \(String(frame.word, radix: 16))")
        }
        if frame.id == 0x35A && !HeardFrames.arePairsDecided(frame.word) {
            self.report(
                .p25, at: now, expected: "each pair of alarms raised or cleared", found: String(frame.word, radix: 16))
        }
    }

    /// P25, second half: the numbers are those that were meant, rounded to the safe side. A set may have been made before the
    /// last evaluation, so the one before counts as well.
    private mutating func checkMeaning(_ report: BankReport, at now: Int64) {
        let isFirst = meant.chargeVoltageLimit == 0
        if zero > 0 && (heard.chargeLimit == 0 || heard.dischargeLimit == 0) {
            self.report(.p25, at: now, expected: "zero as \(zero) A, which this inverter understands", found: "0 A")
        }
        let voltage = isFirst ? report.chargeVoltageLimit : max(report.chargeVoltageLimit, meant.chargeVoltageLimit)
        let charge = isFirst ? report.chargeCurrentLimit : max(report.chargeCurrentLimit, meant.chargeCurrentLimit)
        let discharge =
            isFirst ? report.dischargeCurrentLimit : max(report.dischargeCurrentLimit, meant.dischargeCurrentLimit)
        let floor =
            isFirst ? report.dischargeVoltageLimit : min(report.dischargeVoltageLimit, meant.dischargeVoltageLimit)
        if heard.chargeVoltage * 100 > voltage {
            self.report(.p25, at: now, expected: "CVL ≤ \(voltage) mV", found: "\(heard.chargeVoltage * 100) mV")
        }
        if heard.chargeLimit * 100 > charge {
            self.report(.p25, at: now, expected: "CCL ≤ \(charge) mA", found: "\(heard.chargeLimit * 100) mA")
        }
        if heard.dischargeLimit * 100 > discharge {
            self.report(.p25, at: now, expected: "DCL ≤ \(discharge) mA", found: "\(heard.dischargeLimit * 100) mA")
        }
        if dialect != .growatt && heard.dischargeVoltage * 100 < floor {
            self.report(.p25, at: now, expected: "DVL ≥ \(floor) mV", found: "\(heard.dischargeVoltage * 100) mV")
        }
    }

    // MARK: time

    /// P4 with amendment 14: three agreeing snapshots over at least 1.5 s come before the first frame.
    mutating func checkFirstFrame(at now: Int64) {
        var ready = false
        for p in packs where p.snapshots >= 3 && now - p.firstAt >= 1_500 { ready = true }
        if !ready { report(.p4, at: now, expected: "three snapshots before the first frame", found: "a frame") }
    }

    /// P16: the period of the limits, ± 20 %, at most 1.5 s.
    mutating func checkGap(at now: Int64) {
        guard lastHeardAt[0] >= 0, busIsWell, busHealthySince <= lastHeardAt[0] else { return }
        let gap = now - lastHeardAt[0]
        if gap > min(1_500, cycle * 6 / 5) {
            report(.p16, at: now, expected: "limits each \(cycle) ms", found: "\(gap) ms between two")
        }
    }

    /// The same when no frame comes any more.
    mutating func checkPeriod(at now: Int64) {
        guard busIsWell, now - busHealthySince > 3_000, firstFrameAt >= 0, !control.inverter.silentWhenLost else {
            return
        }
        let gap = now - max(lastHeardAt[0], bootedAt)
        if gap > 3_000 {
            report(.p16, at: now, expected: "limits each \(cycle) ms", found: "silence for \(gap) ms")
            lastHeardAt[0] = now
        }
    }

    mutating func checkBusRecovery(at now: Int64) {
        guard busIsWell, !healthChecked, now - busHealthySince >= 3_000 else { return }
        healthChecked = true
        guard firstFrameAt >= 0, firstFrameAt < busHealthySince, bootedAt < busHealthySince else { return }
        for kind in HeardFrames.kinds(of: dialect) where lastHeardAt[kind.rawValue] < busHealthySince {
            report(.p17, at: now, expected: "a complete set within 3 s", found: "\(kind) missing")
            return
        }
    }

    /// P18: frames come back within 20 s of a start when a pack has been talking all the time (failsafe.md §5.6).
    mutating func checkResumption(at now: Int64) {
        guard firstFrameAt < 0, busIsWell, now - max(bootedAt, busHealthySince) > 20_000 else { return }
        for p in packs where p.snapshots >= 18 && p.age(at: now) < 2_000 && now - p.firstAt > 18_000 {
            report(.p18, at: now, expected: "frames 20 s after the start", found: "none, with \(p.snapshots) snapshots")
            bootedAt = now
            return
        }
    }
}
