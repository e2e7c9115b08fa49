import Foundation
import GRDB

/// Sums and extremes that grow with every snapshot: energy by day, time at each limit reason, extremes of every cell.
struct HistoryTotals: Sendable {
    private var energy: [String: (charged: Int64, discharged: Int64)] = [:]
    private var limited: [Limited: (text: String, milliseconds: Int64)] = [:]
    private var extremes: [Cell: Extreme] = [:]
    private var changed: Set<Cell> = []
    private var lastEnergy: (charged: Int64, discharged: Int64)?
    private var lastAt: Int64?

    struct Limited: Hashable, Sendable {
        var limit: String
        var rule: String
        var pack: UInt8
        var cell: UInt8
    }

    struct Cell: Hashable, Sendable {
        var pack: UInt8
        var cell: UInt8
    }

    struct Extreme: Equatable, Sendable {
        var lowest: Int64
        var lowestAt: Int64
        var highest: Int64
        var highestAt: Int64
    }

    /// A longer pause between two snapshots belongs to nobody.
    static let longestStep: Int64 = 5000

    mutating func add(_ snapshot: SnapshotDocument, day: String) {
        let now = snapshot.time_ms
        let step = lastAt.map { now - $0 } ?? 0
        lastAt = now
        let bank = snapshot.bank
        if let last = lastEnergy {
            // A counter that went back is a control process that started anew.
            let charged = max(0, bank.energy_charged_Wh - last.charged)
            let discharged = max(0, bank.energy_discharged_Wh - last.discharged)
            let sum = energy[day] ?? (0, 0)
            energy[day] = (sum.charged + charged, sum.discharged + discharged)
        }
        lastEnergy = (bank.energy_charged_Wh, bank.energy_discharged_Wh)
        if step > 0 && step <= Self.longestStep && snapshot.control.may_transmit {
            for (limit, reason) in [
                ("charge_voltage", snapshot.limits.charge_voltage.reason),
                ("charge_current", snapshot.limits.charge_current.reason),
                ("discharge_current", snapshot.limits.discharge_current.reason),
            ] {
                guard let reason, reason.rule != "none" else { continue }
                let key = Limited(limit: limit, rule: reason.rule, pack: reason.pack ?? 0, cell: reason.cell ?? 0)
                limited[key] = (reason.text, (limited[key]?.milliseconds ?? 0) + step)
            }
        }
        for pack in snapshot.packs where pack.state != "lost" && pack.age_ms != nil {
            for (index, millivolts) in pack.cells_mV.enumerated() where millivolts > 0 {
                note(Int64(millivolts), Cell(pack: pack.number, cell: UInt8(index + 1)), at: now)
            }
        }
    }

    private mutating func note(_ value: Int64, _ cell: Cell, at now: Int64) {
        guard var extreme = extremes[cell] else {
            extremes[cell] = Extreme(lowest: value, lowestAt: now, highest: value, highestAt: now)
            changed.insert(cell)
            return
        }
        if value >= extreme.lowest && value <= extreme.highest { return }
        if value < extreme.lowest { (extreme.lowest, extreme.lowestAt) = (value, now) }
        if value > extreme.highest { (extreme.highest, extreme.highestAt) = (value, now) }
        extremes[cell] = extreme
        changed.insert(cell)
    }

    // MARK: In the database

    /// The extremes so far, which `note` compares with.
    mutating func load(_ db: Database) throws {
        for row in try Row.fetchAll(db, sql: "SELECT * FROM extreme") {
            extremes[Cell(pack: row["pack"], cell: row["cell"])] = Extreme(
                lowest: row["lowest"], lowestAt: row["lowest_at"], highest: row["highest"], highestAt: row["highest_at"])
        }
    }

    /// Adds everything to the database. Call `written` once the transaction is through.
    func write(_ db: Database) throws {
        for (day, sum) in energy where sum.charged > 0 || sum.discharged > 0 {
            try db.execute(
                sql: """
                    INSERT INTO energy (day, charged, discharged) VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE SET
                    charged = charged + excluded.charged, discharged = discharged + excluded.discharged
                    """, arguments: [day, sum.charged, sum.discharged])
        }
        for (key, value) in limited where value.milliseconds >= 1000 {
            try db.execute(
                sql: """
                    INSERT INTO limited (bound, rule, pack, cell, text, seconds) VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT (bound, rule, pack, cell) DO UPDATE SET seconds = seconds + excluded.seconds, text = excluded.text
                    """, arguments: [key.limit, key.rule, key.pack, key.cell, value.text, value.milliseconds / 1000])
        }
        for cell in changed {
            guard let extreme = extremes[cell] else { continue }
            try db.execute(
                sql: """
                    INSERT OR REPLACE INTO extreme (pack, cell, lowest, lowest_at, highest, highest_at) VALUES (?, ?, ?, ?, ?, ?)
                    """,
                arguments: [cell.pack, cell.cell, extreme.lowest, extreme.lowestAt, extreme.highest, extreme.highestAt])
        }
    }

    mutating func written() {
        energy = [:]
        limited = limited.compactMapValues { value in
            let rest = value.milliseconds >= 1000 ? value.milliseconds % 1000 : value.milliseconds
            return rest == 0 ? nil : (value.text, rest)
        }
        changed = []
    }

    /// What could not be written is added again to what came since.
    mutating func takeBack(_ old: HistoryTotals) {
        energy.merge(old.energy) { ($0.charged + $1.charged, $0.discharged + $1.discharged) }
        for (key, value) in old.limited {
            // The part below a second was kept when it was handed out.
            let whole = value.milliseconds / 1000 * 1000
            if whole > 0 { limited[key] = (value.text, (limited[key]?.milliseconds ?? 0) + whole) }
        }
        changed.formUnion(old.changed)
    }
}

/// The answer of `/api/v1/statistics`.
struct StatisticsDocument: Codable, Equatable, Sendable {
    struct Day: Codable, Equatable, Sendable {
        var day: String
        var charged_Wh: Int64
        var discharged_Wh: Int64
    }

    struct Cell: Codable, Equatable, Sendable {
        var pack: UInt8
        var cell: UInt8
        var lowest_mV: Int64
        var lowest_at_ms: Int64
        var highest_mV: Int64
        var highest_at_ms: Int64
    }

    struct Limited: Codable, Equatable, Sendable {
        var limit: String
        var rule: String
        var text: String
        var pack: UInt8?
        var cell: UInt8?
        var seconds: Int64
    }

    var days: [Day]
    var cells: [Cell]
    var limited: [Limited]
}

extension HistoryDatabase {
    func statistics(days: Int) throws -> StatisticsDocument {
        try pool.read { db in
            StatisticsDocument(
                days: try Row.fetchAll(db, sql: "SELECT * FROM energy ORDER BY day DESC LIMIT \(days)").reversed().map {
                    .init(day: $0["day"], charged_Wh: $0["charged"], discharged_Wh: $0["discharged"])
                },
                cells: try Row.fetchAll(db, sql: "SELECT * FROM extreme ORDER BY pack, cell").map {
                    .init(
                        pack: $0["pack"], cell: $0["cell"], lowest_mV: $0["lowest"], lowest_at_ms: $0["lowest_at"],
                        highest_mV: $0["highest"], highest_at_ms: $0["highest_at"])
                },
                limited: try Row.fetchAll(db, sql: "SELECT * FROM limited ORDER BY seconds DESC LIMIT 500").map {
                    let (pack, cell): (UInt8, UInt8) = ($0["pack"], $0["cell"])
                    return .init(
                        limit: $0["bound"], rule: $0["rule"], text: $0["text"], pack: pack == 0 ? nil : pack,
                        cell: cell == 0 ? nil : cell, seconds: $0["seconds"])
                })
        }
    }
}
