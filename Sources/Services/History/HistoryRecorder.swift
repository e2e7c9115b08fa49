import Foundation
import GRDB
import LinkClient
import Logging
import NIOPosix
import ServiceLifecycle

/// Writes what the hub says into the history, rolls up, prunes, and copes with a disk that is full or a file that is damaged.
///
/// Live data never wait for it: it reads from its own queue. What could not be stored is counted and told.
public actor HistoryRecorder: Service {
    private let path: String
    private let maximumSize: Int64
    private let zone: TimeZone
    private let hub: Hub
    private let clock: WallClock
    private let logger: Logger

    private var database: HistoryDatabase?
    private var numbers: [String: Int] = [:]
    private var totals = HistoryTotals()
    private var samples: [(at: Int64, values: [(String, Int64)])] = []
    private var events: [EventDocument] = []
    private var lastFlush: Int64 = 0
    private var lastRollUp: Int64 = 0
    private var wantsFlush = false
    /// Seconds that were not stored, since the start and in the present trouble.
    private var lostSeconds: Int64 = 0
    private var lostInTrouble: Int64 = 0
    private var problem: String?
    private var sizeBytes: Int64 = 0

    /// One write in ten seconds spares SD cards; a kill loses at most this much.
    static let flushInterval: Int64 = 10_000
    /// Samples kept in memory while nothing can be written.
    static let maximumSamples = 600
    static let maximumEvents = 1000
    /// A clock before this has not been set yet.
    static let plausibleClock: Int64 = 1_735_689_600_000
    /// A gap that is worth an event.
    static let noticeableGap: Int64 = 60_000

    public init(
        _ configuration: ServeConfiguration, path: String, hub: Hub, logger: Logger, clock: @escaping WallClock = systemClock
    ) {
        self.path = path
        maximumSize = Int64(configuration.history.maximumSize) * 1_000_000
        zone = configuration.timeZone.flatMap(TimeZone.init(identifier:)) ?? TimeZone(identifier: "UTC")!
        self.hub = hub
        self.clock = clock
        self.logger = logger
    }

    // MARK: Running

    /// Opens the file and tells the hub what was going on. Before the hub runs, so that no event number is used twice.
    public func open() async {
        var told: [String] = []
        do {
            do {
                try openDatabase()
            } catch  where HistoryDatabase.isDamage(error) {
                told.append(try setAside(because: "\(error)"))
                try openDatabase()
            }
            try await takeUp(&told)
            await report(nil)
        } catch {
            database = nil
            await report("the history cannot be opened: \(Self.words(error, path))")
        }
        for text in told { await hub.announce(kind: "history", severity: .warning, text: text) }
    }

    public func run() async throws {
        let subscription = await hub.subscribe(capacity: 256)
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.lookForDamage() }
                group.addTask { for await news in subscription.news { await self.take(news.content) } }
            }
        }
        await flush()
        database?.close()
        database = nil
    }

    private func openDatabase() throws {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let database = try HistoryDatabase(path: path)
        // Only this user and its group may read where a family is at home.
        try? FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        numbers = try database.series()
        totals = HistoryTotals()
        try database.pool.read { db in try totals.load(db) }
        sizeBytes = try database.size()
        self.database = database
    }

    /// Continues where the last process ended, or says what is missing.
    private func takeUp(_ told: inout [String]) async throws {
        guard let database else { return }
        let now = clock()
        let last = try database.mark("last_flush") ?? 0
        var ongoing = try database.ongoingEvents()
        if last > 0 && now - last > Self.noticeableGap {
            told.append("no history from \(Self.time(last, zone)) to \(Self.time(now, zone)): this process was not running")
            let ended = ongoing.map { event in
                var event = event
                event.ongoing = nil
                event.until_ms = max(event.at_ms, last)
                return event
            }
            try await database.pool.write { db in for event in ended { try HistoryDatabase.store(event, db) } }
            ongoing = []
        }
        await hub.resumeJournal(ongoing, nextID: try database.highestEventID() + 1)
    }

    /// Moves a damaged file out of the way. - Returns: what to tell.
    private func setAside(because reason: String) throws -> String {
        database?.close()
        database = nil
        numbers = [:]
        let aside = "\(path).damaged-\(clock() / 1000)"
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: path + suffix) {
            try FileManager.default.moveItem(atPath: path + suffix, toPath: aside + suffix)
        }
        logger.error("the history was damaged (\(reason)); moved to \(aside)")
        return "the history file was damaged and a new one begun; the old one is kept as \(aside)"
    }

    /// Once after the start: a damaged page is otherwise found only when somebody looks at its month.
    private func lookForDamage() async {
        guard let database else { return }
        let found = try? await blocking { () -> String? in
            do { return try database.damage() } catch { return HistoryDatabase.isDamage(error) ? "\(error)" : nil }
        }
        if let reason = found ?? nil { await replaceDamaged(reason) }
    }

    private func replaceDamaged(_ reason: String) async {
        do {
            let text = try setAside(because: reason)
            try openDatabase()
            await hub.announce(kind: "history", severity: .warning, text: text)
            await report(nil)
        } catch {
            await report("the history is damaged and cannot be replaced: \(Self.words(error, path))")
        }
    }

    // MARK: Taking

    private func take(_ content: HubNews.Content) async {
        switch content {
        case .snapshot(let snapshot):
            // The hub repeats the last snapshot when the list of orders changes.
            if samples.last?.at == snapshot.time_ms { return }
            if snapshot.time_ms < Self.plausibleClock {
                await report("the clock is not set, so nothing is stored")
                return
            }
            samples.append((snapshot.time_ms, HistorySeries.values(of: snapshot)))
            totals.add(snapshot, day: Self.day(snapshot.time_ms, zone))
        case .event(let event):
            events.removeAll { $0.id == event.id }
            events.append(event)
            if event.severity > .info { wantsFlush = true }
        case .health, .heartbeat: break
        }
        limitMemory()
        let now = clock()
        if now - lastFlush >= Self.flushInterval || now < lastFlush || wantsFlush { await flush() }
    }

    private func limitMemory() {
        let surplus = samples.count - Self.maximumSamples
        if surplus > 0 {
            samples.removeFirst(surplus)
            lostSeconds += Int64(surplus)
            lostInTrouble += Int64(surplus)
        }
        if events.count > Self.maximumEvents { events.removeFirst(events.count - Self.maximumEvents) }
    }

    // MARK: Writing

    func flush() async {
        lastFlush = clock()
        wantsFlush = false
        do {
            if database == nil { try openDatabase() }
            guard let database else { return }
            try await write(to: database)
            if lostInTrouble > 0 {
                let lost = lostInTrouble
                lostInTrouble = 0
                await hub.announce(
                    kind: "history", severity: .warning, text: "\(duration(lost * 1000)) could not be stored: \(problem ?? "")")
            }
            await report(nil)
            if lastFlush - lastRollUp >= 60_000 || lastFlush < lastRollUp {
                lastRollUp = lastFlush
                try await rollUp(database)
            }
        } catch  where HistoryDatabase.isDamage(error) {
            await replaceDamaged("\(error)")
        } catch {
            await report("the history cannot be written: \(Self.words(error, path))")
        }
    }

    /// Hands everything to the disk and takes it back when that fails. Meanwhile new samples may come.
    private func write(to database: HistoryDatabase) async throws {
        let batch = Batch(samples: samples, events: events, totals: totals, numbers: numbers, at: lastFlush)
        (samples, events) = ([], [])
        totals.written()
        do {
            numbers = try await blocking { try batch.write(to: database) }
        } catch {
            samples = batch.samples + samples
            events = batch.events.filter { old in !events.contains { $0.id == old.id } } + events
            totals.takeBack(batch.totals)
            throw error
        }
    }

    private struct Batch: Sendable {
        var samples: [(at: Int64, values: [(String, Int64)])]
        var events: [EventDocument]
        var totals: HistoryTotals
        var numbers: [String: Int]
        var at: Int64

        /// - Returns: the numbers of all series, with the new ones.
        func write(to database: HistoryDatabase) throws -> [String: Int] {
            try database.pool.write { db in
                var numbers = self.numbers
                let insert = try db.cachedStatement(sql: "INSERT OR REPLACE INTO second_row (at, points) VALUES (?, ?)")
                for sample in samples {
                    var row: [(series: Int, value: Int64)] = []
                    row.reserveCapacity(sample.values.count)
                    for (name, value) in sample.values {
                        let number = try numbers[name] ?? HistoryDatabase.addSeries(name, db)
                        numbers[name] = number
                        row.append((number, value / HistorySeries.unit(of: name).step))
                    }
                    row.sort { $0.series < $1.series }
                    try insert.execute(arguments: [sample.at / 1000 * 1000, Data(SampleRow.encode(row))])
                }
                for event in events { try HistoryDatabase.store(event, db) }
                try totals.write(db)
                try HistoryDatabase.setMark("last_flush", at, db)
                return numbers
            }
        }
    }

    private func rollUp(_ database: HistoryDatabase) async throws {
        let (now, maximum) = (lastFlush, maximumSize)
        let (size, shrunk) = try await blocking {
            try database.rollUp(before: now)
            let shrunk = try database.shrink(to: maximum, now: now)
            return (try database.size(), shrunk)
        }
        sizeBytes = size
        if shrunk { logger.notice("the history had reached \(maximumSize / 1_000_000) MB; the oldest fine data are gone") }
    }

    private func report(_ text: String?) async {
        if text == problem && text != nil { return }
        if let text { logger.warning("\(text)") }
        problem = text
        await hub.historyChanged(text == nil ? .ok : .lost, problem: text)
    }

    // MARK: Reading

    struct Status: Sendable {
        var sizeBytes: Int64
        var maximumBytes: Int64
        var oldest: Int64?
        var lostSeconds: Int64
        var problem: String?
    }

    func status() -> Status {
        Status(
            sizeBytes: sizeBytes, maximumBytes: maximumSize, oldest: try? database?.oldest(), lostSeconds: lostSeconds,
            problem: problem)
    }

    /// The database for a query, or why there is none.
    func reader() throws -> HistoryDatabase {
        guard let database else { throw Refusal(.serviceUnavailable, problem ?? "the history is not open") }
        return database
    }

    // MARK: Words

    private static func words(_ error: any Error, _ path: String) -> String {
        switch error {
        case HistoryDatabase.Failure.newer: "\(path) was written by a newer version of PackBridge; update, or choose another path"
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL: "the disk is full (\(path))"
        case let error as DatabaseError where error.resultCode == .SQLITE_CANTOPEN:
            "\(path) cannot be opened; is the folder there, and may this user write to it?"
        case let error as DatabaseError: "\(path): \(error.message ?? "\(error.resultCode)")"
        case is CocoaError: "the folder of \(path) cannot be made; may this user write where it belongs?"
        default: "\(path): \(error)"
        }
    }

    static func day(_ at: Int64, _ zone: TimeZone) -> String {
        String(local(at, zone).prefix(10))
    }

    private static func time(_ at: Int64, _ zone: TimeZone) -> String {
        local(at, zone).replacingOccurrences(of: "T", with: " ")
    }

    /// `2026-11-25T21:30:00` in the zone.
    private static func local(_ at: Int64, _ zone: TimeZone) -> String {
        let offset = zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(at) / 1000))
        var seconds = time_t(at / 1000) + offset
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%S", &parts)
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Runs something that waits for the disk where it holds up nobody.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await NIOThreadPool.singleton.runIfActive { try body() }
}
