import Foundation
import GRDB

/// The history in one SQLite file.
///
/// Fresh points are rows that hold all series of one moment: one small write at a time. Old ones are packed by series, so that a
/// chart of a year reads only what it draws. Every roll-up is made from what is already stored, so that it can be made again after
/// a kill at any moment.
final class HistoryDatabase: Sendable {
    let pool: DatabasePool

    enum Failure: Error, Equatable {
        /// The file was written by a newer version of this program.
        case newer
        case damaged(String)
    }

    init(path: String) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 2
        configuration.prepareDatabase { db in
            // Kilobytes for each connection.
            try db.execute(sql: "PRAGMA cache_size = -1024")
            if db.configuration.readonly { return }
            try db.execute(sql: "PRAGMA page_size = 8192")
            try db.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL")
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA wal_autocheckpoint = 256")
            try db.execute(sql: "PRAGMA journal_size_limit = 4194304")
        }
        pool = try DatabasePool(path: path, configuration: configuration)
        let migrator = Self.migrator
        if try pool.read({ db in try migrator.hasBeenSuperseded(db) }) { throw Failure.newer }
        try migrator.migrate(pool)
    }

    func close() {
        try? pool.close()
    }

    /// One entry for each layout that was ever shipped. Append, never change.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                    CREATE TABLE second_row (at INTEGER PRIMARY KEY, points BLOB NOT NULL);
                    CREATE TABLE minute_row (at INTEGER PRIMARY KEY, points BLOB NOT NULL);
                    CREATE TABLE hour_row (at INTEGER PRIMARY KEY, points BLOB NOT NULL);
                    CREATE TABLE minute_block (id INTEGER PRIMARY KEY, points BLOB NOT NULL);
                    CREATE TABLE hour_block (id INTEGER PRIMARY KEY, points BLOB NOT NULL);
                    CREATE TABLE event (
                        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, until INTEGER, ongoing INTEGER NOT NULL DEFAULT 0,
                        kind TEXT NOT NULL, severity INTEGER NOT NULL, text TEXT NOT NULL, name TEXT, bound TEXT, pack INTEGER,
                        cell INTEGER);
                    CREATE INDEX event_ongoing ON event (id) WHERE ongoing = 1;
                    CREATE TABLE energy (day TEXT PRIMARY KEY, charged INTEGER NOT NULL, discharged INTEGER NOT NULL) WITHOUT ROWID;
                    CREATE TABLE limited (
                        bound TEXT NOT NULL, rule TEXT NOT NULL, pack INTEGER NOT NULL, cell INTEGER NOT NULL, text TEXT NOT NULL,
                        seconds INTEGER NOT NULL, PRIMARY KEY (bound, rule, pack, cell)) WITHOUT ROWID;
                    CREATE TABLE extreme (
                        pack INTEGER NOT NULL, cell INTEGER NOT NULL, lowest INTEGER NOT NULL, lowest_at INTEGER NOT NULL,
                        highest INTEGER NOT NULL, highest_at INTEGER NOT NULL, PRIMARY KEY (pack, cell)) WITHOUT ROWID;
                    CREATE TABLE mark (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
                    """)
        }
        return migrator
    }

    /// Reads the whole file and says what is wrong with it; nil = nothing. Takes seconds for a large file.
    func damage() throws -> String? {
        let result = try pool.read { db in try String.fetchOne(db, sql: "PRAGMA quick_check(1)") }
        return result == "ok" ? nil : result
    }

    static func isDamage(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }

    // MARK: Size

    func size() throws -> Int64 {
        try pool.read { db in
            let pages = try Int64.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            let free = try Int64.fetchOne(db, sql: "PRAGMA freelist_count") ?? 0
            return (pages - free) * 8192
        }
    }

    /// Start of the oldest point of any tier.
    func oldest() throws -> Int64? {
        try pool.read { db in
            var found: [Int64] = []
            for tier in HistoryTier.allCases {
                if let at = try Int64.fetchOne(db, sql: "SELECT min(at) FROM \(tier.table)") { found.append(at) }
            }
            for tier in [HistoryTier.minute, .hour] {
                let first = "SELECT min(id & 0xFFFFFFFF) FROM \(tier.rawValue)_block"
                if let number = try Int64.fetchOne(db, sql: first) { found.append(number * tier.block) }
            }
            return found.min()
        }
    }

    // MARK: Marks

    func mark(_ name: String) throws -> Int64? {
        try pool.read { db in try Int64.fetchOne(db, sql: "SELECT value FROM mark WHERE name = ?", arguments: [name]) }
    }

    static func setMark(_ name: String, _ value: Int64, _ db: Database) throws {
        try db.execute(sql: "INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)", arguments: [name, value])
    }

    // MARK: Series

    /// Every series by name; the numbers grow and are never used again.
    func series() throws -> [String: Int] {
        try pool.read { db in
            var found: [String: Int] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT id, name FROM series") { found[row[1]] = row[0] }
            return found
        }
    }

    static func addSeries(_ name: String, _ db: Database) throws -> Int {
        try db.execute(sql: "INSERT INTO series (name) VALUES (?)", arguments: [name])
        return Int(db.lastInsertedRowID)
    }
}
