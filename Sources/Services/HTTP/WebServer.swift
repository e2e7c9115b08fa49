import HTTPTypes
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTPTypes
import NIOSSL
import ServiceLifecycle

/// The web page, the REST interface, the live stream and `/metrics`.
public struct WebServer: Service {
    private let configuration: ServeConfiguration
    private let responder: RouterResponder<WebContext>
    private let logger: Logger
    private let onRunning: @Sendable (Int) async -> Void

    /// - Parameter onRunning: is told the port once requests are answered.
    public init(
        _ configuration: ServeConfiguration, hub: Hub, recorder: HistoryRecorder?, log: RecentLog, logger: Logger,
        clock: @escaping WallClock = systemClock, onRunning: @escaping @Sendable (Int) async -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.logger = logger
        self.onRunning = onRunning
        let web = configuration.web
        let doorkeeper = Doorkeeper(web.access, clock: clock)
        let requests = NIOLockedValueBox<UInt64>(0)
        let isTLS = web.tls != nil
        let streams = NIOLockedValueBox(0)
        let status = StatusSource(
            hub: hub, recorder: recorder, requests: requests, streams: streams, clock: clock, started: clock())
        let files = StaticFiles()

        let router = Router(context: WebContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: GuardMiddleware(hosts: web.acceptedHosts, isTLS: isTLS, requests: requests))
        router.add(
            middleware: AccessMiddleware(
                doorkeeper: doorkeeper, loopbackNeedsNoLogin: web.bindsLoopback && !web.access.loopbackNeedsLogin,
                isTLS: isTLS))
        let api = router.group("api/v1")
        LiveRoutes(hub: hub, status: status, maximumStreams: web.maximumStreams, streams: streams).add(to: api)
        HistoryRoutes(hub: hub, recorder: recorder, clock: clock).add(to: api)
        SessionRoutes(doorkeeper: doorkeeper, access: web.access, isTLS: isTLS).add(to: api)
        api.get("support.tar") { request, context in
            try AccessMiddleware.requireOwner(context)
            _ = try QueryReader(request, allowed: [])
            let bundle = SupportBundle(configuration: configuration, hub: hub, recorder: recorder, status: status, log: log)
            return await bundle.response()
        }
        router.get("metrics") { request, _ in
            _ = try QueryReader(request, allowed: [])
            return await Metrics.response(hub: hub, status: status)
        }
        for name in files.names {
            router.get(RouterPath(stringLiteral: name)) { request, _ in files.response(name, request) ?? Response(status: .notFound)
            }
        }
        responder = router.buildResponder()
    }

    public func run() async throws {
        let web = configuration.web
        let http = HTTP1Channel.Configuration(
            additionalChannelHandlers: [RequestDeadline()],
            httpDecoderConfiguration: .init(maxHeaderFieldSize: 8192, maxHeaderListSize: 16_384, maxHeaderFieldCount: 100))
        let application = Application(
            responder: responder, server: try server(http),
            configuration: .init(
                address: .hostname(web.bind, port: web.port),
                // A whole house that comes back at once must not wait for the retries of TCP.
                backlog: 1024,
                availableConnectionsDelegate: MaximumAvailableConnections(web.maximumStreams + 200)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? web.port) }, logger: logger)
        try await application.run()
    }

    private func server(_ http: HTTP1Channel.Configuration) throws -> HTTPServerBuilder {
        guard let tls = configuration.web.tls else { return .http1(configuration: http) }
        var settings = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(tls.certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: tls.key, format: .pem)))
        settings.minimumTLSVersion = .tlsv12
        settings.applicationProtocols = ["http/1.1"]
        return try .tls(.http1(configuration: http), tlsConfiguration: settings)
    }
}

extension ServeConfiguration.Web {
    /// Names that a request may be addressed to; nil = any, where a login protects.
    var acceptedHosts: Set<String>? {
        if !bindsLoopback && hostNames.isEmpty { return nil }
        return Set(["localhost", "127.0.0.1", "::1", bind] + hostNames.map { $0.lowercased() })
    }
}
