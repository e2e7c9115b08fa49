import Battery
import ChargeControl
import LinkClient

/// What a battery must not be, whoever says so: reasons not to write a configuration, and things its owner should know.
struct Contradictions: Equatable {
    /// Each ends the set-up until it is mended in the BMS or answered differently.
    var refusals: [String] = []
    var warnings: [String] = []

    /// Judges what the BMSs say about themselves, against each other and against the chemistry.
    init(chemistry: Chemistry, packs: [SurveyedPack]) {
        for (index, pack) in packs.enumerated() {
            let name = packs.count == 1 ? "the BMS" : "the BMS of pack \(index + 1)"
            judgeCells(pack, name)
            judgeVoltages(pack, name, chemistry)
            judgeCurrents(pack, name)
        }
        let counts = Set(packs.map(\.cellCount))
        if counts.count > 1 {
            let list = packs.enumerated().map { "pack \($0.offset + 1) has \($0.element.cellCount)" }
            refusals.append("packs in parallel need the same number of cells, but \(list.joined(separator: ", "))")
        }
        let voltages = packs.compactMap { $0.reading.packVoltage }
        if let low = voltages.min(), let high = voltages.max(), high - low > 1000 {
            warnings.append(
                "the packs are \(volts(high - low, decimals: 1)) apart: bring them to the same voltage before you connect them in parallel"
            )
        }
    }

    private mutating func judgeCells(_ pack: SurveyedPack, _ name: String) {
        let measured = pack.cellCount
        if measured < 3 { refusals.append("\(name) measures \(measured) cells; are its balance wires connected?") }
        if let set = pack.settings.cellCount, set > 0, Int(set) != measured {
            refusals.append(
                "\(name) is set to \(set) cells but measures \(measured): set the cell count in the JK app, then start again")
        }
        let broken = (0..<measured).filter { pack.reading.cells[$0] < 500 }.map { "\($0 + 1)" }
        if !broken.isEmpty {
            refusals.append("\(name) measures nothing at cell \(broken.joined(separator: ", ")): check the balance wires")
        }
    }

    private mutating func judgeVoltages(_ pack: SurveyedPack, _ name: String, _ chemistry: Chemistry) {
        let settings = pack.settings
        if let over = settings.cellOverVoltage {
            let range = chemistry.believableOverVoltage
            if !range.contains(over) {
                refusals.append(
                    "\(name) stops a cell at \(volts(over)), which does not fit \(chemistry.words) (\(volts(range.lowerBound, decimals: 2)) to \(volts(range.upperBound, decimals: 2))): is the chemistry right? If it is, set the cell over-voltage protection in the JK app"
                )
            } else if over < chemistry.leastBulk + LimitProposal.bulkMargin {
                refusals.append(
                    "\(name) stops a cell at \(volts(over)), too low to charge \(chemistry.words) fully: at least \(volts(chemistry.leastBulk + LimitProposal.bulkMargin, decimals: 2)) is needed. Set the cell over-voltage protection in the JK app"
                )
            }
        }
        if let under = settings.cellUnderVoltage {
            let highest = chemistry.highestEmpty - LimitProposal.emptyMargin
            if under > highest {
                refusals.append(
                    "\(name) stops a cell already at \(volts(under)) when it discharges; \(volts(highest, decimals: 2)) is the most that makes sense for \(chemistry.words). Set the cell under-voltage protection in the JK app"
                )
            }
            if let over = settings.cellOverVoltage, over <= under {
                refusals.append(
                    "\(name) has an over-voltage protection (\(volts(over))) below its under-voltage protection (\(volts(under)))")
            }
        }
    }

    private mutating func judgeCurrents(_ pack: SurveyedPack, _ name: String) {
        for (limit, what) in [(pack.chargeProtection, "charge"), (pack.dischargeProtection, "discharge")] {
            guard let limit else { continue }
            if limit < 1000 || limit > 1_000_000 {
                refusals.append("\(name) has a \(what) over-current protection of \(amperes(limit)): set it in the JK app")
            } else if let capacity = pack.fullCapacity, Int64(limit) > Int64(capacity) * 2 {
                warnings.append(
                    "\(name) lets \(whole(limit)) \(what) through, more than 2 C of \(ampHours(capacity)): do cells, fuse and wires take that?"
                )
            }
        }
        if pack.reading.chargeSwitch == false { warnings.append("\(name) has its charge switch off: nothing will be charged") }
        if pack.reading.dischargeSwitch == false {
            warnings.append("\(name) has its discharge switch off: the battery gives nothing")
        }
        if let alarms = pack.reading.alarms, !alarms.isEmpty {
            warnings.append("\(name) has an alarm: \(alarms.words.joined(separator: ", "))")
        }
        let sensors = pack.reading.cellTemperatures
        if !(0..<sensors.count).contains(where: { sensors[$0].temperature != nil }) {
            warnings.append("\(name) has no cell temperature: without one nothing is charged")
        }
    }
}

extension Chemistry {
    /// The lowest bulk voltage that the control logic takes, mV per cell.
    fileprivate var leastBulk: Millivolts { bound(.bulk) { $0.bulk = 0 }.low }

    /// The highest voltage at which it takes a cell for empty.
    fileprivate var highestEmpty: Millivolts { bound(.dischargeZero) { $0.dischargeZeroFloor = 0 }.high }

    /// What the control logic itself allows: it names the range of a value that is impossible.
    private func bound(
        _ key: ConfigurationKey, _ spoil: (inout ControlConfiguration) -> Void
    ) -> (low: Millivolts, high: Millivolts) {
        var impossible = ControlConfiguration(chemistry: self)
        spoil(&impossible)
        let problems = impossible.problems()
        for i in 0..<problems.count where problems[i].key == key {
            return (Int32(clamping: problems[i].low), Int32(clamping: problems[i].high))
        }
        preconditionFailure("0 V is no setting of \(self)")
    }

    /// The chemistry for which a cell over-voltage protection makes sense; the ranges do not overlap.
    init?(overVoltageProtection: Millivolts) {
        guard let match = Chemistry.allCases.first(where: { $0.believableOverVoltage.contains(overVoltageProtection) }) else {
            return nil
        }
        self = match
    }
}
