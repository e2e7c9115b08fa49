import Foundation
import Testing

@testable import packbridge

/// The records of `jk-captures.jsonl`, read where they are: `PACKBRIDGE_CAPTURES`, or `../shared/data` beside the package.
private enum JKCaptures {
    static let file: URL = {
        let name = "jk-captures.jsonl"
        if let folder = ProcessInfo.processInfo.environment["PACKBRIDGE_CAPTURES"] {
            return URL(fileURLWithPath: folder).appendingPathComponent(name)
        }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared/data/\(name)")
    }()

    static let arePresent = FileManager.default.fileExists(atPath: file.path)

    static func records(_ name: String) throws -> [[String: Any]] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap {
            let record = try JSONSerialization.jsonObject(with: Data($0.utf8)) as! [String: Any]
            return record["protocol"] as? String == name ? record : nil
        }
    }
}

private func explainer(_ name: String, _ options: DecodeOptions = DecodeOptions()) throws -> any FrameExplainer {
    try #require(explainers.first { $0.name == name }).make(options)
}

/// One line through `--json`: the object, and whether everything was accepted.
private func object(
    _ name: String, _ line: String, _ options: DecodeOptions = DecodeOptions()
) throws -> (fields: [String: Any], accepted: Bool) {
    var explainer = try explainer(name, options)
    var json = JSONText()
    let accepted = explainer.writeObject(for: line, to: &json)
    let fields = try JSONSerialization.jsonObject(with: Data(json.bytes)) as! [String: Any]
    return (fields, accepted)
}

private func explanation(_ name: String, _ line: String, _ options: DecodeOptions = DecodeOptions()) throws -> String {
    var explainer = try explainer(name, options)
    var text = ""
    _ = explainer.explain(line, to: &text)
    return text
}

/// What `expected` says differently.
private func differences(_ expected: [String: Any], _ actual: [String: Any]) -> [String] {
    expected.keys.sorted().compactMap { key in
        let (wanted, found) = (canonical(expected[key]), canonical(actual[key]))
        return wanted == found ? nil : "\(key): \(wanted) expected, \(found) found"
    }
}

private func canonical(_ value: Any?) -> String {
    guard let value, let data = try? JSONSerialization.data(withJSONObject: [value], options: .sortedKeys) else {
        return "nothing"
    }
    return String(decoding: data, as: UTF8.self)
}

@Suite(.enabled(if: JKCaptures.arePresent, "no captures folder: set PACKBRIDGE_CAPTURES"))
struct DecodeConformanceTests {
    @Test(arguments: [("jk-4e57", 37), ("jk-55aaeb90", 165), ("jk-modbus", 31), ("jk-can", 12)])
    func `every record gives every expected field`(name: String, count: Int) throws {
        let records = try JKCaptures.records(name).filter { !isStream($0) }
        #expect(records.count == count)
        for record in records {
            let (fields, accepted) = try object(name, line(record))
            let id = record["id"] as! String
            #expect(differences(record["expected"] as! [String: Any], fields) == [], "\(id)")
            #expect(fields["accepted"] as? Bool == accepted, "\(id)")
            #expect(accepted == (fields["error"] == nil), "\(id)")
        }
    }

    /// A piece of a bus, not a telegram. The 4E57 fragments are single frames cut off.
    private func isStream(_ record: [String: Any]) -> Bool {
        record["kind"] as? String == "stream" || (record["id"] as! String).hasPrefix("55aa-fragment")
    }

    /// CAN frames need their identifier, and a Modbus reply its first register.
    private func line(_ record: [String: Any]) -> String {
        let hex = record["hex"] as! String
        if let id = record["can_id"] as? String { return "\(id)#\(hex)" }
        guard let first = (record["expected"] as! [String: Any])["first_register"] as? Int else { return hex }
        return String(first, radix: 16) + ":" + hex
    }

    @Test func `every 4E57 stream gives exactly the replies of its record`() throws {
        for record in try JKCaptures.records("jk-4e57") where isStream(record) {
            let (fields, accepted) = try object("jk-4e57", record["hex"] as! String, DecodeOptions(stream: true))
            let found = fields["frames"] as! [[String: Any]]
            let expected = (record["expected"] as! [String: Any])["valid_reply_frames"] as! [[String: Any]]
            let id = record["id"] as! String
            #expect(found.count == expected.count, "\(id)")
            for (a, b) in zip(expected, found) { #expect(differences(a, b) == [], "\(id)") }
            #expect(accepted, "\(id)")
        }
    }

    @Test func `every 55AAEB90 bus log is taken apart as its record says`() throws {
        let records = try JKCaptures.records("jk-55aaeb90").filter(isStream)
        #expect(records.count == 11)
        for record in records {
            let id = record["id"] as! String
            let (fields, accepted) = try object("jk-55aaeb90", record["hex"] as! String, DecodeOptions(stream: true))
            let expected = record["expected"] as! [String: Any]
            #expect(fields["payload_count"] as? Int == expected["payload_count"] as? Int, "\(id)")
            #expect((fields["frames"] as! [Any]).count == expected["payload_count"] as? Int, "\(id)")
            #expect(accepted, "\(id)")
            guard let items = expected["items"] as? [[String: Any]] else { continue }
            let found = fields["items"] as! [[String: Any]]
            #expect(found.count == items.count, "\(id)")
            for (a, b) in zip(items, found) { #expect(differences(a, b) == [], "\(id)") }
        }
    }

    @Test func `no passcode of any capture is shown`() throws {
        let records = try JKCaptures.records("jk-4e57").filter { $0["kind"] as? String == "reply-readall" }
        for record in records {
            let hex = record["hex"] as! String
            let (fields, accepted) = try object("jk-4e57", hex)
            guard accepted else { continue }
            #expect(fields["passcode"] as? String == maskedSecret)
            let secret = try object("jk-4e57", hex, DecodeOptions(showSecrets: true)).fields["passcode"] as! String
            if secret.count > 3 { #expect(!(try explanation("jk-4e57", hex)).contains(hexWithBlanks(secret))) }
        }
    }
}

private func hexWithBlanks(_ text: String) -> String {
    text.utf8.map { hexText([$0]) }.joined(separator: " ")
}

@Suite struct DecodeJKBusTests {
    @Test func `a reply without its first register gives words, with it fields`() throws {
        // 0x1290: pack voltage 50923 mV
        let reply = "0103040000c6eb" + crc("0103040000c6eb")
        let plain = try object("jk-modbus", reply)
        #expect(plain.accepted)
        #expect(plain.fields["registers"] as? [Int] == [0, 0xC6EB])
        #expect(plain.fields["pack_voltage_mV"] == nil)
        let named = try object("jk-modbus", "1290:" + reply).fields
        #expect(named["pack_voltage_mV"] as? Int == 50_923)
        #expect(named["soc_pct"] is NSNull)
        #expect(try explanation("jk-modbus", "1290:" + reply).contains("50923 mV"))
    }

    @Test func `an exception, a wrong CRC and something else are told apart`() throws {
        let refused = try object("jk-modbus", "018302c0f1")
        #expect(refused.fields["exception"] as? Int == 2)
        #expect(refused.fields["function"] as? Int == 3)
        #expect(try !object("jk-modbus", "018302c0f2").accepted)
        #expect(try !object("jk-modbus", "0106000100011111").accepted)
        #expect(try !object("jk-modbus", "").accepted)
    }

    @Test func `passcodes of an about block are masked, in words too`() throws {
        // First register 1438: the connect passcode "1234" and padding.
        let reply = "010310" + "31323334000000000000000000000000" + crc("01031031323334000000000000000000000000")
        let masked = try object("jk-modbus", "1438:" + reply).fields
        #expect(masked["connect_passcode"] as? String == maskedSecret)
        #expect(masked["registers"] == nil)
        #expect(!(try explanation("jk-modbus", "1438:" + reply)).contains("31 32 33"))
        let shown = try object("jk-modbus", "1438:" + reply, DecodeOptions(showSecrets: true)).fields
        #expect(shown["connect_passcode"] as? String == "1234")
    }

    @Test func `a foreign CAN identifier is rejected by name`() throws {
        let (fields, accepted) = try object("jk-can", "01F21400#0000000000000000")
        #expect(!accepted)
        #expect((fields["error"] as! String).contains("1F21400"))
    }

    @Test func `a short CAN frame gives null for what it does not carry`() throws {
        let fields = try object("jk-can", "2F5#E1008A10").fields
        #expect(fields["address"] as? Int == 1)
        #expect(fields["pack_voltage_mV"] as? Int == 22_500)
        #expect(fields["soc_pct"] is NSNull)
    }

    private func crc(_ hex: String) -> String {
        var crc: UInt16 = 0xFFFF
        for byte in bytes(fromHex: hex)! {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return hexText([UInt8(crc & 0xFF), UInt8(crc >> 8)])
    }
}

@Suite struct DecodeJK4E57Tests {
    private let passwordRequest = "4e57001d00000000050300b231323334353600000000000000006800000319"

    @Test func `a passcode is masked in every form unless asked for`() throws {
        let masked = try object("jk-4e57", passwordRequest).fields
        #expect(masked["passcode"] as? String == "***")
        #expect(!(try explanation("jk-4e57", passwordRequest)).contains("31 32 33"))
        #expect(!(try explanation("jk-4e57", passwordRequest)).contains("123456"))
        let shown = try object("jk-4e57", passwordRequest, DecodeOptions(showSecrets: true)).fields
        #expect(shown["passcode"] as? String == "123456")
        #expect(try explanation("jk-4e57", passwordRequest, DecodeOptions(showSecrets: true)).contains("\"123456\""))
        // The same with a wrong sum: nothing of the information is shown.
        let spoilt = String(passwordRequest.dropLast()) + "8"
        #expect(!(try explanation("jk-4e57", spoilt)).contains("31 32 33"))
        // A password written shorter than its field must not come out as a number.
        let short = "4e57001700000000050300b23132333400000000680000" + "02a8"
        let fields = try object("jk-4e57", short).fields
        #expect(fields["accepted"] as? Bool == true)
        #expect(fields["value"] is NSNull)
        #expect(!(try explanation("jk-4e57", short)).contains("31 32 33"))
    }

    @Test func `a request is explained`() throws {
        let write = try object("jk-4e57", "4e57001400000000020300ab010000000068000001d2")
        #expect(write.accepted)
        #expect(write.fields["is_request"] as? Bool == true)
        #expect(write.fields["data_id"] as? Int == 0xAB)
        #expect(write.fields["value"] as? Int == 1)
        let text = try explanation("jk-4e57", "4e57001400000000020300ab010000000068000001d2")
        #expect(text.contains("charging allowed by the owner"))
        #expect(text.contains("accepted"))
    }

    @Test func `a field that the frame does not carry is null, not zero`() throws {
        let fields = try object("jk-4e57", "4e5700130000000006030000000000006800000129").fields
        for key in ["soc_pct", "cell_voltages_mV", "current_mA", "device_id", "balancing", "alarms_raw"] {
            #expect(fields[key] is NSNull, "\(key)")
        }
    }

    @Test(arguments: [
        ("", "cut off"), ("zz", "not hexadecimal"), ("4e5", "not hexadecimal"), ("00112233", "4E57"),
        ("4e57001400000000020200ab00000000006800000168", "01d0 computed, 0168 found"),
        ("4e5700150000000006030000000000006800000129", "LENGTH 21 wants 23 bytes, there are 21"),
    ])
    func `a rejection says what is wrong with which figures`(line: String, words: String) throws {
        let (fields, accepted) = try object("jk-4e57", line)
        #expect(!accepted)
        #expect(fields["accepted"] as? Bool == false)
        #expect((fields["error"] as! String).contains(words), "\(fields["error"]!)")
        #expect(fields["soc_pct"] == nil)
    }

    @Test func `hexadecimal may have blanks, colons and a prefix`() {
        #expect(bytes(fromHex: "0x4E57") == [0x4E, 0x57])
        #expect(bytes(fromHex: "4e:57-00, 13\r") == [0x4E, 0x57, 0, 0x13])
        #expect(bytes(fromHex: "10x20") == nil)
        #expect(bytes(fromHex: "0x") == [])
        #expect(bytes(fromHex: "4e5g") == nil)
    }

    @Test func `texts are printable ASCII without their padding`() {
        #expect(printableText([0x61, 0, 0, 0x62, 0, 0]) == "a  b")
        #expect(printableText([0x07, 0x61, 0x1B, 0xC3, 0xA4, 0x7F, 0x5F, 0x5F]) == "a__")
        #expect(printableText([0, 0]) == "")
    }

    @Test func `JSON text is escaped`() {
        var json = JSONText()
        json.object {
            $0.field("a\"b", "c\\\u{1}\n")
            $0.field("n", fixed: -5, decimals: 3)
            $0.field("list", array: { for i in 0..<2 { $0.integer(i) } })
        }
        #expect(json.string == #"{"a\"b":"c\\\u0001\u000a","n":-0.005,"list":[0,1]}"#)
    }
}
