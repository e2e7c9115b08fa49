import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

// What the numbers of the core are called: by machines (stable names) and by people. Used by the command line and by `serve`, so
// that the terminal, the web page and the log say the same.

/// `cellHigh` as `cell_high`: the stable name of an enumeration's case in JSON, MQTT and the history.
public func stableName<T: RawRepresentable>(_ value: T) -> String {
    var name = ""
    for character in "\(value)" {
        if character.isUppercase { name += "_" }
        name += character.lowercased()
    }
    return name
}

// MARK: Numbers with their units

/// `3.452 V`
public func volts(_ value: Millivolts, decimals: Int = 3) -> String { decimal(Int64(value), 1000, decimals) + " V" }

/// `-12.5 A`
public func amperes(_ value: Milliamps, decimals: Int = 1) -> String { decimal(Int64(value), 1000, decimals) + " A" }

/// `21.5 °C`
public func degrees(_ value: Decidegrees) -> String { decimal(Int64(value), 10, 1) + " °C" }

/// `63.2 %`
public func percent(_ value: CentiPercent, decimals: Int = 1) -> String { decimal(Int64(value), 100, decimals) + " %" }

/// `1 h 5 min`, `2 min 10 s`, `3.5 s`
public func duration(_ value: Milliseconds) -> String {
    let seconds = value / 1000
    if value < 0 { return "-" + duration(-value) }
    if value < 10_000 { return decimal(value, 1000, 1) + " s" }
    if seconds < 60 { return "\(seconds) s" }
    if seconds < 3600 { return seconds % 60 == 0 ? "\(seconds / 60) min" : "\(seconds / 60) min \(seconds % 60) s" }
    return seconds % 3600 / 60 == 0 ? "\(seconds / 3600) h" : "\(seconds / 3600) h \(seconds % 3600 / 60) min"
}

/// Digits beyond `decimals` are cut off, not rounded: a shown limit is never above the real one.
private func decimal(_ value: Int64, _ divisor: Int64, _ decimals: Int) -> String {
    var text = (value < 0 ? "-" : "") + String(value.magnitude / divisor.magnitude)
    if decimals > 0 { text += "." }
    var rest = value.magnitude % divisor.magnitude
    for _ in 0..<decimals {
        rest *= 10
        text += String(rest / divisor.magnitude)
        rest %= divisor.magnitude
    }
    return text
}

// MARK: Reasons

/// The limit that a reason belongs to.
public enum LimitKind: String, Sendable, CaseIterable {
    case chargeVoltage = "CVL"
    case dischargeVoltage = "DVL"
    case chargeCurrent = "CCL"
    case dischargeCurrent = "DCL"
}

extension LimitRule {
    /// What the rule is, for a person, without numbers.
    public var words: String {
        switch self {
        case .none: "nothing limits"
        case .userVoltage: "configured charge voltage"
        case .bmsVoltage: "charge voltage that the BMS asks for"
        case .absoluteVoltage: "over-voltage limit of the cells"
        case .phaseVoltage: "charge phase"
        case .runnerCell: "a leading cell"
        case .socCeiling: "configured state-of-charge ceiling"
        case .degraded: "a pack cannot be heard: voltage held at float"
        case .blockedVoltage: "charging is blocked"
        case .obedienceVoltage: "the inverter ignores the charge current limit"
        case .lostVoltage: "the BMS is lost"
        case .floorVoltage: "lowest charge voltage ever sent"
        case .userCurrent: "configured limit of the bank"
        case .packUserCurrent: "configured limit of the pack"
        case .bmsMargin: "the BMS's over-current limit, less the margin"
        case .bmsDynamic: "limit that the BMS publishes"
        case .cellHigh: "a high cell"
        case .cellLow: "a low cell"
        case .topLatch: "waiting for the highest cell to come down"
        case .emptyLatch: "waiting for the lowest cell to recover"
        case .cold: "cold cells"
        case .coldLatch: "waiting for the cells to warm up"
        case .hot: "hot cells"
        case .noTemperature: "a cell temperature is missing"
        case .mosfetHot: "hot MOSFETs"
        case .mosfetLost: "the MOSFET sensor is lost"
        case .switchOff: "the BMS's switch is off"
        case .alarm: "an alarm of the BMS"
        case .stale: "the BMS is silent"
        case .share: "the pack's share of the bank current"
        case .measuredShare: "the pack's measured share of the bank current"
        case .socTaper: "taper by state of charge"
        case .socReserve: "configured reserve"
        case .phaseCurrent: "charge phase"
        case .obedience: "the inverter ignores the current limit"
        case .cRate: "charge rate of the cells"
        case .unknownOverCurrentLimit: "the BMS's over-current limit is not known"
        case .cellUnknown: "a cell voltage is missing"
        case .joining: "the pack is joining"
        case .equalising: "current between the packs"
        case .fault: "a fault of the pack"
        case .notReady: "not enough good data yet"
        case .holdAfterCut: "holding after a reduction"
        case .ramp: "rising slowly"
        case .command: "an order of the owner"
        case .dischargeVoltage: "lowest discharge voltage reached"
        case .noPackConducts: "no pack conducts"
        case .bootLoop: "too many restarts"
        case .enableDelay: "waiting before it is permitted again"
        case .extendedHold: "bridging a silence of the BMS"
        }
    }

    /// The unit of `Reason.input`.
    var inputUnit: InputUnit {
        switch self {
        case .userVoltage, .bmsVoltage, .absoluteVoltage, .runnerCell, .cellHigh, .cellLow, .topLatch, .emptyLatch,
            .blockedVoltage, .obedienceVoltage, .dischargeVoltage:
            .voltage
        case .userCurrent, .packUserCurrent, .bmsMargin, .bmsDynamic, .obedience, .equalising: .current
        case .cold, .coldLatch, .hot, .mosfetHot: .temperature
        case .stale, .holdAfterCut, .joining, .enableDelay, .extendedHold: .time
        case .socCeiling, .socTaper, .socReserve: .stateOfCharge
        default: .none
        }
    }
}

enum InputUnit {
    case none, voltage, current, temperature, time, stateOfCharge

    func text(_ value: Int32) -> String? {
        switch self {
        case .none: nil
        case .voltage: volts(value)
        case .current: amperes(value)
        case .temperature: degrees(value)
        case .time: duration(Milliseconds(value))
        case .stateOfCharge: percent(value)
        }
    }
}

extension Reason {
    /// Why the limit is what it is: `a high cell (pack 1, cell 7: 3.512 V)`.
    public var sentence: String {
        var place: [String] = []
        if self.place.pack > 0 { place.append("pack \(self.place.pack)") }
        if self.place.cell > 0 {
            place.append("\(rule.inputUnit == .temperature ? "sensor" : "cell") \(self.place.cell)")
        }
        let value = input == 0 && rule.inputUnit != .temperature ? nil : rule.inputUnit.text(input)
        let detail = [place.isEmpty ? nil : place.joined(separator: ", "), value].compactMap(\.self).joined(
            separator: ": ")
        return detail.isEmpty ? rule.words : "\(rule.words) (\(detail))"
    }
}

// MARK: Phases, states, warnings

extension Phase {
    public var words: String {
        switch self {
        case .initial: "starting"
        case .bulk: "bulk"
        case .absorb: "absorption"
        case .float: "float"
        case .rest: "rest"
        case .hold: "on hold"
        }
    }
}

extension Waiting {
    /// What the phase waits for. - Parameter amount: `waitingAmount`, in the unit that the case implies.
    public func words(amount: Int32) -> String? {
        switch self {
        case .nothing: nil
        case .firstSnapshot: "waiting for the BMS"
        case .agreeingSnapshots: "waiting for three readings that agree"
        case .otherPacks: "waiting for the other packs"
        case .cellVoltage: "waiting for the highest cell to rise by \(volts(amount))"
        case .tailCurrent: "waiting for the charge current to fall by \(amperes(amount))"
        case .calm: "full after \(duration(Milliseconds(amount))) more of calm"
        case .absorbTime: "absorption for at most \(duration(Milliseconds(amount))) more"
        case .balancing: "waiting for the balancer"
        case .floatRamp: "coming down to float"
        case .rebulkVoltage: "charging again when the highest cell has fallen by \(volts(amount))"
        case .rebulkSoC: "charging again when the state of charge has fallen by \(percent(amount))"
        case .fullChargeDay: "waiting for the day of the full charge"
        case .temperature: "waiting for warmer or cooler cells"
        case .switchOn: "waiting for the BMS to switch on"
        case .alarmClear: "waiting for the alarm to end"
        case .freshData: "waiting for fresh data"
        case .userResume: "paused by the owner"
        case .inverterObeys: "waiting for the inverter to obey"
        }
    }
}

extension PackState {
    public var words: String {
        switch self {
        case .absent: "not heard yet"
        case .joining: "joining"
        case .active: "active"
        case .chargeOff: "charge off"
        case .dischargeOff: "discharge off"
        case .isolated: "isolated"
        case .suspect: "silent"
        case .lost: "lost"
        case .excluded: "excluded"
        case .fault: "fault"
        }
    }
}

extension Warnings {
    /// Name and words of every warning.
    public static let table: [(warning: Warnings, name: String, words: String)] = [
        (.linkQuality, "link_quality", "many damaged answers from the BMS"),
        (.degraded, "degraded", "a pack cannot be heard"),
        (.cellPreventsFull, "cell_prevents_full", "a leading cell prevents a full charge"),
        (.socDrift, "soc_drift", "the BMS's state of charge does not fit the voltage"),
        (.socSpread, "soc_spread", "the packs' states of charge differ"),
        (.equalisingCurrent, "equalising_current", "current flows between the packs"),
        (.matchVoltagesFirst, "match_voltages_first", "a pack must not join: its voltage differs too much"),
        (.inverterIgnoresChargeLimit, "inverter_ignores_charge_limit", "the inverter charges more than it may"),
        (.inverterIgnoresDischargeLimit, "inverter_ignores_discharge_limit", "the inverter draws more than it may"),
        (.temperatureSensor, "temperature_sensor", "a cell temperature is missing"),
        (.mosfetSensorLost, "mosfet_sensor_lost", "the MOSFET sensor is lost"),
        (.settingsOld, "settings_old", "the BMS's settings have not been read for 10 minutes"),
        (.settingsImplausible, "settings_implausible", "a setting of the BMS is implausible"),
        (.userLimitClamped, "user_limit_clamped", "a configured limit is above what the BMS allows"),
        (.sumMismatch, "sum_mismatch", "the cells' sum differs from the pack voltage"),
        (.stuckAtRest, "stuck_at_rest", "the readings have not changed for a long time"),
        (.stuckSensor, "stuck_sensor", "a temperature sensor does not move"),
        (.currentUnknown, "current_unknown", "the current is missing"),
        (.bmsLost, "bms_lost", "the BMS is lost"),
        (.packFault, "pack_fault", "a fault of a pack"),
        (.configurationInconsistent, "configuration_inconsistent", "the BMS's settings contradict the configuration"),
        (.bootLoop, "boot_loop", "too many restarts"),
        (.heartbeatUnconfirmed, "heartbeat_unconfirmed", "the inverter does not answer"),
        (.shuntDropped, "shunt_dropped", "the shunt is no longer used"),
    ]

    public var words: [String] { Self.table.filter { contains($0.warning) }.map(\.words) }
    public var names: [String] { Self.table.filter { contains($0.warning) }.map(\.name) }
}

extension Alarms {
    /// Name and words of every alarm.
    public static let table: [(alarm: Alarms, name: String, words: String)] = [
        (.lowStateOfCharge, "low_state_of_charge", "low state of charge"),
        (.mosfetOverTemperature, "mosfet_over_temperature", "MOSFETs too hot"),
        (.packOverVoltage, "pack_over_voltage", "pack voltage too high"),
        (.packUnderVoltage, "pack_under_voltage", "pack voltage too low"),
        (.cellOverTemperature, "cell_over_temperature", "cells too hot"),
        (.chargeOverCurrent, "charge_over_current", "charge current too high"),
        (.dischargeOverCurrent, "discharge_over_current", "discharge current too high"),
        (.cellImbalance, "cell_imbalance", "cells too far apart"),
        (.boxOverTemperature, "box_over_temperature", "battery box too hot"),
        (.cellUnderTemperature, "cell_under_temperature", "cells too cold"),
        (.cellOverVoltage, "cell_over_voltage", "a cell voltage too high"),
        (.cellUnderVoltage, "cell_under_voltage", "a cell voltage too low"),
        (.hardwareA, "hardware_a", "hardware protection A"),
        (.hardwareB, "hardware_b", "hardware protection B"),
        (.chargeOverTemperature, "charge_over_temperature", "too hot to charge"),
        (.chargeUnderTemperature, "charge_under_temperature", "too cold to charge"),
        (.dischargeOverTemperature, "discharge_over_temperature", "too hot to discharge"),
        (.dischargeUnderTemperature, "discharge_under_temperature", "too cold to discharge"),
        (.shortCircuit, "short_circuit", "short circuit"),
        (.wireResistance, "wire_resistance", "a balance wire has too much resistance"),
        (.bmsInternal, "bms_internal", "internal fault of the BMS"),
        (.cellCount, "cell_count", "wrong number of cells"),
        (.chargeSwitchFault, "charge_switch_fault", "charge switch faulty"),
        (.dischargeSwitchFault, "discharge_switch_fault", "discharge switch faulty"),
        (.temperatureSensor, "temperature_sensor", "a temperature sensor is missing"),
        (.communication, "communication", "the BMS is lost"),
        (.other, "other", "another alarm of the BMS"),
    ]

    public var words: [String] { Self.table.filter { contains($0.alarm) }.map(\.words) }
    public var names: [String] { Self.table.filter { contains($0.alarm) }.map(\.name) }
}

extension CANBusState {
    public var words: String {
        switch self {
        case .closed: "closed"
        case .active: "good"
        case .warning: "error warning"
        case .passive: "error passive (nobody acknowledges?)"
        case .busOff: "bus-off"
        }
    }
}

extension EngineEvent {
    /// The event as a line of a log.
    public var sentence: String {
        switch kind {
        case .started: b == 1 ? "started, continuing from the saved record" : "started afresh"
        case .phase: "phase \(words(Phase.self, a) { $0.words }) → \(words(Phase.self, b) { $0.words })"
        case .packState:
            "pack \(pack): \(words(PackState.self, a) { $0.words }) → \(words(PackState.self, b) { $0.words })"
        case .packAlarms:
            "pack \(pack): "
                + change(Alarms(rawValue: UInt32(bitPattern: a)).words, Alarms(rawValue: UInt32(bitPattern: b)).words)
        case .warnings:
            change(Warnings(rawValue: UInt32(bitPattern: a)).words, Warnings(rawValue: UInt32(bitPattern: b)).words)
        case .inverterBus:
            "inverter port \(pack + 1): bus \(words(CANBusState.self, a) { $0.words }) → \(words(CANBusState.self, b) { $0.words })"
        case .heartbeat:
            "inverter port \(pack + 1): \(a == 1 ? "the inverter answers" : "the inverter no longer answers")"
        case .bmsPort: "BMS port \(pack + 1): \(a == 1 ? "opened" : "lost")"
        case .bmsReopened: "BMS port \(pack + 1): nothing heard for 30 s, opened again"
        case .transmitting: "sending to the inverter"
        case .command:
            "order \(UInt32(bitPattern: a)) "
                + (b == 0 ? "accepted" : "refused: \(words(CommandRefusal.self, b - 1) { stableName($0) })")
        }
    }

    private func words<T: RawRepresentable>(_ type: T.Type, _ raw: Int32, _ text: (T) -> String) -> String
    where T.RawValue == UInt8 {
        UInt8(exactly: raw).flatMap(T.init(rawValue:)).map(text) ?? "\(raw)"
    }

    private func change(_ appeared: [String], _ went: [String]) -> String {
        let now = appeared.isEmpty ? nil : appeared.joined(separator: ", ")
        let over = went.isEmpty ? nil : "over: " + went.joined(separator: ", ")
        return [now, over].compactMap(\.self).joined(separator: "; ")
    }
}
