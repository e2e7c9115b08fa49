import Foundation
import Testing

@testable import packbridge

@Suite struct DecodePylontechRS485Tests {
    private func object(_ line: String, after request: String? = nil) throws -> [String: Any] {
        var explainer = PylontechRS485Explainer(options: DecodeOptions())
        var json = JSONText()
        if let request { _ = explainer.writeObject(for: request, to: &json) }
        json.removeAll()
        _ = explainer.writeObject(for: line, to: &json)
        return try #require(try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String: Any])
    }

    @Test func `an answer is explained by the request before it, by its prefix, or by its length`() throws {
        let answer = "~20024600D012D002AFC801F401F4C0F99A"
        let direct = try object(answer)
        #expect(direct["of_command"] as? String == "63")
        #expect(direct["charge_A"] as? Double == 50)
        let asked = try object(answer, after: "~20024663E00201FD31")
        #expect(asked["discharge_mV"] as? Int == 45_000)
        let foreign = try object("62:" + answer)
        #expect(foreign["charge_A"] == nil, "an answer to 62 has four bytes")
    }

    @Test func `the captured answer of a US5000 has its cells and its 100 Ah`() throws {
        let cells = "110201" + "0D6A" + "02" + "0BFF0BCC" + "0000CA89FFFF04FFFF0000" + "0186A00186A0"
        let object = try object("42:" + telegram("20024600", cells))
        #expect(object["cell1_mV"] as? Int == 3434)
        #expect(object["temp1_C"] as? Double == 34)
        #expect(object["module_mV"] as? Int == 51_849)
        #expect(object["total_mAh"] as? Int == 100_000)
    }

    @Test(arguments: [
        ("~20024600D012D002AFC801F401F4C0F99B", "the checksum"), ("~20024600E012D002AFC801F401F4C0F99A", "check nibble"),
        ("~20024600F010D002AFC801F401F4C0F99A", "LENGTH says"), ("~2002460", "no capital"), ("~200246", "cut off"),
        ("hello", "neither"), ("20024600", "does not begin"), ("~20024600d012D002AFC801F401F4C0F99A", "no capital"),
    ])
    func `what is wrong with a telegram is said`(line: String, complaint: String) throws {
        let object = try object(line)
        #expect(object["accepted"] as? Bool == false)
        #expect((object["error"] as? String)?.contains(complaint) == true, "\(object)")
    }

    @Test(.enabled(if: captures != nil, "no captures folder: set PACKBRIDGE_CAPTURES"))
    func `every vector is decoded as expected, and those with a bad checksum are refused`() throws {
        var count = 0
        for record in try vectors() {
            let expected = record["decoded"] as? [String: Any] ?? [:]
            let line = (record["id"] as! String).prefix(2)
            let isAnswer = (record["id"] as! String).contains("response")
            let object = try object((isAnswer ? "\(line):" : "") + (record["ascii"] as! String))
            let isGood = record["checksum_valid"] as? Bool == true
            #expect(object["accepted"] as? Bool == isGood, "\(record["id"]!)")
            guard isGood else { continue }
            for (key, value) in expected where key != "ver" && key != "cid2" && key != "info_bytes" && key != "modules" {
                #expect("\(object[key] ?? "nothing")" == "\(value)", "\(record["id"]!) \(key)")
            }
            count += 1
        }
        #expect(count >= 10)
    }

    private func telegram(_ head: String, _ information: String) -> String {
        let length = information.count
        let nibble = -(length >> 8 + (length >> 4 & 15) + (length & 15)) & 15
        let body = head + String(format: "%X%03X", nibble, length) + information
        let sum = body.utf8.reduce(UInt16(0)) { $0 &+ UInt16($1) }
        return "~" + body + String(format: "%04X", 0 &- sum)
    }
}

/// The file of test vectors beside the package, when it is there.
private let captures: URL? = {
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let folder =
        ProcessInfo.processInfo.environment["PACKBRIDGE_CAPTURES"].map { URL(filePath: $0) }
        ?? package.deletingLastPathComponent().appending(path: "shared/data")
    let file = folder.appending(path: "inverter-frames.jsonl")
    return FileManager.default.fileExists(atPath: file.path) ? file : nil
}()

private func vectors() throws -> [[String: Any]] {
    guard let captures else { return [] }
    return try String(contentsOf: captures, encoding: .utf8).split(separator: "\n").compactMap { line in
        let record = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        return record?["protocol"] as? String == "pylontech-rs485" ? record : nil
    }
}
