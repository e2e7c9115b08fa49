import Battery

/// The bank as one battery: the merged values of aggregation.md §6, recomputed in every tick.
struct BankView: Sendable, BitwiseCopyable {
    /// Packs whose current is the bank's.
    var conducting: Int32 = 0
    var joining: Int32 = 0
    var isolated: Int32 = 0
    var expected: Int32 = 0
    /// Expected, but not heard.
    var offline: Int32 = 0
    var blockingCharge: Int32 = 0
    var blockingDischarge: Int32 = 0

    var voltage: Millivolts = 0
    var isVoltageKnown = false
    var current: Milliamps = 0
    var isCurrentKnown = false
    /// ΣC over the conducting packs, or over those that stand in for them (amendment 12).
    var capacity: MilliampHours = 0
    var rated: MilliampHours = 0
    var remaining: MilliampHours = 0
    /// Σ remaining / Σ full; nil while no pack has ever told its SoC.
    var soc: CentiPercent?
    var isSoCHeld = false
    var lowestSoC: CentiPercent = 10_000
    var highestSoC: CentiPercent = 0

    /// Extremes over the connected packs; 0 while there is none.
    var highest: Millivolts = 0
    var highestPlace = CellPlace.unknown
    var lowest: Millivolts = 0
    var lowestPlace = CellPlace.unknown
    /// Largest difference within one pack, and the place of its high cell.
    var spread: Millivolts = 0
    var spreadPlace = CellPlace.unknown
    var hottest: Decidegrees?
    var hottestPlace = CellPlace.unknown
    var coldest: Decidegrees?
    var coldestPlace = CellPlace.unknown
    var soh: Int32?
    var cycles: Int32 = 0
    var balancing = false

    /// OVP_min and UVP_max of the packs that are, or may be, on the busbar; nil when none has told.
    var overVoltage: Millivolts?
    var underVoltage: Millivolts?
    var publishedVoltage: Millivolts?
    var publishedVoltagePack: UInt8 = 0

    /// Every conducting pack is FRESH and above suspicion: limits may rise.
    var isSteady = false
    /// The data that the phase machine and the SoC rules need are fresh.
    var isFresh = false
    /// An expected pack that may be on the busbar cannot be heard (amendment 19).
    var isDegraded = false
    var worstStage = StaleStage.lost

    @inline(never)
    init() {}
}

extension BankView {
    /// Merges the packs. The order of the packs changes only which of several equal places is named.
    @inline(never)
    init(_ packs: Span<PackView>, count: Int) {
        self.init()
        var anyConducts = false
        for i in 0..<count {
            if packs[i].membership == .member { anyConducts = true }
        }
        var sums = Sums()
        isSteady = true
        isFresh = true
        worstStage = .fresh
        for i in 0..<count {
            let number = UInt8(i + 1)
            countMembership(packs[i])
            includeSettings(packs[i], number: number)
            let standsIn =
                !anyConducts && (packs[i].membership == .joining || packs[i].membership == .isolated)
                && packs[i].stage == .fresh
            if packs[i].membership == .member || standsIn { sums.add(packs[i]) }
            if packs[i].isConnected || standsIn { includeExtremes(packs[i], number: number) }
            if packs[i].membership == .member {
                worstStage = worstStage.rawValue < packs[i].stage.rawValue ? packs[i].stage : worstStage
                if packs[i].stage != .fresh { isFresh = false }
                if packs[i].stage != .fresh || packs[i].isSuspect || packs[i].isOffMedian { isSteady = false }
                if !packs[i].measures.chargeSwitch { blockingCharge += 1 }
                if !packs[i].measures.dischargeSwitch { blockingDischarge += 1 }
            }
        }
        if conducting == 0 {
            isFresh = false
            worstStage = joining > 0 || isolated > 0 ? .fresh : .lost
        }
        take(sums)
        takeVoltage(packs, count: count, standIns: !anyConducts)
    }

    private mutating func countMembership(_ pack: PackView) {
        if pack.membership != .excluded { expected += 1 }
        switch pack.membership {
        case .member: conducting += 1
        case .joining: joining += 1
        case .isolated: isolated += 1
        case .absent:
            offline += 1
            isDegraded = true
        case .lost:
            offline += 1
            if !pack.wasIsolatedWhenLost { isDegraded = true }
        case .excluded: break
        }
    }

    private mutating func includeSettings(_ pack: PackView, number: UInt8) {
        if pack.membership == .excluded || pack.membership == .absent { return }
        if let ovp = pack.settings.overVoltage { overVoltage = min(overVoltage ?? .max, ovp) }
        if let uvp = pack.settings.underVoltage { underVoltage = max(underVoltage ?? .min, uvp) }
        if let cvl = pack.dynamic.voltage, pack.membership != .isolated, cvl < publishedVoltage ?? .max {
            (publishedVoltage, publishedVoltagePack) = (cvl, number)
        }
    }

    private mutating func includeExtremes(_ pack: PackView, number: UInt8) {
        let m = pack.measures
        if highest == 0 || m.highest > highest {
            (highest, highestPlace) = (m.highest, CellPlace(pack: number, cell: m.highestCell))
        }
        if lowest == 0 || m.lowest < lowest {
            (lowest, lowestPlace) = (m.lowest, CellPlace(pack: number, cell: m.lowestCell))
        }
        if m.spread > spread { (spread, spreadPlace) = (m.spread, CellPlace(pack: number, cell: m.highestCell)) }
        if let t = pack.temperatures.hottest, t > hottest ?? .min {
            (hottest, hottestPlace) = (t, CellPlace(pack: number, cell: pack.temperatures.hottestSensor))
        }
        if let t = pack.temperatures.coldest, t < coldest ?? .max {
            (coldest, coldestPlace) = (t, CellPlace(pack: number, cell: pack.temperatures.coldestSensor))
        }
        if m.balancing ?? false { balancing = true }
        cycles = max(cycles, m.cycles)
    }

    private struct Sums {
        var current: Int64 = 0
        var isCurrentKnown = true
        var capacity: Int64 = 0
        var rated: Int64 = 0
        var remaining: Int64 = 0
        /// Capacity of the packs that have told their SoC.
        var counted: Int64 = 0
        var isHeld = false
        var lowest: CentiPercent = 10_000
        var highest: CentiPercent = 0
        var soh: Int64 = 0
        var sohWeight: Int64 = 0

        mutating func add(_ pack: PackView) {
            current += Int64(pack.measures.current)
            if !pack.measures.isCurrentKnown { isCurrentKnown = false }
            let c = Int64(pack.capacity ?? 0)
            capacity += c
            rated += Int64(pack.measures.rated ?? pack.capacity ?? 0)
            if let soc = pack.soc {
                // A pack of unknown capacity still has a SoC; weight 1 mAh keeps a bank of such packs defined.
                let weight = max(c, 1)
                remaining += weight * Int64(soc)
                counted += weight
                lowest = min(lowest, soc)
                highest = max(highest, soc)
            }
            if pack.isSoCHeld { isHeld = true }
            if let soh = pack.measures.soh, soh >= 100, soh <= 10_000 {
                self.soh += max(c, 1) * Int64(soh)
                sohWeight += max(c, 1)
            }
        }
    }

    private mutating func take(_ sums: Sums) {
        current = Int32(clamping: sums.current)
        isCurrentKnown = sums.isCurrentKnown && conducting > 0
        capacity = Int32(clamping: sums.capacity)
        rated = Int32(clamping: sums.rated)
        if sums.counted > 0 {
            soc = Int32(sums.remaining / sums.counted)
            remaining = Int32(clamping: sums.remaining / 10_000)
            lowestSoC = sums.lowest
            highestSoC = sums.highest
        }
        isSoCHeld = sums.isHeld
        if sums.sohWeight > 0 { soh = Int32(sums.soh / sums.sohWeight / 100) }
    }

    private mutating func takeVoltage(_ packs: Span<PackView>, count: Int, standIns: Bool) {
        var sorted = SortedVoltages()
        for i in 0..<count {
            let pack = packs[i].membership
            if pack == .member && !packs[i].isOffMedian
                || standIns && (pack == .joining || pack == .isolated) && packs[i].stage == .fresh
            {
                sorted.insert(packs[i].measures.voltage)
            }
        }
        if let median = sorted.median {
            voltage = median
            isVoltageKnown = true
        }
    }
}

/// At most 16 voltages in order, for the median.
struct SortedVoltages {
    private var values = PerPack<Millivolts>(repeating: 0)
    private(set) var count = 0

    init() {}

    mutating func insert(_ v: Millivolts) {
        var i = count
        while i > 0 && values[i - 1] > v {
            values[i] = values[i - 1]
            i -= 1
        }
        values[i] = v
        count += 1
    }

    /// The middle one; of an even number the mean of the two in the middle.
    var median: Millivolts? {
        if count == 0 { return nil }
        if count % 2 == 1 { return values[count / 2] }
        return (values[count / 2 - 1] + values[count / 2]) / 2
    }
}
