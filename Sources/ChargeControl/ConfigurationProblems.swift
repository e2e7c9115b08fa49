import Battery

/// A setting that can be wrong. The raw values travel between processes: append, never renumber.
public enum ConfigurationKey: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case cells = 0, packs, bulk, float, rebulk, dischargeZero, userDischargeVoltage, userCharge, userDischarge,
        chargeRate
    case bmsMargin, rebulkSoC, fullEveryDays, absorbMaximum, inverterOffset, coldZero, coldReallow, followGap,
        runnerGain
    case socCeiling, socReserve, socCap, hold, zero, zeroCurrent
    case packChargeLimit, packDischargeLimit, packCapacity, packChargeOverCurrent, packDischargeOverCurrent, packPoll
    /// The taper must end above the bulk voltage: `v_zero_chg > v_bulk`.
    case taper
}

/// One refused value: what, where, and what is allowed. In the setting's own unit.
public struct ConfigurationProblem: Equatable, Sendable, BitwiseCopyable {
    public var key: ConfigurationKey
    /// Pack number from 1; 0 = the bank.
    public var pack: UInt8
    public var value: Int64
    public var low: Int64
    public var high: Int64

    init(_ key: ConfigurationKey, pack: UInt8 = 0, _ value: Int64, _ low: Int64, _ high: Int64) {
        self.key = key
        self.pack = pack
        self.value = value
        self.low = low
        self.high = high
    }
}

/// Everything that is wrong with a configuration; a configuration with one problem is refused as a whole (charge-control.md §2).
public typealias ConfigurationProblems = FixedArray<64, ConfigurationProblem>

extension ControlConfiguration {
    /// Sets the charge voltages per cell. What is nil takes the preset, lowered where the preset would break the order
    /// `v_bulk ≥ v_float > v_rebulk` (amendment 27).
    public mutating func setVoltages(bulk: Millivolts?, float: Millivolts?, rebulk: Millivolts?) {
        let preset = ControlConfiguration(chemistry: chemistry)
        self.bulk = bulk ?? preset.bulk
        // Whatever was typed comes in here, before `problems()` has seen it: no arithmetic may trap.
        self.float = float ?? min(preset.float, Int32(clamping: Int64(self.bulk) - 20))
        self.rebulk = rebulk ?? min(preset.rebulk, Int32(clamping: Int64(self.float) - 50))
    }

    /// All checks of charge-control.md §2, failsafe.md §3 and amendments 18, 24 and 27. Empty = may be used.
    public func problems() -> ConfigurationProblems {
        var found = ConfigurationProblems(filler: ConfigurationProblem(.cells, 0, 0, 0))
        let table = ChemistryTable(chemistry)
        // In 64 bits, so that bounds derived from absurd values do not overflow.
        func check(_ key: ConfigurationKey, _ value: Int32, _ low: Int64, _ high: Int64) {
            check(key, Int64(value), from: low, to: high)
        }
        func check(_ key: ConfigurationKey, _ value: Int64, from low: Int64, to high: Int64) {
            if value < low || value > high { found.append(ConfigurationProblem(key, value, low, high)) }
        }
        check(.cells, cellsInSeries, 1, Int64(maximumCells))
        check(.packs, Int32(packs.count), 1, Int64(maximumPacks))

        check(.bulk, bulk, Int64(max(table.bulkLow, table.fullMinimum + 30)), Int64(table.absoluteMaximum - 50))
        check(.float, float, Int64(table.floatLow), Int64(bulk))
        check(.rebulk, rebulk, Int64(table.rebulkLow), Int64(float) - 20)
        // Only values that are possible in themselves may go into the arithmetic of the taper.
        if found.isEmpty {
            let band = CellBand(self, table: table, overVoltage: nil, underVoltage: nil)
            check(.taper, band.chargeZero, Int64(bulk) + 1, Int64(table.absoluteMaximum))
        }
        check(.dischargeZero, dischargeZeroFloor, Int64(table.dischargeZeroLow), Int64(table.dischargeZeroHigh))
        if userDischargeVoltage != 0 {
            check(.userDischargeVoltage, userDischargeVoltage, Int64(table.dischargeZeroLow), Int64(rebulk))
        }

        // Above Σ(BMS × margin) they are clamped and shown as clamped, not refused (amendment 27).
        let most = Int64(maximumPacks) * Int64(AcceptanceRules.currentMaximum)
        check(.userCharge, userCharge, 0, most)
        check(.userDischarge, userDischarge, 0, most)
        check(.chargeRate, chargeRateMaximum, 50, 1000)
        check(.bmsMargin, bmsMarginPercent, 50, 100)
        check(.rebulkSoC, rebulkSoC, 4000, 9800)
        check(.fullEveryDays, fullEveryDays, 0, 90)
        check(.absorbMaximum, absorbMaximum, from: 5 * 60_000, to: 240 * 60_000)
        check(.inverterOffset, inverterOffset, 0, 500 * Int64(min(max(cellsInSeries, 1), Int32(maximumCells))) / 16)
        check(.coldZero, coldZero, Int64(table.coldZeroLow), 200)
        check(.coldReallow, coldReallow, Int64(min(coldZero, 200)) + 30, 300)
        check(.followGap, followGap, 100, 2000)
        check(.runnerGain, runnerGainTenths, 10, 40)
        if let socCeiling { check(.socCeiling, socCeiling, 4000, 10_000) }
        if let socReserve { check(.socReserve, socReserve, 0, 9000) }
        check(.socCap, socCapBeforeFull, 95, 99)
        check(.hold, hold, from: 5000, to: 30_000)
        check(.zero, zero, from: max(10_000, min(hold, 30_000) + 5000), to: 60_000)
        if inverter.zeroCurrent != 0 { check(.zeroCurrent, inverter.zeroCurrent, 100, 100) }
        for i in 0..<packs.count { checkPack(i, &found) }
        return found
    }

    private func checkPack(_ i: Int, _ found: inout ConfigurationProblems) {
        let pack = packs[i]
        func check(_ key: ConfigurationKey, _ value: Int32?, _ low: Int32, _ high: Int32) {
            guard let value, value < low || value > high else { return }
            found.append(ConfigurationProblem(key, pack: UInt8(i + 1), Int64(value), Int64(low), Int64(high)))
        }
        let most = AcceptanceRules.currentMaximum
        check(.packChargeLimit, pack.chargeLimit, 0, most)
        check(.packDischargeLimit, pack.dischargeLimit, 0, most)
        check(
            .packCapacity, pack.capacity, AcceptanceRules.capacityRange.lowerBound,
            AcceptanceRules.capacityRange.upperBound)
        check(.packChargeOverCurrent, pack.chargeOverCurrent, 1, most)
        check(.packDischargeOverCurrent, pack.dischargeOverCurrent, 1, most)
        check(.packPoll, Int32(clamping: pack.pollInterval), 0, 5000)
    }
}
