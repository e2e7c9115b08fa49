import NIOCore

/// What subscribers of the `Hub` receive.
public struct HubNews: Sendable {
    public enum Content: Sendable {
        case snapshot(SnapshotDocument)
        /// Something happened, or something that lasts has ended.
        case event(EventDocument)
        /// The health changed although no snapshot came: the control process is gone, for example.
        case health(SnapshotDocument.Health)
        /// Nothing new for some seconds.
        case heartbeat
    }

    public var content: Content
    /// The content as one JSON object; empty for a heartbeat.
    public var json: ByteBuffer
    /// The same as a server-sent event, made once for all streams.
    var frame: ByteBuffer

    init(_ content: Content, json: ByteBuffer = ByteBuffer()) {
        self.content = content
        self.json = json
        frame = ByteBuffer()
        switch content {
        case .snapshot: frame.writeString("event: snapshot\ndata: ")
        case .event(let event): frame.writeString("id: \(event.id)\nevent: event\ndata: ")
        case .health: frame.writeString("event: health\ndata: ")
        case .heartbeat: frame.writeString(": still here")
        }
        frame.writeImmutableBuffer(json)
        frame.writeString("\n\n")
    }
}

/// One place in the queue of a subscriber. Slow ones are dropped (`onOverflow`) or lose the oldest news.
public struct HubSubscription: Sendable {
    public let id: Int
    public let news: AsyncStream<HubNews>
}

/// An order as the REST interface and MQTT give it.
public struct CommandRequest: Codable, Equatable, Sendable {
    /// Stable name: `charge_cap`, `pause_charge`, …
    public var order: String
    /// `charge_cap` and `discharge_cap`: mA; `soc_ceiling`: 0.01 %; `acknowledge`: pack from 1.
    public var value: Int32?
    public var time_to_live_s: Int32?

    public init(order: String, value: Int32? = nil, time_to_live_s: Int32? = nil) {
        self.order = order
        self.value = value
        self.time_to_live_s = time_to_live_s
    }
}

public struct CommandResult: Codable, Equatable, Sendable {
    public var accepted = true
    public var order: String
    /// Until when it is in force; absent for orders without a time to live.
    public var until_ms: Int64?
}

/// Why an order did not take effect.
public enum CommandProblem: Error, Equatable, Sendable {
    /// The request itself is wrong.
    case senseless(String)
    /// The control process refused it.
    case refused(String)
    /// No answer, or no connection.
    case unreachable(String)

    public var text: String {
        switch self {
        case .senseless(let text), .refused(let text), .unreachable(let text): text
        }
    }
}
