import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

// What the numbers of the core are called: by machines (stable names) and by people. Used by the command line and by `serve`, so
// that the terminal, the web page and the log say the same.

/// Of all programs of one build. A release also has an entry in `packaging/changelog`, and `make deb` refuses another number there.
public let packBridgeVersion = "0.1.0"

/// `cellHigh` as `cell_high`: the stable name of an enumeration's case in JSON, MQTT and the history.
public func stableName<T: RawRepresentable>(_ value: T) -> String {
    var name: [UInt8] = []
    for byte in "\(value)".utf8 {
        let isCapital = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
        if isCapital { name.append(UInt8(ascii: "_")) }
        name.append(isCapital ? byte | 0x20 : byte)
    }
    return String(decoding: name, as: UTF8.self)
}

/// The protocol as it is written in a configuration, with `_`: `jk_4e57`. The rule above would tear the number apart.
public func stableName(_ value: BMSProtocolName) -> String {
    String("\(value.text)".map { $0 == "-" ? "_" : $0 })
}

/// The language of an inverter as it is written in a configuration, with `_`.
public func stableName(_ value: InverterLanguage) -> String {
    switch value {
    case .can(let dialect): stableName(dialect)
    case .pylontechRS485: "pylontech_rs485"
    }
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

/// Collects what the core writes.
private struct Text: TextSink {
    var bytes: [UInt8] = []

    mutating func write(_ byte: UInt8) { bytes.append(byte) }

    static func of(_ write: (inout Text) -> Void) -> String {
        var text = Text()
        write(&text)
        return String(decoding: text.bytes, as: UTF8.self)
    }
}

extension LimitRule {
    /// The stable name, at hand: `explain` writes twenty for each line.
    public var name: String { Self.names[Int(rawValue)] }

    private static let names: [String] = (0...UInt8.max).map { raw in LimitRule(rawValue: raw).map { stableName($0) } ?? "" }

    /// What the rule is, without numbers.
    public var words: String { sentence.description }
}

extension Reason {
    /// Why the limit is what it is, in the core's own words: `pack 1 cell 7 at 3.512 V: charge taper by cell voltage`.
    public var sentence: String { Text.of { write(to: &$0) } }
}

// MARK: Phases, states, warnings

extension Phase {
    public var words: String { sentence.description }
}

extension PackState {
    public var words: String { sentence.description }
}

extension Waiting {
    /// What the phase waits for; nil when it waits for nothing.
    /// - Parameter amount: `waitingAmount`, in the unit that the case implies.
    public func words(amount: Int32) -> String? {
        self == .nothing ? nil : "waiting for " + Text.of { write(amount: amount, to: &$0) }
    }
}

extension Warnings {
    /// Name and words of every warning.
    public static let table: [(warning: Warnings, name: String, words: String)] = [
        (.linkQuality, "link_quality", "many damaged or missing answers from the BMS"),
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
        (.communication, "communication", "no usable data from a pack"),
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
        case .stopping: "a planned stop: limits come down first"
        case .configured: "another configuration is in force (generation \(UInt32(bitPattern: b)))"
        case .reset:
            "the board was started by \(words(ResetCause.self, a) { "\($0.text)" })"
                + (a == Int32(ResetCause.trap.rawValue) ? " at 0x\(String(UInt32(bitPattern: b), radix: 16))" : "")
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
