import Battery
import Foundation
import JKBMS

/// `packbridge decode --protocol jk-modbus`: one Modbus RTU telegram. A reply does not say which registers it carries; with the first
/// register in front (`1278:0103…`) they are explained too.
struct JKModbusExplainer: FrameExplainer {
    private let options: DecodeOptions

    init(options: DecodeOptions) {
        self.options = options
    }

    private struct Telegram {
        var bytes: [UInt8]
        var element: JKBusStream.Element
        var firstRegister: Int?
    }

    private enum Line {
        case good(Telegram)
        case bad(String)
    }

    private func parse(_ line: String) -> Line {
        var text = Substring(line)
        var first: Int?
        if let colon = text.firstIndex(of: ":"), let register = Int(text[..<colon].trimmed, radix: 16),
            text[..<colon].trimmed.count > 2
        {
            first = register
            text = text[text.index(after: colon)...]
        }
        guard let bytes = bytes(fromHex: text) else { return .bad("not hexadecimal") }
        let items = busItems(bytes)
        guard items.count == 1, items[0].element != .junk, items[0].element != .record else {
            return .bad(complaint(bytes))
        }
        return .good(Telegram(bytes: bytes, element: items[0].element, firstRegister: first))
    }

    private func complaint(_ bytes: [UInt8]) -> String {
        if bytes.count < 5 { return "the telegram is cut off: \(bytes.count) bytes, at least 5 expected" }
        return "no Modbus telegram of function 03 or 10, or a wrong CRC or length (\(bytes.count) bytes)"
    }

    // MARK: JSON

    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool {
        if options.stream {
            var records = JK55AAExplainer(options: options)
            return records.writeObject(for: line, to: &json)
        }
        switch parse(line) {
        case .bad(let error):
            json.rejection(error)
            return false
        case .good(let telegram):
            json.object {
                $0.field("accepted", true)
                write(telegram, to: &$0)
            }
            return true
        }
    }

    private func write(_ telegram: Telegram, to json: inout JSONText) {
        let bytes = telegram.bytes
        json.field("address", bytes[0])
        json.field("function", bytes[1] & 0x7F)
        switch telegram.element {
        case .readRequest(_, let register, let count):
            json.field("is_request", true)
            json.field("register", register)
            json.field("count", count)
        case .write(_, let register):
            json.field("is_request", true)
            json.field("register", register)
            json.field("count", word(bytes, 4))
            json.field("byte_count", bytes[6])
            writeWords(bytes[7..<bytes.count - 2], to: &json)
            if let kind = triggered(register) { json.field("triggers", "55aaeb90 type \(kind.rawValue)") }
        case .acknowledgement(_, let register):
            json.field("is_request", false)
            json.field("register", register)
            json.field("count", word(bytes, 4))
        case .readReply(_, let byteCount):
            json.field("is_request", false)
            json.field("byte_count", byteCount)
            let data = Array(bytes[3..<bytes.count - 2])
            json.field("first_register", telegram.firstRegister)
            guard let text = registers(telegram, data) else {
                writeWords(data, to: &json)
                return
            }
            // The about block holds passcodes: its raw words would tell them.
            if text.block != .about || options.showSecrets { writeWords(data, to: &json) }
            text.write(to: &json)
        case .exception(_, _, let code):
            json.field("is_request", false)
            json.field("exception", code)
        case .record, .junk: break
        }
    }

    private func writeWords(_ data: some Collection<UInt8>, to json: inout JSONText) {
        let bytes = Array(data)
        json.key("registers")
        json.array { json in
            for i in stride(from: 0, to: bytes.count, by: 2) { json.integer(word(bytes, i)) }
        }
    }

    private func registers(_ telegram: Telegram, _ data: [UInt8]) -> JKRegisterText? {
        guard let first = telegram.firstRegister else { return nil }
        let block: JKRegisters.Block
        switch first {
        case 0x1000..<0x1200: block = .settings
        case 0x1200..<0x1400: block = .status
        case 0x1400..<0x1600: block = .about
        default: return nil
        }
        return JKRegisterText(
            block: block, registers: .words(from: first, byteCount: data.count), bytes: data,
            showSecrets: options.showSecrets)
    }

    // MARK: Text

    mutating func explain(_ line: String, to text: inout String) -> Bool {
        if options.stream {
            var records = JK55AAExplainer(options: options)
            return records.explain(line, to: &text)
        }
        switch parse(line) {
        case .bad(let error):
            text += "rejected: \(error)\n"
            return false
        case .good(let telegram):
            let bytes = telegram.bytes
            text += "JK Modbus telegram, \(bytes.count) bytes: accepted\n"
            text += explanationRow(0, bytes[0..<1], "unit", "\(bytes[0])")
            text += explanationRow(1, bytes[1..<2], "function", function(telegram.element))
            text += body(telegram)
            text += explanationRow(bytes.count - 2, bytes.suffix(2), "CRC", "correct")
            return true
        }
    }

    private func body(_ telegram: Telegram) -> String {
        let bytes = telegram.bytes
        switch telegram.element {
        case .readRequest(_, let register, let count):
            return explanationRow(2, bytes[2..<4], "first register", hexText(bytes[2..<4]))
                + explanationRow(
                    4, bytes[4..<6], "count", "\(count) words, \(register) to \(Int(register) + 2 * Int(count) - 1)")
        case .write(_, let register):
            let kind = triggered(register).map { "triggers the \($0) record" } ?? ""
            return explanationRow(2, bytes[2..<4], "register", kind)
                + explanationRow(4, bytes[4..<6], "count", "\(word(bytes, 4)) words")
                + explanationRow(6, bytes[6..<7], "bytes", "\(bytes[6])")
                + explanationRow(7, bytes[7..<bytes.count - 2], "data", "")
        case .acknowledgement:
            return explanationRow(2, bytes[2..<4], "register", hexText(bytes[2..<4]))
                + explanationRow(4, bytes[4..<6], "count", "\(word(bytes, 4)) words")
        case .readReply(_, let byteCount):
            let head = explanationRow(2, bytes[2..<3], "bytes", "\(byteCount)")
            let data = Array(bytes[3..<bytes.count - 2])
            guard let registers = registers(telegram, data), let first = telegram.firstRegister else {
                return head
                    + explanationRow(
                        3, "…", "data", "put the first register in front: 1200:\(hexText(bytes.prefix(3)))…")
            }
            return head + registers.rows { $0 - first + 3 }
        case .exception(_, _, let code): return explanationRow(2, bytes[2..<3], "exception", exception(code))
        case .record, .junk: return ""
        }
    }

    private func function(_ element: JKBusStream.Element) -> String {
        switch element {
        case .readRequest: "read registers, request"
        case .readReply: "read registers, reply"
        case .write: "write registers, request"
        case .acknowledgement: "write registers, acknowledgement"
        case .exception: "refused"
        case .record, .junk: ""
        }
    }

    private func exception(_ code: UInt8) -> String {
        switch code {
        case 1: "function not known"
        case 2: "register not accessible"
        case 3: "value not allowed"
        case 4: "CRC"
        default: "unknown"
        }
    }

    private func triggered(_ register: UInt16) -> JK55AA.Kind? {
        JK55AA.Kind(trigger: register)
    }
}

private func word(_ bytes: [UInt8], _ at: Int) -> UInt16 {
    UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
}

extension Substring {
    fileprivate var trimmed: Substring { Substring(trimmingCharacters(in: .whitespaces)) }
}
