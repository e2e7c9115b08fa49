import Battery
import ChargeControl
import LinkClient

/// What is known about one pack before there is a configuration: what its BMS says, and what the owner says where it is silent.
struct SurveyedPack {
    var reading = PackReading()
    /// For a BMS that does not tell it.
    var chargeOverCurrent: Milliamps?
    var dischargeOverCurrent: Milliamps?
    var capacity: MilliampHours?

    var settings: PackSettings { reading.settings ?? PackSettings() }
    var cellCount: Int { reading.cells.count }
    var cellOverVoltage: Millivolts? { reading.settings?.cellOverVoltage }
    var cellUnderVoltage: Millivolts? { reading.settings?.cellUnderVoltage }
    var chargeProtection: Milliamps? { settings.chargeOverCurrent ?? chargeOverCurrent }
    var dischargeProtection: Milliamps? { settings.dischargeOverCurrent ?? dischargeOverCurrent }
    /// What the BMS has learned or was told, else what the owner says.
    var fullCapacity: MilliampHours? { reading.full ?? reading.rated ?? capacity }
}

/// A proposed limit, why it is so, and what else was considered.
struct ProposedLimit<Value: Equatable>: Equatable {
    var value: Value
    var reason: String
}

/// The limits that `packbridge setup` proposes. Currents come out of the control logic itself: what it would allow this bank with warm,
/// half-full cells is the most that a configuration can mean, so that is proposed, and more is refused.
struct LimitProposal {
    var bulk: ProposedLimit<Millivolts>
    var float: ProposedLimit<Millivolts>
    var emptyCell: ProposedLimit<Millivolts>
    var charge: ProposedLimit<Milliamps>
    var discharge: ProposedLimit<Milliamps>

    let chemistry: Chemistry
    let packs: [SurveyedPack]

    /// - Precondition: `contradictions` found nothing.
    init(chemistry: Chemistry, packs: [SurveyedPack]) {
        (self.chemistry, self.packs) = (chemistry, packs)
        var control = ControlConfiguration(chemistry: chemistry)
        control.cellsInSeries = Int32(packs.first?.cellCount ?? 16)
        bulk = Self.bulk(control, packs)
        control.setVoltages(bulk: bulk.value, float: nil, rebulk: nil)
        float = Self.float(control)
        emptyCell = Self.emptyCell(control, packs)
        control.dischargeZeroFloor = emptyCell.value
        let most = Self.most(control, packs)
        charge = Self.current(most.charge, packs, \.chargeProtection, rate: control.chargeRateMaximum)
        discharge = Self.current(most.discharge, packs, \.dischargeProtection, rate: nil)
    }

    // MARK: Voltages (charge-control.md §2, §6, §7.2)

    private static func bulk(_ control: ControlConfiguration, _ packs: [SurveyedPack]) -> ProposedLimit<Millivolts> {
        let preset = "the usual end of charge of \(control.chemistry.words) cells"
        guard let protection = packs.compactMap(\.cellOverVoltage).min() else {
            return ProposedLimit(value: control.bulk, reason: preset)
        }
        // The core never drives the cells nearer than this to the BMS's own limit (`CellBand.ceiling`).
        let ceiling = (protection - bulkMargin) / 10 * 10
        return ceiling < control.bulk
            ? ProposedLimit(
                value: ceiling, reason: "0.05 V below the \(volts(protection)) at which the BMS stops a cell")
            : ProposedLimit(
                value: control.bulk,
                reason:
                    "\(preset); \(volts(protection - control.bulk, decimals: 2)) below the \(volts(protection)) at which the BMS stops a cell"
            )
    }

    private static func float(_ control: ControlConfiguration) -> ProposedLimit<Millivolts> {
        ProposedLimit(value: control.float, reason: "holds a full battery without stress until the sun has gone")
    }

    private static func emptyCell(_ control: ControlConfiguration, _ packs: [SurveyedPack]) -> ProposedLimit<Millivolts> {
        guard let protection = packs.compactMap(\.cellUnderVoltage).max() else {
            return ProposedLimit(value: control.dischargeZeroFloor, reason: "the preset for \(control.chemistry.words) cells")
        }
        // The core keeps this distance whatever the file says (`CellBand.dischargeZero`).
        let least = (protection + emptyMargin + 9) / 10 * 10
        return least > control.dischargeZeroFloor
            ? ProposedLimit(value: least, reason: "0.10 V above the \(volts(protection)) at which the BMS stops a cell")
            : ProposedLimit(
                value: control.dischargeZeroFloor,
                reason:
                    "\(volts(control.dischargeZeroFloor - protection, decimals: 2)) above the \(volts(protection)) at which the BMS stops a cell"
            )
    }

    static let bulkMargin: Millivolts = 50
    static let emptyMargin: Millivolts = 100

    // MARK: Currents (charge-control.md §7, aggregation.md §5)

    /// What the control logic allows this bank at best.
    private static func most(
        _ control: ControlConfiguration, _ packs: [SurveyedPack]
    ) -> (charge: Reason, discharge: Reason) {
        var control = control
        control.userCharge = .max / 2
        control.userDischarge = .max / 2
        for pack in packs {
            var configuration = PackConfiguration()
            configuration.capacity = pack.capacity
            configuration.chargeOverCurrent = pack.chargeOverCurrent
            configuration.dischargeOverCurrent = pack.dischargeOverCurrent
            control.packs.append(configuration)
        }
        var controller = Controller.stateless(configuration: control)
        for (index, pack) in packs.enumerated() {
            controller.adopt(pack.atEase(control.chemistry), age: 0, pack: index)
        }
        controller.evaluate()
        let output = controller.output
        var (charge, discharge) = (output.chargeReason, output.dischargeReason)
        charge.bound = output.report.chargeCurrentLimit
        discharge.bound = output.report.dischargeCurrentLimit
        return (charge, discharge)
    }

    private static func current(
        _ most: Reason, _ packs: [SurveyedPack], _ protection: KeyPath<SurveyedPack, Milliamps?>, rate: Int32?
    ) -> ProposedLimit<Milliamps> {
        let value = most.bound / 1000 * 1000
        func figures(_ pack: SurveyedPack) -> String {
            var parts: [(bound: Milliamps, words: String)] = []
            if let limit = pack[keyPath: protection] {
                parts.append((Int32(Int64(limit) * 9 / 10), "0.9 × the \(whole(limit)) at which the BMS stops"))
            }
            if let rate, let capacity = pack.fullCapacity {
                parts.append((Int32(Int64(capacity) * Int64(rate) / 1000), "\(rates(rate)) C of \(ampHours(capacity))"))
            }
            parts.sort { $0.bound < $1.bound }
            guard let least = parts.first else { return "nothing is known that would limit it" }
            let others = parts.dropFirst().map { "; \($0.words) would be \(whole($0.bound))" }.joined()
            return "\(least.words) is \(whole(least.bound))\(others)"
        }
        let weakest = packs.min { ($0[keyPath: protection] ?? .max) < ($1[keyPath: protection] ?? .max) } ?? SurveyedPack()
        if packs.count <= 1 { return ProposedLimit(value: value, reason: figures(weakest)) }
        let isEven = Set(packs.map { $0[keyPath: protection] }).count == 1 && Set(packs.map(\.fullCapacity)).count == 1
        return ProposedLimit(
            value: value,
            reason: isEven
                ? "\(packs.count) equal packs, each: \(figures(weakest))"
                : "the current divides by capacity, and no pack may get more than its own limit; the weakest: \(figures(weakest))")
    }

    // MARK: What an owner may answer

    /// Why a current is refused; nil when it may stand. The control logic would clamp it (amendment 27): an owner who asked for more
    /// than he will get should know it now.
    func refusal(ofCharge value: Milliamps) -> String? { refusal(of: value, most: charge) }
    func refusal(ofDischarge value: Milliamps) -> String? { refusal(of: value, most: discharge) }

    private func refusal(of value: Milliamps, most: ProposedLimit<Milliamps>) -> String? {
        if value <= most.value { return nil }
        return "\(whole(value)) is more than this battery may get, \(whole(most.value)): \(most.reason)"
    }

    func refusal(ofBulk value: Millivolts) -> String? {
        guard let protection = packs.compactMap(\.cellOverVoltage).min(), value > protection - Self.bulkMargin else {
            return nil
        }
        return "\(volts(value)) is too close to the \(volts(protection)) at which the BMS stops a cell; at most "
            + volts(protection - Self.bulkMargin)
    }

    func refusal(ofEmptyCell value: Millivolts) -> String? {
        guard let protection = packs.compactMap(\.cellUnderVoltage).max(), value < protection + Self.emptyMargin else {
            return nil
        }
        return "\(volts(value)) is too close to the \(volts(protection)) at which the BMS stops a cell; at least "
            + volts(protection + Self.emptyMargin)
    }
}

extension SurveyedPack {
    /// The pack with half-full, warm cells and everything switched on, so that only what never changes limits it.
    fileprivate func atEase(_ chemistry: Chemistry) -> PackReading {
        var easy = reading
        let cell: UInt16 = chemistry.halfFull
        easy.cells = CellVoltages(filler: 0)
        for _ in 0..<cellCount { easy.cells.append(cell) }
        easy.packVoltage = Int32(cell) * Int32(cellCount)
        easy.current = 0
        easy.cellTemperatures = CellTemperatures(filler: .absent)
        easy.cellTemperatures.append(.value(250))
        easy.mosfetTemperature = .absent
        (easy.soc, easy.soh) = (5000, 10_000)
        (easy.chargeSwitch, easy.dischargeSwitch, easy.alarms) = (true, true, [])
        (easy.dynamicChargeLimit, easy.dynamicDischargeLimit, easy.dynamicChargeVoltage) = (nil, nil, nil)
        easy.starting = false
        return easy
    }
}

extension Chemistry {
    /// What an owner calls it.
    var words: String {
        switch self {
        case .lfp: "LiFePO4"
        case .nmc: "NMC"
        case .lto: "LTO"
        }
    }

    /// As the configuration file writes it.
    var name: String { "\(self)" }

    /// A cell voltage in the middle, in mV.
    fileprivate var halfFull: UInt16 {
        switch self {
        case .lfp: 3300
        case .nmc: 3700
        case .lto: 2300
        }
    }
}

/// `135 A`, cut to whole amperes: proposals are never above what they stand for.
func whole(_ current: Milliamps) -> String {
    current % 1000 == 0 ? "\(current / 1000) A" : amperes(current)
}

func ampHours(_ capacity: MilliampHours) -> String {
    capacity % 1000 == 0 ? "\(capacity / 1000) Ah" : "\(capacity / 1000).\(capacity % 1000 / 100) Ah"
}

/// `0.5` for 500 thousandths.
private func rates(_ rate: Int32) -> String { rate % 1000 == 0 ? "\(rate / 1000)" : "0.\(rate / 100)" }
