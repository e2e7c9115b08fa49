import BridgeEngine
import Foundation
import GRDB
import LinkClient

/// Fills a history with made-up minutes and times what a chart asks for. For benches.
package struct HistoryGenerator: Sendable {
    private let database: HistoryDatabase

    package init(path: String) throws {
        database = try HistoryDatabase(path: path)
    }

    /// - Parameter until: milliseconds since 1970.
    package func fill(
        days: Int, until: Int64, _ snapshot: @Sendable @escaping (_ second: Int64) -> (BankPayload, [PackPayload])
    ) async throws {
        var numbers: [String: Int] = [:]
        let start = until - Int64(days) * 86_400_000
        for day in 0..<Int64(days) {
            numbers = try await database.pool.write { [numbers] db in
                var numbers = numbers
                for minute in 0..<Int64(1440) {
                    let at = start + day * 86_400_000 + minute * 60_000
                    var mergers: [Int: Merger] = [:]
                    // Two seconds of each minute give it a spread.
                    for part in 0..<Int64(2) {
                        let (bank, packs) = snapshot((day * 1440 + minute) * 60 + part * 30)
                        var bridge = BridgeSnapshot(bank: bank)
                        bridge.packs = packs
                        let document = SnapshotDocument(bridge, SnapshotContext())
                        try HistorySeries.values(of: document).forEach { name, value in
                            let number = try numbers[name] ?? HistoryDatabase.addSeries(name, db)
                            numbers[name] = number
                            mergers[number, default: Merger()].add(Spread(value / HistorySeries.unit(of: name).step))
                        }
                    }
                    let spreads = mergers.sorted { $0.key < $1.key }.compactMap { key, value in value.result.map { (key, $0) } }
                    try db.execute(
                        sql: "INSERT INTO minute_row (at, points) VALUES (?, ?)",
                        arguments: [at, Data(SampleRow.encode(spreads))])
                }
                return numbers
            }
            try database.rollUp(before: start + (day + 1) * 86_400_000)
        }
    }

    /// Size, and the time of the queries that the page makes.
    package func measure(days: Int, until: Int64) throws -> [String] {
        let start = until - Int64(days) * 86_400_000
        var lines = ["size \(try database.size() / 1_000_000) MB"]
        let shown = ["bank.soc", "bank.power", "limit.charge_current", "pack1.cell1"]
        for tier in [HistoryTier.minute, .hour] {
            for names in [["pack1.cell1"], shown] {
                var times: [Duration] = []
                var points = 0
                for _ in 0..<7 {
                    let began = ContinuousClock.now
                    let (curves, step) = try database.curves(names, from: start, to: until, tier: tier, limit: 1500)
                    points = CurveText.json(curves, tier: tier, step: step).readableBytes
                    times.append(ContinuousClock.now - began)
                }
                times.sort()
                lines.append("\(tier.rawValue) \(names.count) series, \(points) bytes: median \(times[3]), worst \(times[6])")
            }
        }
        return lines
    }
}
