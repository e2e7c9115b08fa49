import Foundation
import Yams

/// The sections that are the second process's. A mistake in them refuses the file like any other.
extension ConfigurationReader {
    static let serveSections = ["site", "web", "history", "mqtt", "notifications"]

    mutating func readServe(_ nodes: [String: Node], packs: Int, stateFolder: String?) -> ServeSettings {
        var serve = ServeSettings()
        serve.history.stateFolder = stateFolder
        if let node = nodes["site"] {
            read(node, "site", SiteEntry.settings, subsections: [SiteEntry.packs.name], into: &serve.site)
            serve.site.packNames = readTexts(SiteEntry.packs, in: node, "site")
            if packs > 0 && serve.site.packNames.count > packs {
                contradiction(
                    "site.packs", with: "bms", "names more packs than bms has", "at most \(packs)")
            }
        }
        if let node = nodes["web"] { serve.web = readWeb(node) }
        if let node = nodes["history"] { read(node, "history", HistoryEntry.settings, into: &serve.history) }
        if let node = nodes["mqtt"] {
            var mqtt = MQTTEntry()
            read(node, "mqtt", MQTTEntry.settings, required: ["host"], into: &mqtt)
            checkPair("mqtt.client_certificate", "mqtt.client_key")
            serve.mqtt = mqtt
        }
        if let node = nodes["notifications"] {
            serve.webhooks = readList(node, "notifications", atMost: 16) { reader, node, path in
                var hook = WebhookEntry()
                reader.read(node, path, WebhookEntry.settings, required: ["url"], into: &hook)
                return hook
            }
        }
        return serve
    }

    private mutating func readWeb(_ node: Node) -> WebEntry {
        var web = WebEntry()
        read(node, "web", WebEntry.settings, subsections: [WebEntry.hostNames.name, "tokens"], into: &web)
        web.hostNames = readTexts(WebEntry.hostNames, in: node, "web")
        if case .mapping(let mapping) = node, let tokens = mapping["tokens"] {
            web.tokens = readList(tokens, "web.tokens", atMost: 32) { reader, node, path in
                var token = TokenEntry()
                reader.read(node, path, TokenEntry.settings, required: ["name", "hash"], into: &token)
                return token
            }
        }
        checkPair("web.tls_certificate", "web.tls_key")
        if !web.bindsLoopback && web.passwordHash == nil {
            contradiction(
                "web.bind", with: "web.password_hash",
                "can be reached by others, but there is no password: run `packbridge password` and add its line",
                "127.0.0.1 without web.password_hash")
        }
        if web.loopbackNeedsLogin && web.passwordHash == nil && web.readerPasswordHash == nil {
            contradiction(
                "web.loopback_needs_login", with: "web.password_hash",
                "asks for a password that there is not: run `packbridge password` and add its line",
                "false without web.password_hash")
        }
        return web
    }

    /// Two files of which neither is of use without the other.
    private mutating func checkPair(_ first: String, _ second: String) {
        for (given, missing) in [(first, second), (second, first)] where places[given] != nil && places[missing] == nil {
            contradiction(given, with: missing, "is of no use without \(missing)", "both or none")
        }
    }

    private mutating func readTexts(_ list: TextList, in node: Node, _ section: String) -> [String] {
        guard case .mapping(let mapping) = node, let value = mapping[list.name] else { return [] }
        let path = "\(section).\(list.name)"
        let elements: [Node] = if case .sequence(let sequence) = value { Array(sequence) } else { [value] }
        var texts: [String] = []
        for element in elements {
            guard let text = element.scalar?.string, !text.isEmpty else {
                problems.append(problem(path, element.mark, nil, "a list of texts is expected here", allowed: list.allowed))
                continue
            }
            do throws(Quantity.Refusal) { texts.append(try list.parse(text)) } catch {
                problems.append(
                    problem(path, element.mark, text, "\"\(text)\" \(error.reason)", allowed: list.allowed))
            }
        }
        places[path]?.text = texts.joined(separator: ", ")
        return texts
    }
}

extension ServeSettings {
    /// Files that the configuration names and that this user cannot read. No reason to refuse it: the bridge works without the
    /// page, and the service may run as another user.
    func missingFiles() -> [String] {
        var named: [(key: String, path: String?)] = [
            ("web.tls_certificate", web.certificate), ("web.tls_key", web.key),
            ("mqtt.password_file", mqtt?.passwordFile), ("mqtt.authority", mqtt?.authority),
            ("mqtt.client_certificate", mqtt?.clientCertificate), ("mqtt.client_key", mqtt?.clientKey),
        ]
        for hook in webhooks { named.append(("notifications.token_file", hook.tokenFile)) }
        return named.compactMap { key, path in
            guard let path, !FileManager.default.isReadableFile(atPath: path) else { return nil }
            return "\(key): \(path) is not there or cannot be read by this user"
        }
    }
}
