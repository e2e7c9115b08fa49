import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import ServicesTesting
import Testing

@testable import Services

@Suite struct WebhookTests {
    @Test func `an alarm is posted with the installation's name and the token, an info is not`() async throws {
        let folder = TemporaryFolder()
        let token = folder.path + "/token"
        try "hook-token\n".write(toFile: token, atomically: true, encoding: .utf8)
        let receiver = try await WebhookReceiver(status: 200)
        var hook = ServeConfiguration.Webhook(url: "http://127.0.0.1:\(receiver.port)/notify?x=1")
        hook.tokenFile = token
        var configuration = ServeConfiguration()
        configuration.name = "Cellar"
        configuration.notifications.webhooks = [hook]
        try await withServe(configuration) { serve in
            serve.control.send(.transmitting, at: 51_500)
            var alarmed = FakeSnapshot(second: 2)
            alarmed.packs[0].status.alarms = .cellOverVoltage
            serve.control.send(alarmed)
            let arrived = await eventually { !receiver.received.isEmpty }
            #expect(arrived)
            let request = try #require(receiver.received.first)
            #expect(request.contains("POST /notify?x=1 "))
            #expect(request.contains("Authorization: Bearer hook-token"))
            #expect(request.contains("\"installation\":\"Cellar\""))
            #expect(request.contains("cell_over_voltage"))
            #expect(receiver.received.count == 1)
        }
        await receiver.stop()
    }

    @Test func `the budget lets an hour's worth through, then one for each part of the hour, and counts the rest`() {
        var budget = NotificationBudget(perHour: 6)
        let burst = (0..<20).count { _ in budget.take(at: 1000) }
        #expect(burst == 6)
        #expect(budget.takeLeftOut() == 14)
        let early = budget.take(at: 1000 + 599_000)
        #expect(!early)
        let later = budget.take(at: 1000 + 601_000)
        #expect(later)
        let again = budget.take(at: 1000 + 602_000)
        #expect(!again)
    }

    @Test(arguments: [
        ("https://a.example/b?c=d", "a.example", 443, "/b?c=d"), ("http://127.0.0.1:81", "127.0.0.1", 81, "/"),
        ("http://[::1]:82/x", "::1", 82, "/x"),
    ])
    func `an address is taken apart`(text: String, host: String, port: Int, target: String) throws {
        let address = try #require(WebhookAddress(text))
        #expect(address.host == host && address.port == port && address.target == target)
    }

    @Test(arguments: ["", "a", "ftp://a/", "http://", "http://user:pass@host/", "file:///etc/passwd"])
    func `what is no http address is refused`(text: String) {
        #expect(WebhookAddress(text) == nil)
    }
}

/// Keeps the raw requests of a webhook on loopback and answers each with one status.
final class WebhookReceiver: Sendable {
    private let channel: any Channel
    private let kept: NIOLockedValueBox<[String]>

    init(status: Int) async throws {
        let kept = NIOLockedValueBox<[String]>([])
        self.kept = kept
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(kept, status))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    var port: Int { channel.localAddress?.port ?? 0 }
    var received: [String] { kept.withLockedValue { $0 } }
    func stop() async { try? await channel.close() }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private let kept: NIOLockedValueBox<[String]>
        private let status: Int
        private var text = ""

        init(_ kept: NIOLockedValueBox<[String]>, _ status: Int) {
            self.kept = kept
            self.status = status
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            text += String(buffer: unwrapInboundIn(data))
            // The body is one JSON object, and the last thing.
            guard text.hasSuffix("}") else { return }
            kept.withLockedValue { $0.append(text) }
            text = ""
            let answer = "HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        }
    }
}
