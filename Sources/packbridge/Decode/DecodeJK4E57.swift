import Battery
import JKBMS

/// `packbridge decode --protocol jk-4e57`: frames of the "GPS" UART.
struct JK4E57Explainer: FrameExplainer {
    private let options: DecodeOptions
    private var report = JK4E57.Report()

    init(options: DecodeOptions) {
        self.options = options
    }

    // MARK: JSON

    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool {
        guard let frame = bytes(fromHex: line) else {
            json.rejection("not hexadecimal")
            return false
        }
        if options.stream { return writeStream(frame, to: &json) }
        let rejection = decode(frame)
        json.object {
            $0.field("accepted", rejection == nil)
            if let rejection { $0.field("error", explanation(of: rejection, frame)) }
            writeHeader(frame, to: &$0)
            if rejection == nil { writeFields(to: &$0) }
        }
        return rejection == nil
    }

    private mutating func decode(_ frame: [UInt8]) -> FrameRejection? {
        do throws(FrameRejection) {
            try JK4E57.decode(frame.span, into: &report)
            return nil
        } catch {
            return error
        }
    }

    /// The accepted replies in a byte stream, and why the rest was skipped. Noise and echoes are no failure.
    private mutating func writeStream(_ stream: [UInt8], to json: inout JSONText) -> Bool {
        var rejections: [FrameRejection] = []
        json.object {
            $0.key("frames")
            $0.array { rejections = writeReplies(in: stream, to: &$0) }
            $0.key("rejected")
            $0.array { for reason in rejections { $0.string(String(describing: reason)) } }
        }
        return rejections.allSatisfy { $0 == .noise || $0 == .echo }
    }

    private mutating func writeReplies(in stream: [UInt8], to json: inout JSONText) -> [FrameRejection] {
        var assembler = JK4E57.Assembler()
        var rejections: [FrameRejection] = []
        var taken = 0
        // The second instant is after every deadline: at the end of the line nothing more will come.
        for now in [Instant(milliseconds: 0), Instant(milliseconds: 1_000_000)] {
            repeat {
                taken += assembler.take(stream.span.extracting(taken..<stream.count), at: now)
                loop: while true {
                    switch assembler.next(into: &report, at: now) {
                    case .needsBytes: break loop
                    case .rejected(let reason): rejections.append(reason)
                    case .frame where report.transport == JK4E57.Transport.request.rawValue: rejections.append(.echo)
                    case .frame:
                        let start = Int(assembler.frameOffset)
                        let frame = Array(stream[start..<start + assembler.frameLength])
                        json.object {
                            $0.field("offset", start)
                            $0.field("length", frame.count)
                            writeHeader(frame, to: &$0)
                            writeFields(to: &$0)
                        }
                    }
                }
            } while taken < stream.count
        }
        return rejections
    }

    /// What can be said of any frame, rejected ones included.
    private func writeHeader(_ frame: [UInt8], to json: inout JSONText) {
        let header = Header(frame)
        json.field("length_field", header.length)
        json.field("terminal_hex", header.terminal.map { hexText($0) })
        json.field("record_hex", header.record.map { hexText($0) })
        json.field("cmd", header.command)
        json.field("frame_source", header.source)
        json.field("transport_type", header.transport)
        json.field("is_request", header.transport.map { $0 == JK4E57.Transport.request.rawValue })
        json.field("data_id", header.dataIdentifier)
        json.field("value", header.value(showSecrets: options.showSecrets))
    }

    private func writeFields(to json: inout JSONText) {
        json.field("is_partial", report.isPartial)
        for row in jk4e57Fields where row.isReported {
            switch row.id.layout.measure {
            case .cells: writeCells(to: &json)
            case .text: writeText(row, to: &json)
            case .flag: json.field(row.key, report.flag(row.id))
            default: json.field(row.key, report.value(of: row.id))
            }
            switch row.id {
            case .current: json.field("current_raw", report.raw(.current))
            case .warnings:
                json.key("alarms")
                if let raw = report.raw(.warnings) {
                    json.array { for name in warningNames(raw) { $0.string(name) } }
                } else {
                    json.null()
                }
            case .status:
                json.field("charge_mos_on", report.chargeSwitchOn)
                json.field("discharge_mos_on", report.dischargeSwitchOn)
                json.field("balancing", report.balancing)
            default: break
            }
        }
    }

    private func writeCells(to json: inout JSONText) {
        json.key("cell_voltages_mV")
        if report.cells.isEmpty {
            json.null()
            json.key("cell_indices_ok")
            json.null()
            return
        }
        json.array { for i in 0..<report.cells.count { $0.integer(report.cells[i]) } }
        // The decoder refuses any other numbering.
        json.field("cell_indices_ok", true)
    }

    private func writeText(_ row: JK4E57Field, to json: inout JSONText) {
        guard let text = report.text(row.id) else {
            json.field(row.key, String?.none)
            if row.id == .manufacturer { json.field("manufacturer_id_hex", String?.none) }
            return
        }
        let bytes = (0..<text.count).map { text[$0] }
        let hidden = row.id == .passcode && !options.showSecrets
        json.field(row.key, hidden ? maskedSecret : printableText(bytes))
        if row.id == .manufacturer { json.field("manufacturer_id_hex", hexText(bytes)) }
    }

    // MARK: Text

    mutating func explain(_ line: String, to text: inout String) -> Bool {
        guard let frame = bytes(fromHex: line) else {
            text += "not hexadecimal\n"
            return false
        }
        if options.stream {
            var json = JSONText()
            let good = writeStream(frame, to: &json)
            text += json.string + "\n"
            return good
        }
        let rejection = decode(frame)
        text += "JK 4E57 frame, \(frame.count) bytes: "
        text += rejection.map { "REJECTED, \(explanation(of: $0, frame))\n" } ?? "accepted\n"
        text +=
            JK4E57Rows(frame: frame, report: report, showSecrets: options.showSecrets, trusted: rejection == nil).text
        return rejection == nil
    }

    private func explanation(of rejection: FrameRejection, _ frame: [UInt8]) -> String {
        let header = Header(frame)
        switch rejection {
        case .badLength, .truncated:
            guard let length = header.length else {
                return "\(rejection.words): \(frame.count) bytes, at least 20 expected"
            }
            return "\(rejection.words): LENGTH \(length) wants \(length + 2) bytes, there are \(frame.count)"
        case .badEndMark: return "\(rejection.words): 68 expected, \(hexText([frame[frame.count - 5]])) found"
        case .badChecksum:
            let sum = frame.dropLast(4).reduce(UInt16(0)) { $0 &+ UInt16($1) }
            let computed = hexText([UInt8(sum >> 8), UInt8(sum & 0xFF)])
            return "\(rejection.words): \(computed) computed, \(hexText(frame.suffix(2))) found"
        case .badStructure: return "\(rejection.words): cell block, cell numbers or cell count"
        case .noise: return "\(rejection.words): it begins with 4E57"
        default: return rejection.words
        }
    }
}

/// The fixed places of a frame, as far as the frame reaches.
private struct Header {
    var length: Int?
    var terminal: ArraySlice<UInt8>?
    var command: UInt8?
    var source: UInt8?
    var transport: UInt8?
    var information: ArraySlice<UInt8> = []
    var record: ArraySlice<UInt8>?

    init(_ frame: [UInt8]) {
        guard frame.count >= 4, frame[0] == 0x4E, frame[1] == 0x57 else { return }
        let length = Int(frame[2]) << 8 | Int(frame[3])
        self.length = length
        guard frame.count >= 20, length + 2 == frame.count else { return }
        terminal = frame[4..<8]
        command = frame[8]
        source = frame[9]
        transport = frame[10]
        information = frame[11..<frame.count - 9]
        record = frame[(frame.count - 9)..<(frame.count - 5)]
    }

    /// The identifier of a request or of a frame about one identifier.
    var dataIdentifier: UInt8? {
        guard let transport, let first = information.first else { return nil }
        let about = command == JK4E57.Command.write.rawValue || information.count == 1
        return transport == JK4E57.Transport.request.rawValue || about ? first : nil
    }

    /// The number in a request, as it is on the wire; signed where the identifier is.
    func value(showSecrets: Bool) -> Int64? {
        guard let id = dataIdentifier, transport == JK4E57.Transport.request.rawValue else { return nil }
        let bytes = information.dropFirst()
        if bytes.isEmpty || bytes.count > 4 { return nil }
        let raw = bytes.reduce(Int64(0)) { $0 << 8 | Int64($1) }
        let identifier = JK4E57.Identifier(rawValue: id)
        // A password may be written shorter than its ten bytes.
        if identifier == .passcode && raw != 0 && !showSecrets { return nil }
        let measure = identifier?.layout.measure
        return measure == .signedCelsius && bytes.count == 2 ? Int64(Int16(truncatingIfNeeded: raw)) : raw
    }
}

/// Names of the set bits of the warning word (jk-4e57.md §5.3).
func warningNames(_ raw: UInt32) -> [String] {
    jk4e57Warnings.indices.filter { raw >> UInt32($0) & 1 != 0 }.map { jk4e57Warnings[$0] }
}

private let jk4e57Warnings = [
    "low_capacity", "mosfet_over_temperature", "pack_over_voltage", "pack_under_voltage", "battery_over_temperature",
    "charge_over_current", "discharge_over_current", "cell_difference", "box_over_temperature",
    "battery_under_temperature",
    "cell_over_voltage", "cell_under_voltage", "protection_309a", "protection_309b", "reserved_14", "reserved_15",
]

/// One identifier for the user: its JSON key and its meaning.
struct JK4E57Field {
    let id: JK4E57.Identifier
    let key: String
    let meaning: String
    let unit: String

    init(_ id: JK4E57.Identifier, _ key: String, _ meaning: String, _ unit: String = "") {
        self.id = id
        self.key = key
        self.meaning = meaning
        self.unit = unit
    }

    /// BB to BF exist only as writes.
    var isReported: Bool { !(0xBB...0xBF).contains(id.rawValue) }
}

let jk4e57Fields: [JK4E57Field] = [
    .init(.cellVoltages, "cell_voltages_mV", "cell voltages", "mV"),
    .init(.mosfetTemperature, "mos_temp_C", "MOSFET temperature", "°C"),
    .init(.temperature1, "t1_C", "temperature probe 1 (box)", "°C"),
    .init(.temperature2, "t2_C", "temperature probe 2 (battery)", "°C"),
    .init(.packVoltage, "pack_voltage_mV", "pack voltage", "mV"),
    .init(.current, "current_mA", "current, + = charging", "mA"),
    .init(.soc, "soc_pct", "state of charge", "%"),
    .init(.probeCount, "temp_sensor_count", "temperature probes fitted"),
    .init(.cycles, "cycles", "cycles"),
    .init(.throughput, "total_cycle_capacity_Ah", "total charge throughput", "Ah"),
    .init(.cellCount, "cell_count", "cells measured"),
    .init(.warnings, "alarms_raw", "warnings"),
    .init(.status, "status_raw", "status"),
    .init(.packOverVoltage, "pack_ovp_mV", "pack over-voltage limit", "mV"),
    .init(.packUnderVoltage, "pack_uvp_mV", "pack under-voltage limit", "mV"),
    .init(.cellOverVoltage, "cell_ovp_mV", "cell over-voltage limit", "mV"),
    .init(.cellOverVoltageRelease, "cell_ovpr_mV", "cell over-voltage release", "mV"),
    .init(.cellOverVoltageDelay, "cell_ovp_delay_s", "cell over-voltage delay", "s"),
    .init(.cellUnderVoltage, "cell_uvp_mV", "cell under-voltage limit", "mV"),
    .init(.cellUnderVoltageRelease, "cell_uvpr_mV", "cell under-voltage release", "mV"),
    .init(.cellUnderVoltageDelay, "cell_uvp_delay_s", "cell under-voltage delay", "s"),
    .init(.cellDifference, "cell_diff_protect_mV", "cell difference protection", "mV"),
    .init(.dischargeOverCurrent, "discharge_ocp_A", "discharge over-current limit", "A"),
    .init(.dischargeOverCurrentDelay, "discharge_ocp_delay_s", "discharge over-current delay", "s"),
    .init(.chargeOverCurrent, "charge_ocp_A", "charge over-current limit", "A"),
    .init(.chargeOverCurrentDelay, "charge_ocp_delay_s", "charge over-current delay", "s"),
    .init(.balanceStart, "balance_start_mV", "balancing start voltage", "mV"),
    .init(.balanceTrigger, "balance_delta_mV", "balancing trigger difference", "mV"),
    .init(.balancerEnabled, "balance_enabled", "balancer allowed"),
    .init(.mosfetOverTemperature, "mos_otp_C", "MOSFET over-temperature limit", "°C"),
    .init(.mosfetOverTemperatureRelease, "mos_otpr_C", "MOSFET over-temperature release", "°C"),
    .init(.boxOverTemperature, "box_otp_C", "box over-temperature limit", "°C"),
    .init(.boxOverTemperatureRelease, "box_otpr_C", "box over-temperature release", "°C"),
    .init(.temperatureDifference, "batt_temp_diff_C", "temperature difference limit", "°C"),
    .init(.chargeOverTemperature, "charge_otp_C", "charge over-temperature limit", "°C"),
    .init(.dischargeOverTemperature, "discharge_otp_C", "discharge over-temperature limit", "°C"),
    .init(.chargeUnderTemperature, "charge_utp_C", "charge under-temperature limit", "°C"),
    .init(.chargeUnderTemperatureRelease, "charge_utpr_C", "charge under-temperature release", "°C"),
    .init(.dischargeUnderTemperature, "discharge_utp_C", "discharge under-temperature limit", "°C"),
    .init(.dischargeUnderTemperatureRelease, "discharge_utpr_C", "discharge under-temperature release", "°C"),
    .init(.configuredCellCount, "cell_count_setting", "configured cells"),
    .init(.configuredCapacity, "capacity_Ah", "configured capacity", "Ah"),
    .init(.chargeEnabled, "charge_enabled", "charging allowed by the owner"),
    .init(.dischargeEnabled, "discharge_enabled", "discharging allowed by the owner"),
    .init(.currentCalibration, "current_calibration_mA", "current calibration", "mA"),
    .init(.boardAddress, "board_address", "board address"),
    .init(.chemistry, "battery_type", "chemistry: 0 LFP, 1 ternary, 2 LTO"),
    .init(.sleepDelay, "sleep_wait_s", "sleep delay", "s"),
    .init(.lowCapacityAlarm, "low_capacity_alarm_pct", "low-capacity alarm", "%"),
    .init(.passcode, "passcode", "parameter password"),
    .init(.dedicatedCharger, "dedicated_charger", "dedicated charger"),
    .init(.deviceName, "device_id", "device name"),
    .init(.productionDate, "manufacture_date", "production date, YYMM"),
    .init(.runtime, "runtime_min", "running time", "min"),
    .init(.softwareVersion, "software_version", "software version"),
    .init(.calibrating, "current_calibration_active", "current calibration in progress"),
    .init(.learnedCapacity, "actual_capacity_Ah", "learned capacity", "Ah"),
    .init(.manufacturer, "manufacturer_id", "manufacturer and model"),
    .init(.restart, "restart", "restart (write only)"),
    .init(.factoryReset, "factory_reset", "factory values (write only)"),
    .init(.remoteUpdate, "remote_update", "remote update (write only)"),
    .init(.gpsCutVoltage, "gps_cut_mV", "GPS supply cut voltage (write only)", "mV"),
    .init(.gpsReturnVoltage, "gps_return_mV", "GPS supply return voltage (write only)", "mV"),
    .init(.protocolVersion, "protocol_version", "protocol version"),
]
