import Foundation
import GRDB
import Testing

@testable import Services

/// A history outlives the program that began it. `Schemas/NUMBER.sql` is one that version NUMBER of the layout wrote; a new migration
/// comes with such a file of its own, and the older files stay as they are.
@Suite struct HistoryMigrationTests {
    @Test(arguments: HistoryDatabase.migrator.migrations)
    func `a history of an earlier layout is brought up to date and keeps its points, events and totals`(version: String) throws {
        let folder = TemporaryFolder()
        let dump = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Schemas/\(version).sql")
        let old = try DatabaseQueue(path: folder.path + "/history.db")
        let dumped = try String(contentsOf: dump, encoding: .utf8)
        try old.write { db in try db.execute(sql: dumped) }
        let written = try old.read { db in try Int64.fetchAll(db, sql: "SELECT at FROM second_row ORDER BY at") }
        try old.close()
        #expect(written.count == 3)

        let database = try HistoryDatabase(path: folder.path + "/history.db")
        defer { database.close() }
        #expect(try database.pool.read { db in try HistoryDatabase.migrator.hasCompletedMigrations(db) })
        #expect(try database.damage() == nil)
        let (curves, _) = try database.curves(
            ["pack1.cell1"], from: written[0], to: written[2] + 1000, tier: .second, limit: 100)
        #expect(curves[0].points.map(\.at) == written)
        #expect(curves[0].points.allSatisfy { (3309...3311).contains($0.spread.mean) })
        let counts = try database.pool.read { db in
            try ["event", "energy", "limited", "extreme"].map { try Int.fetchOne(db, sql: "SELECT count(*) FROM \($0)") ?? 0 }
        }
        #expect(counts == [4, 1, 4, 16])
    }
}
