import Logging
import ServiceLifecycle

/// Everything of `packbridge serve`, put together.
public struct ServeApplication: Sendable {
    public let hub: Hub
    private let services: [any Service]
    private let recorder: HistoryRecorder?
    private let logger: Logger

    /// - Parameter onRunning: is told the port once requests are answered.
    public init(
        _ configuration: ServeConfiguration, source: LinkSource, log: RecentLog = RecentLog(),
        clock: @escaping WallClock = systemClock,
        onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        let logger = Logger(label: "packbridge-serve") { _ in log }
        let link = LinkConnection(source: source, logger: logger)
        let hub = Hub(link: link, configuration: configuration, logger: logger, clock: clock)
        let recorder = configuration.history.path.map {
            HistoryRecorder(configuration, path: $0, hub: hub, logger: logger, clock: clock)
        }
        self.hub = hub
        self.recorder = recorder
        self.logger = logger
        // Stopped from the end to the beginning.
        var services: [any Service] = []
        if let recorder { services.append(recorder) }
        services += [hub, link]
        if !configuration.notifications.webhooks.isEmpty {
            services.append(WebhookNotifier(configuration, hub: hub, logger: logger, clock: clock))
        }
        if let mqtt = configuration.mqtt {
            services.append(
                MQTTPublisher(
                    mqtt, name: configuration.name, version: StatusSource.version, logger: logger, clock: clock,
                    // As much as fits: an alarm must not be pushed out by a burst of orders.
                    subscribe: { await hub.subscribe(capacity: 256).news },
                    execute: { (request, by) async throws(CommandProblem) in try await hub.execute(request, by: by) }))
        }
        services.append(
            WebServer(configuration, hub: hub, recorder: recorder, log: log, logger: logger, clock: clock, onRunning: onRunning))
        services += [MemoryKeeper(), StreamEnder(hub: hub), AliveNotifier(hub: hub)]
        self.services = services
    }

    /// Runs until a signal asks it to end, or until the task is cancelled.
    public func run(stopOnSignals: Bool = true) async throws {
        await recorder?.open()
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) },
                gracefulShutdownSignals: stopOnSignals ? [.sigterm, .sigint] : [], logger: logger))
        try await group.run()
    }
}

/// Ends the live streams first: the server waits for its answers, and a stream never ends by itself.
private struct StreamEnder: Service {
    let hub: Hub

    func run() async throws {
        try? await gracefulShutdown()
        await hub.endStreams()
    }
}
