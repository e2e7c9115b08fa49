import Battery
import Foundation
import JKBMS
import Testing

/// Real frames and test vectors of other projects. What this file expects of each field comes from the records; the key names of
/// the whole `expected` object are tested with `packbridge decode`.
@Suite(.enabled(if: Captures.arePresent, "no captures folder: set PACKBRIDGE_CAPTURES"))
struct JK4E57ConformanceTests {
    @Test func `a frame is accepted exactly when its record says so`() throws {
        let records = try Captures.records("jk-4e57").filter { $0.kind != "stream" }
        #expect(records.count == 37)
        for record in records {
            let accepted = record.expected["accepted"] as? Bool ?? record.isGood
            #expect((rejection(of: record.frame) == nil) == accepted, "\(record.id)")
        }
    }

    @Test func `the values that control needs are those of the record`() throws {
        let records = try Captures.records("jk-4e57").filter { $0.kind == "reply-readall" && $0.isGood }
        #expect(records.count >= 12)
        for record in records {
            let report = try decode(record.frame)
            let reading = report.reading()
            let note = Comment(rawValue: record.id)
            #expect(
                list(reading.cells).map(Int64.init)
                    == (record.expected["cell_voltages_mV"] as? [NSNumber])?.map(\.int64Value), note)
            #expect(reading.packVoltage.map(Int64.init) == record.number("pack_voltage_mV"), note)
            #expect(reading.current.map(Int64.init) == record.number("current_mA"), note)
            #expect(reading.soc.map { Int64($0 / 100) } == record.number("soc_pct"), note)
            #expect(reading.mosfetTemperature.temperature.map { Int64($0 / 10) } == record.number("mos_temp_C"), note)
            #expect(reading.cellTemperatures[0].temperature.map { Int64($0 / 10) } == record.number("t1_C"), note)
            #expect(reading.cellTemperatures[1].temperature.map { Int64($0 / 10) } == record.number("t2_C"), note)
            #expect(reading.alarms.map { Int64($0.rawValue) } == record.number("alarms_raw"), note)
            #expect(reading.chargeSwitch == record.expected["charge_mos_on"] as? Bool, note)
            #expect(reading.dischargeSwitch == record.expected["discharge_mos_on"] as? Bool, note)
            #expect(reading.balancing == record.expected["balancing"] as? Bool, note)
            #expect(reading.rated.map { Int64($0 / 1000) } == record.number("capacity_Ah"), note)
            #expect(reading.settings?.cellOverVoltage.map(Int64.init) == record.number("cell_ovp_mV"), note)
            #expect(reading.settings?.chargeOverCurrent.map { Int64($0 / 1000) } == record.number("charge_ocp_A"), note)
            #expect(
                reading.settings?.chargeUnderTemperature.map { Int64($0 / 10) } == record.number("charge_utp_C"), note)
        }
    }

    @Test func `a complete capture that was decoded encodes to the same bytes`() throws {
        let records = try Captures.records("jk-4e57").filter { $0.kind == "reply-readall" && $0.isGood }
        for record in records {
            let report = try decode(record.frame)
            #expect(!report.isPartial, "\(record.id)")
            var frame = JK4E57.Frame()
            JK4E57.encodeReply(report, into: &frame)
            #expect(hex(frame.array) == hex(record.frame), "\(record.id)")
        }
    }

    @Test func `streams give the replies of the record and nothing else`() throws {
        let records = try Captures.records("jk-4e57").filter { $0.kind == "stream" }
        #expect(records.count == 4)
        for record in records {
            let expected = record.expected["valid_reply_frames"] as! [[String: Any]]
            let found = replies(in: record.frame)
            #expect(
                found.map { Int64($0.offset) } == expected.map { ($0["offset"] as! NSNumber).int64Value },
                "\(record.id)")
            #expect(
                found.map { Int64($0.length) } == expected.map { ($0["length"] as! NSNumber).int64Value },
                "\(record.id)")
            #expect(
                found.map(\.packVoltage) == expected.map { ($0["pack_voltage_mV"] as! NSNumber).int64Value },
                "\(record.id)")
        }
    }

    private func replies(in stream: [UInt8]) -> [(offset: Int64, length: Int, packVoltage: Int64?)] {
        var assembler = JK4E57.Assembler()
        var report = JK4E57.Report()
        var found: [(offset: Int64, length: Int, packVoltage: Int64?)] = []
        for byte in stream {
            _ = assembler.take([byte].span, at: Instant(milliseconds: 0))
            while true {
                let step = assembler.next(into: &report, at: Instant(milliseconds: 0))
                if step == .needsBytes { break }
                if step == .frame && report.transport != 0 {
                    found.append((assembler.frameOffset, assembler.frameLength, report.value(of: .packVoltage)))
                }
            }
        }
        return found
    }
}
