import Battery
import BridgeEngine
import ChargeControl
import Glibc
import InverterDialects
import JKBMS
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A control process that has no battery: it listens on a unix socket and sends what a test tells it, built with the encoders of
/// the core. Deterministic; a second passes only when the test says so.
public final class FakeControl: Sendable {
    public let path: String
    private let server: any Channel
    private let state: NIOLockedValueBox<State>

    private struct State {
        var sequence: UInt32 = 0
        var events: [EngineEvent] = []
        var commands: [LinkCommand] = []
        var refusal: CommandRefusal?
        var answers = true
        var readers: [any Channel] = []
    }

    public init(path: String) async throws {
        self.path = path
        unlink(path)
        let state = NIOLockedValueBox(State())
        self.state = state
        server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                state.withLockedValue { $0.readers.append(channel) }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reader(state))
                }
            }
            .bind(unixDomainSocketPath: path).get()
    }

    /// Plays a board with the firmware, too: speaks on the far end of a serial line. The descriptor is closed with the rest.
    public func plug(intoLine descriptor: Int32) async throws {
        let state = state
        let channel = try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Reader(state)) }
            }
            .takingOwnershipOfDescriptor(inputOutput: descriptor).get()
        state.withLockedValue { $0.readers.append(channel) }
    }

    public func stop() async {
        try? await server.close()
        for reader in state.withLockedValue({ $0.readers }) { try? await reader.close() }
        unlink(path)
    }

    /// Cuts every reader off, as a control process that is restarted does.
    public func disconnectReaders() async {
        let readers = state.withLockedValue { state in
            defer { state.readers = [] }
            return state.readers
        }
        for reader in readers { try? await reader.close() }
    }

    public var readerCount: Int { state.withLockedValue { $0.readers.count { $0.isActive } } }
    /// Orders that arrived, oldest first.
    public var commands: [LinkCommand] { state.withLockedValue { $0.commands } }

    /// How the next orders are answered: accepted (nil) or refused.
    public func answerCommands(with refusal: CommandRefusal?) { state.withLockedValue { $0.refusal = refusal } }

    /// Leaves orders without an answer.
    public func ignoreCommands() { state.withLockedValue { $0.answers = false } }

    // MARK: Sending

    public func send(_ snapshot: FakeSnapshot) {
        let bytes = state.withLockedValue { state in
            snapshot.messages(sequence: &state.sequence, lastEvent: UInt32(state.events.count))
        }
        write(bytes)
    }

    public func send(_ kind: EngineEventKind, pack: UInt8 = 0, a: Int32 = 0, b: Int32 = 0, at now: Int64) {
        let bytes = state.withLockedValue { state in
            var event = EngineEvent()
            event.number = UInt32(state.events.count + 1)
            event.at = Instant(milliseconds: now)
            (event.kind, event.pack, event.a, event.b) = (kind, pack, a, b)
            state.events.append(event)
            return FakeMessage.event(event, sequence: &state.sequence)
        }
        write(bytes)
    }

    /// Anything, damaged or not.
    public func send(raw bytes: [UInt8]) { write(bytes) }

    private func write(_ bytes: [UInt8]) {
        for reader in state.withLockedValue({ $0.readers }) {
            reader.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
        }
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        private var receiver = LinkReceiver()
        private let state: NIOLockedValueBox<State>

        init(_ state: NIOLockedValueBox<State>) {
            self.state = state
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            for byte in unwrapInboundIn(data).readableBytesView {
                receiver.push(byte)
                while let message = receiver.next() { obey(message, context) }
            }
        }

        private func obey(_ message: LinkMessage, _ context: ChannelHandlerContext) {
            var reader = message.payload
            var bytes: [UInt8] = []
            switch message.kind {
            case .command:
                var command = LinkCommand()
                command.visitFields(&reader)
                bytes = state.withLockedValue { state in
                    state.commands.append(command)
                    if !state.answers { return [] }
                    var reply = LinkCommandReply()
                    reply.identity = command.identity
                    reply.refusal = state.refusal
                    return FakeMessage.make(.commandReply, sequence: &state.sequence) { reply.visitFields(&$0) }
                }
            case .replay:
                var replay = LinkReplay()
                replay.visitFields(&reader)
                bytes = state.withLockedValue { state in
                    FakeMessage.make(.configuration, sequence: &state.sequence) { writer in
                        for byte in FakeSnapshot.configurationImage { writer.append(byte) }
                    }
                        + state.events.filter { $0.number > replay.after }.flatMap {
                            FakeMessage.event($0, sequence: &state.sequence)
                        }
                }
            default: break
            }
            if !bytes.isEmpty { context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil) }
        }
    }
}

/// Frames Link messages by the document, not by the engine's own code, so that the two check each other.
public enum FakeMessage {
    public static func make(
        _ kind: LinkKind, sequence: inout UInt32, _ fields: (inout FieldBuffer<2064>) -> Void
    ) -> [UInt8] {
        make(kind: kind.rawValue, sequence: &sequence, fields)
    }

    /// With any number for a kind.
    static func make(
        kind: UInt8, sequence: inout UInt32, _ fields: (inout FieldBuffer<2064>) -> Void
    ) -> [UInt8] {
        sequence &+= 1
        var payload = FieldBuffer<2064>()
        fields(&payload)
        var message: [UInt8] = [0x50, 0x42, 1, kind]
        message += little(UInt16(payload.count)) + little(sequence)
        payload.withBytes { bytes in for index in bytes.indices { message.append(bytes[index]) } }
        var crc = CRC32()
        for byte in message[2...] { crc.update(byte) }
        return message + little(crc.value)
    }

    static func event(_ event: EngineEvent, sequence: inout UInt32) -> [UInt8] {
        var event = event
        return make(.event, sequence: &sequence) { event.visitFields(&$0) }
    }

    private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> T(8 * $0)) }
    }
}
