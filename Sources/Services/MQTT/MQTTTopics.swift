/// The topic tree (docs/mqtt.md). `base` is the configured first part, `packbridge` unless changed.
struct MQTTTopics: Sendable, Equatable {
    var base: String

    /// `online`, or `offline` by last will: whether this process is there.
    var status: String { base + "/status" }
    /// `online` while the control process is heard: without it every value is old.
    var control: String { base + "/control" }
    /// The bank, the limits with their reasons, the phase, the health, the ports and the orders in force.
    var bank: String { base + "/bank" }
    var event: String { base + "/event" }
    /// How the last order ended.
    var result: String { base + "/command/result" }
    /// For how many minutes an order that names no time holds.
    var minutes: String { base + "/command/minutes" }

    func pack(_ number: UInt8) -> String { "\(base)/pack/\(number)" }
    /// `online` while this pack's data are younger than the control process tolerates.
    func packStatus(_ number: UInt8) -> String { "\(base)/pack/\(number)/status" }

    func order(_ name: String) -> String { "\(base)/command/\(name)" }
    var orders: String { base + "/command/+" }
    var minutesToSet: String { base + "/command/minutes/set" }

    /// The name of the order that `topic` stands for.
    func orderName(of topic: String) -> String? {
        let start = base + "/command/"
        guard topic.hasPrefix(start) else { return nil }
        let name = String(topic.dropFirst(start.count))
        return name.contains("/") || name == "result" || name == "minutes" ? nil : name
    }
}
