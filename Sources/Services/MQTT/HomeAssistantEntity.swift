/// One entity as Home Assistant's MQTT discovery wants it. The names of the fields are Home Assistant's.
struct HomeAssistantEntity: Encodable, Equatable, Sendable {
    enum Platform: String, Encodable, Sendable {
        case sensor, binary_sensor, button, number, event
        case onOff = "switch"
    }

    var platform: Platform
    /// Last part of the unique id.
    var key: String
    var name: String
    var unique_id = ""
    var default_entity_id = ""
    var device_class: String?
    var unit_of_measurement: String?
    var state_class: String?
    var suggested_display_precision: Int?
    var entity_category: String?
    var icon: String?
    var options: [String]?
    var state_topic: String?
    var value_template: String?
    var json_attributes_topic: String?
    var json_attributes_template: String?
    var expire_after: Int?
    var availability: [Availability] = []
    var availability_mode = "all"
    var command_topic: String?
    var payload_press: String?
    var payload_on: String?
    var payload_off: String?
    var min: Double?
    var max: Double?
    var step: Double?
    var mode: String?
    var event_types: [String]?
    /// Only in the form with one message for each entity.
    var device: HomeAssistantDevice?
    var origin: HomeAssistantOrigin?

    struct Availability: Encodable, Equatable, Sendable {
        var topic: String
    }

    init(_ platform: Platform, _ key: String, _ name: String) {
        self.platform = platform
        self.key = key
        self.name = name
    }

    private enum CodingKeys: String, CodingKey {
        case platform, name, unique_id, default_entity_id, device_class, unit_of_measurement, state_class
        case suggested_display_precision, entity_category, icon, options, state_topic, value_template
        case json_attributes_topic, json_attributes_template, expire_after, availability, availability_mode,
            command_topic
        case payload_press, payload_on, payload_off, min, max, step, mode, event_types, device, origin
    }
}

struct HomeAssistantDevice: Encodable, Equatable, Sendable {
    var identifiers: [String]
    var name: String
    var manufacturer: String
    var model: String
    var sw_version: String?
    var via_device: String?
    var configuration_url: String?
}

struct HomeAssistantOrigin: Encodable, Equatable, Sendable {
    var name = "PackBridge"
    var sw_version: String
}

/// What a sensor measures: device class, unit, digits and the way from the integer of the snapshot to the unit.
struct HomeAssistantQuantity: Sendable {
    var deviceClass: String?
    var unit: String?
    var divisor: Int
    var digits: Int
    var stateClass: String?

    private init(
        _ deviceClass: String?, _ unit: String?, divisor: Int = 1, digits: Int = 0, stateClass: String? = "measurement"
    ) {
        self.deviceClass = deviceClass
        self.unit = unit
        self.divisor = divisor
        self.digits = digits
        self.stateClass = stateClass
    }

    static let packVoltage = Self("voltage", "V", divisor: 1000, digits: 2)
    static let cellVoltage = Self("voltage", "V", divisor: 1000, digits: 3)
    static let voltageDifference = Self("voltage", "mV")
    static let current = Self("current", "A", divisor: 1000, digits: 1)
    static let power = Self("power", "W")
    static let stateOfCharge = Self("battery", "%", divisor: 100, digits: 1)
    static let percent = Self(nil, "%")
    static let centiPercent = Self(nil, "%", divisor: 100)
    static let temperature = Self("temperature", "°C", divisor: 10, digits: 1)
    /// Wh in the snapshot; the energy dashboard wants a counter that only rises.
    static let energyCounter = Self("energy", "kWh", divisor: 1000, digits: 1, stateClass: "total_increasing")
    static let charge = Self(nil, "Ah", divisor: 1000, digits: 1)
    static let minutes = Self("duration", "min", divisor: 60)
    static let hours = Self("duration", "h", divisor: 3600, digits: 1)
    static let count = Self(nil, nil)
    static let counter = Self(nil, nil, stateClass: "total_increasing")
    static let text = Self(nil, nil, stateClass: nil)
}
