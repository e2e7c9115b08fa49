import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import SupportArchive

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
        let clean = Redaction(configuration.secrets)
        let lines = log.lines.map { clean($0) }
        tar.add("packbridge/log.txt", ByteBuffer(string: lines.joined(separator: "\n") + "\n"))
        var headers: HTTPFields = [:]
        headers[.contentDisposition] = "attachment; filename=\"packbridge-support.tar\""
        return bytes(ByteBuffer(bytes: tar.finished()), type: "application/x-tar", headers: headers)
    }
}

extension ServeConfiguration {
    /// Everything that is nobody's business.
    fileprivate var secrets: [String] {
        var found = [web.access.owner, web.access.reader, mqtt?.host, mqtt?.user, mqtt?.passwordFile].compactMap(\.self)
        found += web.access.tokens.flatMap { [$0.hash, $0.name] } + web.hostNames
        found += notifications.webhooks.flatMap { hook in [hook.url, WebhookAddress(hook.url)?.host].compactMap(\.self) }
        return found
    }

    fileprivate var withoutSecrets: ServeConfiguration {
        var copy = self
        copy.web.access.owner = web.access.owner.map { _ in Redaction.removed }
        copy.web.access.reader = web.access.reader.map { _ in Redaction.removed }
        copy.web.access.tokens = web.access.tokens.map { Token(name: Redaction.removed, hash: Redaction.removed, role: $0.role) }
        copy.web.hostNames = web.hostNames.map { _ in Redaction.removed }
        copy.mqtt?.host = Redaction.removed
        copy.mqtt?.user = mqtt?.user.map { _ in Redaction.removed }
        copy.mqtt?.passwordFile = mqtt?.passwordFile.map { _ in Redaction.removed }
        copy.notifications.webhooks = notifications.webhooks.map { hook in
            var hook = hook
            hook.url = Redaction.removed
            hook.tokenFile = hook.tokenFile.map { _ in Redaction.removed }
            return hook
        }
        copy.name = Redaction.removed
        copy.packNames = packNames.map { _ in Redaction.removed }
        return copy
    }
}

extension SnapshotDocument {
    fileprivate var withoutNames: SnapshotDocument {
        var copy = self
        copy.name = Redaction.removed
        for index in copy.packs.indices { copy.packs[index].name = "Pack \(copy.packs[index].number)" }
        for index in copy.commands.indices { copy.commands[index].by = copy.commands[index].by.map { _ in Redaction.removed } }
        return copy
    }
}

extension TarArchive {
    fileprivate mutating func add(_ name: String, _ content: ByteBuffer) { add(name, Array(content.readableBytesView)) }
}
