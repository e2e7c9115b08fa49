import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// `/api/v1/history`, `series`, `statistics`, `events` and `export.csv`.
struct HistoryRoutes: Sendable {
    let hub: Hub
    /// Nil = the history is switched off.
    let recorder: HistoryRecorder?
    let clock: WallClock

    /// Points of one table; a year of minutes fits.
    static let maximumRows = 600_000

    func add(to router: RouterGroup<WebContext>) {
        router.get("history") { request, _ in try await history(request) }
        router.get("series") { request, _ in try await series(request) }
        router.get("statistics") { request, _ in try await statistics(request) }
        router.get("events") { request, _ in try await events(request) }
        router.get("export.csv") { request, _ in try await export(request) }
    }

    private func database() async throws -> HistoryDatabase {
        guard let recorder else { throw Refusal(.serviceUnavailable, "no history is kept: history.path is not set") }
        return try await recorder.reader()
    }

    /// A query that finds the file damaged or gone is an answer too.
    private func read<T: Sendable>(_ body: @escaping @Sendable (HistoryDatabase) throws -> T) async throws -> T {
        let database = try await database()
        do {
            return try await blocking { try body(database) }
        } catch  where HistoryDatabase.isDamage(error) {
            throw Refusal(.serviceUnavailable, "the history is damaged; a new one will be begun")
        }
    }

    // MARK: Curves

    private struct Range {
        var names: [String]
        var from: Int64
        var to: Int64
        var tier: HistoryTier
    }

    private enum Resolution: String, CaseIterable {
        case auto, second, minute, hour
    }

    private func range(_ query: QueryReader, points: Int) throws(Refusal) -> Range {
        let names = try query.series()
        let (from, to) = (try query.neededTime("from"), try query.neededTime("to"))
        if to <= from { throw Refusal(.badRequest, "to must be later than from") }
        let resolution = try query.choice("resolution", Resolution.self) ?? .auto
        let tier =
            HistoryTier(rawValue: resolution.rawValue)
            ?? HistoryDatabase.tier(from: from, to: to, now: clock(), points: points)
        return Range(names: names, from: from, to: to, tier: tier)
    }

    private func history(_ request: Request) async throws -> Response {
        let query = try QueryReader(request, allowed: ["series", "from", "to", "resolution", "points"])
        let points = Int(try query.number("points", in: 10...20_000) ?? 1500)
        let range = try range(query, points: points)
        let body = try await read { database in
            let (curves, step) = try database.curves(range.names, from: range.from, to: range.to, tier: range.tier, limit: points)
            return CurveText.json(curves, tier: range.tier, step: step)
        }
        return zippable(body, type: "application/json", request)
    }

    private func export(_ request: Request) async throws -> Response {
        let query = try QueryReader(request, allowed: ["series", "from", "to", "resolution"])
        let range = try range(query, points: 100_000)
        let rows = (range.to - range.from) / range.tier.step
        if rows * Int64(range.names.count) > 4_000_000 || rows > Self.maximumRows {
            throw Refusal(.badRequest, "this is too much for one table: a shorter time, fewer series or a coarser resolution")
        }
        let body = try await read { database in
            let (curves, _) = try database.curves(
                range.names, from: range.from, to: range.to, tier: range.tier, limit: Self.maximumRows)
            return CurveText.csv(curves)
        }
        var headers: HTTPFields = [:]
        headers[.contentDisposition] = "attachment; filename=\"packbridge.csv\""
        return zippable(body, type: "text/csv; charset=utf-8", request, headers: headers)
    }

    /// Curves are the only long answers.
    private func zippable(_ body: ByteBuffer, type: String, _ request: Request, headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.vary] = "Accept-Encoding"
        if body.readableBytes > 4096 && Gzip.isAccepted(by: request),
            let zipped = body.withUnsafeReadableBytes({ Gzip.compress($0, level: 3) })
        {
            headers[.contentEncoding] = "gzip"
            return bytes(ByteBuffer(bytes: zipped), type: type, headers: headers)
        }
        return bytes(body, type: type, headers: headers)
    }

    private struct SeriesList: Encodable {
        struct Entry: Encodable {
            var name: String
            var unit: HistorySeries.Unit
        }
        var series: [Entry]
    }

    private func series(_ request: Request) async throws -> Response {
        _ = try QueryReader(request, allowed: [])
        let names = try await read { database in try database.series().sorted { $0.value < $1.value }.map(\.key) }
        return json(SeriesList(series: names.map { .init(name: $0, unit: HistorySeries.unit(of: $0)) }))
    }

    private func statistics(_ request: Request) async throws -> Response {
        let query = try QueryReader(request, allowed: ["days"])
        let days = Int(try query.number("days", in: 1...3660) ?? 30)
        return json(try await read { database in try database.statistics(days: days) })
    }

    // MARK: Events

    /// As in the API document.
    enum Kind: String, CaseIterable {
        case started, phase, pack_state, pack_alarms, warnings, inverter_bus, heartbeat, bms_port, bms_reopened, transmitting
        case command, stopping, configured, reset, limit, alarm, warning, link, history
    }

    private struct EventList: Encodable {
        var events: [EventDocument]
    }

    private func events(_ request: Request) async throws -> Response {
        let query = try QueryReader(request, allowed: ["from", "to", "kind", "severity", "limit", "before"])
        var wanted = HistoryDatabase.EventQuery()
        wanted.from = try query.time("from")
        wanted.to = try query.time("to")
        wanted.kind = try query.choice("kind", Kind.self)?.rawValue
        wanted.severity = try query.choice("severity", Severity.self)
        wanted.limit = Int(try query.number("limit", in: 1...1000) ?? 100)
        wanted.before = try query.number("before", in: 1...Int64.max)
        // The hub has the newest, which may not be stored yet; the history has the old ones.
        var found = await hub.recentEvents.filter(wanted.matches)
        if recorder != nil {
            let query = wanted
            let stored = (try? await read { database in try database.events(query) }) ?? []
            let newer = Set(found.map(\.id))
            found += stored.filter { !newer.contains($0.id) }
        }
        found.sort { $0.id > $1.id }
        return json(EventList(events: Array(found.prefix(wanted.limit))))
    }
}

extension HistoryDatabase.EventQuery {
    func matches(_ event: EventDocument) -> Bool {
        if let from, event.ongoing != true && (event.until_ms ?? event.at_ms) < from { return false }
        if let to, event.at_ms >= to { return false }
        if let kind, event.kind != kind { return false }
        if let severity, event.severity < severity { return false }
        if let before, event.id >= before { return false }
        return true
    }
}

/// Curves as text, written digit by digit: a chart has thousands of numbers.
enum CurveText {
    static func json(_ curves: [HistoryCurve], tier: HistoryTier, step: Int64) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("{\"resolution\":\"\(tier.rawValue)\",\"step_ms\":\(step),\"series\":[")
        for (index, curve) in curves.enumerated() {
            buffer.writeString(
                "\(index == 0 ? "" : ",")\n{\"name\":\"\(curve.name)\",\"unit\":\"\(curve.unit.rawValue)\",\"points\":[")
            var digits: [UInt8] = []
            digits.reserveCapacity(curve.points.count * 36)
            for (index, point) in curve.points.enumerated() {
                if index > 0 { digits.append(UInt8(ascii: ",")) }
                digits.append(UInt8(ascii: "["))
                append(point.at, to: &digits)
                for value in [point.spread.minimum, point.spread.mean, point.spread.maximum] {
                    digits.append(UInt8(ascii: ","))
                    append(value, to: &digits)
                }
                digits.append(UInt8(ascii: "]"))
            }
            buffer.writeBytes(digits)
            buffer.writeString("]}")
        }
        buffer.writeString("]}\n")
        return buffer
    }

    /// One line for each moment at which any of the curves has a point.
    static func csv(_ curves: [HistoryCurve]) -> ByteBuffer {
        var text = Array("time".utf8)
        for curve in curves {
            let unit = curve.unit.plain
            text += Array(",\(curve.name)\(unit.isEmpty ? "" : " (\(unit))")".utf8)
        }
        text += Array("\r\n".utf8)
        var next = [Int](repeating: 0, count: curves.count)
        while true {
            var at = Int64.max
            for (index, curve) in curves.enumerated() where next[index] < curve.points.count {
                at = min(at, curve.points[next[index]].at)
            }
            if at == Int64.max { break }
            text += Array(timestamp(at).utf8)
            for (index, curve) in curves.enumerated() {
                text.append(UInt8(ascii: ","))
                guard next[index] < curve.points.count, curve.points[next[index]].at == at else { continue }
                append(curve.points[next[index]].spread.mean, decimals: curve.unit.decimals, to: &text)
                next[index] += 1
            }
            text += Array("\r\n".utf8)
        }
        return ByteBuffer(bytes: text)
    }

    /// `2026-11-25T21:30:00Z`
    static func timestamp(_ at: Int64) -> String {
        var seconds = time_t(at / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let count = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func append(_ value: Int64, to text: inout [UInt8]) {
        if value < 0 { text.append(UInt8(ascii: "-")) }
        let start = text.count
        var rest = value.magnitude
        repeat {
            text.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        text[start...].reverse()
    }

    private static func append(_ value: Int64, decimals: Int, to text: inout [UInt8]) {
        var divisor: UInt64 = 1
        for _ in 0..<decimals { divisor *= 10 }
        if value < 0 { text.append(UInt8(ascii: "-")) }
        append(Int64(clamping: value.magnitude / divisor), to: &text)
        if decimals == 0 { return }
        text.append(UInt8(ascii: "."))
        let fraction = String(value.magnitude % divisor)
        text += Array(String(repeating: "0", count: decimals - fraction.count).utf8) + Array(fraction.utf8)
    }
}
