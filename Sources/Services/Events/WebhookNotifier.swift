import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ServiceLifecycle

/// Sends events to the owner's webhooks: severe enough ones, few enough of them, again after a pause when nobody answers.
public struct WebhookNotifier: Service {
    private let hooks: [ServeConfiguration.Webhook]
    private let name: String
    private let hub: Hub
    private let logger: Logger
    private let clock: WallClock

    /// Pauses before the second, third and fourth attempt; then the event is given up and counted.
    static let pauses: [Duration] = [.seconds(2), .seconds(10), .seconds(60)]

    public init(_ configuration: ServeConfiguration, hub: Hub, logger: Logger, clock: @escaping WallClock = systemClock) {
        hooks = configuration.notifications.webhooks
        name = configuration.name
        self.hub = hub
        self.logger = logger
        self.clock = clock
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                for hook in hooks { group.addTask { await serve(hook) } }
            }
        }
    }

    private func serve(_ hook: ServeConfiguration.Webhook) async {
        guard let address = WebhookAddress(hook.url) else { return }
        var budget = NotificationBudget(perHour: hook.maximumPerHour)
        let subscription = await hub.subscribe(capacity: 256)
        for await news in subscription.news {
            guard case .event(let event) = news.content, event.severity >= hook.minimumSeverity else { continue }
            guard budget.take(at: clock()) else { continue }
            let message = NotificationDocument(installation: name, event: event, left_out: budget.takeLeftOut())
            if await !send(encodeJSON(message), to: address, token: hook.tokenFile) { budget.gaveUp() }
        }
    }

    private func send(_ body: ByteBuffer, to address: WebhookAddress, token file: String?) async -> Bool {
        for attempt in 0...Self.pauses.count {
            do {
                let token = try file.map {
                    try String(contentsOfFile: $0, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
                }
                let status = try await WebhookRequest.post(body, to: address, token: token)
                if (200..<300).contains(status) { return true }
                logger.warning("webhook at \(address.host): answer \(status)")
                // The receiver understood and does not want it: asking again would not help.
                if (400..<500).contains(status) && status != 429 && status != 408 { return false }
            } catch {
                logger.warning("webhook at \(address.host): \(error)")
            }
            if attempt < Self.pauses.count { try? await Task.sleep(for: Self.pauses[attempt]) }
            if Task.isCancelled { return false }
        }
        return false
    }
}

/// What a webhook receives.
struct NotificationDocument: Encodable {
    var installation: String
    var event: EventDocument
    /// Events that were not sent since the last one, because there were too many or nobody answered.
    var left_out: Int
}

/// One POST over a connection of its own; no redirects, a bounded answer, ten seconds at most.
enum WebhookRequest {
    static func post(_ body: ByteBuffer, to address: WebhookAddress, token: String?) async throws -> Int {
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: Int.self)
        let tls = address.isTLS ? try NIOSSLContext(configuration: .makeClientConfiguration()) : nil
        let connect = ClientBootstrap(group: group).connectTimeout(.seconds(5)).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                if let tls {
                    // The name for the certificate; an address has none.
                    let isAddress = (try? SocketAddress(ipAddress: address.host, port: 0)) != nil
                    let handler = try NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : address.host)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
                try channel.pipeline.syncOperations.addHTTPClientHandlers()
                try channel.pipeline.syncOperations.addHandler(StatusReader(answer))
            }
        }
        let channel: any Channel
        do {
            channel = try await connect.connect(host: address.host, port: address.port).get()
        } catch {
            answer.fail(error)
            throw error
        }
        channel.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
        var headers = HTTPHeaders([
            ("Host", address.port == (address.isTLS ? 443 : 80) ? address.host : "\(address.host):\(address.port)"),
            ("Content-Type", "application/json"), ("Content-Length", "\(body.readableBytes)"), ("Connection", "close"),
            ("User-Agent", "PackBridge"),
        ])
        if let token { headers.add(name: "Authorization", value: "Bearer \(token)") }
        channel.write(
            HTTPClientRequestPart.head(.init(version: .http1_1, method: .POST, uri: address.target, headers: headers)), promise: nil
        )
        channel.write(HTTPClientRequestPart.body(.byteBuffer(body)), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        let status = try await answer.futureResult.get()
        channel.close(promise: nil)
        return status
    }

    /// Only the status matters; what follows is not read.
    private final class StatusReader: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        private var answer: EventLoopPromise<Int>?

        init(_ answer: EventLoopPromise<Int>) {
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .head(let head) = unwrapInboundIn(data) else { return }
            answer?.succeed(Int(head.status.code))
            answer = nil
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            answer?.fail(error)
            answer = nil
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            answer?.fail(ChannelError.eof)
            answer = nil
        }
    }
}
