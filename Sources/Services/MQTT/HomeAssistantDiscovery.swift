import Foundation

/// The retained messages by which Home Assistant learns the bank and its packs: one device each.
struct HomeAssistantDiscovery: Sendable {
    let configuration: ServeConfiguration.MQTT
    /// Name of the installation.
    let name: String
    let version: String

    /// What the set of entities depends on. When it changes, discovery is sent again.
    struct Shape: Equatable, Sendable {
        struct Pack: Equatable, Sendable {
            var number: UInt8
            var name: String
            var cells: Int
            var sensors: [String]
        }

        var packs: [Pack]
        var inverters: Int

        init(_ document: SnapshotDocument) {
            packs = document.packs.map { pack in
                Pack(
                    number: pack.number, name: pack.name, cells: pack.cells_mV.count,
                    sensors: pack.temperatures.map { "\($0.place)\($0.sensor)" })
            }
            inverters = document.inverters.count
        }
    }

    struct Message: Equatable, Sendable {
        var topic: String
        var payload: [UInt8]
    }

    /// Missed values until an entity counts as old.
    private static let missedIntervals = 6

    private struct Device {
        /// Last part of its topic, and the start of the ids of its entities after the root.
        var key: String
        /// Before the keys of its entities; empty for the bank.
        var prefix: String
        var description: HomeAssistantDevice
        var entities: [HomeAssistantEntity]
    }

    /// The form of the whole device in one message.
    private struct DeviceMessage: Encodable {
        var device: HomeAssistantDevice
        var origin: HomeAssistantOrigin
        var components: [String: HomeAssistantEntity]
    }

    /// All discovery topics of this installation, in whichever form: what is retained there and not announced is from before.
    var ownTopics: String { "\(configuration.discoveryTopic)/+/\(root)/+/config" }

    func isOwn(_ topic: String) -> Bool {
        let parts = topic.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count >= 4 && parts.last == "config" && parts[parts.count - 3] == root
            && topic.hasPrefix(configuration.discoveryTopic + "/")
    }

    private var root: String { Self.slug(configuration.topic) }

    func messages(for document: SnapshotDocument) -> [Message] {
        guard configuration.discovery != .none else { return [] }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Encoding a struct of strings and numbers cannot fail.
        func bytes(_ value: some Encodable) -> [UInt8] { Array((try? encoder.encode(value)) ?? Data()) }
        let origin = HomeAssistantOrigin(sw_version: version)
        var messages: [Message] = []
        func announce(_ platform: String, _ key: String, _ value: some Encodable) {
            messages.append(
                Message(
                    topic: "\(configuration.discoveryTopic)/\(platform)/\(root)/\(key)/config", payload: bytes(value)))
        }
        for device in devices(document) {
            switch configuration.discovery {
            case .device:
                let components = Dictionary(uniqueKeysWithValues: device.entities.map { ($0.key, $0) })
                announce(
                    "device", device.key,
                    DeviceMessage(device: device.description, origin: origin, components: components))
            case .entity:
                for var entity in device.entities {
                    entity.device = device.description
                    entity.origin = origin
                    announce(entity.platform.rawValue, device.prefix + entity.key, entity)
                }
            case .none: break
            }
        }
        return messages
    }

    private func devices(_ document: SnapshotDocument) -> [Device] {
        let topics = MQTTTopics(base: configuration.topic)
        let table = HomeAssistantTable(
            topics: topics, expiry: max(30, configuration.interval * Self.missedIntervals),
            takesCommands: configuration.commands)
        let bank = HomeAssistantDevice(
            identifiers: [root], name: name, manufacturer: "PackBridge",
            model: "\(document.bank.packs_expected) packs, \(document.bank.cells_in_series) cells", sw_version: version)
        let packs = document.packs.map { pack in
            Device(
                key: "pack\(pack.number)", prefix: "pack\(pack.number)_",
                description: HomeAssistantDevice(
                    identifiers: ["\(root)_pack\(pack.number)"], name: "\(name) \(pack.name)", manufacturer: "Jikong",
                    model: document.bms_ports.first { $0.number == pack.number }?.protocol ?? "BMS", via_device: root),
                entities: table.pack(pack))
        }
        let entities = table.bank(inverters: document.inverters.count)
        let all = [Device(key: "bank", prefix: "", description: bank, entities: entities)] + packs
        return all.map { device in
            var named = device
            for index in named.entities.indices {
                let entity = named.entities[index]
                named.entities[index].unique_id = "\(root)_\(device.prefix)\(entity.key)"
                named.entities[index].default_entity_id =
                    "\(entity.platform.rawValue).\(Self.slug("\(device.description.name) \(entity.name)"))"
            }
            return named
        }
    }

    /// As Home Assistant makes ids from names: lower case letters and digits, everything else one underscore.
    static func slug(_ name: String) -> String {
        let kept = name.lowercased().map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" }
        return String(kept).split(separator: "_", omittingEmptySubsequences: true).joined(separator: "_")
    }
}
