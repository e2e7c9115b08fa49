import Foundation
import LinuxIO
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import ServicesTesting

@testable import Services

/// A wall clock that a test moves.
final class TestClock: Sendable {
    private let value: NIOLockedValueBox<Int64>

    init(_ start: Int64 = 1_764_100_000_000) {
        value = NIOLockedValueBox(start)
    }

    var now: Int64 {
        get { value.withLockedValue { $0 } }
    }

    func advance(_ milliseconds: Int64) { value.withLockedValue { $0 += milliseconds } }

    var clock: WallClock { { self.now } }
}

/// A folder that is gone after the test.
struct TemporaryFolder: ~Copyable {
    let path: String

    init() {
        path = "/tmp/packbridge-test-\(UInt64.random(in: 0...UInt64.max))"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Waits until something is true; false when it does not happen in time.
func eventually(within seconds: Double = 30, _ condition: () async throws -> Bool) async rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(20))
    }
    return try await condition()
}

/// The whole of `serve` on a free port, fed by a fake control process.
struct RunningServe: Sendable {
    let control: FakeControl
    let hub: Hub
    let port: Int

    func get(_ path: String, _ headers: [(String, String)] = []) async throws -> Answer {
        try await HTTPProbe.send("GET", path, headers: headers, port: port)
    }

    /// The status of the answer; 0 when there is none.
    func getStatus(_ path: String, _ headers: [(String, String)] = []) async -> Int {
        (try? await get(path, headers))?.status ?? 0
    }

    func postStatus(_ path: String, _ body: String, _ headers: [(String, String)] = [("X-CSRF-Token", "test")]) async -> Int {
        (try? await post(path, body, headers))?.status ?? 0
    }

    func post(_ path: String, _ body: String, _ headers: [(String, String)] = [("X-CSRF-Token", "test")]) async throws -> Answer {
        try await HTTPProbe.send(
            "POST", path, headers: [("Content-Type", "application/json")] + headers, body: Array(body.utf8), port: port)
    }
}

/// Starts `serve`, runs the test, stops it.
/// - Parameter snapshots: sent before the test begins.
/// - Parameter line: the serial line on which the control process is heard, instead of its socket.
func withServe(
    _ configuration: ServeConfiguration = ServeConfiguration(), snapshots: Int64 = 1, line: PseudoTerminal? = nil,
    clock: @escaping WallClock = systemClock,
    _ body: (RunningServe) async throws -> Void
) async throws {
    let folder = TemporaryFolder()
    let control = try await FakeControl(path: "\(folder.path)/link")
    if let line { try await control.plug(intoLine: dup(line.descriptor)) }
    var configuration = configuration
    configuration.web.port = 0
    if configuration.history.path == "" { configuration.history.path = "\(folder.path)/history.db" }
    let running = NIOLockedValueBox<Int?>(nil)
    let application = ServeApplication(
        configuration, source: line.map { LinkSource($0.path) } ?? .socket(control.path), log: RecentLog(echo: false), clock: clock,
        onRunning: { port in running.withLockedValue { $0 = port } })
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await application.run(stopOnSignals: false) }
        _ = await eventually { running.withLockedValue { $0 } != nil && control.readerCount == 1 }
        for second in 0..<snapshots {
            control.send(FakeSnapshot(second: second + 1))
            _ = await eventually { await application.hub.snapshot?.snapshot == UInt32(second + 1) }
        }
        let serve = RunningServe(control: control, hub: application.hub, port: running.withLockedValue { $0 } ?? 0)
        do {
            try await body(serve)
        } catch {
            group.cancelAll()
            throw error
        }
        group.cancelAll()
        try? await group.waitForAll()
    }
    await control.stop()
}

struct Answer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }

    func json() throws -> [String: Any] {
        try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any] ?? [:]
    }

    var problem: String? { (try? json())?["problem"] as? String }
}

/// A client that sends exactly what a test says, over one connection of its own.
enum HTTPProbe {
    static func send(
        _ method: String, _ path: String, headers: [(String, String)] = [], body: [UInt8] = [], port: Int,
        tls: NIOSSLContext? = nil
    ) async throws -> Answer {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        if !headers.contains(where: { $0.0 == "Host" }) { head += "Host: 127.0.0.1:\(port)\r\n" }
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        if !body.isEmpty { head += "Content-Length: \(body.count)\r\n" }
        return try await raw(Array((head + "Connection: close\r\n\r\n").utf8) + body, port: port, tls: tls)
    }

    /// Any bytes; the first answer.
    static func raw(
        _ bytes: [UInt8], port: Int, timeout: TimeAmount = .seconds(20), tls: NIOSSLContext? = nil
    ) async throws -> Answer {
        let promise = MultiThreadedEventLoopGroup.singleton.next().makePromise(of: Answer.self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: "localhost")) }
                    try pipeline.addHandler(Collector(promise))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        channel.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        let answer = try await promise.futureResult.get()
        try? await channel.close()
        return answer
    }

    /// Reads one answer with a length. Not the decoder of NIO: it wants to know the request, and these requests are raw bytes.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private var promise: EventLoopPromise<Answer>?
        private var received: [UInt8] = []

        init(_ promise: EventLoopPromise<Answer>) {
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += unwrapInboundIn(data).readableBytesView
            guard let answer = Self.complete(received) else { return }
            promise?.succeed(answer)
            promise = nil
        }

        /// Nil while a part is missing.
        private static func complete(_ bytes: [UInt8]) -> Answer? {
            guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
            let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
            var headers = HTTPHeaders()
            for line in lines.dropFirst() {
                let parts = line.split(separator: ":", maxSplits: 1)
                if parts.count == 2 { headers.add(name: String(parts[0]), value: parts[1].trimmingCharacters(in: .whitespaces)) }
            }
            let body = Array(bytes[end.upperBound...])
            if body.count < Int(headers["Content-Length"].first ?? "0") ?? 0 { return nil }
            return Answer(status: Int(lines[0].split(separator: " ").dropFirst().first ?? "") ?? 0, headers: headers, body: body)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error) }
        func channelInactive(context: ChannelHandlerContext) { fail(ChannelError.eof) }

        private func fail(_ error: any Error) {
            promise?.fail(error)
            promise = nil
        }
    }
}

/// A live stream as a browser reads it.
final class StreamProbe: Sendable {
    private let received = NIOLockedValueBox<[UInt8]>([])
    private let channel: any Channel

    init(port: Int, headers: [(String, String)] = [], reads: Bool = true) async throws {
        let received = received
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.autoRead, value: reads)
            .channelOption(.socketOption(.so_rcvbuf), value: 4096)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(received)) }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let fields = headers.map { "\($0.0): \($0.1)\r\n" }.joined()
        let request = "GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\(fields)\r\n"
        try await channel.writeAndFlush(ByteBuffer(string: request))
    }

    var text: String { received.withLockedValue { String(decoding: $0, as: UTF8.self) } }
    var isOpen: Bool { channel.isActive }
    func close() async { try? await channel.close() }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let received: NIOLockedValueBox<[UInt8]>

        init(_ received: NIOLockedValueBox<[UInt8]>) {
            self.received = received
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            received.withLockedValue { $0 += bytes.readableBytesView }
        }
    }
}
