import Foundation
import GRDB

/// One series over some time.
struct HistoryCurve: Sendable {
    var name: String
    var unit: HistorySeries.Unit
    /// Time of the beginning of each point, and its spread in the unit.
    var points: [(at: Int64, spread: Spread)]
}

extension HistoryDatabase {
    /// Points of one tier, merged so that no curve has more than `limit`. - Returns: the curves and the time between two points.
    func curves(
        _ names: [String], from: Int64, to: Int64, tier: HistoryTier, limit: Int
    ) throws -> (curves: [HistoryCurve], step: Int64) {
        let numbers = try series()
        let known = names.compactMap { name in numbers[name].map { (name, $0) } }
        let step = Self.step(from: from, to: to, tier: tier, limit: limit)
        var collectors: [Int: Collector] = [:]
        for (_, number) in known { collectors[number] = Collector(step: step) }
        try pool.read { db in
            if tier.block > 0 {
                for (_, number) in known {
                    // Out of the dictionary: a year of minutes is half a million points.
                    guard var collector = collectors.removeValue(forKey: number) else { continue }
                    try readBlocks(tier, series: number, from: from, to: to, db) { at, spread in collector.add(at, spread) }
                    collectors[number] = collector
                }
            }
            try readRows(tier, from: from, to: to, db) { series, at, spread in collectors[series]?.add(at, spread) }
        }
        let curves = names.map { name in
            let unit = HistorySeries.unit(of: name)
            let points = numbers[name].flatMap { collectors[$0]?.finished() } ?? []
            return HistoryCurve(
                name: name, unit: unit,
                points: points.map { at, spread in
                    (at, Spread(spread.minimum &* unit.step, spread.mean &* unit.step, spread.maximum &* unit.step))
                })
        }
        return (curves, step)
    }

    /// The step of the tier, or a round multiple of it.
    static func step(from: Int64, to: Int64, tier: HistoryTier, limit: Int) -> Int64 {
        let needed = (max(0, to - from) + Int64(limit) - 1) / Int64(limit)
        if needed <= tier.step { return tier.step }
        let round: [Int64] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400]
        for seconds in round where seconds * 1000 >= needed && (seconds * 1000) % tier.step == 0 { return seconds * 1000 }
        return (needed + 86_399_999) / 86_400_000 * 86_400_000
    }

    /// The coarsest tier that still has a point for every place in the chart.
    static func tier(from: Int64, to: Int64, now: Int64, points: Int) -> HistoryTier {
        let step = max(0, to - from) / Int64(max(1, points))
        if step >= HistoryTier.hour.step { return .hour }
        let secondsKeptFrom = now - (HistoryTier.second.retention ?? 0)
        if step >= HistoryTier.minute.step || from < secondsKeptFrom {
            return from < now - (HistoryTier.minute.retention ?? 0) ? .hour : .minute
        }
        return .second
    }

    private func readRows(
        _ tier: HistoryTier, from: Int64, to: Int64, _ db: Database, _ visit: (Int, Int64, Spread) -> Void
    ) throws {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT at, points FROM \(tier.table) WHERE at >= ? AND at < ? ORDER BY at", arguments: [from, to])
        while let row = try rows.next() {
            let at: Int64 = row[0]
            try row.withUnsafeData(atIndex: 1) { data in
                data?.withUnsafeBytes { bytes in
                    SampleRow.decode(bytes, isSecond: tier == .second) { visit($0, at, $1) }
                }
            }
        }
    }

    private func readBlocks(
        _ tier: HistoryTier, series: Int, from: Int64, to: Int64, _ db: Database, _ visit: (Int64, Spread) -> Void
    ) throws {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT id, points FROM \(tier.rawValue)_block WHERE id >= ? AND id <= ? ORDER BY id",
            arguments: [
                Self.blockID(series: series, number: max(0, from) / tier.block),
                Self.blockID(series: series, number: max(0, to - 1) / tier.block),
            ])
        while let row = try rows.next() {
            let start = ((row[0] as Int64) & 0xFFFF_FFFF) * tier.block
            try row.withUnsafeData(atIndex: 1) { data in
                data?.withUnsafeBytes { bytes in
                    PackedBlock.decode(bytes) { index, spread in
                        let at = start + Int64(index) * tier.step
                        if at >= from && at < to { visit(at, spread) }
                    }
                }
            }
        }
    }

    /// Merges points that fall into the same step.
    private struct Collector {
        let step: Int64
        private var at = Int64.min
        private var end = Int64.min
        private var merger = Merger()
        private var points: [(at: Int64, spread: Spread)] = []

        init(step: Int64) {
            self.step = step
        }

        mutating func add(_ time: Int64, _ spread: Spread) {
            if time < at || time >= end {
                flush()
                at = time / step * step
                end = at + step
            }
            merger.add(spread)
        }

        private mutating func flush() {
            if let spread = merger.result { points.append((at, spread)) }
            merger = Merger()
        }

        mutating func finished() -> [(at: Int64, spread: Spread)] {
            flush()
            return points
        }
    }

    // MARK: Events

    struct EventQuery: Sendable {
        var from: Int64?
        var to: Int64?
        var kind: String?
        var severity: Severity?
        var before: Int64?
        var limit = 100
    }

    func events(_ query: EventQuery) throws -> [EventDocument] {
        var conditions: [String] = []
        var arguments: [(any DatabaseValueConvertible)?] = []
        func add(_ condition: String, _ value: any DatabaseValueConvertible) {
            conditions.append(condition)
            arguments.append(value)
        }
        if let from = query.from { add("(ongoing = 1 OR coalesce(until, at) >= ?)", from) }
        if let to = query.to { add("at < ?", to) }
        if let kind = query.kind { add("kind = ?", kind) }
        if let severity = query.severity { add("severity >= ?", severity.number) }
        if let before = query.before { add("id < ?", before) }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return try pool.read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM event \(filter) ORDER BY id DESC LIMIT \(query.limit)",
                arguments: StatementArguments(arguments)
            ).map(EventDocument.init(row:))
        }
    }

    static func store(_ event: EventDocument, _ db: Database) throws {
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO event (id, at, until, ongoing, kind, severity, text, name, bound, pack, cell)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                event.id, event.at_ms, event.until_ms, event.ongoing == true, event.kind, event.severity.number, event.text,
                event.name, event.limit, event.pack, event.cell,
            ])
    }

    func ongoingEvents() throws -> [EventDocument] {
        try pool.read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM event WHERE ongoing = 1 ORDER BY id").map(EventDocument.init(row:))
        }
    }

    func highestEventID() throws -> Int64 {
        try pool.read { db in try Int64.fetchOne(db, sql: "SELECT max(id) FROM event") ?? 0 }
    }
}

extension Severity {
    var number: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

extension EventDocument {
    fileprivate init(row: Row) {
        let severity: Int = row["severity"]
        self.init(
            id: row["id"], at: row["at"], kind: row["kind"],
            severity: Severity.allCases.indices.contains(severity) ? Severity.allCases[severity] : .info, text: row["text"],
            name: row["name"], limit: row["bound"], pack: row["pack"], cell: row["cell"], lasts: row["ongoing"])
        until_ms = row["until"]
    }
}
