import BridgeEngine
import ChargeControl
import Foundation
import Glibc
import LinkClient
import SupportArchive
import Yams

/// The archive for those who help. Whatever is not known to be harmless is left out, and what goes in has been searched for secrets.
struct DoctorBundle {
    var examination: Examination
    /// The file as written; nil when it could not be read.
    var configuration: String?
    var file: BridgeFile?
    var snapshot: BridgeSnapshot?
    var events: [EngineEvent] = []

    func write(to path: String) throws {
        let tar = archive(at: Int64(Date.now.timeIntervalSince1970))
        let bytes = path.hasSuffix(".gz") ? gzipped(tar) : tar
        do { try Data(bytes).write(to: URL(filePath: path), options: .atomic) } catch {
            throw Failure("\(path): cannot be written: \(error)")
        }
    }

    func archive(at time: Int64) -> [UInt8] {
        let (redacted, secrets) = RedactedConfiguration.of(configuration ?? "")
        var clean = Redaction(secrets + secretContents)
        if let home = ProcessInfo.processInfo.environment["HOME"], home != "/", home != "/root" { clean.add(home) }
        var tar = TarArchive(at: time)
        func add(_ name: String, _ text: String) { tar.add("packbridge/" + name, Array(clean(text).utf8)) }
        add("doctor.txt", examination.text(width: 100, colour: false))
        add("doctor.json", examination.json + "\n")
        add("configuration.yaml", redacted)
        if let snapshot {
            var json = JSONText()
            json.write(snapshot)
            add("snapshot.json", json.string + "\n")
            add("status.txt", StatusText().page(snapshot))
        }
        if let snapshot, !events.isEmpty {
            let lines = events.map { "\(duration(snapshot.bank.at.since($0.at))) ago: \($0.sentence)" }
            add("events.txt", lines.joined(separator: "\n") + "\n")
        }
        add("versions.txt", versions)
        return tar.finished()
    }

    /// The passwords and tokens themselves, so that they are found wherever they may have strayed to.
    private var secretContents: [String] {
        let files = [file?.serve.mqtt?.passwordFile].compactMap(\.self) + (file?.serve.webhooks.compactMap(\.tokenFile) ?? [])
        return files.compactMap(firstLine(of:))
    }

    private var versions: String {
        var name = utsname()
        uname(&name)
        func text<T>(_ field: T) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let system = FileManager.default.contents(atPath: "/etc/os-release").map { String(decoding: $0, as: UTF8.self) } ?? ""
        let pretty = system.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }?.dropFirst(12) ?? ""
        return "PackBridge \(packBridgeVersion)\n\(text(name.sysname)) \(text(name.release)) \(text(name.machine))\n\(pretty)\n"
    }
}

/// A configuration with everything taken out that is nobody's business: comments, names, hosts, secrets, and every key that is not
/// known, because a mistyped key may hold anything.
enum RedactedConfiguration {
    /// - Returns: the file to show, and the values that were taken out.
    static func of(_ yaml: String) -> (text: String, secrets: [String]) {
        guard let composed = try? Yams.compose(yaml: yaml) else { return ("# The file is no YAML, so it was left out.\n", []) }
        var secrets: [String] = []
        let node = redacted(composed, "", &secrets)
        return ((try? Yams.serialize(node: node)) ?? "# The file was left out.\n", secrets)
    }

    private static func redacted(_ node: Node, _ path: String, _ secrets: inout [String]) -> Node {
        switch node {
        case .mapping(let mapping):
            let pairs = mapping.map { key, value in
                let word = key.scalar?.string ?? ""
                let full = path.isEmpty ? word : "\(path).\(word)"
                // A key that is not known may be a secret itself.
                guard sections.contains(full) || kept.contains(full) || removed.contains(full) else {
                    secrets.append(word)
                    collect(value, &secrets)
                    return (Node(Redaction.removed), Node(Redaction.removed))
                }
                return (Node(word), redacted(value, full, &secrets))
            }
            return Node(pairs, .implicit, mapping.style)
        case .sequence(let sequence): return Node(sequence.map { redacted($0, path, &secrets) }, .implicit, sequence.style)
        case .scalar(let scalar):
            // `inverter: growatt-spf5000es`
            if kept.contains(path) || path == "inverter" { return Node(scalar.string) }
            secrets.append(scalar.string)
            return Node(Redaction.removed)
        case .alias: return Node(Redaction.removed)
        }
    }

    private static func collect(_ node: Node, _ secrets: inout [String]) {
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                collect(key, &secrets)
                collect(value, &secrets)
            }
        case .sequence(let sequence): for value in sequence { collect(value, &secrets) }
        case .scalar(let scalar): secrets.append(scalar.string)
        case .alias: break
        }
    }

    private static let sections: Set<String> = Set(
        ["battery", "bms", "bms.pack", "inverter", "files", "web.tokens"] + ControlSection.allCases.map(\.rawValue)
            + ConfigurationReader.serveSections)

    /// Known keys whose values are the owner's business.
    private static let removed: Set<String> = [
        "site.name", "site.packs", "web.host_names", "web.password_hash", "web.reader_password_hash", "web.tokens.name",
        "web.tokens.hash", "mqtt.host", "mqtt.user", "mqtt.client_id", "mqtt.password_file", "mqtt.topic", "notifications.url",
        "notifications.token_file",
    ]

    private static let kept: Set<String> = {
        func names<Target>(_ section: String, _ settings: [Setting<Target>]) -> [String] {
            settings.map { "\(section).\($0.name)" }
        }
        var all =
            names("battery", BatteryKind.settings) + names("bms", BMSEntry.settings) + names("bms.pack", PackConfiguration.settings)
        all += names("inverter", InverterEntry.settings) + names("files", FileEntry.settings)
        for section in ControlSection.allCases { all += names(section.rawValue, section.settings) }
        all += names("site", SiteEntry.settings) + names("web", WebEntry.settings) + names("web.tokens", TokenEntry.settings)
        all +=
            names("history", HistoryEntry.settings) + names("mqtt", MQTTEntry.settings)
            + names("notifications", WebhookEntry.settings)
        return Set(all).subtracting(removed)
    }()
}
