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
    private func table(_ name: String) throws -> [String] {
        let parts = Self.document.components(separatedBy: "<!-- fields \(name) -->\n")
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
}
