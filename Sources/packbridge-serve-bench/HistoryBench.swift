import Foundation
import Services
import ServicesTesting

/// Makes a history of minutes, as a year of running would, and times a chart of all of it.
enum HistoryBench {
    static func run(_ path: String, days: Int, packs: Int) async throws {
        let generator = try HistoryGenerator(path: path)
        let start = ContinuousClock.now
        // Until now, so that the charts of a server that is given the file are full.
        let end = systemClock() / 60_000 * 60_000
        try await generator.fill(days: days, until: end) { second in
            var snapshot = FakeSnapshot(second: second, packs: packs)
            snapshot.bank.snapshot = UInt32(truncatingIfNeeded: second)
            return (snapshot.bank, snapshot.packs)
        }
        print("made \(days) days of \(packs) packs in \(ContinuousClock.now - start)")
        for line in try generator.measure(days: days, until: end) { print(line) }
    }
}
