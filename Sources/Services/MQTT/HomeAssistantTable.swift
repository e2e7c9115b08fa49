/// Every entity of the bank and of a pack, as tables. The paths are those of `SnapshotDocument` (docs/openapi.yaml).
struct HomeAssistantTable: Sendable {
    let topics: MQTTTopics
    /// Values older than this many seconds are shown as unavailable.
    let expiry: Int
    let takesCommands: Bool

    private var alive: [HomeAssistantEntity.Availability] { [.init(topic: topics.status)] }
    private var fresh: [HomeAssistantEntity.Availability] { alive + [.init(topic: topics.control)] }

    func bank(inverters: Int) -> [HomeAssistantEntity] {
        var list = [
            value("soc", "State of charge", .stateOfCharge, "bank.soc_cpct"),
            value("voltage", "Voltage", .packVoltage, "bank.voltage_mV"),
            value("current", "Current", .current, "bank.current_mA"),
            value("power", "Power", .power, "bank.power_W"),
            value("energy_charged", "Energy charged", .energyCounter, "bank.energy_charged_Wh"),
            value("energy_discharged", "Energy discharged", .energyCounter, "bank.energy_discharged_Wh"),
            value("remaining", "Remaining charge", .charge, "bank.remaining_mAh"),
            value("capacity", "Capacity", .charge, "bank.full_mAh", isDiagnostic: true),
            value("time_to_full", "Time to full", .minutes, "bank.time_to_full_s", isOptional: true),
            value("time_to_empty", "Time to empty", .minutes, "bank.time_to_empty_s", isOptional: true),
            value("soh", "State of health", .percent, "bank.soh_pct", isDiagnostic: true),
            value("cycles", "Cycles", .counter, "bank.cycles", isDiagnostic: true),
            value("highest_cell", "Highest cell", .cellVoltage, "bank.highest_cell.mV", isOptional: true),
            value("lowest_cell", "Lowest cell", .cellVoltage, "bank.lowest_cell.mV", isOptional: true),
            value("cell_delta", "Cell delta", .voltageDifference, "bank.cell_delta_mV", isOptional: true),
            value(
                "highest_temperature", "Highest temperature", .temperature, "bank.highest_temperature.dC",
                isOptional: true),
            value(
                "lowest_temperature", "Lowest temperature", .temperature, "bank.lowest_temperature.dC", isOptional: true
            ),
            value("charge_voltage_limit", "Charge voltage limit", .packVoltage, "limits.charge_voltage.mV"),
            value("discharge_voltage_limit", "Discharge voltage limit", .packVoltage, "limits.discharge_voltage.mV"),
            value("charge_current_limit", "Charge current limit", .current, "limits.charge_current.mA"),
            value("discharge_current_limit", "Discharge current limit", .current, "limits.discharge_current.mA"),
            value(
                "charge_voltage_reason", "Charge voltage reason", .text, "limits.charge_voltage.reason.text",
                isOptional: true),
            value("charge_current_reason", "Charge current reason", .text, "limits.charge_current.reason.text"),
            value(
                "discharge_current_reason", "Discharge current reason", .text, "limits.discharge_current.reason.text"),
            choice("phase", "Charge phase", "phase.name", ["initial", "bulk", "absorb", "float", "rest", "hold"]),
            value("waiting", "Waiting for", .text, "phase.waiting.text"),
            value("packs_online", "Packs online", .count, "bank.packs_online", isDiagnostic: true),
            flag("charging", "Charging", "battery_charging", "value_json.bank.current_mA > 500"),
            flag("charge_enabled", "Charge enabled", nil, "value_json.limits.charge_current.enabled"),
            flag("discharge_enabled", "Discharge enabled", nil, "value_json.limits.discharge_current.enabled"),
            flag("balancing", "Balancing", "running", "value_json.bank.balancing"),
            flag(
                "alarm", "Alarm", "problem",
                "(value_json.bank.protections + value_json.bank.alarms + value_json.warnings) | length > 0",
                attributes: "{{ {'protections': value_json.bank.protections | map(attribute='text') | list, "
                    + "'alarms': value_json.bank.alarms | map(attribute='text') | list, "
                    + "'warnings': value_json.warnings | map(attribute='text') | list} | tojson }}"),
            health("health", "Health", "overall", isProblem: true),
            health("control_link", "Control process", "link"),
            health("bms_link", "BMS", "bms"),
            health("can_link", "Inverter bus", "can"),
            health("inverter_heartbeat", "Inverter heartbeat", "heartbeat"),
            value("uptime", "Uptime of control", .hours, "control.uptime_s", isDiagnostic: true),
            events(),
        ]
        for index in 0..<inverters {
            let name = inverters == 1 ? "" : " \(index + 1)", key = inverters == 1 ? "" : "_\(index + 1)"
            list += [
                value(
                    "frames_sent" + key, "Frames sent" + name, .counter, "inverters[\(index)].sent", isDiagnostic: true),
                value(
                    "bus_offs" + key, "Bus-offs" + name, .counter, "inverters[\(index)].bus_offs", isDiagnostic: true),
                value("bus_state" + key, "Bus state" + name, .text, "inverters[\(index)].state", isDiagnostic: true),
            ]
        }
        return takesCommands ? list + commands() : list
    }

    func pack(_ pack: SnapshotDocument.Pack) -> [HomeAssistantEntity] {
        let topic = topics.pack(pack.number)
        let available = fresh + [.init(topic: topics.packStatus(pack.number))]
        var list = [
            value("soc", "State of charge", .stateOfCharge, "soc_cpct"),
            value("voltage", "Voltage", .packVoltage, "voltage_mV"),
            value("current", "Current", .current, "current_mA"),
            value("power", "Power", .power, "power_W"),
            value("remaining", "Remaining charge", .charge, "remaining_mAh", isOptional: true),
            value("capacity", "Capacity", .charge, "full_mAh", isOptional: true, isDiagnostic: true),
            value("soh", "State of health", .centiPercent, "soh_cpct", isOptional: true, isDiagnostic: true),
            value("cycles", "Cycles", .counter, "cycles", isOptional: true, isDiagnostic: true),
            value("highest_cell", "Highest cell", .cellVoltage, "highest_cell.mV", isOptional: true),
            value("lowest_cell", "Lowest cell", .cellVoltage, "lowest_cell.mV", isOptional: true),
            value("cell_delta", "Cell delta", .voltageDifference, "cell_delta_mV", isOptional: true),
            value("charge_limit", "Charge limit", .current, "charge_limit.mA"),
            value("discharge_limit", "Discharge limit", .current, "discharge_limit.mA"),
            value("charge_reason", "Charge limit reason", .text, "charge_limit.reason.text", isDiagnostic: true),
            value(
                "discharge_reason", "Discharge limit reason", .text, "discharge_limit.reason.text", isDiagnostic: true),
            flag(
                "charge_switch", "Charge switch", nil, "value_json.charge_switch | default(false)", isDiagnostic: true),
            flag(
                "discharge_switch", "Discharge switch", nil, "value_json.discharge_switch | default(false)",
                isDiagnostic: true),
            flag("balancing", "Balancing", "running", "value_json.balancing | default(false)"),
            flag(
                "alarm", "Alarm", "problem", "(value_json.alarms + value_json.warnings) | length > 0",
                attributes: "{{ {'alarms': value_json.alarms | map(attribute='text') | list, "
                    + "'warnings': value_json.warnings | map(attribute='text') | list} | tojson }}"),
        ]
        for (index, sensor) in pack.temperatures.enumerated() {
            let isMosfet = sensor.place == "mosfet"
            list.append(
                value(
                    isMosfet ? "mosfet_temperature" : "temperature_\(sensor.sensor)",
                    isMosfet ? "MOSFET temperature" : "Temperature \(sensor.sensor)", .temperature,
                    "temperatures[\(index)].dC", isOptional: true))
        }
        for index in pack.cells_mV.indices {
            let number = index < 9 ? "0\(index + 1)" : "\(index + 1)"
            list.append(
                value(
                    "cell_\(number)", "Cell \(number)", .cellVoltage, "cells_mV[\(index)]", isOptional: true,
                    isDiagnostic: true))
        }
        // Lost is not unavailable: this one must speak when the others cannot.
        var connected = flag("connected", "BMS connected", "connectivity", "value == 'online'", isDiagnostic: true)
        connected.availability = alive
        for index in list.indices {
            list[index].availability = available
            list[index].state_topic = topic
            if list[index].json_attributes_topic != nil { list[index].json_attributes_topic = topic }
        }
        connected.state_topic = topics.packStatus(pack.number)
        connected.expire_after = nil
        return list + [connected]
    }

    private func commands() -> [HomeAssistantEntity] {
        [
            onOff("pause_charge", "Pause charge"), onOff("pause_discharge", "Pause discharge"),
            cap("charge_cap", "Charge cap", "current", "A", divisor: 1000, most: 1000, step: 1),
            cap("discharge_cap", "Discharge cap", "current", "A", divisor: 1000, most: 1000, step: 1),
            cap("soc_ceiling", "State-of-charge ceiling", nil, "%", divisor: 100, most: 100, step: 1),
            press("full_now", "Charge to full now"), press("resume", "Take back all commands"),
            minutes(), result(),
        ]
    }

    // MARK: Rows

    private func value(
        _ key: String, _ name: String, _ quantity: HomeAssistantQuantity, _ path: String, isOptional: Bool = false,
        isDiagnostic: Bool = false
    ) -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.sensor, key, name)
        entity.device_class = quantity.deviceClass
        entity.unit_of_measurement = quantity.unit
        entity.state_class = quantity.stateClass
        if quantity.unit != nil { entity.suggested_display_precision = quantity.digits }
        if isDiagnostic { entity.entity_category = "diagnostic" }
        let scaled = quantity.divisor == 1 ? "value_json.\(path)" : "value_json.\(path) / \(quantity.divisor)"
        let rounded = quantity.divisor == 1 ? scaled : "(\(scaled)) | round(\(max(quantity.digits, 0)))"
        // The parent may be absent too: `highest_cell.mV`.
        entity.value_template =
            isOptional ? "{{ \(rounded) if \(presence(of: path)) else none }}" : "{{ \(rounded) }}"
        entity.state_topic = topics.bank
        entity.expire_after = expiry
        entity.availability = fresh
        return entity
    }

    private func presence(of path: String) -> String {
        var tests: [String] = []
        var parts: [Substring] = []
        for part in path.split(separator: ".") {
            parts.append(part)
            tests.append("value_json.\(parts.joined(separator: ".")) is defined")
        }
        return tests.joined(separator: " and ")
    }

    private func choice(_ key: String, _ name: String, _ path: String, _ options: [String]) -> HomeAssistantEntity {
        var entity = value(key, name, .text, path)
        entity.device_class = "enum"
        entity.options = options
        return entity
    }

    private func flag(
        _ key: String, _ name: String, _ deviceClass: String?, _ condition: String, isDiagnostic: Bool = false,
        attributes: String? = nil
    ) -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.binary_sensor, key, name)
        entity.device_class = deviceClass
        entity.value_template = "{{ 'ON' if \(condition) else 'OFF' }}"
        entity.state_topic = topics.bank
        entity.expire_after = expiry
        entity.availability = fresh
        if isDiagnostic { entity.entity_category = "diagnostic" }
        if let attributes {
            entity.json_attributes_topic = topics.bank
            entity.json_attributes_template = attributes
        }
        return entity
    }

    /// Available as long as this process is: it tells that the rest is gone.
    private func health(_ key: String, _ name: String, _ path: String, isProblem: Bool = false) -> HomeAssistantEntity {
        var entity = flag(
            key, name, isProblem ? "problem" : "connectivity",
            "value_json.health.\(path) \(isProblem ? "!=" : "==") 'ok'",
            isDiagnostic: true)
        entity.availability = alive
        entity.json_attributes_topic = isProblem ? topics.bank : nil
        entity.json_attributes_template = isProblem ? "{{ {'problems': value_json.health.problems} | tojson }}" : nil
        return entity
    }

    private func events() -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.event, "event", "Event")
        entity.event_types = Severity.allCases.map(\.rawValue)
        entity.state_topic = topics.event
        entity.availability = alive
        return entity
    }

    /// The order `name` as the bank's list of orders in force says it.
    private func inForce(_ name: String) -> String {
        "(value_json.commands | selectattr('order', 'eq', '\(name)') | list)"
    }

    private func onOff(_ key: String, _ name: String) -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.onOff, key, name)
        entity.command_topic = topics.order(key)
        entity.state_topic = topics.bank
        entity.value_template = "{{ 'ON' if \(inForce(key)) | length > 0 else 'OFF' }}"
        entity.payload_on = "ON"
        entity.payload_off = "OFF"
        entity.availability = fresh
        return entity
    }

    private func cap(
        _ key: String, _ name: String, _ deviceClass: String?, _ unit: String, divisor: Int, most: Double, step: Double
    ) -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.number, key, name)
        entity.command_topic = topics.order(key)
        entity.state_topic = topics.bank
        entity.value_template =
            "{{ ((\(inForce(key)) | first).value / \(divisor)) | round(1) if \(inForce(key)) | length > 0 else none }}"
        entity.device_class = deviceClass
        entity.unit_of_measurement = unit
        entity.min = 0
        entity.max = most
        entity.step = step
        entity.mode = "box"
        entity.availability = fresh
        return entity
    }

    private func press(_ key: String, _ name: String) -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.button, key, name)
        entity.command_topic = topics.order(key)
        entity.payload_press = "PRESS"
        entity.availability = fresh
        return entity
    }

    private func minutes() -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.number, "command_minutes", "Duration of commands")
        entity.command_topic = topics.minutesToSet
        entity.state_topic = topics.minutes
        entity.unit_of_measurement = "min"
        entity.device_class = "duration"
        entity.min = Double(MQTTCommands.minutes.lowerBound)
        entity.max = Double(MQTTCommands.minutes.upperBound)
        entity.step = 1
        entity.mode = "box"
        entity.entity_category = "config"
        entity.availability = alive
        return entity
    }

    private func result() -> HomeAssistantEntity {
        var entity = HomeAssistantEntity(.sensor, "command_result", "Last command")
        entity.state_topic = topics.result
        // States are limited to 255 characters; the whole sentence is an attribute too.
        entity.value_template = "{{ value_json.text[:250] }}"
        entity.json_attributes_topic = topics.result
        entity.entity_category = "diagnostic"
        entity.availability = alive
        return entity
    }
}
