import Foundation
import Logging
import ServiceLifecycle

/// Tells the broker what the bank does, and takes orders from it (docs/mqtt.md).
///
/// A broker that is slow, hung or gone costs nothing but the telemetry of that time: nothing is queued, and after a reconnect
/// discovery and state are published anew.
public actor MQTTPublisher: Service {
    /// Asks the hub for its news, of the kind that loses the oldest when it is slow.
    public typealias Subscribe = @Sendable () async -> AsyncStream<HubNews>
    /// Gives an order to the control process.
    public typealias Execute = @Sendable (CommandRequest, _ by: String) async throws(CommandProblem) -> CommandResult

    private var client: MosquittoClient?
    private let configuration: ServeConfiguration.MQTT
    private let topics: MQTTTopics
    private let discovery: HomeAssistantDiscovery
    private let subscribe: Subscribe
    private let execute: Execute
    private let logger: Logger
    private let clock: WallClock
    private let encoder = JSONEncoder()

    private var latest: SnapshotDocument?
    private var announced: HomeAssistantDiscovery.Shape?
    /// Topics of the entities that exist now, and retained ones of this installation that the broker showed before.
    private var discoveryTopics: Set<String> = []
    private var foundTopics: Set<String> = []
    private var publishedAt: Int64 = 0
    private var urgency: Urgency?
    private var linkIsGood: Bool?
    private var minutes = MQTTCommands.defaultMinutes
    private var knowsMinutes = false
    private var lastProblem: String?
    /// Events may be shown on a phone: a battery that flaps must not ring all night.
    private var eventBudget = NotificationBudget(perHour: 120)
    /// Snapshots and events that were left out because the broker did not take them.
    public private(set) var skipped: UInt64 = 0

    /// What is published at once instead of at the next interval.
    private struct Urgency: Equatable {
        var limits: [Int32]
        var flags: [Bool]
        var names: [String]
        var commands: [SnapshotDocument.ActiveCommand]

        init(_ document: SnapshotDocument) {
            let limits = document.limits
            self.limits = [limits.charge_voltage.mV, limits.charge_current.mA, limits.discharge_current.mA]
            flags = [limits.charge_current.enabled, limits.discharge_current.enabled]
            names = [document.phase.name, document.bank.stage] + document.warnings.map(\.name)
            for pack in document.packs { names += [pack.state, pack.stage] + pack.alarms.map(\.name) }
            commands = document.commands
        }
    }

    /// How an order ended, on `…/command/result`.
    struct Result: Codable, Equatable, Sendable {
        var order: String
        var accepted: Bool
        var text: String
        var until_ms: Int64?
        var time_ms: Int64
    }

    public init(
        _ configuration: ServeConfiguration.MQTT, name: String, version: String, logger: Logger,
        clock: @escaping WallClock = systemClock, subscribe: @escaping Subscribe, execute: @escaping Execute
    ) {
        self.configuration = configuration
        self.subscribe = subscribe
        self.execute = execute
        self.logger = logger
        self.clock = clock
        topics = MQTTTopics(base: configuration.topic)
        discovery = HomeAssistantDiscovery(configuration: configuration, name: name, version: version)
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    }

    /// - Throws: `MQTTProblem` at once when the configuration cannot be used; an unreachable broker is no error.
    public func run() async throws {
        var filters: [String] = []
        if configuration.discovery != .none {
            filters += ["\(configuration.discoveryTopic)/status", discovery.ownTopics]
        }
        if configuration.commands { filters += [topics.orders, topics.minutesToSet] }
        let client = try MosquittoClient(
            configuration, will: .init(topic: topics.status, payload: "offline"), subscriptions: filters)
        self.client = client
        client.start()
        let hubNews = await subscribe()
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await one in hubNews { await self.take(one) } }
                group.addTask { for await one in client.news { await self.take(one) } }
                group.addTask {
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .seconds(1))
                        await self.noteProblem()
                    }
                }
                // The hub ends its subscriptions at shutdown; cancellation ends the rest.
                await group.next()
                group.cancelAll()
            }
        }
        client.publish(topics.status, "offline".utf8, isRetained: true)
        client.stop()
    }

    /// Connected, and the broker takes what it is sent.
    private var isReady: Bool {
        guard let client else { return false }
        return client.isConnected && !client.isBacklogged
    }

    // MARK: From the hub

    private func take(_ news: HubNews) {
        switch news.content {
        case .snapshot(let document):
            latest = document
            publishLink(document.health)
            publishIfDue(document)
        case .event(let event): publish(event)
        case .health(let health):
            latest?.health = health
            publishLink(health)
            if let latest { publish(latest) }
        case .heartbeat: break
        }
    }

    private func publishIfDue(_ document: SnapshotDocument) {
        let urgency = Urgency(document), now = clock()
        let isDue = now - publishedAt >= Int64(configuration.interval) * 1000 - 200 || publishedAt > now
        guard isDue || urgency != self.urgency || announced != HomeAssistantDiscovery.Shape(document) else { return }
        self.urgency = urgency
        publish(document)
    }

    private func publish(_ document: SnapshotDocument) {
        guard isReady else {
            skipped += 1
            return
        }
        let shape = HomeAssistantDiscovery.Shape(document)
        if announced != shape {
            announce(document)
            announced = shape
        }
        var bank = document
        bank.packs = []
        for index in bank.inverters.indices { bank.inverters[index].frames = [] }
        client?.publish(topics.bank, encode(bank), isRetained: true)
        for pack in document.packs {
            client?.publish(topics.packStatus(pack.number), status(pack.stage != "lost"), isRetained: true)
            client?.publish(topics.pack(pack.number), encode(pack), isRetained: true)
        }
        publishedAt = clock()
    }

    /// Removes what this installation announced before and does not have any more (another form, a pack less), then announces.
    private func announce(_ document: SnapshotDocument) {
        let messages = discovery.messages(for: document)
        let present = Set(messages.map(\.topic))
        for topic in discoveryTopics.union(foundTopics).subtracting(present) {
            client?.publish(topic, [], isRetained: true)
        }
        foundTopics = []
        discoveryTopics = present
        for message in messages { client?.publish(message.topic, message.payload, isRetained: true) }
    }

    /// A retained discovery message that is already there when the connection begins.
    private func found(_ topic: String) {
        if announced == nil {
            if foundTopics.count < Self.mostFoundTopics { foundTopics.insert(topic) }
        } else if !discoveryTopics.contains(topic) {
            client?.publish(topic, [], isRetained: true)
        }
    }

    /// Twice what 16 packs of 32 cells announce.
    private static let mostFoundTopics = 2500

    /// `offline` as soon as the control process is no longer heard: every value is old from then on.
    private func publishLink(_ health: SnapshotDocument.Health) {
        let isGood = health.link == .ok || health.link == .degraded
        guard isGood != linkIsGood, isReady else { return }
        linkIsGood = isGood
        client?.publish(topics.control, status(isGood), isRetained: true)
    }

    private func publish(_ event: EventDocument) {
        // Events may pile up behind bytes that are on their way: an hour's are few.
        guard let client, client.isConnected else {
            skipped += 1
            eventBudget.gaveUp()
            return
        }
        guard eventBudget.take(at: clock()) else { return }
        let message = EventMessage(event: event, left_out: eventBudget.takeLeftOut())
        client.publish(topics.event, encode(message), isRetained: false)
    }

    /// An event as Home Assistant's `event` platform wants it: with its type.
    private struct EventMessage: Encodable {
        var event: EventDocument
        /// Events that were not published since the last one: there were too many, or no broker.
        var left_out: Int

        private enum CodingKeys: String, CodingKey { case event_type, left_out }

        func encode(to encoder: any Encoder) throws {
            try event.encode(to: encoder)
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(event.severity.rawValue, forKey: .event_type)
            try container.encode(left_out, forKey: .left_out)
        }
    }

    private func status(_ isGood: Bool) -> String.UTF8View { (isGood ? "online" : "offline").utf8 }

    private func encode(_ value: some Encodable) -> [UInt8] { Array((try? encoder.encode(value)) ?? Data()) }

    // MARK: From the broker

    private func take(_ news: MosquittoNews) async {
        switch news {
        case .connected: publishEverything()
        case .message(let topic, let payload, let isRetained):
            if topic == "\(configuration.discoveryTopic)/status" {
                // Home Assistant has started: it knows nothing, whatever the broker has retained.
                if payload == Array("online".utf8), !isRetained { publishEverything() }
            } else if discovery.isOwn(topic) {
                if isRetained, !payload.isEmpty { found(topic) }
            } else if topic == topics.minutes {
                // What was chosen before this process started.
                if isRetained, !knowsMinutes, let chosen = MQTTCommands.chosenMinutes(payload) {
                    minutes = chosen
                    publishMinutes()
                }
                knowsMinutes = true
            } else if isRetained, topics.orderName(of: topic) != nil {
                // A retained order would be given again at every connection.
                logger.warning("mqtt: a retained message on \(topic) is ignored; orders must not be retained")
            } else if topic == topics.minutesToSet {
                if let chosen = MQTTCommands.chosenMinutes(payload) { minutes = chosen }
                knowsMinutes = true
                publishMinutes()
            } else if let name = topics.orderName(of: topic) {
                await obey(name, payload)
            }
        }
    }

    private func publishEverything() {
        if lastProblem != nil { logger.notice("mqtt: connected to \(configuration.host):\(configuration.port)") }
        lastProblem = nil
        announced = nil
        linkIsGood = nil
        client?.publish(topics.status, "online".utf8, isRetained: true)
        if configuration.commands { publishMinutes() }
        if let latest {
            publishLink(latest.health)
            publish(latest)
        }
    }

    private func publishMinutes() {
        client?.publish(topics.minutes, String(minutes).utf8, isRetained: true)
    }

    private func obey(_ name: String, _ payload: [UInt8]) async {
        var result = Result(order: String(name.prefix(40)), accepted: false, text: "", time_ms: clock())
        do throws(CommandProblem) {
            let request = try MQTTCommands.request(name, payload, standard: minutes)
            let answer = try await execute(request, "mqtt")
            result.accepted = true
            result.until_ms = answer.until_ms
            result.text = "\(name) accepted"
        } catch {
            result.text = error.text
            logger.warning("mqtt: order \(result.order): \(error.text)")
        }
        client?.publish(topics.result, encode(result), isRetained: true)
        // The state that Home Assistant shows must follow at once, also when it has to go back.
        urgency = nil
        if let latest { publish(latest) }
    }

    private func noteProblem() {
        guard let problem = client?.problem, problem != lastProblem else { return }
        lastProblem = problem
        logger.warning("mqtt: \(problem)")
    }
}
