import Foundation
import LinkClient
import NIOConcurrencyHelpers

/// The answer of `/api/v1/status`.
struct StatusDocument: Codable, Sendable {
    struct Link: Codable, Sendable {
        var source: String
        var connected: Bool
        var last_snapshot_age_ms: Int64?
        var reconnects: UInt64
        var snapshots: UInt64
        var incomplete_snapshots: UInt64
        var discarded_bytes: UInt64
        var lost_messages: UInt64
        var unknown_messages: UInt64
        var problem: String?
    }

    struct History: Codable, Sendable {
        var enabled: Bool
        var size_bytes: Int64?
        var maximum_bytes: Int64?
        var oldest_ms: Int64?
        var lost_seconds: Int64?
        var problem: String?
    }

    struct Process: Codable, Sendable {
        var resident_bytes: Int64
        var cpu_ms: Int64
        var streams: Int
        var dropped_streams: UInt64
        var requests: UInt64
    }

    var version: String
    var time_ms: Int64
    var uptime_s: Int64
    var health: SnapshotDocument.Health
    var link: Link
    var history: History
    var process: Process
}

/// Collects the state of everything in this process.
struct StatusSource: Sendable {
    let hub: Hub
    let recorder: HistoryRecorder?
    let requests: NIOLockedValueBox<UInt64>
    let streams: NIOLockedValueBox<Int>
    let clock: WallClock
    let started: Int64

    static let version = packBridgeVersion

    func document() async -> StatusDocument {
        let now = clock()
        let link = await hub.linkStatistics
        let history = await recorder?.status()
        return StatusDocument(
            version: Self.version, time_ms: now, uptime_s: max(0, (now - started) / 1000), health: await hub.health,
            link: .init(
                source: await hub.linkSource, connected: link.isConnected, last_snapshot_age_ms: await hub.snapshotAge,
                reconnects: link.reconnects, snapshots: link.snapshots, incomplete_snapshots: link.incompleteSnapshots,
                discarded_bytes: link.discardedBytes, lost_messages: link.lostMessages,
                unknown_messages: link.unknownMessages, problem: link.problem),
            history: .init(
                enabled: recorder != nil, size_bytes: history?.sizeBytes, maximum_bytes: history?.maximumBytes,
                oldest_ms: history?.oldest, lost_seconds: history?.lostSeconds, problem: history?.problem),
            process: .init(
                resident_bytes: ProcessUse.residentBytes, cpu_ms: ProcessUse.cpuMilliseconds,
                streams: streams.withLockedValue { $0 }, dropped_streams: await hub.droppedSubscribers,
                requests: requests.withLockedValue { $0 }))
    }
}

/// What this process uses.
enum ProcessUse {
    static var residentBytes: Int64 {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 128)
        guard fgets(&line, 128, file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(separator: " ")
        return words.count > 1 ? (Int64(words[1]) ?? 0) * Int64(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    static var cpuMilliseconds: Int64 {
        var use = rusage()
        getrusage(RUSAGE_SELF.rawValue, &use)
        return Int64(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000
            + Int64(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000
    }
}
