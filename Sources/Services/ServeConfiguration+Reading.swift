import Foundation

extension ServeConfiguration {
    /// Why a configuration is refused, as a person reads it.
    public struct Problem: Error, Equatable, CustomStringConvertible {
        public var description: String
    }

    /// Reads the JSON object. Unknown keys, wrong types and values that cannot work are errors.
    public init(json: Data) throws {
        let given: Any
        do {
            given = try JSONSerialization.jsonObject(with: json)
        } catch {
            throw Problem(description: "the configuration is not JSON: \(error)")
        }
        guard let object = given as? [String: Any] else { throw Problem(description: "the configuration must be a JSON object") }
        let merged = try Self.completed(object, path: "")
        do {
            self = try JSONDecoder().decode(Self.self, from: JSONSerialization.data(withJSONObject: merged))
        } catch let error as DecodingError {
            throw Problem(description: Self.sentence(error))
        }
        let known = try Self.object(self)
        if let unknown = Self.unknownKey(of: object, in: known, path: "") {
            throw Problem(description: "unknown key \(unknown)")
        }
        if let problem = problems().first { throw problem }
    }

    /// What cannot work, in the order of the keys.
    public func problems() -> [Problem] {
        var found: [Problem] = []
        func refuse(_ text: String) { found.append(Problem(description: text)) }
        if !(0...65535).contains(web.port) { refuse("web.port is \(web.port); expected 0 to 65535") }
        if !(1...10_000).contains(web.maximumStreams) { refuse("web.maximumStreams is \(web.maximumStreams); expected 1 to 10000") }
        if !web.bindsLoopback && web.access.owner == nil {
            refuse(
                "web.bind is \(web.bind), which others can reach, but no password is set: run `packbridge password`, "
                    + "or bind to 127.0.0.1")
        }
        for (key, hash) in [("owner", web.access.owner), ("reader", web.access.reader)] {
            if let hash, !hash.hasPrefix("$y$") { refuse("web.access.\(key) is no hash made by `packbridge password`") }
        }
        for token in web.access.tokens where !token.hash.hasPrefix("$y$") {
            refuse("web.access.tokens: the hash of \(token.name) is not one made by `packbridge password --token`")
        }
        if let tls = web.tls {
            for path in [tls.certificate, tls.key] where !FileManager.default.isReadableFile(atPath: path) {
                refuse("web.tls: cannot read \(path)")
            }
        }
        if !(10...100_000).contains(history.maximumSize) {
            refuse("history.maximumSize is \(history.maximumSize) MB; expected 10 to 100000")
        }
        if let mqtt {
            if mqtt.host.isEmpty { refuse("mqtt.host is missing") }
            if !(1...65535).contains(mqtt.port) { refuse("mqtt.port is \(mqtt.port); expected 1 to 65535") }
            if !(1...3600).contains(mqtt.interval) { refuse("mqtt.interval is \(mqtt.interval) s; expected 1 to 3600") }
            for topic in [mqtt.topic, mqtt.discoveryTopic] where topic.isEmpty || topic.contains(where: { "#+ ".contains($0) }) {
                refuse("mqtt: '\(topic)' cannot be the beginning of a topic")
            }
        }
        for hook in notifications.webhooks {
            if WebhookAddress(hook.url) == nil { refuse("notifications.webhooks: '\(hook.url)' is no http or https address") }
            if !(1...3600).contains(hook.maximumPerHour) {
                refuse("notifications.webhooks: maximumPerHour is \(hook.maximumPerHour); expected 1 to 3600")
            }
        }
        return found
    }

    /// Objects that may be left out as a whole, with the defaults of what is inside. A `[]` stands for each element.
    private static let prototypes: [String: any Encodable & Sendable] = [
        "": ServeConfiguration(),
        "web.tls": TLS(certificate: "", key: ""),
        "web.access.tokens[]": Token(name: "", hash: "", role: .reader),
        "mqtt": MQTT(host: ""),
        "notifications.webhooks[]": Webhook(url: ""),
    ]

    /// `given` with the defaults for what it leaves out.
    private static func completed(_ given: [String: Any], path: String) throws -> [String: Any] {
        var result = given
        if let prototype = prototypes[path] {
            result = merge(given, over: try object(prototype))
        }
        for (key, value) in result {
            let inner = path.isEmpty ? key : "\(path).\(key)"
            if let value = value as? [String: Any] {
                result[key] = try completed(value, path: inner)
            } else if let values = value as? [Any] {
                result[key] = try values.map { element in
                    guard let element = element as? [String: Any] else { return element }
                    return try completed(element, path: inner + "[]")
                }
            }
        }
        return result
    }

    private static func merge(_ given: [String: Any], over base: [String: Any]) -> [String: Any] {
        base.merging(given) { old, new in
            if let old = old as? [String: Any], let new = new as? [String: Any] { return merge(new, over: old) }
            return new
        }
    }

    private static func object(_ value: any Encodable) throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: JSONEncoder().encode(value)) as? [String: Any] ?? [:]
    }

    private static func unknownKey(of given: [String: Any], in known: [String: Any], path: String) -> String? {
        for (key, value) in given.sorted(by: { $0.key < $1.key }) {
            let inner = path.isEmpty ? key : "\(path).\(key)"
            if value is NSNull { continue }
            guard let match = known[key] else { return inner }
            if let value = value as? [String: Any], let match = match as? [String: Any] {
                if let unknown = unknownKey(of: value, in: match, path: inner) { return unknown }
            }
            if let values = value as? [[String: Any]], let matches = match as? [[String: Any]] {
                for (value, match) in zip(values, matches) {
                    if let unknown = unknownKey(of: value, in: match, path: inner) { return unknown }
                }
            }
        }
        return nil
    }

    private static func sentence(_ error: DecodingError) -> String {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.map(\.stringValue).joined(separator: ".")
        }
        return switch error {
        case .keyNotFound(let key, let context): "\(path(context)).\(key.stringValue) is missing"
        case .typeMismatch(let type, let context): "\(path(context)) has the wrong type; expected \(type)"
        case .valueNotFound(_, let context): "\(path(context)) has no value"
        case .dataCorrupted(let context): "\(path(context)): \(context.debugDescription)"
        @unknown default: "\(error)"
        }
    }
}

extension ServeConfiguration.Web {
    /// True when nobody but this machine can reach the page.
    public var bindsLoopback: Bool {
        if bind == "localhost" || bind == "::1" { return true }
        // An address, not a name that only begins like one.
        var address = in_addr()
        return bind.hasPrefix("127.") && inet_pton(AF_INET, bind, &address) == 1
    }
}

/// Where a webhook goes.
struct WebhookAddress: Equatable, Sendable {
    var isTLS: Bool
    var host: String
    var port: Int
    /// Path and query.
    var target: String

    init?(_ text: String) {
        guard let url = URLComponents(string: text), let scheme = url.scheme, let host = url.host, !host.isEmpty,
            scheme == "http" || scheme == "https", url.user == nil
        else { return nil }
        isTLS = scheme == "https"
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        port = url.port ?? (isTLS ? 443 : 80)
        let path = url.percentEncodedPath.isEmpty ? "/" : url.percentEncodedPath
        target = url.percentEncodedQuery.map { "\(path)?\($0)" } ?? path
    }
}
