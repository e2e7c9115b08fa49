import Foundation
import InverterDialects
import Testing

/// Published frames of real batteries and inverters, and vectors of documents. Not part of the project: read in place when there.
enum PublishedFrames {
    static let file: URL = {
        let folder =
            ProcessInfo.processInfo.environment["PACKBRIDGE_CAPTURES"].map { URL(fileURLWithPath: $0) }
            ?? packageRoot.deletingLastPathComponent().appendingPathComponent("shared/data")
        return folder.appendingPathComponent("inverter-frames.jsonl")
    }()

    static var isPresent: Bool { FileManager.default.fileExists(atPath: file.path) }

    struct Record {
        var protocolName: String
        /// Frames of one dialect that are to be decoded with the table of another name it in `dbc`.
        var dialect: String
        var frame: CANFrame
        var decoded: [String: Double]
        var text: String?
        var kind: String
    }

    /// Every CAN record.
    static func load() throws -> [Record] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let name = try #require(object["protocol"] as? String)
            if name.hasSuffix("rs485") { return nil }
            let id = try #require(UInt32((object["id"] as? String ?? "").dropFirst(2), radix: 16))
            let decoded = (object["decoded"] as? [String: NSNumber] ?? [:]).mapValues(\.doubleValue)
            return Record(
                protocolName: name, dialect: object["dbc"] as? String ?? name,
                frame: InverterDialectsTests.frame(id, try #require(object["hex"] as? String)), decoded: decoded,
                text: object["text"] as? String, kind: object["kind"] as? String ?? "")
        }
    }
}

extension DialectName {
    var name: String { "\(text)" }

    init?(_ name: String) {
        guard let match = Self.allCases.first(where: { "\($0.text)" == name }) else { return nil }
        self = match
    }
}

@Suite struct ConformanceTests {
    @Test(
        .enabled(
            if: PublishedFrames.isPresent, "the published frames are not there: set PACKBRIDGE_CAPTURES to their folder"
        ))
    func `every published frame decodes to its published values`() throws {
        var count: [String: Int] = [:]
        for record in try PublishedFrames.load() {
            let dialect = try #require(DialectName(record.dialect), "no dialect \(record.dialect)")
            count[record.protocolName, default: 0] += 1
            let values = decode(dialect, record.frame)
            for (name, expected) in record.decoded {
                let value = try #require(values[name], "\(record.protocolName) \(text(record.frame)) has no \(name)")
                #expect(abs(value - expected) < 1e-6 * max(1, abs(expected)), "\(text(record.frame)) \(name)")
            }
            if let expected = record.text {
                // The parts of a text are the frame's only signals, in order.
                let parts = allSignals(dialect).filter { $0.frame == record.frame.id }.compactMap {
                    $0.raw(in: record.frame)
                }
                #expect(String(decoding: parts.map { UInt8($0) }, as: UTF8.self) == expected)
            }
        }
        for dialect in DialectName.allCases { #expect(count[dialect.name] != nil, "no record of \(dialect.text)") }
        #expect(count.values.reduce(0, +) >= 90)
    }
}
