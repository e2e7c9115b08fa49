import Battery
import ChargeControl
import LinkClient

/// One line of `packbridge explain`: a configuration and what the packs say (docs/explain.md).
struct ExplainInput {
    /// Nil in a scenario's later lines: the configuration stays.
    var configuration: ControlConfiguration?
    var packs: [Pack] = []
    /// The time stamp of a scenario's line.
    var time: Milliseconds?

    struct Pack {
        var id: Int64
        var reading = PackReading()
        var age: Milliseconds = 0
        var settings = PackConfiguration()
    }

    /// Key by key; an unknown key is refused, because a misspelled one would be a missing input.
    init(_ line: [UInt8]) throws(JSONReader.Problem) {
        var reader = JSONReader(line)
        var hasPacks = false
        try reader.object { key, reader throws(JSONReader.Problem) in
            switch key {
            case "config": configuration = try Self.configuration(&reader)
            case "packs":
                hasPacks = true
                try reader.array { reader throws(JSONReader.Problem) in packs.append(try Self.pack(&reader)) }
            case "t_ms": time = try reader.integer(0...1_000_000_000_000)
            default: throw reader.problem("there is no key \"\(key)\"; known: config, packs, t_ms")
            }
        }
        try reader.finish()
        if !hasPacks { throw reader.problem("\"packs\" is missing") }
        if packs.count > maximumPacks { throw reader.problem("more than \(maximumPacks) packs") }
        for (index, pack) in packs.enumerated() where packs[..<index].contains(where: { $0.id == pack.id }) {
            throw reader.problem("two packs have the id \(pack.id)")
        }
    }

    // MARK: Configuration

    private static func configuration(_ reader: inout JSONReader) throws(JSONReader.Problem) -> ControlConfiguration {
        var chemistry: Chemistry?
        var voltages: (bulk: Millivolts?, float: Millivolts?, rebulk: Millivolts?)
        // The chemistry decides the presets and may come last, so the rest is kept until it is known.
        var rest: [(inout ControlConfiguration) -> Void] = []
        try reader.object { key, reader throws(JSONReader.Problem) in
            switch key {
            case "chemistry":
                let name = try reader.string()
                guard let known = Chemistry.allCases.first(where: { stableName($0) == name.lowercased() }) else {
                    throw reader.problem("there is no chemistry \"\(name)\"; known: LFP, NMC, LTO")
                }
                chemistry = known
            case "bulk_mV": voltages.bulk = try number(&reader)
            case "float_mV": voltages.float = try number(&reader)
            case "rebulk_mV": voltages.rebulk = try number(&reader)
            case "taper": rest.append(try choice(&reader, TaperPreset.self, \.taper))
            case "float_mode": rest.append(try choice(&reader, FloatMode.self, \.floatMode))
            case "soc_taper": rest.append(try flag(&reader, \.socTaper))
            case "wire_resistance_stops": rest.append(try flag(&reader, \.wireResistanceStops))
            default:
                guard let field = numbers[key] else { throw reader.problem("config has no key \"\(key)\"") }
                let value = try reader.integer(Int64(Int32.min)...Int64(Int32.max))
                rest.append { field(&$0, value) }
            }
        }
        guard let chemistry else { throw reader.problem("config needs \"chemistry\"") }
        var configuration = ControlConfiguration(chemistry: chemistry)
        configuration.setVoltages(bulk: voltages.bulk, float: voltages.float, rebulk: voltages.rebulk)
        for set in rest { set(&configuration) }
        return configuration
    }

    /// The plain numbers of a configuration, by name with its unit.
    private static let numbers: [String: @Sendable (inout ControlConfiguration, Int64) -> Void] = [
        "cells": { $0.cellsInSeries = Int32($1) },
        "user_charge_mA": { $0.userCharge = Int32($1) },
        "user_discharge_mA": { $0.userDischarge = Int32($1) },
        "charge_rate_mC": { $0.chargeRateMaximum = Int32($1) },
        "bms_margin_pct": { $0.bmsMarginPercent = Int32($1) },
        "discharge_zero_mV": { $0.dischargeZeroFloor = Int32($1) },
        "user_dvl_mV": { $0.userDischargeVoltage = Int32($1) },
        "rebulk_soc_cpct": { $0.rebulkSoC = Int32($1) },
        "inverter_offset_mV": { $0.inverterOffset = Int32($1) },
        "cold_zero_dC": { $0.coldZero = Int32($1) },
        "cold_reallow_dC": { $0.coldReallow = Int32($1) },
        "runner_gain_tenths": { $0.runnerGainTenths = Int32($1) },
        "soc_ceiling_cpct": { $0.socCeiling = Int32($1) },
        "soc_reserve_cpct": { $0.socReserve = Int32($1) },
        "soc_cap_pct": { $0.socCapBeforeFull = Int32($1) },
        "hold_ms": { $0.hold = $1 },
        "zero_ms": { $0.zero = $1 },
        "zero_current_mA": { $0.inverter.zeroCurrent = Int32($1) },
    ]

    private static func choice<T: RawRepresentable & CaseIterable & Sendable>(
        _ reader: inout JSONReader, _ type: T.Type, _ field: WritableKeyPath<ControlConfiguration, T>
    ) throws(JSONReader.Problem) -> (inout ControlConfiguration) -> Void {
        let name = try reader.string()
        guard let value = T.allCases.first(where: { stableName($0) == name.lowercased() }) else {
            let known = T.allCases.map { stableName($0) }.joined(separator: ", ")
            throw reader.problem("\"\(name)\" is not known; known: \(known)")
        }
        return { $0[keyPath: field] = value }
    }

    private static func flag(
        _ reader: inout JSONReader, _ field: WritableKeyPath<ControlConfiguration, Bool>
    ) throws(JSONReader.Problem) -> (inout ControlConfiguration) -> Void {
        let value = try reader.bool()
        return { $0[keyPath: field] = value }
    }

    // MARK: Packs

    private static func pack(_ reader: inout JSONReader) throws(JSONReader.Problem) -> Pack {
        var id: Int64?
        var pack = Pack(id: 0)
        try reader.object { key, reader throws(JSONReader.Problem) in
            if reader.takeNull() { return }
            switch key {
            case "id": id = try reader.integer(1...255)
            case "capacity_mAh":
                pack.reading.rated = try number(&reader)
                pack.reading.full = pack.reading.rated
            case "cells_mV": try cells(&reader, &pack.reading)
            case "pack_mV": pack.reading.packVoltage = try number(&reader)
            case "current_mA": pack.reading.current = try number(&reader)
            case "temps_dC": try temperatures(&reader, &pack.reading)
            case "mos_dC": pack.reading.mosfetTemperature = .value(try number(&reader))
            case "soc_cpct": pack.reading.soc = try number(&reader)
            case "soh_cpct": pack.reading.soh = try number(&reader)
            case "remaining_mAh": pack.reading.remaining = try number(&reader)
            case "cycles": pack.reading.cycles = try number(&reader)
            case "charge_fet": pack.reading.chargeSwitch = try reader.bool()
            case "discharge_fet": pack.reading.dischargeSwitch = try reader.bool()
            case "balancing": pack.reading.balancing = try reader.bool()
            case "alarms": pack.reading.alarms = try alarms(&reader)
            case "settings": pack.reading.settings = try settings(&reader)
            case "bms_charge_limit_mA": pack.reading.dynamicChargeLimit = try number(&reader)
            case "bms_discharge_limit_mA": pack.reading.dynamicDischargeLimit = try number(&reader)
            case "bms_charge_voltage_mV": pack.reading.dynamicChargeVoltage = try number(&reader)
            case "user_charge_mA": pack.settings.chargeLimit = try number(&reader)
            case "user_discharge_mA": pack.settings.dischargeLimit = try number(&reader)
            case "age_ms": pack.age = try reader.integer(0...1_000_000_000)
            default: throw reader.problem("a pack has no key \"\(key)\"")
            }
        }
        guard let id else { throw reader.problem("a pack needs \"id\"") }
        pack.id = id
        return pack
    }

    private static func cells(_ reader: inout JSONReader, _ reading: inout PackReading) throws(JSONReader.Problem) {
        try reader.array { reader throws(JSONReader.Problem) in
            // An unreadable cell is data that cannot be believed, not a cell less.
            let value = reader.takeNull() ? 0 : UInt16(try reader.integer(0...65_535))
            if !reading.cells.append(value) { throw reader.problem("more than \(maximumCells) cells") }
        }
    }

    private static func temperatures(_ reader: inout JSONReader, _ reading: inout PackReading) throws(JSONReader
        .Problem)
    {
        try reader.array { reader throws(JSONReader.Problem) in
            let value = reader.takeNull() ? SensorReading.invalid : .value(try number(&reader))
            if !reading.cellTemperatures.append(value) {
                throw reader.problem("more than \(maximumCellSensors) sensors")
            }
        }
    }

    private static func alarms(_ reader: inout JSONReader) throws(JSONReader.Problem) -> Alarms {
        var alarms: Alarms = []
        try reader.array { reader throws(JSONReader.Problem) in
            let name = try reader.string()
            guard let known = Alarms.table.first(where: { $0.name == name })?.alarm else {
                throw reader.problem("there is no alarm \"\(name)\"")
            }
            alarms.formUnion(known)
        }
        return alarms
    }

    private static func settings(_ reader: inout JSONReader) throws(JSONReader.Problem) -> PackSettings {
        var settings = PackSettings()
        try reader.object { key, reader throws(JSONReader.Problem) in
            if reader.takeNull() { return }
            switch key {
            case "ovp_mV": settings.cellOverVoltage = try number(&reader)
            case "ovp_release_mV": settings.cellOverVoltageRelease = try number(&reader)
            case "uvp_mV": settings.cellUnderVoltage = try number(&reader)
            case "uvp_release_mV": settings.cellUnderVoltageRelease = try number(&reader)
            case "charge_ocp_mA": settings.chargeOverCurrent = try number(&reader)
            case "discharge_ocp_mA": settings.dischargeOverCurrent = try number(&reader)
            case "charge_otp_dC": settings.chargeOverTemperature = try number(&reader)
            case "charge_utp_dC": settings.chargeUnderTemperature = try number(&reader)
            case "discharge_otp_dC": settings.dischargeOverTemperature = try number(&reader)
            case "discharge_utp_dC": settings.dischargeUnderTemperature = try number(&reader)
            case "balance_trigger_mV": settings.balanceTrigger = try number(&reader)
            default: throw reader.problem("settings has no key \"\(key)\"")
            }
        }
        return settings
    }

    private static func number(_ reader: inout JSONReader) throws(JSONReader.Problem) -> Int32 {
        Int32(try reader.integer(-1_000_000_000...1_000_000_000))
    }
}
