import Battery
import Testing

@testable import ChargeControl

/// The invariants of failsafe.md §10 as far as they concern the control logic alone, over seeded random snapshots.
@Suite struct PropertyTests {
    /// A random but believable configuration for `chemistry`.
    static func configuration(_ random: inout SplitMix, packs: Int) -> ControlConfiguration {
        let chemistry: Chemistry = [.lfp, .lfp, .nmc, .lto][random.below(4)]
        var c = ControlConfiguration(chemistry: chemistry)
        c.cellsInSeries = Int32(random.chance(70) ? 16 : random.within(4...24))
        c.userCharge = Int32(random.within(0...400)) * 1000
        c.userDischarge = Int32(random.within(0...400)) * 1000
        c.bmsMarginPercent = Int32(random.within(50...100))
        c.inverterOffset = Int32(random.within(0...400)) * c.cellsInSeries / 16
        c.taper = TaperPreset.allCases[random.below(3)]
        if chemistry == .lfp { c.setVoltages(bulk: Int32(random.within(3400...3560)), float: nil, rebulk: nil) }
        for _ in 0..<packs {
            var p = PackConfiguration()
            if random.chance(20) { p.chargeLimit = Int32(random.within(0...200_000)) }
            c.packs.append(p)
        }
        return c
    }

    /// A random plausible snapshot; sometimes at an edge.
    static func reading(_ random: inout SplitMix, _ c: ControlConfiguration) -> PackReading {
        let table = ChemistryTable(c.chemistry)
        var r = PackReading()
        let middle = random.within(Int(table.severeLow) - 50...Int(table.absoluteMaximum) + 40)
        for _ in 0..<Int(c.cellsInSeries) {
            r.cells.append(
                UInt16(min(max(middle + random.within(-60...60), Int(table.plausibleLow)), Int(table.plausibleHigh))))
        }
        r.addUp()
        r.current = Int32(random.within(-150_000...150_000))
        for _ in 0..<random.within(1...4) { r.cellTemperatures.append(.value(Int32(random.within(-250...650)))) }
        if random.chance(70) { r.mosfetTemperature = .value(Int32(random.within(0...950))) }
        r.soc = Int32(random.within(0...10_000))
        r.rated = Int32(random.within(20...600)) * 1000
        r.full = r.rated! / 100 * Int32(random.within(60...120))
        r.chargeSwitch = !random.chance(10)
        r.dischargeSwitch = !random.chance(10)
        r.balancing = random.chance(50)
        r.alarms = random.chance(85) ? [] : Alarms(rawValue: 1 << UInt32(random.below(27)))
        if random.chance(20) { r.dynamicChargeLimit = Int32(random.within(0...200_000)) }
        if random.chance(20) { r.dynamicDischargeLimit = Int32(random.within(0...200_000)) }
        var s = PackSettings()
        s.cellOverVoltage = Int32(random.within(Int(table.overVoltageLow)...Int(table.overVoltageHigh)))
        s.cellUnderVoltage = Int32(random.within(Int(table.severeLow)...Int(table.severeLow) + 900))
        s.chargeOverCurrent = Int32(random.within(1...300)) * 1000
        s.dischargeOverCurrent = Int32(random.within(1...300)) * 1000
        if random.chance(95) { r.settings = s }
        return r
    }

    static func judge(_ blank: Controller, _ readings: [PackReading], ages: [Milliseconds]? = nil) -> Controller {
        var controller = blank
        for i in readings.indices { controller.adopt(readings[i], age: ages?[i] ?? 0, pack: i) }
        controller.evaluate()
        return controller
    }

    /// A debug build is forty times slower; `swift test -c release` runs them all.
    #if DEBUG
        static let cases = 10_000
    #else
        static let cases = 100_000
    #endif

    // MARK: One snapshot

    @Test func `P1, P2, P5, P6, P22 hold for random banks`() {
        var random = SplitMix(seed: 1)
        for _ in 0..<Self.cases / 50 {
            let count = random.chance(60) ? 1 : random.within(2...4)
            let c = Self.configuration(&random, packs: count)
            let blank = Controller.stateless(configuration: c)
            for _ in 0..<50 {
                let readings = (0..<count).map { _ in Self.reading(&random, c) }
                let controller = Self.judge(blank, readings)
                if let broken = Self.violation(controller, c, readings) {
                    Issue.record("\(broken) with \(c.chemistry) \(readings)")
                    return
                }
            }
        }
    }

    /// The first invariant that does not hold. It works from the inputs alone, not from the limiters.
    static func violation(_ controller: Controller, _ c: ControlConfiguration, _ readings: [PackReading]) -> String? {
        let r = controller.output.report
        let table = ChemistryTable(c.chemistry)
        let believed = readings.allSatisfy { $0.cells.reduceSum == Int($0.packVoltage ?? 0) }
        if r.chargeCurrentLimit < 0 || r.dischargeCurrentLimit < 0 { return "negative limit" }
        if r.chargeCurrentLimit > c.userCharge || r.dischargeCurrentLimit > c.userDischarge {
            return "P1: above the user's cap"
        }
        var margin: (charge: Int64, discharge: Int64) = (0, 0)
        var ovp = table.absoluteMaximum
        var capacity: (charge: Int64, discharge: Int64) = (0, 0)
        for reading in readings {
            if let s = reading.settings, s.cellOverVoltage! > s.cellUnderVoltage! + 300 {
                ovp = min(ovp, s.cellOverVoltage! - 50)
            }
            let cap = Int64(AcceptanceRules.capacity(of: reading, typed: nil) ?? 0)
            if reading.chargeSwitch! {
                margin.charge += Int64(reading.settings?.chargeOverCurrent ?? 0) * Int64(c.bmsMarginPercent) / 100
                capacity.charge += cap
            }
            if reading.dischargeSwitch! {
                margin.discharge += Int64(reading.settings?.dischargeOverCurrent ?? 0) * Int64(c.bmsMarginPercent) / 100
                capacity.discharge += cap
            }
        }
        if r.chargeCurrentLimit > margin.charge || r.dischargeCurrentLimit > margin.discharge {
            return "P1: above Σ margin × OCP"
        }
        if r.chargeVoltageLimit > c.cellsInSeries * ovp { return "P2: CVL above the cap" }
        if r.chargeVoltageLimit < min(c.cellsInSeries * c.rebulk, c.cellsInSeries * ovp) / 100 * 100 {
            return "P2: CVL below rebulk"
        }
        for (i, reading) in readings.enumerated() {
            let highest = (0..<reading.cells.count).map { Int32(reading.cells[$0]) }.max()!
            let lowest = (0..<reading.cells.count).map { Int32(reading.cells[$0]) }.min()!
            let coldest = (0..<reading.cellTemperatures.count).compactMap { reading.cellTemperatures[$0].temperature }
                .min()
            if reading.chargeSwitch! && believed {
                if highest >= controller.band.chargeZero && r.chargeCurrentLimit > 0 {
                    return "P5: a cell ≥ z, CCL > 0"
                }
                if c.chemistry != .lto && coldest! <= 0 && r.chargeCurrentLimit > 0 { return "P6: frost, CCL > 0" }
                let cap = Int64(AcceptanceRules.capacity(of: reading, typed: nil) ?? 0)
                let limit = Int64(controller.views[i].chargeLimit.bound)
                if capacity.charge > 0 && Int64(r.chargeCurrentLimit) * cap > limit * capacity.charge {
                    return "P1: share above lim_p"
                }
                if let published = reading.dynamicChargeLimit,
                    Int64(r.chargeCurrentLimit) * cap > Int64(published) * capacity.charge
                {
                    return "P1: above the BMS's own limit"
                }
            }
            if reading.dischargeSwitch! && believed {
                if lowest <= controller.band.dischargeZero && r.dischargeCurrentLimit > 0 {
                    return "P5: a cell ≤ zd, DCL > 0"
                }
            }
        }
        let o = controller.output
        if r.chargeCurrentLimit < c.userCharge && o.chargeReason.rule == .none { return "P22: no reason for CCL" }
        if r.dischargeCurrentLimit < c.userDischarge && o.dischargeReason.rule == .none {
            return "P22: no reason for DCL"
        }
        if r.chargeVoltageLimit < c.cellsInSeries * c.bulk && o.voltageReason.rule == .none {
            return "P22: no reason for CVL"
        }
        if o.chargeReason.bound != r.chargeCurrentLimit && r.chargeCurrentLimit != 0 {
            return "the reason is not the binding one"
        }
        if o.chargeLimiters.count > 0 {
            for i in 0..<o.chargeLimiters.count where o.chargeLimiters[i].bound < r.chargeCurrentLimit {
                return "a listed limiter \(o.chargeLimiters[i]) is below CCL \(r.chargeCurrentLimit)"
            }
        }
        if !r.chargeEnabled && r.chargeCurrentLimit > 0 || !r.dischargeEnabled && r.dischargeCurrentLimit > 0 {
            return "a current without its enable"
        }
        return nil
    }

    @Test func `P9 and T19 an absent input never raises a limit and never sets an enable`() {
        var random = SplitMix(seed: 9)
        var c = Self.configuration(&random, packs: 1)
        var blank = Controller.stateless(configuration: c)
        for number in 0..<Self.cases {
            if number % 50 == 0 {
                c = Self.configuration(&random, packs: 1)
                blank = Controller.stateless(configuration: c)
            }
            let whole = Self.reading(&random, c)
            let before = Self.judge(blank, [whole]).output.report
            var less = whole
            let removed = random.below(12)
            switch removed {
            case 0: less.cells.removeAll()
            case 1: less.cells[random.below(less.cells.count)] = [0, 65_535][random.below(2)]
            case 2: less.packVoltage = nil
            case 3: less.current = nil
            case 4: less.cellTemperatures[random.below(less.cellTemperatures.count)] = .invalid
            case 5: less.cellTemperatures.removeAll()
            case 6: if less.mosfetTemperature != .absent { less.mosfetTemperature = .invalid } else { continue }
            case 7: less.chargeSwitch = nil
            case 8: less.dischargeSwitch = nil
            case 9: less.alarms = nil
            case 10: less.settings?.chargeOverCurrent = nil
            default: less.settings?.dischargeOverCurrent = nil
            }
            // A lone snapshot has no "last effect": a discharge limit that heat or frost had cut is then bounded by 0.2C instead.
            let hasNoLastEffect = removed == 4 || removed == 5 || removed == 6
            let after = Self.judge(blank, [less]).output.report
            let holds =
                (after.chargeCurrentLimit <= before.chargeCurrentLimit || removed == 6)
                && (after.dischargeCurrentLimit <= before.dischargeCurrentLimit || hasNoLastEffect)
                && after.chargeVoltageLimit <= before.chargeVoltageLimit
                && (!after.chargeEnabled || before.chargeEnabled || removed == 6)
                && (!after.dischargeEnabled || before.dischargeEnabled || hasNoLastEffect)
            if !holds {
                Issue.record("input \(removed) removed: \(before) became \(after) for \(whole)")
                return
            }
        }
    }

    @Test func `P10 limits do not increase with v_hi, with heat, with cold or with age`() {
        var random = SplitMix(seed: 10)
        for _ in 0..<250 {
            let c = Self.configuration(&random, packs: 1)
            let blank = Controller.stateless(configuration: c)
            var reading = Self.reading(&random, c)
            reading.alarms = []
            func limit(_ r: PackReading, age: Milliseconds = 0) -> (Int32, Int32) {
                let report = Self.judge(blank, [r], ages: [age]).output.report
                return (report.chargeCurrentLimit, report.dischargeCurrentLimit)
            }
            var last: (Int32, Int32) = (.max, .max)
            let table = ChemistryTable(c.chemistry)
            for i in 0..<reading.cells.count { reading.cells[i] = UInt16(c.float) }
            for v in stride(from: Int(c.float), through: Int(table.absoluteMaximum) + 20, by: 13) {
                reading.cells[0] = UInt16(v)
                reading.addUp()
                let now = limit(reading)
                #expect(now.0 <= last.0)
                last = now
            }
            reading.cells[0] = UInt16(c.float)
            reading.addUp()
            for direction in [1, -1] {
                last = (.max, .max)
                for step in stride(from: 0, through: 480, by: 13) {
                    reading.cellTemperatures.removeAll()
                    reading.cellTemperatures.append(.value(Int32((direction > 0 ? 450 : 200) + direction * step)))
                    let now = limit(reading)
                    #expect(now.0 <= last.0)
                    #expect(now.1 <= last.1)
                    last = now
                }
            }
            reading.cellTemperatures[0] = .value(250)
            last = (.max, .max)
            for age in stride(from: Milliseconds(0), through: 40_000, by: 900) {
                let now = limit(reading, age: age)
                #expect(now.0 <= last.0 && now.1 <= last.1)
                last = now
            }
            #expect(last == (0, 0))
        }
    }

    // MARK: Sequences

    /// A bank that lives through random trouble: every tick is checked. 40 runs of 500 ticks.
    @Test(arguments: 1...8) func `P3, P4, P7, P8, P11, P12, P20, P24 hold in random lives`(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        for life in 0..<5 {
            let count = random.chance(50) ? 1 : random.within(2...4)
            var c = Self.configuration(&random, packs: count)
            c.forceChargeRequests = true
            var readings = (0..<count).map { _ in Self.reading(&random, c) }
            for i in readings.indices {
                readings[i].alarms = []
                for k in 0..<readings[i].cells.count {
                    readings[i].cells[k] = UInt16(Int(c.float) - 20 + random.below(10))
                }
                readings[i].addUp()
                for k in 0..<readings[i].cellTemperatures.count { readings[i].cellTemperatures[k] = .value(250) }
            }
            var checker = LifeChecker(c, count: count)
            var controller = Controller(configuration: c, record: nil, at: Instant(milliseconds: 0))
            var silent = [Int](repeating: 0, count: count)
            for second in 1...500 {
                let now = Instant(milliseconds: Int64(second) * 1000)
                for i in 0..<count {
                    Self.disturb(&readings[i], &random)
                    if silent[i] > 0 { silent[i] -= 1 } else if random.below(300) == 0 { silent[i] = random.below(90) }
                    if silent[i] > 0 { continue }
                    readings[i].uptime = now.milliseconds
                    readings[i].uptimeResolution = 1000
                    if controller.accept(readings[i], pack: i, at: now) == .none {
                        checker.accepted(i, readings[i], at: now)
                    }
                }
                controller.tick(at: now)
                if let broken = checker.check(controller, at: now) {
                    Issue.record("\(broken) in life \(life) second \(second) of seed \(seed)")
                    return
                }
            }
        }
    }

    private static func disturb(_ r: inout PackReading, _ random: inout SplitMix) {
        let k = random.below(r.cells.count)
        r.cells[k] = UInt16(min(max(Int(r.cells[k]) + random.within(-12...12), 1000), 4400))
        if random.below(200) == 0 { r.cells[k] = UInt16(min(Int(r.cells[k]) + 250, 4400)) }
        r.addUp()
        r.current = min(max(r.current! + Int32(random.within(-9000...9000)), -140_000), 140_000)
        let t = random.below(r.cellTemperatures.count)
        if let value = r.cellTemperatures[t].temperature {
            r.cellTemperatures[t] = .value(min(max(value + Int32(random.within(-6...6)), -200), 640))
        }
        switch random.below(400) {
        case 0: r.chargeSwitch!.toggle()
        case 1: r.dischargeSwitch!.toggle()
        case 2: r.alarms = Alarms(rawValue: 1 << UInt32(random.below(20)))
        case 3...9: r.alarms = []
        case 10: r.cellTemperatures[t] = .invalid
        case 11, 12: r.cellTemperatures[t] = .value(250)
        case 13: r.soc = Int32(random.within(0...10_000))
        default: r.soc = min(max(r.soc! + Int32(random.within(-3...3)), 0), 10_000)
        }
    }
}

/// Watches one life of a controller from the outside: what it was given and what it told.
struct LifeChecker {
    let c: ControlConfiguration
    var lastAccepted: [Instant?]
    var lastReading: [PackReading?]
    var previous: BankReport?
    var lastDecrease: (charge: Instant, discharge: Instant) = (
        Instant(milliseconds: -100_000), Instant(milliseconds: -100_000)
    )
    var hadMember = false
    var alarmsBefore: [Alarms]

    init(_ c: ControlConfiguration, count: Int) {
        self.c = c
        lastAccepted = Array(repeating: nil, count: count)
        lastReading = Array(repeating: nil, count: count)
        alarmsBefore = Array(repeating: [], count: count)
    }

    mutating func accepted(_ pack: Int, _ reading: PackReading, at now: Instant) {
        lastAccepted[pack] = now
        lastReading[pack] = reading
    }

    mutating func check(_ controller: Controller, at now: Instant) -> String? {
        let o = controller.output
        let r = o.report
        defer {
            previous = r
            hadMember = controller.bank.conducting > 0
            for i in alarmsBefore.indices { alarmsBefore[i] = o.packs[i].alarms }
        }
        let newest = lastAccepted.compactMap { $0 }.max()
        if newest == nil && o.mayTransmit { return "P4: may transmit without data" }
        if let newest, now.since(newest) > c.zero,
            r.chargeEnabled || r.dischargeEnabled || r.chargeCurrentLimit > 0 || r.dischargeCurrentLimit > 0
        {
            return "P3: limits after T_zero"
        }
        if !r.requests.isEmpty && (r.chargeCurrentLimit == 0 && !r.chargeEnabled) {
            return "P20: request while blocked"
        }
        if r.soc == 100 && !controller.soc.isFull { return "P11: 100 without FULL" }
        for (i, reading) in lastReading.enumerated() {
            // P5 and P7: what the newest snapshot says is in force in this very tick.
            guard let reading, lastAccepted[i] == now, o.packs[i].state != .isolated, reading.chargeSwitch! else {
                continue
            }
            if o.packs[i].state == .chargeOff || o.packs[i].state == .absent || o.packs[i].state == .lost { continue }
            let highest = (0..<reading.cells.count).map { Int32(reading.cells[$0]) }.max()!
            let coldest = (0..<reading.cellTemperatures.count).compactMap { reading.cellTemperatures[$0].temperature }
                .min()
            let mustStop =
                highest >= controller.band.chargeZero || c.chemistry != .lto && (coldest ?? 0) <= 0
                || (0..<reading.cellTemperatures.count).contains { reading.cellTemperatures[$0] == .invalid }
            if mustStop && r.chargeCurrentLimit > 0 {
                return "P5/P6/P7: CCL \(r.chargeCurrentLimit) in spite of pack \(i + 1)"
            }
        }
        guard let before = previous else { return nil }
        if let broken = checkRise(r, before, controller, at: now) { return broken }
        if abs(r.soc - before.soc) > 1 && r.soc != 0 && before.soc != 0 && r.soc != 100 && before.soc > 1
            && o.mayTransmit && r.soc > 1
        {
            return "S6: SoC \(before.soc) → \(r.soc)"
        }
        for i in alarmsBefore.indices where lastAccepted[i] != now {
            if !o.packs[i].alarms.isSuperset(of: alarmsBefore[i]) { return "P24: an alarm cleared without data" }
        }
        return nil
    }

    private mutating func checkRise(_ r: BankReport, _ before: BankReport, _ controller: Controller, at now: Instant)
        -> String?
    {
        if r.chargeCurrentLimit < before.chargeCurrentLimit { lastDecrease.charge = now }
        if r.dischargeCurrentLimit < before.dischargeCurrentLimit { lastDecrease.discharge = now }
        let cameToLife = !hadMember && controller.bank.conducting > 0
        if cameToLife { lastDecrease = (Instant(milliseconds: -100_000), Instant(milliseconds: -100_000)) }
        if r.chargeCurrentLimit > before.chargeCurrentLimit {
            if now.since(lastDecrease.charge) <= 30_000 { return "P8: CCL rises within 30 s" }
            if Int64(r.chargeCurrentLimit - before.chargeCurrentLimit) > max(5000, Int64(c.userCharge) / 50) {
                return "P8: CCL too fast"
            }
        }
        if r.dischargeCurrentLimit > before.dischargeCurrentLimit && !cameToLife {
            if now.since(lastDecrease.discharge) <= 30_000 { return "P8: DCL rises within 30 s" }
            if Int64(r.dischargeCurrentLimit - before.dischargeCurrentLimit) > max(5000, Int64(c.userDischarge) / 50) {
                return "P8: DCL too fast"
            }
        }
        return nil
    }
}

extension CellVoltages {
    var reduceSum: Int { (0..<count).reduce(0) { $0 + Int(self[$1]) } }
}

/// Whatever a BMS sends, nothing may trap: a trap is a reset, and a reset is a black-out.
@Suite struct HostileInputTests {
    @Test func `no value of any field traps, and none of them gets through unseen`() {
        var random = SplitMix(seed: 666)
        let extremes: [Int32] = [.min, .min + 1, -1, 0, 1, 10_000, 65_535, .max - 1, .max]
        func absurd() -> Int32? { random.chance(20) ? nil : extremes[random.below(extremes.count)] }
        let configuration = ControlConfiguration.reference(packs: 2)
        var controller = Controller(configuration: configuration, record: nil, at: Instant(milliseconds: 0))
        for second in 1...3000 {
            let now = Instant(milliseconds: Int64(second) * 1000)
            for pack in 0..<2 {
                var r = PackReading.reference()
                for _ in 0..<(second < 30 ? 0 : 1 + random.below(4)) {
                    switch random.below(22) {
                    case 0: r.packVoltage = absurd()
                    case 1: r.current = absurd()
                    case 2: r.soc = absurd()
                    case 3: r.soh = absurd()
                    case 4: r.remaining = absurd()
                    case 5: r.full = absurd()
                    case 6: r.rated = absurd()
                    case 7: r.cycles = absurd()
                    case 8: r.uptime = Int64(absurd() ?? 0) * 1_000_000
                    case 9: r.dynamicChargeLimit = absurd()
                    case 10: r.dynamicDischargeLimit = absurd()
                    case 11: r.dynamicChargeVoltage = absurd()
                    case 12: r.settings?.cellOverVoltage = absurd()
                    case 13: r.settings?.cellUnderVoltage = absurd()
                    case 14: r.settings?.chargeOverCurrent = absurd()
                    case 15: r.settings?.dischargeOverCurrent = absurd()
                    case 16: r.cellTemperatures[0] = .value(absurd() ?? 0)
                    case 17: r.mosfetTemperature = .value(absurd() ?? 0)
                    case 18: r.alarms = Alarms(rawValue: UInt32(truncatingIfNeeded: random.next()))
                    case 19: r.cells[random.below(16)] = UInt16(truncatingIfNeeded: random.next())
                    case 20: r.settings?.cellOverVoltageRelease = absurd()
                    default: r.settings?.dischargeOverTemperature = absurd()
                    }
                }
                controller.accept(r, pack: pack, at: now)
            }
            if random.chance(5) {
                let reading = ShuntReading(soc: absurd(), current: absurd(), packs: UInt16(random.below(4)))
                controller.acceptShunt(reading, at: now)
            }
            controller.tick(at: now)
            let report = controller.output.report
            #expect((0...140_000).contains(report.chargeCurrentLimit))
            #expect((0...140_000).contains(report.dischargeCurrentLimit))
            #expect((52_800...57_600).contains(report.chargeVoltageLimit) || !controller.output.mayTransmit)
            #expect((0...100).contains(report.soc))
        }
    }
}
