import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Ends connections that keep the server waiting: a request that trickles in (slowloris), a connection on which nothing is asked,
/// an answer that nobody reads.
final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// From the connection to the head of the first request, TLS included.
    static let firstHead = TimeAmount.seconds(10)
    /// From the head to the end of the body.
    static let body = TimeAmount.seconds(10)
    /// Between two requests of one connection.
    static let idle = TimeAmount.seconds(75)
    /// How long a client may leave an answer unread.
    static let unread = TimeAmount.seconds(20)

    private var waiting: Scheduled<Void>?
    private var stuck: Scheduled<Void>?
    /// A request has begun and not ended. It may be refused before its body is there, which buys it no time.
    private var isReceiving = false
    /// Requests that have begun and whose answers have not ended.
    private var unanswered = 0

    func handlerAdded(context: ChannelHandlerContext) {
        wait(Self.firstHead, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        waiting?.cancel()
        stuck?.cancel()
    }

    func channelInactive(context: ChannelHandlerContext) {
        waiting?.cancel()
        stuck?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            isReceiving = true
            unanswered += 1
            wait(Self.body, context)
        case .body: break
        case .end:
            isReceiving = false
            if unanswered == 0 { wait(Self.idle, context) } else { waiting?.cancel() }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            unanswered -= 1
            if unanswered == 0 && !isReceiving { wait(Self.idle, context) }
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stuck?.cancel()
        if !context.channel.isWritable { stuck = close(in: Self.unread, context) }
        context.fireChannelWritabilityChanged()
    }

    private func wait(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        waiting?.cancel()
        waiting = close(in: time, context)
    }

    private func close(in time: TimeAmount, _ context: ChannelHandlerContext) -> Scheduled<Void> {
        let channel = context.channel
        return context.eventLoop.scheduleTask(in: time) { channel.close(promise: nil) }
    }
}
