import Battery
import BridgeEngine
import LinkClient
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ServiceLifecycle

/// What the connection to the control process has been through.
public struct LinkStatistics: Equatable, Sendable {
    public var isConnected = false
    public var reconnects: UInt64 = 0
    public var snapshots: UInt64 = 0
    public var incompleteSnapshots: UInt64 = 0
    public var discardedBytes: UInt64 = 0
    public var lostMessages: UInt64 = 0
    /// Of kinds that only a newer control process knows.
    public var unknownMessages: UInt64 = 0
    /// Why it is not connected, and what to do.
    public var problem: String?
}

/// Keeps a connection to the control process: connects again with growing pauses, delivers what arrives in order, sends commands
/// and waits for their answers.
///
/// It always reads at once, so that nothing piles up at the control process; what it reads goes into `news`.
public final class LinkConnection: Service, Sendable {
    public let source: LinkSource
    /// Everything that arrived, in order. One reader.
    public let news: AsyncStream<LinkNews>

    private let sink: AsyncStream<LinkNews>.Continuation
    private let logger: Logger
    private let group: any EventLoopGroup
    private let state = NIOLockedValueBox(State())

    private struct State {
        var statistics = LinkStatistics()
        var channel: (any Channel)?
        var sequence: UInt32 = 0
        var identity = UInt32.random(in: 1...0x7FFF_FFFF)
        var waiting: [UInt32: CheckedContinuation<LinkCommandReply?, Never>] = [:]
        /// Arrived and not yet taken by the reader of `news`.
        var newest: BridgeSnapshot?
        /// The highest event number delivered; a new connection asks for what came after it.
        var lastEvent: UInt32 = 0
    }

    /// How long an answer to a command may take.
    static let replyTimeout = Duration.seconds(5)
    /// Pauses between attempts; the last one repeats.
    static let pauses: [Duration] = [.milliseconds(100), .milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)]

    public init(source: LinkSource, logger: Logger, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton) {
        self.source = source
        self.logger = logger
        self.group = group
        (news, sink) = AsyncStream.makeStream()
    }

    public var statistics: LinkStatistics { state.withLockedValue { $0.statistics } }

    public func run() async throws {
        await cancelWhenGracefulShutdown { await self.connectForEver() }
        sink.finish()
    }

    private func connectForEver() async {
        var attempt = 0
        while !Task.isCancelled {
            do {
                let handler = LinkHandler(connection: self)
                let channel = try await source.connect(on: group, handler: handler)
                logger.info("connected to \(source)")
                connected(channel)
                attempt = 0
                await withTaskCancellationHandler {
                    try? await channel.closeFuture.get()
                } onCancel: {
                    channel.close(promise: nil)
                }
                disconnected(problem: "\(source): the control process closed the connection")
            } catch {
                let problem = source.advice(for: error)
                if attempt == 0 { logger.warning("\(problem)") }
                disconnected(problem: problem)
            }
            let pause = Self.pauses[min(attempt, Self.pauses.count - 1)]
            attempt += 1
            try? await Task.sleep(for: pause * Double.random(in: 0.8...1.2))
        }
    }

    private func connected(_ channel: any Channel) {
        let replay = state.withLockedValue { state in
            state.channel = channel
            state.statistics.isConnected = true
            state.statistics.problem = nil
            state.sequence &+= 1
            return LinkReplay(after: state.lastEvent).message(sequence: state.sequence)
        }
        write(replay, to: channel)
    }

    private func disconnected(problem: String) {
        let abandoned = state.withLockedValue { state in
            if state.statistics.isConnected { state.statistics.reconnects += 1 }
            state.statistics.isConnected = false
            state.statistics.problem = problem
            state.channel = nil
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for waiter in abandoned { waiter.resume(returning: nil) }
    }

    /// Asks again for the events after this one: the control process has more than were delivered.
    public func replay(after number: UInt32) {
        let (channel, message) = state.withLockedValue { state in
            state.sequence &+= 1
            return (state.channel, LinkReplay(after: number).message(sequence: state.sequence))
        }
        if let channel { write(message, to: channel) }
    }

    /// The control process started anew: its events count from 1 again.
    public func forgetEvents() {
        state.withLockedValue { $0.lastEvent = 0 }
    }

    /// A number for an order that no other has.
    public func nextIdentity() -> UInt32 {
        state.withLockedValue { state in
            state.identity = state.identity == 0x7FFF_FFFF ? 1 : state.identity + 1
            return state.identity
        }
    }

    /// Sends an order and waits for the answer. - Returns: nil when none came.
    public func send(
        _ order: LinkCommand.Order, value: Int32, timeToLive: Int64, identity: UInt32
    ) async -> LinkCommandReply? {
        let command = LinkCommand(identity: identity, order: order, value: value, timeToLive: timeToLive)
        let timeout = Task {
            try await Task.sleep(for: Self.replyTimeout)
            self.answer(identity, with: nil)
        }
        defer { timeout.cancel() }
        let reply: LinkCommandReply? = await withCheckedContinuation { continuation in
            let (channel, sequence) = state.withLockedValue { state -> ((any Channel)?, UInt32) in
                if state.channel != nil { state.waiting[identity] = continuation }
                state.sequence &+= 1
                return (state.channel, state.sequence)
            }
            guard let channel else { return continuation.resume(returning: nil) }
            write(command.message(sequence: sequence), to: channel)
        }
        return reply
    }

    private func answer(_ identity: UInt32, with reply: LinkCommandReply?) {
        state.withLockedValue { $0.waiting.removeValue(forKey: identity) }?.resume(returning: reply)
    }

    private func write(_ message: FieldBuffer<64>, to channel: any Channel) {
        var buffer = channel.allocator.buffer(capacity: message.count)
        message.withBytes { bytes in for index in bytes.indices { buffer.writeInteger(bytes[index]) } }
        channel.writeAndFlush(buffer, promise: nil)
    }

    /// The newest snapshot, which may be a later one than that in `news`.
    func takeNewest() -> BridgeSnapshot? {
        state.withLockedValue { state in
            defer { state.newest = nil }
            return state.newest
        }
    }

    // MARK: from the channel

    fileprivate func received(_ news: LinkNews) {
        switch news {
        case .commandReply(let reply): answer(reply.identity, with: reply)
        case .event(let event): state.withLockedValue { $0.lastEvent = max($0.lastEvent, event.number) }
        case .snapshot(let snapshot):
            let isWaiting = state.withLockedValue { state in
                defer { state.newest = snapshot }
                return state.newest != nil
            }
            // One that is waiting is replaced: a reader that is late gets the newest, and nothing piles up.
            if isWaiting { return }
        case .configuration: break
        }
        sink.yield(news)
    }

    fileprivate func count(_ feed: LinkFeed, since before: FeedCounters, snapshots: UInt64) {
        let now = FeedCounters(feed)
        state.withLockedValue { state in
            state.statistics.snapshots += snapshots
            state.statistics.incompleteSnapshots += now.incomplete - before.incomplete
            state.statistics.discardedBytes += now.discarded - before.discarded
            state.statistics.lostMessages += now.lost - before.lost
            state.statistics.unknownMessages += now.unknown - before.unknown
        }
    }
}

struct FeedCounters {
    var incomplete: UInt64
    var discarded: UInt64
    var lost: UInt64
    var unknown: UInt64

    init(_ feed: LinkFeed) {
        incomplete = UInt64(feed.incompleteSnapshots)
        discarded = feed.discardedBytes
        lost = feed.lostMessages
        unknown = feed.unknownMessages
    }
}

/// The end of the channel: bytes into the feed, what comes out of it to the connection. One for each channel.
private final class LinkHandler: ChannelInboundHandler, @unchecked Sendable {
    // Sendable because a channel calls its handlers only on its own event loop.
    typealias InboundIn = ByteBuffer
    private var feed = LinkFeed()
    private let connection: LinkConnection

    init(connection: LinkConnection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let before = FeedCounters(feed)
        var snapshots: UInt64 = 0
        feed.receive(unwrapInboundIn(data).readableBytesView) { news in
            if case .snapshot = news { snapshots += 1 }
            connection.received(news)
        }
        connection.count(feed, since: before, snapshots: snapshots)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
