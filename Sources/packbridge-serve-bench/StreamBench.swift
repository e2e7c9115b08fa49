import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Services

/// Opens live streams and measures how long after its time stamp each snapshot arrives: from Link to the client.
enum StreamBench {
    static func run(port: Int, count: Int, seconds: Int) async throws {
        let lateness = NIOLockedValueBox<[Int64]>([])
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var channels: [any Channel] = []
        for _ in 0..<count {
            let channel = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(lateness)) }
                }
                .connect(host: "127.0.0.1", port: port).get()
            let request = "GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
            try await channel.writeAndFlush(ByteBuffer(string: request))
            channels.append(channel)
        }
        // The snapshot that a new stream begins with is old.
        try await Task.sleep(for: .seconds(2))
        lateness.withLockedValue { $0 = [] }
        try await Task.sleep(for: .seconds(seconds))
        let sorted = lateness.withLockedValue { $0 }.sorted()
        guard !sorted.isEmpty else { fail("nothing arrived") }
        func percentile(_ p: Int) -> Int64 { sorted[min(sorted.count - 1, sorted.count * p / 100)] }
        print(
            "\(count) streams, \(sorted.count) snapshots in \(seconds) s: p50 \(percentile(50)) ms, p99 \(percentile(99)) ms, "
                + "latest \(sorted.last ?? 0) ms")
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let lateness: NIOLockedValueBox<[Int64]>
        private var text: [UInt8] = []

        init(_ lateness: NIOLockedValueBox<[Int64]>) {
            self.lateness = lateness
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let now = systemClock()
            text += unwrapInboundIn(data).readableBytesView
            // An event ends with an empty line, its chunk with another one, and nothing follows it in the same second.
            guard text.suffix(4).elementsEqual("\n\n\r\n".utf8) else { return }
            if let time = lastTime() { lateness.withLockedValue { $0.append(now - time) } }
            text.removeAll(keepingCapacity: true)
        }

        /// The time of the snapshot in `text`. By the C library: five hundred of these must not be what is measured.
        private func lastTime() -> Int64? {
            let mark = "\"time_ms\":"
            text.append(0)
            return text.withUnsafeBytes { bytes -> Int64? in
                guard let found = strstr(bytes.bindMemory(to: CChar.self).baseAddress!, mark) else { return nil }
                return Int64(strtoll(found + mark.utf8.count, nil, 10))
            }
        }
    }
}
