/// Something that happened, as `/api/v1/events`, the live stream, MQTT and the webhooks give it (docs/openapi.yaml).
public struct EventDocument: Codable, Equatable, Sendable {
    /// Grows with time; the same event keeps it when it ends.
    public var id: Int64
    public var at_ms: Int64
    /// For things that last, once they have ended.
    public var until_ms: Int64?
    /// True while it lasts.
    public var ongoing: Bool?
    /// Stable name, one of `EventKind` in the API document.
    public var kind: String
    public var severity: Severity
    /// English, for a person.
    public var text: String
    /// Stable name of the rule, alarm or warning.
    public var name: String?
    /// `charge_voltage`, `charge_current` or `discharge_current`.
    public var limit: String?
    public var pack: UInt8?
    public var cell: UInt8?

    public init(
        id: Int64, at: Int64, kind: String, severity: Severity, text: String, name: String? = nil, limit: String? = nil,
        pack: UInt8? = nil, cell: UInt8? = nil, lasts: Bool = false
    ) {
        self.id = id
        at_ms = at
        self.kind = kind
        self.severity = severity
        self.text = text
        self.name = name
        self.limit = limit
        self.pack = pack
        self.cell = cell
        ongoing = lasts ? true : nil
    }

    /// How long it lasted, "43 min"; nil for what has not ended or does not last.
    public var milliseconds: Int64? { until_ms.map { $0 - at_ms } }
}
