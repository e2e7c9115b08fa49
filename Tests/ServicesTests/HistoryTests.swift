import Foundation
import GRDB
import ServicesTesting
import Testing

@testable import Services

@Suite struct HistoryCodecTests {
    @Test func `a packed block gives back every point, gaps included`() {
        var numbers = LinearNumbers(seed: 3)
        var points: [(index: Int, spread: Spread)] = []
        var mean: Int64 = 3400
        for index in 0..<1440 where !(200..<260).contains(index) && index % 97 != 0 {
            mean += Int64(numbers.next() % 7) - 3
            points.append((index, Spread(mean - Int64(numbers.next() % 3), mean, mean + Int64(numbers.next() % 4))))
        }
        let bytes = PackedBlock.encode(points)
        var read: [(index: Int, spread: Spread)] = []
        bytes.withUnsafeBytes { PackedBlock.decode($0) { read.append(($0, $1)) } }
        #expect(read.map(\.index) == points.map(\.index))
        #expect(read.map(\.spread) == points.map(\.spread))
        // A cell that moves by millivolts takes at most three bytes and a minute that stands still one.
        #expect(bytes.count < points.count * 3 + 100)
    }

    @Test func `extreme and negative numbers survive`() {
        let points: [(index: Int, spread: Spread)] = [
            (0, Spread(-200_000_000, -1, 5)), (7, Spread(0, 4_000_000_000, 9_000_000_000)),
        ]
        let bytes = PackedBlock.encode(points)
        var read: [Spread] = []
        bytes.withUnsafeBytes { PackedBlock.decode($0) { read.append($1) } }
        #expect(read == points.map(\.spread))
    }

    @Test func `a row gives back its series`() {
        let values: [(series: Int, value: Int64)] = [(1, 5), (2, -70_000), (40, 0), (4000, 3412)]
        var read: [Int: Int64] = [:]
        SampleRow.encode(values).withUnsafeBytes { SampleRow.decode($0, isSecond: true) { read[$0] = $1.mean } }
        #expect(read == [1: 5, 2: -70_000, 40: 0, 4000: 3412])
    }

    @Test func `damaged bytes end the reading and never trap`() {
        var numbers = LinearNumbers(seed: 5)
        for _ in 0..<20_000 {
            let bytes = (0..<Int(numbers.next() % 40)).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
            var count = 0
            bytes.withUnsafeBytes { raw in
                PackedBlock.decode(raw) { _, _ in count += 1 }
                SampleRow.decode(raw, isSecond: true) { _, _ in count += 1 }
                SampleRow.decode(raw, isSecond: false) { _, _ in count += 1 }
            }
            #expect(count <= 3 * bytes.count)
        }
    }

    @Test func `the mean is rounded to the nearest, the extremes are kept`() {
        var merger = Merger()
        for value in [Int64(-4), 3, 3] { merger.add(Spread(value)) }
        #expect(merger.result == Spread(-4, 1, 3))
    }
}

@Suite struct HistoryDatabaseTests {
    static let day: Int64 = 86_400_000
    /// A midnight.
    static let start: Int64 = 1_764_028_800_000

    private func put(_ database: HistoryDatabase, at: Int64, _ value: Int64, tier: HistoryTier = .second) throws {
        try database.pool.write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO series (id, name) VALUES (1, 'pack1.cell1')")
            let row =
                tier == .second
                ? SampleRow.encode([(series: 1, value: value)])
                : SampleRow.encode([(series: 1, spread: Spread(value - 1, value, value + 1))])
            try db.execute(sql: "INSERT OR REPLACE INTO \(tier.table) (at, points) VALUES (?, ?)", arguments: [at, Data(row)])
        }
    }

    @Test func `seconds become minutes and hours with minimum, mean and maximum`() throws {
        let folder = TemporaryFolder()
        let database = try HistoryDatabase(path: folder.path + "/h.db")
        for second in Int64(0)..<7200 { try put(database, at: Self.start + second * 1000, 3000 + second % 60) }
        try database.rollUp(before: Self.start + 7_200_000)
        let (minutes, step) = try database.curves(
            ["pack1.cell1"], from: Self.start, to: Self.start + Self.day, tier: .minute, limit: 5000)
        #expect(step == 60_000 && minutes[0].points.count == 120)
        #expect(minutes[0].points[5].spread == Spread(3000, 3030, 3059))
        let (hours, _) = try database.curves(["pack1.cell1"], from: Self.start, to: Self.start + Self.day, tier: .hour, limit: 5000)
        #expect(hours[0].points.map(\.spread) == [Spread(3000, 3030, 3059), Spread(3000, 3030, 3059)])
    }

    @Test func `a second roll-up changes nothing, and a minute that is not over is not made`() throws {
        let folder = TemporaryFolder()
        let database = try HistoryDatabase(path: folder.path + "/h.db")
        for second in Int64(0)..<90 { try put(database, at: Self.start + second * 1000, 10) }
        for _ in 0..<3 { try database.rollUp(before: Self.start + 90_000) }
        let (curves, _) = try database.curves(
            ["pack1.cell1"], from: Self.start, to: Self.start + Self.day, tier: .minute, limit: 5000)
        #expect(curves[0].points.count == 1)
    }

    @Test func `packed days read the same as rows`() throws {
        let folder = TemporaryFolder()
        let database = try HistoryDatabase(path: folder.path + "/h.db")
        for minute in Int64(0)..<(3 * 1440) where minute % 50 != 7 {
            try put(database, at: Self.start + minute * 60_000, 3300 + minute % 13, tier: .minute)
        }
        let before = try database.curves(
            ["pack1.cell1"], from: Self.start, to: Self.start + 3 * Self.day, tier: .minute, limit: 20_000)
        try database.rollUp(before: Self.start + 3 * Self.day)
        let rows = try database.pool.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM minute_row") }
        let blocks = try database.pool.read { db in try Int.fetchOne(db, sql: "SELECT count(*) FROM minute_block") }
        #expect(blocks == 2)
        #expect(rows ?? 0 < 1441)
        let after = try database.curves(
            ["pack1.cell1"], from: Self.start, to: Self.start + 3 * Self.day, tier: .minute, limit: 20_000)
        #expect(after.curves[0].points.map(\.at) == before.curves[0].points.map(\.at))
        #expect(after.curves[0].points.map(\.spread) == before.curves[0].points.map(\.spread))
    }

    @Test func `a day of seconds and a year of minutes are kept, hours for ever`() throws {
        let folder = TemporaryFolder()
        let database = try HistoryDatabase(path: folder.path + "/h.db")
        let now = Self.start + 800 * Self.day
        for tier in HistoryTier.allCases {
            for days in [Int64(0), 2, 400, 790] { try put(database, at: now - days * Self.day - 1000, 7, tier: tier) }
        }
        try database.rollUp(before: now)
        func count(_ tier: HistoryTier) throws -> Int {
            try database.curves(["pack1.cell1"], from: Self.start, to: now, tier: tier, limit: 2_000_000).curves[0].points.count
        }
        #expect(try count(.second) == 1)
        #expect(try count(.minute) == 2)
        #expect(try count(.hour) == 4)
    }

    @Test func `a file that grows too large loses its oldest fine data first`() throws {
        let folder = TemporaryFolder()
        let database = try HistoryDatabase(path: folder.path + "/h.db")
        let now = Self.start + 20 * Self.day
        try database.pool.write { db in
            try db.execute(sql: "INSERT INTO series (id, name) VALUES (1, 'pack1.cell1')")
            for hour in Int64(0)..<24 {
                try db.execute(
                    sql: "INSERT INTO second_row (at, points) VALUES (?, randomblob(100000))", arguments: [now - hour * 3_600_000])
            }
        }
        try put(database, at: now - 10 * Self.day, 5, tier: .hour)
        let before = try database.size()
        let shrunk = try database.shrink(to: before / 2, now: now)
        #expect(shrunk)
        #expect(try database.size() <= before / 2 + 100_000)
        let oldest = try database.pool.read { db in try Int64.fetchOne(db, sql: "SELECT min(at) FROM second_row") }
        #expect(oldest ?? 0 >= now - 12 * 3_600_000)
        #expect(
            try database.curves(["pack1.cell1"], from: Self.start, to: now, tier: .hour, limit: 5000).curves[0].points.count == 1)
    }

    @Test func `a chart never gets more points than it asked for`() {
        for (span, limit) in [(Self.day, 1500), (365 * Self.day, 1500), (7 * Self.day, 100), (3_600_000, 10), (61_000, 20_000)] {
            for tier in HistoryTier.allCases {
                let step = HistoryDatabase.step(from: 0, to: span, tier: tier, limit: limit)
                #expect(step % tier.step == 0)
                #expect(span / step <= Int64(limit))
            }
        }
    }

    @Test func `a file of a newer version is refused and left alone`() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/h.db"
        do {
            let database = try HistoryDatabase(path: path)
            try database.pool.write { db in try db.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99')") }
            database.close()
        }
        #expect(throws: HistoryDatabase.Failure.newer) { _ = try HistoryDatabase(path: path) }
        #expect(FileManager.default.fileExists(atPath: path))
    }
}

@Suite struct HistoryRecorderTests {
    private func configuration() -> ServeConfiguration {
        var configuration = ServeConfiguration()
        configuration.history.path = ""
        return configuration
    }

    @Test func `what the hub says is in the history after a flush`() async throws {
        let clock = TestClock()
        try await withServe(configuration(), clock: clock.clock) { serve in
            for second in Int64(2)...12 {
                clock.advance(1000)
                serve.control.send(FakeSnapshot(second: second))
                _ = await eventually { await serve.hub.snapshot?.snapshot == UInt32(second) }
            }
            let from = clock.now - 60_000
            let stored = await eventually {
                let path = "/api/v1/history?series=pack2.cell7&from=\(from)&to=\(from + 120_000)&resolution=second"
                return (try? await serve.get(path))?.text.contains("[[") == true
            }
            #expect(stored)
            let statistics = try await serve.get("/api/v1/statistics").json()
            let cells = try #require(statistics["cells"] as? [[String: Any]])
            #expect(cells.count == 32)
            #expect((statistics["limited"] as? [[String: Any]])?.contains { $0["rule"] as? String == "cell_high" } == true)
        }
    }

    @Test func `a damaged file is moved aside, a new one begun, and that is told`() async throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/h.db"
        try Data((0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }).write(to: URL(fileURLWithPath: path))
        var configuration = configuration()
        configuration.history.path = path
        try await withServe(configuration) { serve in
            let events = try await serve.get("/api/v1/events?kind=history").text
            #expect(events.contains("damaged"))
            #expect(await serve.hub.health.history == .ok)
            let kept = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains(".damaged-") }
            #expect(!kept.isEmpty)
        }
    }

    @Test func `a history that cannot be opened leaves the live data alone and says why`() async throws {
        var configuration = configuration()
        configuration.history.path = "/proc/packbridge/h.db"
        try await withServe(configuration) { serve in
            #expect(await serve.getStatus("/api/v1/snapshot") == 200)
            let answer = try await serve.get("/api/v1/history?series=bank.soc&from=1&to=2")
            #expect(answer.status == 503 && answer.problem?.contains("/proc/packbridge") == true)
            let status = try await serve.get("/api/v1/status").json()
            #expect((status["history"] as? [String: Any])?["problem"] is String)
        }
    }

    @Test func `an alarm goes on after a quick restart and ends with the last record after a long one`() async throws {
        let folder = TemporaryFolder()
        var configuration = configuration()
        configuration.history.path = folder.path + "/h.db"
        let clock = TestClock()
        var alarmed = FakeSnapshot(second: 2)
        alarmed.packs[0].status.alarms = .cellOverVoltage
        try await withServe(configuration, clock: clock.clock) { serve in
            serve.control.send(alarmed)
            _ = await eventually { await serve.hub.recentEvents.contains { $0.kind == "alarm" } }
            // The alarm wants to be stored at once.
            try await Task.sleep(for: .milliseconds(300))
        }
        let stopped = clock.now
        clock.advance(10_000)
        try await withServe(configuration, snapshots: 0, clock: clock.clock) { serve in
            #expect(await serve.hub.recentEvents.contains { $0.kind == "alarm" && $0.ongoing == true })
        }
        clock.advance(3_600_000)
        try await withServe(configuration, snapshots: 0, clock: clock.clock) { serve in
            let events = try await serve.get("/api/v1/events").json()["events"] as? [[String: Any]] ?? []
            let alarm = try #require(events.first { $0["kind"] as? String == "alarm" })
            let until = try #require(alarm["until_ms"] as? Int64)
            #expect(until >= stopped && until <= stopped + 10_000)
            #expect(events.contains { ($0["text"] as? String)?.contains("not running") == true })
        }
    }
}
