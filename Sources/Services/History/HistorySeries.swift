/// What is kept of a snapshot, series by series.
public enum HistorySeries {
    public enum Unit: String, Codable, Sendable {
        case mV, mA, W, dC, cpct, Wh, count

        /// What one step of the stored number is worth. A chart needs no milliamps, and small numbers pack well.
        var step: Int64 {
            switch self {
            case .mV, .W, .dC, .Wh, .count: 1
            case .mA: 100
            case .cpct: 10
            }
        }

        /// Decimal places that turn the unit into V, A, W, °C, %.
        var decimals: Int {
            switch self {
            case .mV, .mA: 3
            case .cpct: 2
            case .dC: 1
            case .W, .Wh, .count: 0
            }
        }

        /// The unit after that.
        var plain: String {
            switch self {
            case .mV: "V"
            case .mA: "A"
            case .cpct: "%"
            case .dC: "°C"
            case .W: "W"
            case .Wh: "Wh"
            case .count: ""
            }
        }
    }

    /// The unit follows from the last part of the name.
    static func unit(of name: String) -> Unit {
        let last = name.split(separator: ".").last ?? ""
        if last.contains("cell") || last.hasSuffix("voltage") { return .mV }
        if last.hasSuffix("current") || last.hasSuffix("_limit") { return .mA }
        if last.contains("temperature") || last == "mosfet" { return .dC }
        if last == "soc" { return .cpct }
        if last == "power" { return .W }
        if last.hasPrefix("energy") { return .Wh }
        return .count
    }

    static func values(of snapshot: SnapshotDocument) -> [(name: String, value: Int64)] {
        var values: [(String, Int64)] = []
        visit(snapshot) { values.append(($0, $1)) }
        return values
    }

    /// Every value of a snapshot that is worth keeping, in the units of the document. What is not known is left out: a gap, not a
    /// zero.
    private static func visit(_ snapshot: SnapshotDocument, _ add: (_ name: String, _ value: Int64) -> Void) {
        let bank = snapshot.bank
        let limits = snapshot.limits
        if snapshot.packs.contains(where: { $0.age_ms != nil }) {
            add("bank.soc", Int64(bank.soc_cpct))
            add("bank.voltage", Int64(bank.voltage_mV))
            add("bank.current", Int64(bank.current_mA))
            add("bank.power", Int64(bank.power_W))
            add("bank.energy_charged", bank.energy_charged_Wh)
            add("bank.energy_discharged", bank.energy_discharged_Wh)
        }
        if snapshot.control.may_transmit {
            add("limit.charge_voltage", Int64(limits.charge_voltage.mV))
            add("limit.discharge_voltage", Int64(limits.discharge_voltage.mV))
            add("limit.charge_current", Int64(limits.charge_current.mA))
            add("limit.discharge_current", Int64(limits.discharge_current.mA))
        }
        if let cell = bank.highest_cell { add("bank.highest_cell", Int64(cell.mV)) }
        if let cell = bank.lowest_cell { add("bank.lowest_cell", Int64(cell.mV)) }
        if let delta = bank.cell_delta_mV { add("bank.cell_delta", Int64(delta)) }
        if let sensor = bank.highest_temperature { add("bank.highest_temperature", Int64(sensor.dC)) }
        if let sensor = bank.lowest_temperature { add("bank.lowest_temperature", Int64(sensor.dC)) }
        for pack in snapshot.packs where pack.state != "lost" && pack.age_ms != nil {
            let prefix = "pack\(pack.number)."
            add(prefix + "soc", Int64(pack.soc_cpct))
            add(prefix + "voltage", Int64(pack.voltage_mV))
            add(prefix + "current", Int64(pack.current_mA))
            add(prefix + "charge_limit", Int64(pack.charge_limit.mA))
            add(prefix + "discharge_limit", Int64(pack.discharge_limit.mA))
            if let delta = pack.cell_delta_mV { add(prefix + "cell_delta", Int64(delta)) }
            for (index, cell) in pack.cells_mV.enumerated() { add(prefix + "cell\(index + 1)", Int64(cell)) }
            for temperature in pack.temperatures {
                guard let value = temperature.dC else { continue }
                add(prefix + (temperature.place == "mosfet" ? "mosfet" : "temperature\(temperature.sensor)"), Int64(value))
            }
        }
    }
}

/// How finely something is kept.
public enum HistoryTier: String, Codable, Sendable, CaseIterable {
    case second, minute, hour

    /// Milliseconds from one point to the next.
    var step: Int64 {
        switch self {
        case .second: 1000
        case .minute: 60_000
        case .hour: 3_600_000
        }
    }

    /// Milliseconds in one packed block; 0 = never packed.
    var block: Int64 {
        switch self {
        case .second: 0
        case .minute: 86_400_000
        case .hour: 32 * 86_400_000
        }
    }

    /// How long it is kept; nil = for ever.
    var retention: Int64? {
        switch self {
        case .second: 86_400_000
        case .minute: 366 * 86_400_000
        case .hour: nil
        }
    }

    var table: String { "\(rawValue)_row" }
}
