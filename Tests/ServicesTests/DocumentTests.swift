import BridgeEngine
import Foundation
import LinkClient
import NIOCore
import ServicesTesting
import Testing

@testable import Services

@Suite struct DocumentTests {
    /// The root of the package.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test func `the example in the documentation is a snapshot`() throws {
        let data = try Data(contentsOf: Self.root.appendingPathComponent("docs/examples/snapshot.json"))
        let snapshot = try JSONDecoder().decode(SnapshotDocument.self, from: data)
        #expect(snapshot.packs.count == 2)
        #expect(snapshot.limits.charge_current.reason.cell == 7)
    }

    @Test func `a snapshot says the same after a journey through JSON`() throws {
        let fake = FakeSnapshot(second: 77, packs: 4)
        var bridge = BridgeSnapshot(bank: fake.bank)
        (bridge.packs, bridge.bmsPorts, bridge.inverterPorts) = (fake.packs, fake.bmsPorts, fake.inverterPorts)
        let document = SnapshotDocument(bridge, SnapshotContext())
        let back = try JSONDecoder().decode(SnapshotDocument.self, from: JSONEncoder().encode(document))
        #expect(back == document)
    }

    @Test func `every word of a snapshot is one that the interface document knows`() throws {
        let document = try String(contentsOf: Self.root.appendingPathComponent("docs/openapi.yaml"), encoding: .utf8)
        for key in try Self.keys(of: FakeSnapshot(second: 5)) {
            #expect(document.contains("\(key):"), "\(key)")
        }
    }

    private static func keys(of fake: FakeSnapshot) throws -> Set<String> {
        var bridge = BridgeSnapshot(bank: fake.bank)
        (bridge.packs, bridge.bmsPorts, bridge.inverterPorts) = (fake.packs, fake.bmsPorts, fake.inverterPorts)
        let data = try JSONEncoder().encode(SnapshotDocument(bridge, SnapshotContext()))
        var keys: Set<String> = []
        func collect(_ value: Any) {
            if let object = value as? [String: Any] {
                keys.formUnion(object.keys)
                object.values.forEach(collect)
            } else if let list = value as? [Any] {
                list.forEach(collect)
            }
        }
        collect(try JSONSerialization.jsonObject(with: data))
        return keys
    }

    @Test func `time to full and to empty follow the average current, and rest has neither`() {
        var fake = FakeSnapshot(second: 1)
        let bridge = BridgeSnapshot(bank: fake.bank)
        func bank(_ current: Int64) -> SnapshotDocument.Bank {
            var context = SnapshotContext()
            context.averageCurrent = current
            return SnapshotDocument(bridge, context).bank
        }
        let missing = Int64(fake.bank.report.full - fake.bank.report.remaining)
        #expect(bank(36_000).time_to_full_s == missing * 3600 / 36_000)
        #expect(bank(36_000).time_to_empty_s == nil)
        #expect(bank(-36_000).time_to_empty_s == Int64(fake.bank.report.remaining) * 3600 / 36_000)
        #expect(bank(300).time_to_full_s == nil && bank(-300).time_to_empty_s == nil)
        fake.bank.report.full = 0
        #expect(SnapshotDocument(BridgeSnapshot(bank: fake.bank), SnapshotContext()).bank.time_to_full_s == nil)
    }

    @Test func `the line for explain has the units of its schema`() throws {
        let fake = FakeSnapshot(second: 3)
        var bridge = BridgeSnapshot(bank: fake.bank)
        bridge.packs = fake.packs
        bridge.packs[0].reading.cellTemperatures[1] = .invalid
        #expect(ExplainDocument(bridge, configurationImage: nil) == nil)
        let document = try #require(ExplainDocument(bridge, configurationImage: FakeSnapshot.configurationImage))
        let data = try JSONEncoder().encode(document)
        let line = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let pack = try #require((line["packs"] as? [[String: Any]])?.first)
        #expect((pack["cells_mV"] as? [Int])?.count == 16)
        #expect(pack["mos_dC"] as? Int == 268 && (pack["temps_dC"] as? [Any])?.count == 2)
        #expect((pack["temps_dC"] as? [Any])?[1] is NSNull)
        #expect((line["config"] as? [String: Any])?["user_charge_mA"] as? Int == 140_000)
        #expect((pack["settings"] as? [String: Int])?["ovp_mV"] == 3650)
        #expect(pack["charge_fet"] as? Bool == true && pack["age_ms"] as? Int == 300)
    }

    @Test func `the table is exact, in plain units, with a line for each moment`() {
        let curves = [
            HistoryCurve(
                name: "bank.current", unit: .mA,
                points: [(1_764_028_800_000, Spread(-1, -1050, 3)), (1_764_028_860_000, Spread(20_300))]),
            HistoryCurve(name: "bank.soc", unit: .cpct, points: [(1_764_028_860_000, Spread(8250))]),
        ]
        let text = String(buffer: CurveText.csv(curves))
        #expect(
            text == "time,bank.current (A),bank.soc (%)\r\n2025-11-25T00:00:00Z,-1.050,\r\n2025-11-25T00:01:00Z,20.300,82.50\r\n")
    }
}
