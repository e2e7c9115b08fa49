import Foundation
import Testing

@testable import packbridge

/// What every file needs; the sections of serve come behind it, from line 4 on.
private let start = """
    battery: {chemistry: lfp, cells: 16}
    bms: [{protocol: jk-4e57, port: /dev/ttyUSB0}, {protocol: jk-4e57, port: /dev/ttyUSB1}]
    inverter: {dialect: pylontech, port: "socketcan:can0"}

    """
private let hash = "$y$j9T$RQbdhPbRfrZcYvjhZkWhT.$lPBCeVlTn7cZ1x6.yuK2Yv3jUGCVVMtKxJqW0LyDkR4"

private func serve(_ lines: String) throws -> ServeSettings {
    try ConfigurationReader.read(start + lines).serve
}

private func problems(_ lines: String) -> [ConfigurationFileProblem] {
    do throws(ConfigurationRefused) {
        _ = try ConfigurationReader.read(start + lines)
        return []
    } catch {
        return error.problems
    }
}

/// The value at `path` of what serve is given, as JSON text; nil when there is none.
private func json(_ settings: ServeSettings, _ path: String) throws -> String? {
    let text = settings.json(stateDirectory: nil, zone: "Etc/UTC")
    var value: Any? = try JSONSerialization.jsonObject(with: Data(text.utf8))
    for step in path.split(separator: "/") {
        if let index = Int(step) {
            let elements = value as? [Any] ?? []
            value = elements.indices.contains(index) ? elements[index] : nil
        } else {
            value = (value as? [String: Any])?[String(step)]
        }
    }
    guard let value else { return nil }
    let bytes = try JSONSerialization.data(
        withJSONObject: value, options: [.fragmentsAllowed, .sortedKeys, .withoutEscapingSlashes])
    return String(decoding: bytes, as: UTF8.self)
}

@Suite struct ServeSettingsTests {
    @Test(arguments: [
        ("site: {name: Barn}", "name", #""Barn""#),
        ("site: {time_zone: Europe/Berlin}", "timeZone", #""Europe/Berlin""#),
        ("site: {packs: [Left, Right side]}", "packNames", #"["Left","Right side"]"#),
        ("site: {packs: Left}", "packNames", #"["Left"]"#),
        ("web: {bind: 127.0.0.2}", "web/bind", #""127.0.0.2""#),
        ("web: {bind: '::1'}", "web/bind", #""::1""#),
        ("web: {bind: localhost}", "web/bind", #""localhost""#),
        ("web: {port: 0}", "web/port", "0"),
        ("web: {port: 65535}", "web/port", "65535"),
        ("web: {host_names: [battery.lan, 10.0.0.7]}", "web/hostNames", #"["battery.lan","10.0.0.7"]"#),
        ("web: {streams: 7}", "web/maximumStreams", "7"),
        ("web: {tls_certificate: /c, tls_key: /k}", "web/tls", #"{"certificate":"/c","key":"/k"}"#),
        ("web: {password_hash: \(hash)}", "web/access/owner", "\"\(hash)\""),
        ("web: {reader_password_hash: \(hash)}", "web/access/reader", "\"\(hash)\""),
        ("web: {password_hash: \(hash), loopback_needs_login: true}", "web/access/loopbackNeedsLogin", "true"),
        (
            "web: {tokens: [{name: ha-1, hash: \(hash)}]}", "web/access/tokens",
            #"[{"hash":"\#(hash)","name":"ha-1","role":"reader"}]"#
        ),
        ("web: {tokens: {name: x, hash: \(hash), role: owner}}", "web/access/tokens/0/role", #""owner""#),
        ("history: {folder: /data}", "history/path", #""/data/history.db""#),
        ("history: {folder: /data/}", "history/path", #""/data/history.db""#),
        ("history: {folder: none}", "history/path", "null"),
        ("history: {at_most: 2 GB}", "history/maximumSize", "2000"),
        ("history: {at_most: 10}", "history/maximumSize", "10"),
        ("mqtt: {host: broker.lan}", "mqtt/host", #""broker.lan""#),
        ("mqtt: {host: 'fe80::1'}", "mqtt/host", #""fe80::1""#),
        ("mqtt: {host: b, port: 8883}", "mqtt/port", "8883"),
        ("mqtt: {host: b, client_id: barn}", "mqtt/clientID", #""barn""#),
        ("mqtt: {host: b, user: anna}", "mqtt/user", #""anna""#),
        ("mqtt: {host: b, password_file: /p}", "mqtt/passwordFile", #""/p""#),
        ("mqtt: {host: b, tls: true}", "mqtt/tls", "true"),
        ("mqtt: {host: b, authority: /a}", "mqtt/authority", #""/a""#),
        ("mqtt: {host: b, client_certificate: /c, client_key: /k}", "mqtt/clientCertificate", #""/c""#),
        ("mqtt: {host: b, client_certificate: /c, client_key: /k}", "mqtt/clientKey", #""/k""#),
        ("mqtt: {host: b, topic: barn/battery}", "mqtt/topic", #""barn/battery""#),
        ("mqtt: {host: b, discovery: entity}", "mqtt/discovery", #""entity""#),
        ("mqtt: {host: b, discovery: none}", "mqtt/discovery", #""none""#),
        ("mqtt: {host: b, discovery_topic: ha}", "mqtt/discoveryTopic", #""ha""#),
        ("mqtt: {host: b, interval: 1 min}", "mqtt/interval", "60"),
        ("mqtt: {host: b, commands: true}", "mqtt/commands", "true"),
        ("notifications: {url: 'https://a.b/c?d=e'}", "notifications/webhooks/0/url", #""https://a.b/c?d=e""#),
        (
            "notifications: [{url: 'http://a'}, {url: 'http://b', severity: info}]", "notifications/webhooks/1/minimumSeverity",
            #""info""#
        ),
        ("notifications: {url: 'http://a', severity: alarm}", "notifications/webhooks/0/minimumSeverity", #""alarm""#),
        ("notifications: {url: 'http://a', token_file: /t}", "notifications/webhooks/0/tokenFile", #""/t""#),
        ("notifications: {url: 'http://a', at_most_per_hour: 3}", "notifications/webhooks/0/maximumPerHour", "3"),
    ])
    func `a key of the file arrives at its place in the configuration of serve`(lines: String, path: String, value: String) throws {
        #expect(try json(try serve(lines), path) == value)
        // It is this key that does it: without it there is something else.
        #expect(try json(try serve(""), path) != value)
    }

    @Test func `without a word about it serve gets its defaults, this machine's time zone and the folder of the record`() throws {
        let text = try serve("").json(stateDirectory: nil, zone: "Asia/Tokyo")
        #expect(
            text == #"""
                {"name":"PackBridge","packNames":[],"timeZone":"Asia/Tokyo","web":{"bind":"127.0.0.1","port":8080,"hostNames":[],\#
                "maximumStreams":1000,"access":{"owner":null,"reader":null,"loopbackNeedsLogin":false,"tokens":[]}},\#
                "history":{"path":"/var/lib/packbridge/history.db","maximumSize":400},"notifications":{"webhooks":[]}}
                """#)
    }

    @Test(
        arguments: [
            ("", nil, "/var/lib/packbridge/history.db"),
            ("", "/run/state:/run/other", "/run/state/history.db"),
            ("files: {state: /data}", nil, "/data/history.db"),
            ("files: {state: none}", nil, nil),
            ("files: {state: none}", "/run/state", "/run/state/history.db"),
            ("history: {folder: /h}", "/run/state", "/h/history.db"),
            ("history: {folder: none}", "/run/state", nil),
        ] as [(String, String?, String?)])
    func `the history is where it is told, else in systemd's folder, else beside the record`(
        lines: String, variable: String?, path: String?
    )
        throws
    {
        #expect(try serve(lines).history.path(stateDirectory: variable) == path)
    }

    /// `#` stands for a name of 65 characters.
    @Test(arguments: [
        ("site: {name: '#'}", "site.name"), ("site: {name: \"a\\tb\"}", "site.name"),
        ("site: {time_zone: Mars/Base}", "site.time_zone"),
        ("site: {packs: [a, b, c]}", "site.packs"), ("site: {packs: [a, [b]]}", "site.packs"),
        ("site: {packs: {a: b}}", "site.packs"),
        ("site: {nmae: x}", "site.nmae"), ("site: x", "site"),
        ("web: {bind: 0.0.0.0}", "web.bind"), ("web: {bind: '::'}", "web.bind"), ("web: {bind: battery.lan}", "web.bind"),
        ("web: {bind: 127.evil.com}", "web.bind"), ("web: {bind: 'a b'}", "web.bind"), ("web: {bind: 'http://x'}", "web.bind"),
        ("web: {bind: 0.0.0.0, reader_password_hash: \(hash)}", "web.bind"),
        ("web: {port: -1}", "web.port"), ("web: {port: 65536}", "web.port"), ("web: {port: 80 A}", "web.port"),
        ("web: {port: }", "web.port"),
        ("web: {streams: 0}", "web.streams"), ("web: {streams: 10001}", "web.streams"),
        ("web: {host_names: [a b]}", "web.host_names"),
        ("web: {tls_certificate: c.pem, tls_key: /k}", "web.tls_certificate"),
        ("web: {tls_certificate: /c}", "web.tls_certificate"),
        ("web: {tls_key: /k}", "web.tls_key"), ("web: {loopback_needs_login: yes}", "web.loopback_needs_login"),
        ("web: {loopback_needs_login: true}", "web.loopback_needs_login"), ("web: {tokens: {name: x}}", "web.tokens.hash"),
        ("web: {tokens: [{hash: \(hash)}]}", "web.tokens[1].name"),
        ("web: {tokens: {name: a.b, hash: \(hash)}}", "web.tokens.name"),
        ("web: {tokens: {name: a, hash: \(hash), role: boss}}", "web.tokens.role"), ("web: {tokens: []}", "web.tokens"),
        ("history: {folder: data}", "history.folder"), ("history: {at_most: 9 MB}", "history.at_most"),
        ("history: {at_most: 101 GB}", "history.at_most"), ("history: {at_most: 400 V}", "history.at_most"),
        ("mqtt: {port: 1883}", "mqtt.host"), ("mqtt: {host: 'mqtt://b'}", "mqtt.host"), ("mqtt: {host: b, port: 0}", "mqtt.port"),
        ("mqtt: {host: b, client_id: '#'}", "mqtt.client_id"), ("mqtt: {host: b, user: '#'}", "mqtt.user"),
        ("mqtt: {host: b, password_file: p}", "mqtt.password_file"), ("mqtt: {host: b, tls: 1}", "mqtt.tls"),
        ("mqtt: {host: b, client_key: /k}", "mqtt.client_key"), ("mqtt: {host: b, topic: a/#}", "mqtt.topic"),
        ("mqtt: {host: b, topic: a b}", "mqtt.topic"), ("mqtt: {host: b, topic: a/}", "mqtt.topic"),
        ("mqtt: {host: b, discovery: devices}", "mqtt.discovery"), ("mqtt: {host: b, discovery_topic: +}", "mqtt.discovery_topic"),
        ("mqtt: {host: b, interval: 999 ms}", "mqtt.interval"), ("mqtt: {host: b, interval: 1500 ms}", "mqtt.interval"),
        ("mqtt: {host: b, interval: 61 min}", "mqtt.interval"), ("mqtt: {host: b, commands: on}", "mqtt.commands"),
        ("notifications: []", "notifications"), ("notifications: {severity: info}", "notifications.url"),
        ("notifications: {url: 'ftp://a'}", "notifications.url"), ("notifications: {url: 'http://'}", "notifications.url"),
        ("notifications: {url: 'http://u:p@a'}", "notifications.url"),
        ("notifications: {url: 'http://a', severity: all}", "notifications.severity"),
        ("notifications: {url: 'http://a', token_file: t}", "notifications.token_file"),
        ("notifications: {url: 'http://a', at_most_per_hour: 0}", "notifications.at_most_per_hour"),
        ("notifications: {url: 'http://a', at_most_per_hour: 3601}", "notifications.at_most_per_hour"),
    ])
    func `what serve could not use is refused, with its key and its line`(lines: String, key: String) {
        let found = problems("\n" + lines.replacing("'#'", with: String(repeating: "x", count: 65)))
        #expect(found.map(\.key) == [key])
        #expect(found.map(\.line) == [5])
    }

    @Test func `an address that others can reach is good with a password, and what to do without is said`() throws {
        #expect(try serve("web: {bind: 0.0.0.0, password_hash: \(hash)}").web.passwordHash == hash)
        #expect(problems("web: {bind: 0.0.0.0}").first?.message.contains("packbridge password") == true)
        #expect(try serve("web: {loopback_needs_login: true, reader_password_hash: \(hash)}").web.loopbackNeedsLogin)
    }

    @Test(arguments: [
        "web: {password_hash: hunter2}", "web: {reader_password_hash: hunter2}", "web: {tokens: {name: a, hash: hunter2}}",
        "web: {password: hunter2}", "mqtt: {host: b, password: hunter2}", "notifications: {url: 'http://a', token: hunter2}",
        "web: {password_hash: $y$hunter2}", "web: {password_hash: $1$hunter2$hunter2}",
    ])
    func `a secret in the file is refused and never repeated`(lines: String) throws {
        let found = problems(lines)
        let problem = try #require(found.first)
        #expect(found.count == 1 && problem.value == nil)
        #expect(!problem.text(file: "f").contains("hunter2"))
    }

    @Test func `who writes a password where a file belongs is told the right key`() {
        #expect(problems("mqtt: {host: b, password: x}").first?.message.contains("password_file") == true)
        #expect(problems("web: {password: x}").first?.message.contains("password_hash") == true)
    }

    @Test func `files that are named but not there are told, all of them, and nothing else`() throws {
        let all = try serve(
            """
            web: {tls_certificate: /nowhere/1, tls_key: /nowhere/2}
            mqtt: {host: b, password_file: /nowhere/3, authority: /nowhere/4, client_certificate: /nowhere/5, client_key: /nowhere/6}
            notifications: [{url: "http://a", token_file: /nowhere/7}, {url: "http://a", token_file: /dev/null}]
            """
        ).missingFiles()
        #expect(all.count == 7)
        for (number, text) in zip(1..., all) { #expect(text.contains("/nowhere/\(number) ")) }
        #expect(try serve("").missingFiles() == [])
    }
}

@Suite struct BackOffTests {
    /// Always the least or always the most.
    private struct Fixed: RandomNumberGenerator {
        let value: UInt64
        mutating func next() -> UInt64 { value }
    }

    @Test func `each time twice as long, up to a minute, stretched by up to half`() {
        var (least, most) = (BackOff(), BackOff())
        var (low, high) = (Fixed(value: 1), Fixed(value: .max))
        var delays: [(Int64, Int64)] = []
        for _ in 0..<8 {
            delays.append((least.delay(afterUptime: 0, using: &low), most.delay(afterUptime: 59_999, using: &high)))
        }
        #expect(delays.map(\.0) == [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
        #expect(delays.map(\.1) == [1500, 3000, 6000, 12_000, 24_000, 48_000, 90_000, 90_000])
    }

    @Test func `what has worked for a minute is started again at once`() {
        var (backOff, random) = (BackOff(), Fixed(value: 1))
        for _ in 0..<5 { _ = backOff.delay(afterUptime: 0, using: &random) }
        let delay = backOff.delay(afterUptime: 60_000, using: &random)
        #expect(delay == 1000)
    }
}

@Suite struct HiddenLineTests {
    @Test func `the delete key takes a whole character`() {
        var bytes = Array("aß".utf8)
        HiddenLine.removeCharacter(from: &bytes)
        #expect(bytes == Array("a".utf8))
        HiddenLine.removeCharacter(from: &bytes)
        HiddenLine.removeCharacter(from: &bytes)
        #expect(bytes.isEmpty)
    }
}
