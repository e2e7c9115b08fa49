import Foundation
import Glibc

// The sections of the file that are the second process's. Ranges: what packbridge-serve itself accepts (docs/serve.md).

extension SiteEntry {
    static var settings: [Setting<SiteEntry>] {
        [
            .text("name", allowed: "1 to 64 characters", "what the installation is called on the page and in Home Assistant") {
                text, site throws(Quantity.Refusal) in site.name = try displayName(text)
            },
            .text(
                "time_zone", allowed: "a name of the tz database, for example Europe/Berlin",
                "where a day of the history begins; without it the time zone of this machine"
            ) { text, site throws(Quantity.Refusal) in
                guard TimeZone(identifier: text) != nil else { throw Quantity.Refusal(reason: "is no known time zone") }
                site.timeZone = text
            },
        ]
    }

    static let packs = TextList(
        name: "packs", meaning: "what the packs are called, in the order of bms", allowed: "1 to 64 characters each",
        parse: displayName)
}

extension WebEntry {
    static var settings: [Setting<WebEntry>] {
        [
            .text(
                "bind", allowed: "an address of this machine, 0.0.0.0 for all of them",
                "where the page listens; anything but this machine itself needs a password"
            ) { text, web throws(Quantity.Refusal) in web.bind = try host(text) },
            .quantity("port", .count, "", 0...65535, \.port, "0 = any free one, named at the start"),
            .quantity("streams", .count, "", 1...10_000, \.streams, "how many may watch at the same time"),
            .path("tls_certificate", \.certificate, "PEM file of the certificate; with it the page is https"),
            .path("tls_key", \.key, "PEM file of the certificate's key"),
            .hash("password_hash", \.passwordHash, "packbridge password", "password of the owner, who may send orders"),
            .hash("reader_password_hash", \.readerPasswordHash, "packbridge password", "password of those who may look"),
            .flag("loopback_needs_login", \.loopbackNeedsLogin, "ask for the password on this machine too"),
        ]
    }

    static let hostNames = TextList(
        name: "host_names", meaning: "other names under which the page is reached", allowed: "names of hosts", parse: host)
}

extension TokenEntry {
    static var settings: [Setting<TokenEntry>] {
        [
            .text("name", allowed: "letters, digits and dashes", "which program it is") {
                text, token throws(Quantity.Refusal) in
                guard text.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }) else {
                    throw Quantity.Refusal(reason: "is no name of a token")
                }
                token.name = text
            },
            .hash("hash", \.hash, "packbridge token", "proves the token"),
            .choice(
                "role", ["reader": "reader", "owner": "owner"], \.role, "reader: may look; owner: may send orders too"),
        ]
    }
}

extension HistoryEntry {
    static var settings: [Setting<HistoryEntry>] {
        [
            .text("folder", allowed: "a folder, or none", "where the database is; without it the folder of files.state") {
                text, history throws(Quantity.Refusal) in
                history.folder = text == "none" ? .none : .at(try rootedPath(text))
            },
            .quantity("at_most", .size, "MB", 10...100_000, \.megabytes, "the oldest of the finest data go first"),
        ]
    }
}

extension MQTTEntry {
    static var settings: [Setting<MQTTEntry>] {
        [
            .text("host", allowed: "the name or the address of a host", "the broker") {
                text, mqtt throws(Quantity.Refusal) in mqtt.host = try packbridge.host(text)
            },
            .quantity("port", .count, "", 1...65535, \.port, "1883, or 8883 with tls"),
            .text("client_id", allowed: "1 to 64 characters", "two clients with one id throw each other out") {
                text, mqtt throws(Quantity.Refusal) in mqtt.clientID = try displayName(text)
            },
            .text("user", allowed: "1 to 64 characters", "the user's name at the broker") {
                text, mqtt throws(Quantity.Refusal) in mqtt.user = try displayName(text)
            },
            .path("password_file", \.passwordFile, "the password is the first line of this file"),
            .flag("tls", \.tls, "encrypt"),
            .path("authority", \.authority, "PEM file of the authority that signed the broker's certificate"),
            .path("client_certificate", \.clientCertificate, "PEM file, for brokers that ask for one"),
            .path("client_key", \.clientKey, "PEM file of the client certificate's key"),
            .topic("topic", \.topic, "first part of every topic, and of the ids in Home Assistant"),
            .choice(
                "discovery", ["device": "device", "entity": "entity", "none": "none"], \.discovery,
                "how Home Assistant is told; entity for one before 2024.11"),
            .topic("discovery_topic", \.discoveryTopic, "where Home Assistant listens"),
            .quantity(
                "interval", .duration, "s", per: 1000, 1000...3_600_000, \.interval,
                "time between two states; a change goes out at once"),
            .flag("commands", \.commands, "take orders from the broker; they can only tighten"),
        ]
    }
}

extension WebhookEntry {
    static var settings: [Setting<WebhookEntry>] {
        [
            .text("url", allowed: "an http or https address", "gets a POST with one JSON object for every event") {
                text, hook throws(Quantity.Refusal) in
                guard let url = URLComponents(string: text), url.scheme == "http" || url.scheme == "https",
                    url.host?.isEmpty == false
                else { throw Quantity.Refusal(reason: "is no http or https address") }
                if url.user != nil {
                    throw Quantity.Refusal(reason: "names a user; put a token into token_file instead")
                }
                hook.url = text
            },
            .choice(
                "severity", ["info": "info", "warning": "warning", "alarm": "alarm"], \.minimumSeverity,
                "only events that are at least this severe"),
            .path("token_file", \.tokenFile, "its first line is sent as Authorization: Bearer …"),
            .quantity(
                "at_most_per_hour", .count, "", 1...3600, \.maximumPerHour, "what was left out is counted in the next one"),
        ]
    }
}

/// A list of texts in the file; one text alone is a list of one.
struct TextList {
    let name: String
    let meaning: String
    let allowed: String
    let parse: @Sendable (String) throws(Quantity.Refusal) -> String
}

// MARK: Kinds of text

extension Setting {
    /// A file that may be left out.
    static func path(_ name: String, _ field: WritableKeyPath<Target, String?>, _ meaning: String) -> Setting {
        .text(name, allowed: "the path of a file", meaning) { text, target throws(Quantity.Refusal) in
            target[keyPath: field] = try rootedPath(text)
        }
    }

    /// What stands for a password or a token. What was written is not repeated in messages: it may be the secret itself.
    static func hash(
        _ name: String, _ field: WritableKeyPath<Target, String?>, _ command: String, _ meaning: String
    ) -> Setting {
        secret(name, command, meaning) { $1[keyPath: field] = $0 }
    }

    static func hash(
        _ name: String, _ field: WritableKeyPath<Target, String>, _ command: String, _ meaning: String
    ) -> Setting {
        secret(name, command, meaning) { $1[keyPath: field] = $0 }
    }

    private static func secret(
        _ name: String, _ command: String, _ meaning: String, _ store: @escaping (String, inout Target) -> Void
    ) -> Setting {
        var setting = text(name, allowed: "what `\(command)` prints", meaning) { text, target throws(Quantity.Refusal) in
            // yescrypt: $y$, parameters, salt, hash.
            let parts = text.split(separator: "$", omittingEmptySubsequences: false)
            guard parts.count == 5, parts[0].isEmpty, parts[1] == "y", parts[4].count == 43,
                parts.joined().allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "/") })
            else { throw Quantity.Refusal(reason: "is no hash; make one with `\(command)`, a password does not belong here") }
            store(text, &target)
        }
        setting.isSecret = true
        return setting
    }

    static func topic(_ name: String, _ field: WritableKeyPath<Target, String>, _ meaning: String) -> Setting {
        .text(name, allowed: "no blank, # or +, and no / at its end", meaning) { text, target throws(Quantity.Refusal) in
            guard !text.contains(where: { "#+ ".contains($0) }), !text.hasSuffix("/"), !text.hasPrefix("/") else {
                throw Quantity.Refusal(reason: "cannot be the beginning of a topic")
            }
            target[keyPath: field] = text
        }
    }
}

/// A name for people. Control characters would end up in terminals and in topics.
private func displayName(_ text: String) throws(Quantity.Refusal) -> String {
    if text.count > 64 { throw Quantity.Refusal(reason: "is longer than 64 characters") }
    if text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) {
        throw Quantity.Refusal(reason: "has control characters")
    }
    return text
}

func rootedPath(_ text: String) throws(Quantity.Refusal) -> String {
    guard text.hasPrefix("/") else { throw Quantity.Refusal(reason: "is no path from the root of the file system") }
    return text
}

/// An address of either family, or letters, digits, dashes and dots.
private func host(_ text: String) throws(Quantity.Refusal) -> String {
    let isName = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == ".") }
    var address = in6_addr()
    guard isName || inet_pton(AF_INET6, text, &address) == 1 else {
        throw Quantity.Refusal(reason: "is neither an address nor the name of a host")
    }
    return text
}

func isIPv4(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
}
