import ChargeControl
import InverterDialects
import ProfileFiles
import Yams

/// What is known about one family of inverters: which language it wants, what its owner has to choose in its menu, how it behaves, and
/// how sure we are. The data are in `Profiles/*.yaml`; the rules for them are those of a configuration file.
struct InverterProfile {
    /// How a profile has been proven.
    enum Confidence: String, CaseIterable {
        case vendor, capture, users, unknown

        var sentence: String {
            switch self {
            case .vendor: "from a document of the maker"
            case .capture: "seen on the bus of a real battery"
            case .users: "reported by users of other projects"
            case .unknown: "not confirmed by anybody"
            }
        }
    }

    var name = ""
    var brand = ""
    var models = ""
    var menu = ""
    var confidence = Confidence.unknown
    /// What the inverter sends by which it is known to listen.
    var heartbeat = ""
    /// What it does when the battery falls silent.
    var silence = ""
    var note = ""
    var inverter = InverterEntry()
    var traits = InverterTraits()

    static var settings: [Setting<InverterProfile>] {
        [
            text("brand", \.brand), text("models", \.models), text("menu", \.menu), text("silence", \.silence),
            text("note", \.note),
            .choice(
                "heartbeat",
                ["0x305": "0x305", "0x301": "0x301", "request": "request", "not known": "not known"], \.heartbeat,
                "what it sends"),
            .choice(
                "confidence", ["vendor": .vendor, "capture": .capture, "users": .users, "unknown": .unknown], \.confidence,
                "how it has been proven"),
        ]
    }

    private static func text(_ name: String, _ field: WritableKeyPath<Self, String>) -> Setting<InverterProfile> {
        .text(name, allowed: "one line of text", name) { text, profile in profile[keyPath: field] = text }
    }

    /// Every profile of the binary, by brand and name.
    static let all: [InverterProfile] = {
        var profiles: [InverterProfile] = []
        for index in 0..<packbridge_profile_file_count() {
            let file = packbridge_profile_file_at(index)
            let text = String(decoding: UnsafeBufferPointer(start: file.bytes, count: file.size), as: UTF8.self)
            do throws(ConfigurationRefused) { profiles += try ConfigurationReader.profiles(in: text) } catch {
                // A test reads them all; a binary with a bad one is never delivered.
                fatalError(error.problems.map { $0.text(file: String(cString: file.name)) }.joined(separator: "\n"))
            }
        }
        return profiles.sorted { ($0.brand.lowercased(), $0.name) < ($1.brand.lowercased(), $1.name) }
    }()

    static func named(_ name: String) -> InverterProfile? { all.first { $0.name == name } }
}

extension ConfigurationReader {
    /// Reads one file of profiles. - Throws: everything that is wrong with it.
    static func profiles(in yaml: String) throws(ConfigurationRefused) -> [InverterProfile] {
        var reader = ConfigurationReader()
        var profiles: [InverterProfile] = []
        if case .mapping(let mapping) = reader.root(of: yaml) {
            for (key, node) in mapping { profiles.append(reader.profile(named: key.scalar?.string ?? "", node)) }
        }
        if profiles.isEmpty { reader.report("", nil, "there is no profile in this file") }
        if !reader.problems.isEmpty { throw ConfigurationRefused(problems: reader.problems) }
        return profiles
    }

    private mutating func profile(named name: String, _ node: Node) -> InverterProfile {
        var profile = InverterProfile(name: name)
        read(
            node, name, InverterProfile.settings, required: ["brand", "models", "menu", "confidence", "heartbeat", "silence"],
            subsections: ["inverter", "inverter_behaviour"], into: &profile)
        guard case .mapping(let mapping) = node, let inverter = mapping["inverter"] else {
            report("\(name).inverter", node.mark, "this section is missing")
            return profile
        }
        // Where the inverter is connected and how it shares with another one is the owner's business.
        let settings = InverterEntry.settings.filter { !["profile", "port", "share"].contains($0.name) }
        read(inverter, "\(name).inverter", settings, required: ["dialect"], into: &profile.inverter)
        if let behaviour = mapping["inverter_behaviour"] {
            var control = ControlConfiguration(chemistry: .lfp)
            read(behaviour, "\(name).inverter_behaviour", ControlSection.inverterBehaviour.settings, into: &control)
            profile.traits = control.inverter
        }
        return profile
    }
}

extension InverterTraits {
    /// How a bank with several inverters is run: what protects one of them holds for all. Only silence needs all of them.
    init(of all: [InverterTraits]) {
        self.init()
        guard !all.isEmpty else { return }
        zeroCurrent = all.map(\.zeroCurrent).max() ?? 0
        lowersVoltageWhenBlocked = all.contains { $0.lowersVoltageWhenBlocked }
        protectionCutsOutput = all.contains { $0.protectionCutsOutput }
        hasSoCCutOff = all.contains { $0.hasSoCCutOff }
        disablesChargeInRest = all.contains { $0.disablesChargeInRest }
        fullRequestReleasesAt97 = all.contains { $0.fullRequestReleasesAt97 }
        silentWhenLost = all.allSatisfy { $0.silentWhenLost }
    }
}
