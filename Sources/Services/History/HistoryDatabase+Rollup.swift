import Foundation
import GRDB

extension HistoryDatabase {
    /// Makes the minutes and hours that are complete before `now` and not there yet, packs what is old, and forgets what is older.
    ///
    /// Short transactions: one for each day that is packed.
    func rollUp(before now: Int64) throws {
        try rollUp(from: .second, to: .minute, before: now)
        try rollUp(from: .minute, to: .hour, before: now)
        // Two hours later than possible, so that an hour is always made from rows.
        while try pack(.minute, before: now - 2 * 3_600_000) {}
        while try pack(.hour, before: now - 2 * 86_400_000) {}
        try forget(before: now)
    }

    private func rollUp(from source: HistoryTier, to target: HistoryTier, before now: Int64) throws {
        let step = target.step
        let end = now / step * step
        try pool.write { db in
            let mark = "rolled_\(target.rawValue)"
            let first = try Int64.fetchOne(db, sql: "SELECT min(at) FROM \(source.table)") ?? end
            let done = try Int64.fetchOne(db, sql: "SELECT value FROM mark WHERE name = ?", arguments: [mark]) ?? 0
            // A clock that was set back gives points older than the mark: they have their minute already.
            let start = max(first / step * step, done)
            if start >= end { return }
            var at = start
            var mergers: [Int: Merger] = [:]
            func finish() throws {
                if mergers.isEmpty { return }
                let spreads = mergers.sorted { $0.key < $1.key }.compactMap { key, value in value.result.map { (key, $0) } }
                try db.execute(
                    sql: "INSERT OR REPLACE INTO \(target.table) (at, points) VALUES (?, ?)",
                    arguments: [at, Data(SampleRow.encode(spreads))])
                mergers.removeAll(keepingCapacity: true)
            }
            let rows = try Row.fetchCursor(
                db, sql: "SELECT at, points FROM \(source.table) WHERE at >= ? AND at < ? ORDER BY at", arguments: [start, end])
            while let row = try rows.next() {
                let time: Int64 = row[0]
                if time / step * step != at {
                    try finish()
                    at = time / step * step
                }
                try row.withUnsafeData(atIndex: 1) { data in
                    data?.withUnsafeBytes { bytes in
                        SampleRow.decode(bytes, isSecond: source == .second) { mergers[$0, default: Merger()].add($1) }
                    }
                }
            }
            try finish()
            try Self.setMark(mark, end, db)
        }
    }

    /// Packs the oldest complete block of rows. - Returns: false when there is none.
    private func pack(_ tier: HistoryTier, before now: Int64) throws -> Bool {
        try pool.write { db in
            guard let first = try Int64.fetchOne(db, sql: "SELECT min(at) FROM \(tier.table)") else { return false }
            let number = first / tier.block
            let (start, end) = (number * tier.block, (number + 1) * tier.block)
            if end > now { return false }
            var points: [Int: [(index: Int, spread: Spread)]] = [:]
            let rows = try Row.fetchCursor(
                db, sql: "SELECT at, points FROM \(tier.table) WHERE at >= ? AND at < ? ORDER BY at", arguments: [start, end])
            while let row = try rows.next() {
                let time: Int64 = row[0]
                let index = Int((time - start) / tier.step)
                try row.withUnsafeData(atIndex: 1) { data in
                    data?.withUnsafeBytes { bytes in
                        SampleRow.decode(bytes, isSecond: false) { series, spread in
                            // A row off the grid, from a file that somebody edited, must not end the process.
                            if points[series]?.last?.index == index { return }
                            points[series, default: []].append((index, spread))
                        }
                    }
                }
            }
            let insert = try db.cachedStatement(
                sql: "INSERT OR REPLACE INTO \(tier.rawValue)_block (id, points) VALUES (?, ?)")
            for (series, points) in points {
                try insert.execute(arguments: [Self.blockID(series: series, number: number), Data(PackedBlock.encode(points))])
            }
            try db.execute(sql: "DELETE FROM \(tier.table) WHERE at >= ? AND at < ?", arguments: [start, end])
            return true
        }
    }

    /// Blocks of one series lie side by side.
    static func blockID(series: Int, number: Int64) -> Int64 {
        Int64(series) << 32 | number
    }

    private func forget(before now: Int64) throws {
        try pool.write { db in
            for tier in HistoryTier.allCases {
                guard let retention = tier.retention else { continue }
                try db.execute(sql: "DELETE FROM \(tier.table) WHERE at < ?", arguments: [now - retention])
                if tier.block > 0 { try Self.deleteBlocks(tier, before: (now - retention) / tier.block, db) }
            }
            // Two years of events, and not more than a flood of them.
            try db.execute(
                sql: "DELETE FROM event WHERE ongoing = 0 AND (at < ? OR id <= (SELECT max(id) FROM event) - 200000)",
                arguments: [now - 2 * 366 * 86_400_000])
        }
    }

    private static func deleteBlocks(_ tier: HistoryTier, before number: Int64, _ db: Database) throws {
        for series in try Int64.fetchAll(db, sql: "SELECT id FROM series") {
            try db.execute(
                sql: "DELETE FROM \(tier.rawValue)_block WHERE id >= ? AND id < ?",
                arguments: [series << 32, series << 32 | max(0, number)])
        }
    }

    /// Forgets the oldest of the finest data until the file is small enough. - Returns: true when something had to go.
    func shrink(to maximum: Int64, now: Int64) throws -> Bool {
        var shrunk = false
        for hours in [12, 6, 1] where try size() > maximum {
            try pool.write { db in
                try db.execute(sql: "DELETE FROM second_row WHERE at < ?", arguments: [now - Int64(hours) * 3_600_000])
            }
            shrunk = true
        }
        for days in stride(from: 335, through: 5, by: -30) where try size() > maximum {
            try pool.write { db in
                try Self.deleteBlocks(.minute, before: now / HistoryTier.minute.block - Int64(days), db)
            }
            shrunk = true
        }
        if shrunk { try pool.writeWithoutTransaction { db in try db.execute(sql: "PRAGMA incremental_vacuum") } }
        return shrunk
    }
}
