import Foundation
import Testing

@testable import Services

/// Discovery, without a broker. `Tests/peers/home_assistant.py` shows the same to a real Home Assistant.
@Suite struct DiscoveryTests {
    private let document: SnapshotDocument
    private let json: [String: Any]

    init() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let data = try Data(contentsOf: root.appending(path: "docs/examples/snapshot.json"))
        document = try JSONDecoder().decode(SnapshotDocument.self, from: data)
        json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    private func discovery(_ form: ServeConfiguration.MQTT.Discovery, commands: Bool = true) -> HomeAssistantDiscovery {
        var configuration = ServeConfiguration.MQTT(host: "localhost")
        configuration.discovery = form
        configuration.commands = commands
        return HomeAssistantDiscovery(configuration: configuration, name: "PackBridge", version: "1.2.3")
    }

    private func object(_ payload: [UInt8]) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(payload)) as? [String: Any])
    }

    /// unique id → entity, in either form.
    private func entities(_ form: ServeConfiguration.MQTT.Discovery, commands: Bool = true) throws -> [String: [String:
        Any]]
    {
        var found: [String: [String: Any]] = [:]
        for message in discovery(form, commands: commands).messages(for: document) {
            let content = try object(message.payload)
            let components = content["components"] as? [String: [String: Any]] ?? ["": content]
            for entity in components.values {
                let id = try #require(entity["unique_id"] as? String)
                #expect(found.updateValue(entity, forKey: id) == nil, "two entities with the id \(id)")
            }
        }
        return found
    }

    @Test func `the device form has one message for the bank and one for each pack`() throws {
        let messages = discovery(.device).messages(for: document)
        #expect(
            messages.map(\.topic) == [
                "homeassistant/device/packbridge/bank/config", "homeassistant/device/packbridge/pack1/config",
                "homeassistant/device/packbridge/pack2/config",
            ])
        let pack = try object(messages[1].payload)
        let device = try #require(pack["device"] as? [String: Any])
        #expect(device["via_device"] as? String == "packbridge")
        #expect(device["identifiers"] as? [String] == ["packbridge_pack1"])
        #expect((pack["origin"] as? [String: Any])?["sw_version"] as? String == "1.2.3")
    }

    @Test func `both forms announce the same entities`() throws {
        let device = try entities(.device)
        let entity = try entities(.entity)
        #expect(device.count > 100)
        #expect(Set(device.keys) == Set(entity.keys))
        for (id, one) in device {
            let other = try #require(entity[id])
            #expect(one["value_template"] as? String == other["value_template"] as? String)
            #expect(other["device"] != nil && other["origin"] != nil)
        }
        #expect(discovery(.none).messages(for: document).isEmpty)
    }

    @Test func `the energy dashboard gets two counters in kWh that only rise`() throws {
        let all = try entities(.device)
        for id in ["packbridge_energy_charged", "packbridge_energy_discharged"] {
            let entity = try #require(all[id])
            #expect(entity["device_class"] as? String == "energy")
            #expect(entity["unit_of_measurement"] as? String == "kWh")
            #expect(entity["state_class"] as? String == "total_increasing")
        }
    }

    /// A template with a wrong name gives "unknown" for ever, without an error anywhere.
    @Test func `every path in a template exists in the document`() throws {
        var bank = json
        bank["packs"] = []
        let packs = try #require(json["packs"] as? [[String: Any]])
        var checked = 0
        for (id, entity) in try entities(.entity) {
            guard let template = entity["value_template"] as? String,
                entity["state_topic"] as? String != "packbridge/command/result"
            else { continue }
            let pack = id.split(separator: "_").dropFirst().first.flatMap {
                $0.hasPrefix("pack") ? Int($0.dropFirst(4)) : nil
            }
            let topic = try #require(entity["state_topic"] as? String)
            if let pack, !topic.hasSuffix("/status") { #expect(topic == "packbridge/pack/\(pack)") }
            let source: Any = pack.map { packs[$0 - 1] as Any } ?? bank
            for match in template.matches(of: /value_json((?:\.[A-Za-z_]+|\[[0-9]+\])+)/) {
                let path = String(match.1)
                let isOptional = template.contains("is defined") || template.contains("default(")
                #expect(exists(path, in: source) || (isOptional && path.contains("time_to_")), "\(id): \(path)")
                checked += 1
            }
        }
        #expect(checked > 150)
    }

    private func exists(_ path: String, in source: Any) -> Bool {
        var place: Any? = source
        for match in path.matches(of: /\.([A-Za-z_]+)|\[([0-9]+)\]/) {
            if let name = match.1 { place = (place as? [String: Any])?[String(name)] }
            if let index = match.2.flatMap({ Int($0) }) {
                let array = place as? [Any]
                place = array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            }
        }
        return place != nil
    }

    @Test func `without orders there is nothing to press`() throws {
        let platforms = Set(try entities(.device, commands: false).values.compactMap { $0["platform"] as? String })
        #expect(platforms.isDisjoint(with: ["switch", "number", "button"]))
        let allowed = Set(try entities(.device).values.compactMap { $0["platform"] as? String })
        #expect(allowed.isSuperset(of: ["switch", "number", "button"]))
    }

    @Test func `every value becomes unavailable with the bridge, the control process and its pack`() throws {
        let all = try entities(.device)
        func topics(_ id: String) throws -> Set<String> {
            let list = try #require(all[id]?["availability"] as? [[String: String]])
            return Set(list.compactMap { $0["topic"] })
        }
        #expect(try topics("packbridge_voltage") == ["packbridge/status", "packbridge/control"])
        #expect(
            try topics("packbridge_pack1_cell_07") == [
                "packbridge/status", "packbridge/control", "packbridge/pack/1/status",
            ])
        // What tells that they are gone must not be gone with them.
        #expect(try topics("packbridge_control_link") == ["packbridge/status"])
        #expect(try topics("packbridge_pack1_connected") == ["packbridge/status"])
        #expect((all["packbridge_voltage"]?["expire_after"] as? Int ?? 0) >= 30)
    }

    @Test func `entity ids that Home Assistant makes from names are the ones that are asked for`() throws {
        let all = try entities(.device)
        #expect(all["packbridge_pack1_cell_07"]?["default_entity_id"] as? String == "sensor.packbridge_pack_1_cell_07")
        #expect(HomeAssistantDiscovery.slug("Haus & Hof: Pack 1") == "haus_hof_pack_1")
    }

    @Test func `another set of packs, cells or sensors is another shape`() {
        let shape = HomeAssistantDiscovery.Shape(document)
        var other = document
        #expect(HomeAssistantDiscovery.Shape(other) == shape)
        other.packs[0].cells_mV.removeLast()
        #expect(HomeAssistantDiscovery.Shape(other) != shape)
        other = document
        other.packs.removeLast()
        #expect(HomeAssistantDiscovery.Shape(other) != shape)
    }

    @Test func `only topics of this installation count as its own`() {
        let own = discovery(.device)
        #expect(own.ownTopics == "homeassistant/+/packbridge/+/config")
        #expect(own.isOwn("homeassistant/sensor/packbridge/soc/config"))
        #expect(!own.isOwn("homeassistant/sensor/other/soc/config"))
        #expect(!own.isOwn("packbridge/bank"))
    }
}
