import Battery
import InverterDialects
import JKBMS
import LinuxIO

/// `packbridge decode --protocol jk-can`: frames of a JK unit's own CAN protocol, as candump or cansend write them.
struct JKCANExplainer: FrameExplainer {
    init(options: DecodeOptions) {}

    /// One field of a frame. Fields that a short frame does not carry are nil.
    private enum Value {
        case integer(Int64?, unit: String)
        case flag(Bool?)
        case list([UInt16])
        /// Alarm levels that are not 0.
        case levels([(name: String, level: UInt32)]?)
    }

    private typealias Field = (key: String, value: Value)

    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool {
        do throws(CandumpLine.Problem) {
            let frame = try CandumpLine(line).frame
            guard let (fields, address) = fields(of: frame) else {
                json.rejection("\(frame.idText) is no identifier of this protocol")
                return false
            }
            json.object {
                $0.field("accepted", true)
                $0.field("id", frame.idText)
                $0.field("address", address)
                for field in fields { write(field, to: &$0) }
            }
            return true
        } catch {
            json.rejection(error.explanation)
            return false
        }
    }

    private func write(_ field: Field, to json: inout JSONText) {
        switch field.value {
        case .integer(let value, _): json.field(field.key, value)
        case .flag(let value): json.field(field.key, value)
        case .list(let values): json.field(field.key, array: { json in for value in values { json.integer(value) } })
        case .levels(let levels):
            guard let levels else { return json.field(field.key, String?.none) }
            json.field(field.key, object: { json in for (name, level) in levels { json.field(name, level) } })
        }
    }

    mutating func explain(_ line: String, to text: inout String) -> Bool {
        do throws(CandumpLine.Problem) {
            let frame = try CandumpLine(line).frame
            text += "\(frame.idText)  \(frame.bytesText)\n"
            guard let (fields, address) = fields(of: frame) else {
                text += "  rejected: no identifier of this protocol\n"
                return false
            }
            text += "  unit \(address)\n"
            for field in fields { text += "  \(pad(field.key, to: 24)) \(words(field.value))\n" }
            return true
        } catch {
            text += "rejected: \(error.explanation)\n"
            return false
        }
    }

    private func words(_ value: Value) -> String {
        switch value {
        case .integer(let value, let unit): value.map { "\($0) \(unit)" } ?? "not in this frame"
        case .flag(let value): value.map { $0 ? "yes" : "no" } ?? "not in this frame"
        case .list(let values): values.map(String.init).joined(separator: ", ") + " mV"
        case .levels(let levels):
            levels?.map { "\($0.name) \($0.level)" }.joined(separator: ", ") ?? "not in this frame"
        }
    }

    // MARK: Fields

    private func fields(of frame: CANFrame) -> (fields: [Field], address: UInt8)? {
        guard let (message, address) = JKCAN.identify(id: frame.id, isExtended: frame.isExtended) else { return nil }
        let data = (0..<Int(frame.length)).map { frame[$0] }
        func u16(_ at: Int, times factor: Int64 = 1) -> Int64? {
            at + 2 <= data.count ? Int64(UInt16(data[at]) | UInt16(data[at + 1]) << 8) * factor : nil
        }
        func u8(_ at: Int) -> Int64? { at < data.count ? Int64(data[at]) : nil }
        func celsius(_ at: Int) -> Int64? { u8(at).map { $0 - 50 } }
        func probe(_ at: Int) -> Int64? { u8(at) == 0 ? nil : celsius(at) }
        func bit(_ n: Int64) -> Bool? { u8(0).map { $0 >> n & 1 != 0 } }
        let fields: [Field]
        switch message {
        case .battery:
            fields = [
                ("pack_voltage_mV", .integer(u16(0, times: 100), unit: "mV")),
                ("current_raw", .integer(u16(2), unit: "")),
                ("current_mA_raw_sign", .integer(u16(2).map { ($0 - 4000) * 100 }, unit: "mA, sign not certain")),
                ("soc_pct", .integer(u8(4), unit: "%")), ("discharge_time_h", .integer(u16(6), unit: "h")),
            ]
        case .cells:
            fields = [
                ("max_cell_mV", .integer(u16(0), unit: "mV")), ("max_cell_no", .integer(u8(2), unit: "")),
                ("min_cell_mV", .integer(u16(3), unit: "mV")), ("min_cell_no", .integer(u8(5), unit: "")),
            ]
        case .temperatures:
            fields = [
                ("max_temp_C", .integer(celsius(0), unit: "°C")), ("max_temp_no", .integer(u8(1), unit: "")),
                ("min_temp_C", .integer(celsius(2), unit: "°C")), ("min_temp_no", .integer(u8(3), unit: "")),
                ("avg_temp_C", .integer(celsius(4), unit: "°C")),
            ]
        case .alarms:
            let word = JKCAN.alarmWord(data.span)
            fields = [
                ("alarms_raw", .integer(word.map { Int64($0) }, unit: "")),
                ("levels", .levels(word.map { levels($0) })),
            ]
        case .capacity:
            fields = [
                ("remaining_mAh", .integer(u16(0, times: 100), unit: "mAh")),
                ("full_capacity_mAh", .integer(u16(2, times: 100), unit: "mAh")),
                ("cycle_capacity_mAh", .integer(u16(4, times: 100), unit: "mAh, wraps")),
                ("cycles", .integer(u16(6), unit: "")),
            ]
        case .probes:
            fields = [
                ("temp_sensor_present", .integer(u8(0), unit: "")), ("t1_C", .integer(probe(1), unit: "°C")),
                ("t2_C", .integer(probe(2), unit: "°C")), ("mos_temp_C", .integer(probe(3), unit: "°C")),
                ("t4_C", .integer(probe(4), unit: "°C")), ("t5_C", .integer(probe(5), unit: "°C")),
            ]
        case .switches:
            fields = [
                ("charge_mos_on", .flag(bit(0))), ("discharge_mos_on", .flag(bit(1))), ("balancing", .flag(bit(2))),
            ]
        case .cellVoltages(let first):
            let cells = stride(from: 0, to: data.count - 1, by: 2).compactMap { u16($0).map { UInt16($0) } }
            fields = [("cell_index_first", .integer(Int64(first), unit: "")), ("cell_voltages_mV", .list(cells))]
        case .chargeRequest:
            fields = [
                ("charge_voltage_raw", .integer(u16(0), unit: "0.1 V, byte order not verified")),
                ("charge_current_raw", .integer(u16(2), unit: "0.1 A, byte order not verified")),
                ("control", .integer(u8(4), unit: "")),
            ]
        case .faults, .information: fields = []
        }
        return (fields, address)
    }

    private static let alarmNames = [
        "cell_overvoltage", "cell_undervoltage", "pack_overvoltage", "pack_undervoltage", "cell_difference",
        "discharge_overcurrent", "charge_overcurrent", "temperature_high", "temperature_low", "temperature_difference",
        "soc_low", "insulation_low", "hv_interlock", "external_communication", "internal_communication",
    ]

    private func levels(_ word: UInt32) -> [(name: String, level: UInt32)] {
        Self.alarmNames.indices.map { (Self.alarmNames[$0], word >> UInt32(2 * $0) & 3) }.filter { $0.level != 0 }
    }
}
