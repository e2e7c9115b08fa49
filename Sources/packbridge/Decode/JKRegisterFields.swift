import Battery
import JKBMS

/// One register of a JK unit for the user: where it is, its JSON key, its meaning (jk-modbus.md §2.2–2.4).
struct JKRegisterField {
    enum Kind {
        case u8, i8, u16, i16, u32, i32
        /// 0.1 °C in 16 bits; -2000 means that there is no probe.
        case probe
        /// 0.1 °C in 32 bits.
        case temperature
        case flag8, flag32
        case float
        case text(Int), secret(Int)
    }

    let address: Int
    let kind: Kind
    let key: String
    let meaning: String
    let unit: String

    init(_ address: Int, _ kind: Kind, _ key: String, _ meaning: String, _ unit: String = "") {
        self.address = address
        self.kind = kind
        self.key = key
        self.meaning = meaning
        self.unit = unit
    }

    var width: Int {
        switch kind {
        case .u8, .i8, .flag8: 1
        case .u16, .i16, .probe: 2
        case .u32, .i32, .temperature, .flag32, .float: 4
        case .text(let width), .secret(let width): width
        }
    }
}

/// The cells and the resistances of their wires are lists and written separately.
let jkStatusFields: [JKRegisterField] = [
    .init(0x1240, .u32, "cell_mask", "cells present, bit by bit"),
    .init(0x1244, .u16, "avg_cell_mV", "average cell", "mV"),
    .init(0x1246, .u16, "delta_cell_mV", "largest difference", "mV"),
    .init(0x1248, .u8, "max_cell_idx0", "highest cell, counted from 0"),
    .init(0x1249, .u8, "min_cell_idx0", "lowest cell, counted from 0"),
    .init(0x128A, .probe, "mos_temp_C", "MOSFET temperature", "°C"),
    .init(0x128C, .u32, "wire_res_alarm_mask", "wire resistance alarms, bit by bit"),
    .init(0x1290, .u32, "pack_voltage_mV", "pack voltage", "mV"),
    .init(0x1294, .u32, "power_mW_abs", "power, without sign", "mW"),
    .init(0x1298, .i32, "current_mA", "current, + = charging", "mA"),
    .init(0x129C, .probe, "t1_C", "battery temperature 1", "°C"),
    .init(0x129E, .probe, "t2_C", "battery temperature 2", "°C"),
    .init(0x12A4, .i16, "balance_current_mA", "balance current", "mA"),
    .init(0x12A6, .u8, "balance_state", "balancing: 0 off, 1 charge, 2 discharge side"),
    .init(0x12A7, .u8, "soc_pct", "state of charge", "%"),
    .init(0x12A8, .i32, "remaining_mAh", "remaining charge", "mAh"),
    .init(0x12AC, .u32, "full_capacity_mAh", "full (learned) capacity", "mAh"),
    .init(0x12B0, .u32, "cycles", "cycles"),
    .init(0x12B4, .u32, "cycle_capacity_mAh", "charge throughput", "mAh"),
    .init(0x12B8, .u8, "soh_pct", "state of health", "%"),
    .init(0x12B9, .u8, "precharge", "pre-charge on"),
    .init(0x12BA, .u16, "user_alarm", "user alarm"),
    .init(0x12BC, .u32, "runtime_s", "running time", "s"),
    .init(0x12C0, .flag8, "charge_mos_on", "charge MOSFET on"),
    .init(0x12C1, .flag8, "discharge_mos_on", "discharge MOSFET on"),
    .init(0x12C2, .u16, "user_alarm2", "user alarm 2"),
    .init(0x12D0, .u8, "temp_sensor_present", "probes present: bit 0 MOSFET, 1…5 battery"),
    .init(0x12D1, .u8, "heating", "heating on"),
    .init(0x12D4, .u16, "emergency_s", "emergency time left", "s"),
    .init(0x12D6, .u16, "discharge_current_correction", "discharge current correction"),
    .init(0x12D8, .u16, "charge_sensor_mV", "charge current sensor", "mV"),
    .init(0x12DA, .u16, "discharge_sensor_mV", "discharge current sensor", "mV"),
    .init(0x12DC, .float, "bat_vol_correct", "pack voltage correction"),
    .init(0x12E4, .u16, "pack_voltage_10mV", "pack voltage", "10 mV"),
    .init(0x12E6, .i16, "heat_current_mA", "heating current, valid while heating", "mA"),
    .init(0x12EE, .u8, "battery_type_code", "battery type code"),
    .init(0x12EF, .u8, "charger_plugged", "charger plugged"),
    .init(0x12F0, .u32, "sys_ticks_100ms", "time since start", "0.1 s"),
    .init(0x12F8, .probe, "t3_C", "battery temperature 3, or the MOSFET's again", "°C"),
    .init(0x12FA, .probe, "t4_C", "battery temperature 4", "°C"),
    .init(0x12FC, .probe, "t5_C", "battery temperature 5", "°C"),
    .init(0x1300, .u32, "rtc_ticks_s", "clock, seconds since 2020-01-01", "s"),
    .init(0x1308, .u32, "time_enter_sleep_s", "time until sleep", "s"),
    .init(0x130C, .u8, "pcl_module", "parallel current limiter on"),
    .init(0x1310, .u16, "charge_status_time_s", "time in this charge phase", "s"),
    .init(0x1312, .u8, "charge_status", "charge phase: 0 bulk, 1 absorption, 2 float"),
    .init(0x1313, .u8, "dry_contacts", "dry contacts: bit 1 DRY1, bit 2 DRY2"),
]

/// Seconds left of each lock, inside the field `timers_s`.
let jkTimerFields: [JKRegisterField] = [
    .init(0x12C4, .u16, "dc_ocpr", "discharge over-current lock", "s"),
    .init(0x12C6, .u16, "dc_scpr", "discharge short-circuit lock", "s"),
    .init(0x12C8, .u16, "c_ocpr", "charge over-current lock", "s"),
    .init(0x12CA, .u16, "c_scpr", "charge short-circuit lock", "s"),
    .init(0x12CC, .u16, "uvpr", "under-voltage lock", "s"),
    .init(0x12CE, .u16, "ovpr", "over-voltage lock", "s"),
]

/// Address up to which 24-cell units have the settings too.
let jkSharedSettingsEnd = 0x1088

let jkSettingsFields: [JKRegisterField] = [
    .init(0x1000, .u32, "smart_sleep_mV", "smart-sleep voltage", "mV"),
    .init(0x1004, .u32, "cell_uvp_mV", "cell under-voltage limit", "mV"),
    .init(0x1008, .u32, "cell_uvpr_mV", "cell under-voltage release", "mV"),
    .init(0x100C, .u32, "cell_ovp_mV", "cell over-voltage limit", "mV"),
    .init(0x1010, .u32, "cell_ovpr_mV", "cell over-voltage release", "mV"),
    .init(0x1014, .u32, "balance_trigger_mV", "balancing trigger difference", "mV"),
    .init(0x1018, .u32, "soc100_mV", "cell voltage of 100 %", "mV"),
    .init(0x101C, .u32, "soc0_mV", "cell voltage of 0 %", "mV"),
    .init(0x1020, .u32, "cell_rcv_mV", "requested charge voltage (RCV) per cell", "mV"),
    .init(0x1024, .u32, "cell_rfv_mV", "requested float voltage (RFV) per cell", "mV"),
    .init(0x1028, .u32, "power_off_mV", "power-off cell voltage", "mV"),
    .init(0x102C, .u32, "charge_limit_mA", "charge current limit", "mA"),
    .init(0x1030, .u32, "charge_ocp_delay_s", "charge over-current delay", "s"),
    .init(0x1034, .u32, "charge_ocpr_s", "charge over-current release", "s"),
    .init(0x1038, .u32, "discharge_limit_mA", "discharge current limit", "mA"),
    .init(0x103C, .u32, "discharge_ocp_delay_s", "discharge over-current delay", "s"),
    .init(0x1040, .u32, "discharge_ocpr_s", "discharge over-current release", "s"),
    .init(0x1044, .u32, "scpr_s", "short-circuit release", "s"),
    .init(0x1048, .u32, "max_balance_mA", "largest balance current", "mA"),
    .init(0x104C, .temperature, "charge_otp_C", "charge over-temperature limit", "°C"),
    .init(0x1050, .temperature, "charge_otpr_C", "charge over-temperature release", "°C"),
    .init(0x1054, .temperature, "discharge_otp_C", "discharge over-temperature limit", "°C"),
    .init(0x1058, .temperature, "discharge_otpr_C", "discharge over-temperature release", "°C"),
    .init(0x105C, .temperature, "charge_utp_C", "charge under-temperature limit", "°C"),
    .init(0x1060, .temperature, "charge_utpr_C", "charge under-temperature release", "°C"),
    .init(0x1064, .temperature, "mos_otp_C", "MOSFET over-temperature limit", "°C"),
    .init(0x1068, .temperature, "mos_otpr_C", "MOSFET over-temperature release", "°C"),
    .init(0x106C, .u32, "cell_count", "configured cells"),
    .init(0x1070, .flag32, "charge_enabled", "charging allowed by the owner"),
    .init(0x1074, .flag32, "discharge_enabled", "discharging allowed by the owner"),
    .init(0x1078, .flag32, "balance_enabled", "balancer allowed"),
    .init(0x107C, .u32, "capacity_mAh", "configured capacity", "mAh"),
    .init(0x1080, .u32, "scp_delay_us", "short-circuit delay", "µs"),
    .init(0x1084, .u32, "balance_start_mV", "balancing start voltage", "mV"),
    .init(0x1108, .u32, "device_address", "address of this unit"),
    .init(0x110C, .u32, "precharge_s", "discharge pre-charge time", "s"),
    .init(0x1114, .u16, "control_bits", "control bits"),
    .init(0x1116, .i8, "heat_start_C", "heating starts at", "°C"),
    .init(0x1117, .i8, "heat_stop_C", "heating stops at", "°C"),
    .init(0x1118, .u8, "smart_sleep_h", "smart-sleep delay", "h"),
    .init(0x1119, .u8, "data_field_enable", "data field enable"),
]

let jkAboutFields: [JKRegisterField] = [
    .init(0x1400, .text(16), "model", "model"),
    .init(0x1410, .text(8), "hw", "hardware version"),
    .init(0x1418, .text(8), "sw", "software version"),
    .init(0x1420, .u32, "uptime_s", "accumulated running time", "s"),
    .init(0x1424, .u32, "power_on_count", "power-ups"),
    .init(0x1428, .text(16), "device_name", "device name"),
    .init(0x1438, .secret(16), "connect_passcode", "connect passcode"),
    .init(0x1448, .text(8), "manufacture_date", "production date, YYMMDD"),
    .init(0x1450, .text(16), "serial", "serial number"),
    .init(0x1460, .text(16), "user_data", "user data"),
    .init(0x1470, .secret(16), "settings_passcode", "settings passcode"),
    .init(0x1480, .text(16), "user_data2", "second user data"),
    .init(0x14B2, .u8, "uart1_protocol", "UART1 protocol number"),
    .init(0x14B3, .u8, "can_protocol", "CAN protocol number"),
    .init(0x14D4, .u8, "uart2_protocol", "UART2 protocol number"),
    .init(0x1504, .u8, "rcv_time_6min", "RCV time", "0.1 h"),
    .init(0x1505, .u8, "rfv_time_6min", "RFV time", "0.1 h"),
]

/// Names of the alarm bits of 0x12A0, bit 0 first (jk-modbus.md §4).
let jkAlarmNames = [
    "wire_resistance", "mosfet_over_temperature", "cell_count", "current_sensor", "cell_over_voltage_or_full",
    "pack_over_voltage", "charge_over_current", "charge_short_circuit", "charge_over_temperature",
    "charge_under_temperature", "internal_communication", "cell_under_voltage", "pack_under_voltage",
    "discharge_over_current", "discharge_short_circuit", "discharge_over_temperature", "charge_mosfet",
    "discharge_mosfet",
    "gps_disconnected", "change_password", "discharge_not_switched_on", "battery_over_temperature",
    "temperature_sensor",
    "parallel_module", "short_circuit_release_failed", "discharge_over_current_2", "discharge_over_current_3",
    "discharge_under_temperature", "remote_lock", "bit_29", "bit_30", "bit_31",
]

/// The registers of one block as JSON fields and as rows for a person.
struct JKRegisterText {
    let block: JKRegisters.Block
    let registers: JKRegisters
    let bytes: [UInt8]
    let showSecrets: Bool
    /// 24-cell settings: the registers from here on do not exist.
    var end = Int.max

    private var fields: [JKRegisterField] {
        switch block {
        case .settings: jkSettingsFields
        case .status: jkStatusFields
        case .about: jkAboutFields
        }
    }

    // MARK: JSON

    func write(to json: inout JSONText) {
        if block == .status { writeLists(to: &json) }
        for field in fields { write(field, to: &json) }
    }

    private func writeLists(to json: inout JSONText) {
        let mask = registers.u32(0x1240, bytes.span)
        let cells = (0..<registers.cellCapacity).filter { k in
            mask.map { $0 >> UInt32(k) & 1 != 0 } ?? ((registers.u16(0x1200 + 2 * k, bytes.span) ?? 0) != 0)
        }
        write(list: cells.map { registers.u16(0x1200 + 2 * $0, bytes.span) }, "cell_voltages_mV", to: &json)
        json.field("cell_count", cells.isEmpty ? nil : cells.count)
        write(list: cells.map { registers.u16(0x124A + 2 * $0, bytes.span) }, "wire_res_mohm", to: &json)
        json.field("alarms_raw", registers.alarmWord(bytes.span))
        json.key("alarms")
        if let word = registers.alarmWord(bytes.span) {
            json.array { json in for name in alarmNames(word) { json.string(name) } }
        } else {
            json.null()
        }
        json.key("timers_s")
        if registers.u16(0x12C4, bytes.span) == nil {
            json.null()
        } else {
            json.object { json in for timer in jkTimerFields { write(timer, to: &json) } }
        }
    }

    private func write(list: [UInt16?], _ key: String, to json: inout JSONText) {
        json.key(key)
        if list.isEmpty || list.contains(where: { $0 == nil }) {
            json.null()
        } else {
            json.array { json in for value in list { json.integer(value!) } }
        }
    }

    private func write(_ field: JKRegisterField, to json: inout JSONText) {
        json.key(field.key)
        guard field.address < end, registers.u8(field.address + field.width - 1, bytes.span) != nil,
            registers.u8(field.address, bytes.span) != nil
        else { return json.null() }
        switch field.kind {
        case .text, .secret: json.string(text(field))
        case .flag8, .flag32: json.bool(integer(field) != 0)
        case .probe where integer(field) == -2000: json.null()
        case .probe, .temperature: json.fixed(integer(field), decimals: 1)
        case .float:
            if let value = float(field) { json.fixed(value, decimals: 5) } else { json.null() }
        default: json.integer(integer(field))
        }
    }

    private func alarmNames(_ word: UInt32) -> [String] {
        (0..<32).filter { word >> UInt32($0) & 1 != 0 }.map { jkAlarmNames[$0] }
    }

    // MARK: Rows

    /// - Parameter offset: where an address lies in the telegram.
    func rows(offset: (Int) -> Int) -> String {
        var text = ""
        if block == .status {
            for k in 0..<registers.cellCapacity {
                guard let cell = registers.u16(0x1200 + 2 * k, bytes.span), cell != 0 else { continue }
                text += row(0x1200 + 2 * k, 2, "cell \(k + 1)", "\(cell) mV", offset)
            }
            if let word = registers.alarmWord(bytes.span) {
                let names = alarmNames(word).joined(separator: ", ")
                text += row(0x12A0, word > 0xFFFF ? 4 : 2, "alarms", names.isEmpty ? "none" : names, offset)
            }
        }
        for field in fields {
            guard field.address < end, registers.u8(field.address + field.width - 1, bytes.span) != nil else {
                continue
            }
            text += row(field.address, field.width, field.meaning, value(field), offset, isSecret: isSecret(field))
        }
        return text
    }

    private func row(
        _ address: Int, _ width: Int, _ meaning: String, _ value: String, _ offset: (Int) -> Int, isSecret: Bool = false
    ) -> String {
        let shown = (0..<width).map { registers.u8(address + $0, bytes.span) ?? 0 }
        let register = String(address, radix: 16)
        return isSecret
            ? explanationRow(offset(address), "**", "\(register) \(meaning)", maskedSecret)
            : explanationRow(offset(address), shown, "\(register) \(meaning)", value)
    }

    private func value(_ field: JKRegisterField) -> String {
        switch field.kind {
        case .text, .secret: return "\"\(text(field))\""
        case .flag8, .flag32: return integer(field) != 0 ? "yes" : "no"
        case .probe where integer(field) == -2000: return "no probe"
        case .probe, .temperature: return decimal(integer(field), 1) + " " + field.unit
        case .float: return float(field).map { decimal($0, 5) } ?? "no number"
        default: return "\(integer(field)) \(field.unit)"
        }
    }

    private func decimal(_ value: Int64, _ decimals: Int) -> String {
        var json = JSONText()
        json.fixed(value, decimals: decimals)
        return json.string
    }

    // MARK: Values

    private func integer(_ field: JKRegisterField) -> Int64 {
        let span = bytes.span
        let value: Int64? =
            switch field.kind {
            case .u8, .flag8: registers.u8(field.address, span).map { Int64($0) }
            case .i8: registers.u8(field.address, span).map { Int64(Int8(bitPattern: $0)) }
            case .u16: registers.u16(field.address, span).map { Int64($0) }
            case .i16, .probe: registers.i16(field.address, span).map { Int64($0) }
            case .i32, .temperature: registers.i32(field.address, span).map { Int64($0) }
            default: registers.u32(field.address, span).map { Int64($0) }
            }
        return value ?? 0
    }

    private func float(_ field: JKRegisterField) -> Int64? {
        registers.u32(field.address, bytes.span).flatMap { JK55AA.scaled(bits: $0, by: 100_000) }
    }

    private func isSecret(_ field: JKRegisterField) -> Bool {
        if case .secret = field.kind { !showSecrets } else { false }
    }

    private func text(_ field: JKRegisterField) -> String {
        if isSecret(field) { return maskedSecret }
        var text = FixedArray<24, UInt8>(filler: 0)
        registers.text(field.address, width: field.width, bytes.span, into: &text)
        return printableText((0..<text.count).map { text[$0] })
    }
}
