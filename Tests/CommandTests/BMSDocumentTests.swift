import Battery
import Foundation
import JKBMS
import Testing

@testable import packbridge

/// The tables of docs/bms-protocols.md are those of the code.
@Suite struct BMSDocumentTests {
    private static let document: String = {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: package.appendingPathComponent("docs/bms-protocols.md"), encoding: .utf8)) ?? ""
    }()

    /// The lines between `<!-- fields NAME -->` and `<!-- end -->`.
    private func table(_ name: String, _ kind: String = "fields") throws -> [String] {
        let parts = Self.document.components(separatedBy: "<!-- \(kind) \(name) -->\n")
        try #require(parts.count == 2)
        let end = try #require(parts[1].range(of: "\n<!-- end -->"))
        return parts[1][..<end.lowerBound].components(separatedBy: "\n")
    }

    @Test func `every identifier of 4E57 is listed with its width and unit`() throws {
        let rows = jk4e57Fields.map { field in
            let id = String(field.id.rawValue, radix: 16, uppercase: true)
            let width = field.id == .cellVoltages ? "1 + 3n" : "\(field.id.layout.width)"
            return "| \(id) | \(width) | `\(field.key)` | \(field.meaning) | \(field.unit) |"
        }
        #expect(jk4e57Fields.map(\.id) == JK4E57.Identifier.allCases)
        #expect(try table("jk-4e57") == ["| id | bytes | key | meaning | unit |", "|---|---|---|---|---|"] + rows)
    }

    @Test(arguments: [
        ("settings", JKRegisters.Block.settings, jkSettingsFields), ("status", .status, jkStatusFields + jkTimerFields),
        ("about", .about, jkAboutFields),
    ])
    func `every register is listed with its address and its place in both record layouts`(
        name: String, block: JKRegisters.Block, fields: [JKRegisterField]
    ) throws {
        let rows = fields.map { field in
            let address = String(field.address, radix: 16, uppercase: true)
            let long = JKRegisters.record(block).offset(of: field.address)
            let short =
                block == .settings
                ? (field.address < jkSharedSettingsEnd ? long : nil)
                : JKRegisters.record(block, cells24: block == .status).offset(of: field.address)
            return "| \(address) | \(long.map(String.init) ?? "") | \(short.map(String.init) ?? "") | `\(field.key)` | "
                + "\(field.meaning) | \(field.unit) |"
        }
        let head = ["| register | 32 cells | 24 cells | key | meaning | unit |", "|---|---|---|---|---|---|"]
        #expect(try table(name) == head + rows)
    }

    @Test func `every frame of the CAN protocol is listed under its identifier, and no other`() throws {
        let rows = try table("jk-can", "frames").dropFirst(2)
        var messages: [String] = []
        for row in rows {
            let ids = row.split(separator: "|")[0].split { $0 == " " || $0 == "," || $0 == "…" }
            for id in ids {
                let number = try #require(UInt32(id, radix: 16), "\(id)")
                let (message, address) = try #require(JKCAN.identify(id: number, isExtended: id.count == 8), "\(id)")
                #expect(address == 0)
                messages.append("\(message)")
            }
        }
        // First and last of the cell frames are listed.
        #expect(
            messages == [
                "battery", "cells", "temperatures", "alarms", "capacity", "probes", "switches", "cellVoltages(first: 1)",
                "cellVoltages(first: 25)", "chargeRequest", "faults", "information",
            ])
    }

    @Test func `what is read over Modbus is what the page says`() throws {
        let page = Self.document.replacing("\n", with: " ")
        #expect(page.contains("reads 120 words from 0x1200 and 7 from 0x12F0 for each snapshot, and 68 from 0x1000 every minute"))
        let reads = ModbusReads.ofOnePoll()
        #expect(reads.map(\.register) == [0x1000, 0x1200, 0x12F0])
        #expect(reads.map(\.words) == [68, 120, 7])
    }
}

/// The reads of the first poll of a Modbus session, each answered with zeros.
private struct ModbusReads: BMSLine {
    private var requests: [(register: Int, words: Int)] = []
    private var memory = JKPackMemory()

    static func ofOnePoll() -> [(register: Int, words: Int)] {
        var addresses = FixedArray<16, UInt8>(filler: 0)
        addresses.append(1)
        var session = JKModbusSession(addresses: addresses)
        var line = ModbusReads()
        for step in Int64(0)..<3 {
            let now = Instant(milliseconds: step * 200)
            _ = session.wake(at: now, on: &line)
            guard line.requests.count == Int(step) + 1 else { break }
            var reply = JKModbus.Request()
            let data = [UInt8](repeating: 0, count: 2 * line.requests[Int(step)].words)
            JKModbus.encodeReadReply(address: 1, data: data.span, into: &reply)
            reply.withSpan { session.receive($0, at: now + 30, on: &line) }
        }
        return line.requests
    }

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memory }
        set { memory = newValue }
    }
    mutating func transmit(_ bytes: Span<UInt8>) {
        requests.append((Int(bytes[2]) << 8 | Int(bytes[3]), Int(bytes[4]) << 8 | Int(bytes[5])))
    }
    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {}
    mutating func rejected(_ reason: FrameRejection, at now: Instant) {}
    mutating func timedOut(_ address: UInt8, at now: Instant) {}
}
