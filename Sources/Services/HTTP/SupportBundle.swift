import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

/// What somebody needs who helps, as one tar archive. Passwords, tokens, addresses and names do not go in.
struct SupportBundle: Sendable {
    let configuration: ServeConfiguration
    let hub: Hub
    let recorder: HistoryRecorder?
    let status: StatusSource
    let log: RecentLog

    func response() async -> Response {
        var tar = TarArchive(at: status.clock() / 1000)
        tar.add("packbridge/status.json", encodeJSON(await status.document()))
        tar.add("packbridge/configuration.json", encodeJSON(configuration.withoutSecrets))
        if let snapshot = await hub.snapshot { tar.add("packbridge/snapshot.json", encodeJSON(snapshot.withoutNames)) }
        if let line = await hub.explainLine() { tar.add("packbridge/explain.json", line) }
        tar.add("packbridge/events.json", encodeJSON(await hub.recentEvents))
        if let database = try? await recorder?.reader(),
            let statistics = try? await blocking({ try database.statistics(days: 60) })
        {
            tar.add("packbridge/statistics.json", encodeJSON(statistics))
        }
        let secrets = configuration.secrets
        let lines = log.lines.map { line in secrets.reduce(line) { $0.replacing($1, with: "(removed)") } }
        tar.add("packbridge/log.txt", ByteBuffer(string: lines.joined(separator: "\n") + "\n"))
        var headers: HTTPFields = [:]
        headers[.contentDisposition] = "attachment; filename=\"packbridge-support.tar\""
        return bytes(tar.finished(), type: "application/x-tar", headers: headers)
    }
}

extension ServeConfiguration {
    private static let removed = "(removed)"

    /// Everything that is nobody's business.
    fileprivate var secrets: [String] {
        var found = [web.access.owner, web.access.reader, mqtt?.host, mqtt?.user, mqtt?.passwordFile].compactMap(\.self)
        found += web.access.tokens.flatMap { [$0.hash, $0.name] } + web.hostNames
        found += notifications.webhooks.flatMap { hook in [hook.url, WebhookAddress(hook.url)?.host].compactMap(\.self) }
        return found.filter { $0.count > 3 && $0 != "localhost" && $0 != "127.0.0.1" }
    }

    fileprivate var withoutSecrets: ServeConfiguration {
        var copy = self
        copy.web.access.owner = web.access.owner.map { _ in Self.removed }
        copy.web.access.reader = web.access.reader.map { _ in Self.removed }
        copy.web.access.tokens = web.access.tokens.map { Token(name: Self.removed, hash: Self.removed, role: $0.role) }
        copy.web.hostNames = web.hostNames.map { _ in Self.removed }
        copy.mqtt?.host = Self.removed
        copy.mqtt?.user = mqtt?.user.map { _ in Self.removed }
        copy.mqtt?.passwordFile = mqtt?.passwordFile.map { _ in Self.removed }
        copy.notifications.webhooks = notifications.webhooks.map { hook in
            var hook = hook
            hook.url = Self.removed
            hook.tokenFile = hook.tokenFile.map { _ in Self.removed }
            return hook
        }
        copy.name = Self.removed
        copy.packNames = packNames.map { _ in Self.removed }
        return copy
    }
}

extension SnapshotDocument {
    fileprivate var withoutNames: SnapshotDocument {
        var copy = self
        copy.name = "(removed)"
        for index in copy.packs.indices { copy.packs[index].name = "Pack \(copy.packs[index].number)" }
        for index in copy.commands.indices { copy.commands[index].by = copy.commands[index].by.map { _ in "(removed)" } }
        return copy
    }
}

/// A tar archive in memory (POSIX ustar), for a handful of small files.
struct TarArchive {
    private var buffer = ByteBuffer()
    /// Seconds since 1970.
    private let time: Int64

    init(at time: Int64) {
        self.time = time
    }

    mutating func add(_ name: String, _ content: ByteBuffer) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int64, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(String(name.prefix(99)), at: 0)
        put(octal(0o644, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(Int64(content.readableBytes), 11), at: 124)
        put(octal(time, 11), at: 136)
        put(String(repeating: " ", count: 8), at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put(octal(Int64(header.reduce(0) { $0 + Int($1) }), 6), at: 148)
        header[154] = 0
        buffer.writeBytes(header)
        buffer.writeImmutableBuffer(content)
        buffer.writeRepeatingByte(0, count: (512 - content.readableBytes % 512) % 512)
    }

    func finished() -> ByteBuffer {
        var complete = buffer
        complete.writeRepeatingByte(0, count: 1024)
        return complete
    }
}
