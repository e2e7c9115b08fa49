import Foundation
import InverterDialects
import Testing

@Suite struct DBCTests {
    @Test(arguments: DialectName.allCases)
    func `the DBC file and the signal table say the same`(dialect: DialectName) throws {
        let file = try DBCFile(String(contentsOf: DBCFile.url(dialect), encoding: .utf8))
        let table = allSignals(dialect).map(DBCFile.Entry.init)
        #expect(!file.entries.isEmpty)
        for missing in Set(file.entries).subtracting(table).sorted() { Issue.record("only in the DBC: \(missing)") }
        for extra in Set(table).subtracting(file.entries).sorted() { Issue.record("only in the table: \(extra)") }
        #expect(file.entries.count == table.count)
    }

    @Test(arguments: DialectName.allCases)
    func `every frame that we send is a message of the battery, as long as the DBC says or shorter`(
        dialect: DialectName
    ) throws {
        let file = try DBCFile(String(contentsOf: DBCFile.url(dialect), encoding: .utf8))
        let frames = encode(dialect, .example)
        #expect(!frames.isEmpty)
        for frame in frames {
            let message = try #require(file.messages[frame.id], "\(text(frame))")
            #expect(message.sender == "BMS", "\(text(frame)) belongs to the inverter")
            #expect(Int(frame.length) <= message.length, "\(text(frame))")
            #expect(!frame.isExtended)
            #expect(!dialect.isHeartbeat(frame), "\(text(frame))")
        }
        #expect(Set(frames.map(\.id)).count == frames.count, "an identifier is sent twice")
    }

    @Test func `a changed scale, start or sign in the file is noticed`() throws {
        let line = "BO_ 849 BMS_Limits: 8 BMS\n SG_ ChargeVoltage : 0|16@1+ (0.1,0) [0|6553.5] \"V\" INV\n"
        let table = Set(allSignals(.pylontech).map(DBCFile.Entry.init))
        #expect(table.isSuperset(of: try DBCFile(line).entries))
        for (from, to) in [("(0.1,0)", "(0.01,0)"), ("0|16", "8|16"), ("@1+", "@1-"), ("@1+", "@0+"), ("849", "850")] {
            let changed = try DBCFile(line.replacingOccurrences(of: from, with: to))
            #expect(!table.isSuperset(of: changed.entries), "\(from) → \(to)")
        }
    }

    @Test func `the case of each dialect spells its name, and the stored numbers never move`() {
        #expect(
            DialectName.allCases.map { "\($0.rawValue) \($0.text)" } == [
                "0 pylontech", "1 growatt", "2 pylontech_v2", "3 sma", "4 victron", "5 luxpower", "6 deye",
                "7 deye_pcs",
                "8 hybrid_li", "9 solark", "10 goodwe", "11 byd_lv", "12 sofar",
            ])
        for dialect in DialectName.allCases {
            let snake = "\(dialect)".map { $0.isUppercase ? "_" + $0.lowercased() : String($0) }.joined()
            #expect(snake == dialect.name)
        }
    }
}
