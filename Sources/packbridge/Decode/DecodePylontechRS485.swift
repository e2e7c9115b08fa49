import Foundation

/// `packbridge decode --protocol pylontech-rs485`: one telegram between an inverter and a Pylontech battery (pylontech-rs485.md), as its
/// text (`~20024661E00201FD33`) or in hexadecimal. An answer does not say to which command it belongs: that of the last request is
/// taken, or what stands in front (`63:~2002…`), or else the only one whose answers have this length.
struct PylontechRS485Explainer: FrameExplainer {
    private var lastCommand: UInt8?

    init(options: DecodeOptions) {}

    private struct Telegram {
        var version: UInt8
        var address: UInt8
        /// The command of a request, the return code of an answer.
        var code: UInt8
        var information: [UInt8]
        var isRequest: Bool
        var command: UInt8?
    }

    // MARK: Fields of an answer

    private enum Kind {
        /// Unsigned and signed numbers with decimals, big-endian.
        case number(decimals: Int, String)
        case signed(decimals: Int, String)
        /// Tenths of a kelvin.
        case kelvin
        case bits
    }

    private typealias Field = (key: String, meaning: String, at: Int, width: Int, kind: Kind)

    private static let tables: [UInt8: [Field]] = [
        0x61: [
            ("module_mV", "mean voltage of the modules", 0, 2, .number(decimals: 0, "mV")),
            ("current_A", "current, + = charging", 2, 2, .signed(decimals: 2, "A")),
            ("soc", "state of charge", 4, 1, .number(decimals: 0, "%")),
            ("cycles", "mean cycles", 5, 2, .number(decimals: 0, "")),
            ("cycles_max", "most cycles", 7, 2, .number(decimals: 0, "")),
            ("soh", "mean state of health", 9, 1, .number(decimals: 0, "%")),
            ("soh_min", "lowest state of health", 10, 1, .number(decimals: 0, "%")),
            ("cell_max_mV", "highest cell", 11, 2, .number(decimals: 0, "mV")), ("cell_max_id", "its number", 13, 2, .bits),
            ("cell_min_mV", "lowest cell", 15, 2, .number(decimals: 0, "mV")), ("cell_min_id", "its number", 17, 2, .bits),
            ("temp_avg_C", "mean cell temperature", 19, 2, .kelvin), ("temp_max_C", "highest cell temperature", 21, 2, .kelvin),
            ("temp_max_id", "its number", 23, 2, .bits), ("temp_min_C", "lowest cell temperature", 25, 2, .kelvin),
            ("temp_min_id", "its number", 27, 2, .bits), ("mos_avg_C", "mean MOSFET temperature", 29, 2, .kelvin),
            ("mos_max_C", "highest MOSFET temperature", 31, 2, .kelvin), ("mos_max_id", "its number", 33, 2, .bits),
            ("mos_min_C", "lowest MOSFET temperature", 35, 2, .kelvin), ("mos_min_id", "its number", 37, 2, .bits),
            ("bms_avg_C", "mean BMS temperature", 39, 2, .kelvin), ("bms_max_C", "highest BMS temperature", 41, 2, .kelvin),
            ("bms_max_id", "its number", 43, 2, .bits), ("bms_min_C", "lowest BMS temperature", 45, 2, .kelvin),
            ("bms_min_id", "its number", 47, 2, .bits),
        ],
        0x62: [
            ("alarm1", "alarms 1", 0, 1, .bits), ("alarm2", "alarms 2", 1, 1, .bits), ("prot1", "protections 1", 2, 1, .bits),
            ("prot2", "protections 2", 3, 1, .bits),
        ],
        0x63: limits(from: 0),
        0x92: [("command", "module", 0, 1, .bits)] + limits(from: 1),
        0x47: [
            ("flags", "flags", 0, 1, .bits), ("cell_high_mV", "highest cell voltage", 1, 2, .number(decimals: 0, "mV")),
            ("cell_low_mV", "lowest cell voltage, alarm", 3, 2, .number(decimals: 0, "mV")),
            ("cell_under_mV", "lowest cell voltage, protection", 5, 2, .number(decimals: 0, "mV")),
            ("charge_high_C", "highest charge temperature", 7, 2, .kelvin),
            ("charge_low_C", "lowest charge temperature", 9, 2, .kelvin),
            ("charge_A", "charge current limit", 11, 2, .signed(decimals: 1, "A")),
            ("module_high_mV", "highest module voltage", 13, 2, .number(decimals: 0, "mV")),
            ("module_low_mV", "lowest module voltage, alarm", 15, 2, .number(decimals: 0, "mV")),
            ("module_under_mV", "lowest module voltage, protection", 17, 2, .number(decimals: 0, "mV")),
            ("discharge_high_C", "highest discharge temperature", 19, 2, .kelvin),
            ("discharge_low_C", "lowest discharge temperature", 21, 2, .kelvin),
            ("discharge_A", "discharge current limit", 23, 2, .signed(decimals: 1, "A")),
        ],
    ]

    /// The step of 0.1 A is the usual one; some inverters count in 0.01 A.
    private static func limits(from at: Int) -> [Field] {
        [
            ("charge_mV", "charge voltage limit", at, 2, .number(decimals: 0, "mV")),
            ("discharge_mV", "discharge voltage limit", at + 2, 2, .number(decimals: 0, "mV")),
            ("charge_A", "charge current limit, in steps of 0.1 A", at + 4, 2, .signed(decimals: 1, "A")),
            ("discharge_A", "discharge current limit, in steps of 0.1 A", at + 6, 2, .signed(decimals: 1, "A")),
            ("status", "b7 charge, b6 discharge, b5 b4 force charge, b3 full charge", at + 8, 1, .bits),
        ]
    }

    private static func length(of command: UInt8) -> Int? {
        tables[command].map { fields in fields.map { $0.at + $0.width }.max() ?? 0 }
    }

    /// The fields of `information`. In the answer to 42 the modules follow one another; the first one is told.
    private static func fields(_ telegram: Telegram) -> [Field] {
        let information = telegram.information
        guard let command = telegram.command, !telegram.isRequest, telegram.code == 0 else {
            return telegram.isRequest && !information.isEmpty ? [("command", "module, FF = the group", 0, 1, .bits)] : []
        }
        if command == 0x42, information.count > 3 { return analog(information) }
        guard let table = tables[command], length(of: command) == information.count else { return [] }
        return table
    }

    private static func analog(_ information: [UInt8]) -> [Field] {
        var fields: [Field] = [
            ("flags", "flags", 0, 1, .bits), ("command", "module, or the number of modules", 1, 1, .bits),
            ("cells", "cells of the first module", 2, 1, .number(decimals: 0, "")),
        ]
        var at = 3
        for cell in 0..<Int(information[2]) {
            fields.append(("cell\(cell + 1)_mV", "cell \(cell + 1)", at, 2, .number(decimals: 0, "mV")))
            at += 2
        }
        guard at < information.count else { return fields }
        fields.append(("temps", "temperatures", at, 1, .number(decimals: 0, "")))
        let temperatures = Int(information[at])
        at += 1
        for sensor in 0..<temperatures {
            fields.append(("temp\(sensor + 1)_C", sensor == 0 ? "BMS board" : "sensor \(sensor)", at, 2, .kelvin))
            at += 2
        }
        let isLarge = at + 6 < information.count && information[at + 6] == 4
        fields += [
            ("current_A", "current, + = charging", at, 2, .signed(decimals: 1, "A")),
            ("module_mV", "voltage", at + 2, 2, .number(decimals: 0, "mV")),
            (isLarge ? "remain_short" : "remain_mAh", "remaining charge, FFFF above 65 Ah", at + 4, 2, .number(decimals: 0, "mAh")),
            ("userdef", "form of the charges", at + 6, 1, .bits),
            (isLarge ? "total_short" : "total_mAh", "capacity, FFFF above 65 Ah", at + 7, 2, .number(decimals: 0, "mAh")),
            ("cycles", "cycles", at + 9, 2, .number(decimals: 0, "")),
        ]
        if isLarge {
            fields += [
                ("remain_mAh", "remaining charge", at + 11, 3, .number(decimals: 0, "mAh")),
                ("total_mAh", "capacity", at + 14, 3, .number(decimals: 0, "mAh")),
            ]
        }
        // More follows: the answer for the group, which begins with their number.
        if at + (isLarge ? 17 : 11) < information.count {
            fields.append(("packs", "modules in the answer", 1, 1, .number(decimals: 0, "")))
        }
        return fields.filter { $0.at + $0.width <= information.count }
    }

    // MARK: Frame

    private enum Line {
        case good(Telegram)
        case bad(String)
    }

    private mutating func parse(_ line: String) -> Line {
        var text = line.trimmingCharacters(in: .whitespaces)
        var command: UInt8?
        if text.count > 3, text.dropFirst(2).first == ":", let number = UInt8(text.prefix(2), radix: 16) {
            command = number
            text = String(text.dropFirst(3))
        }
        var characters = Array(text.utf8)
        if characters.first != UInt8(ascii: "~") {
            guard let bytes = bytes(fromHex: text) else { return .bad("neither a telegram from ~ on nor hexadecimal") }
            characters = bytes
        }
        if characters.last == 0x0D { characters.removeLast() }
        if characters.suffix(2) == Array("\\r".utf8)[...] { characters.removeLast(2) }
        guard characters.first == UInt8(ascii: "~") else { return .bad("the telegram does not begin with ~") }
        let digits = characters.dropFirst()
        guard digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }), digits.count % 2 == 0,
            let bytes = bytes(fromHex: String(decoding: digits, as: UTF8.self))
        else { return .bad("a character between ~ and the end is no capital hexadecimal digit, or one is missing") }
        guard bytes.count >= 8 else { return .bad("the telegram is cut off: \(digits.count) digits, at least 16 expected") }
        return check(bytes, digits, command)
    }

    private mutating func check(_ bytes: [UInt8], _ digits: ArraySlice<UInt8>, _ command: UInt8?) -> Line {
        let lengthID = Int(bytes[4] & 0x0F) << 8 | Int(bytes[5])
        let nibbles = lengthID >> 8 + (lengthID >> 4 & 15) + (lengthID & 15)
        if Int(bytes[4] >> 4) != -nibbles & 15 { return .bad("the check nibble of LENGTH is wrong") }
        if lengthID != digits.count - 16 {
            return .bad("LENGTH says \(lengthID) digits of INFO, but there are \(digits.count - 16)")
        }
        let sum = digits.dropLast(4).reduce(UInt16(0)) { $0 &+ UInt16($1) }
        let written = UInt16(bytes[bytes.count - 2]) << 8 | UInt16(bytes[bytes.count - 1])
        if written != 0 &- sum {
            return .bad(String(format: "the checksum is %04X, but %04X fits", written, 0 &- sum))
        }
        if bytes[2] != 0x46 { return .bad(String(format: "CID1 is %02X, not 46", bytes[2])) }
        // Commands begin at 42 ("B"), return codes are 00 to 06, 90 and 91.
        let isRequest = bytes[3] > 0x10 && bytes[3] != 0x90 && bytes[3] != 0x91
        var telegram = Telegram(
            version: bytes[0], address: bytes[1], code: bytes[3], information: Array(bytes[6..<bytes.count - 2]),
            isRequest: isRequest)
        if isRequest { lastCommand = bytes[3] }
        telegram.command = isRequest ? bytes[3] : command ?? lastCommand ?? guess(telegram.information)
        if !isRequest { lastCommand = nil }
        return .good(telegram)
    }

    private func guess(_ information: [UInt8]) -> UInt8? {
        let fitting = Self.tables.keys.filter { Self.length(of: $0) == information.count }
        if fitting.count == 1 { return fitting[0] }
        return information.count > 40 && (1...32).contains(information[2]) ? 0x42 : nil
    }

    // MARK: Output

    private func raw(_ field: Field, _ information: [UInt8]) -> Int64 {
        let unsigned = information[field.at..<field.at + field.width].reduce(Int64(0)) { $0 << 8 | Int64($1) }
        switch field.kind {
        case .number, .bits: return unsigned
        case .signed: return Int64(Int16(truncatingIfNeeded: unsigned))
        case .kelvin: return unsigned - 2731
        }
    }

    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool {
        switch parse(line) {
        case .bad(let error):
            json.rejection(error)
            return false
        case .good(let telegram):
            json.object {
                $0.field("accepted", true)
                $0.field("kind", telegram.isRequest ? "request" : "answer")
                $0.field("ver", hexText([telegram.version]))
                $0.field("adr", telegram.address)
                $0.field("cid2", hexText([telegram.code]))
                $0.field("of_command", telegram.command.map { hexText([$0]) })
                $0.field("info", hexText(telegram.information))
                for field in Self.fields(telegram) {
                    let value = raw(field, telegram.information)
                    switch field.kind {
                    case .number(let decimals, _), .signed(let decimals, _): $0.field(field.key, fixed: value, decimals: decimals)
                    case .kelvin: $0.field(field.key, fixed: value, decimals: 1)
                    case .bits: $0.field(field.key, value)
                    }
                }
            }
            return true
        }
    }

    mutating func explain(_ line: String, to text: inout String) -> Bool {
        switch parse(line) {
        case .bad(let error):
            text += "rejected: \(error)\n"
            return false
        case .good(let telegram):
            let command = telegram.command.map { hexText([$0]) } ?? "a command that is not known"
            text += telegram.isRequest ? "request \(command)" : "answer to \(command), code \(hexText([telegram.code]))"
            text += ", address \(telegram.address), version \(hexText([telegram.version]))\n"
            for field in Self.fields(telegram) {
                let bytes = telegram.information[field.at..<field.at + field.width]
                text += explanationRow(field.at, bytes, field.meaning, words(field, telegram.information))
            }
            return true
        }
    }

    private func words(_ field: Field, _ information: [UInt8]) -> String {
        var text = JSONText()
        switch field.kind {
        case .number(let decimals, let unit), .signed(let decimals, let unit):
            text.fixed(raw(field, information), decimals: decimals)
            return unit.isEmpty ? text.string : "\(text.string) \(unit)"
        case .kelvin:
            text.fixed(raw(field, information), decimals: 1)
            return "\(text.string) °C"
        case .bits: return String(format: "0x%0\(2 * field.width)llX", raw(field, information))
        }
    }
}
