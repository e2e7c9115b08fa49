import Battery
import BridgeEngine
import InverterDialects

/// A run of the engine on a tape: everything that it was told, and everything that it did about it. A world of the simulator is recorded
/// on the host (Sources/FirmwareTrialHost) and played to an engine on the microcontroller, which has to do the same, CAN frame by CAN
/// frame, at the same millisecond.
///
/// A mark is one byte; numbers are little-endian. The order of what was done is kept, so the first thing that differs ends the run.
public enum TapeMark: UInt8, Sendable {
    /// i64 milliseconds: the instant of what follows.
    case clock = 0
    /// u8: 1 = somebody reads Link; the image of a configuration, the image of a record or nothing.
    case start = 1
    /// u8: 1 = open.
    case bmsPort = 2
    /// u8.
    case inverterPort = 3
    /// Bytes.
    case reply = 4
    /// A frame.
    case heard = 5
    /// Bytes.
    case link = 6
    case wake = 7
    case prepareStop = 8
    case stop = 9
    /// The image of a configuration.
    case reconfigure = 10

    /// A frame, u8: what became of it.
    case sent = 32
    /// u32: checksum of the bytes. So the next two.
    case request = 33
    case message = 34
    case record = 35
    case restartBus = 36
    case reopen = 37
    /// i64 milliseconds: what `wake` answered.
    case due = 38
}

/// Plays a tape to an engine.
public struct TapePlayer {
    private var ports: TapePorts
    private var engine: Engine?
    private var now = Instant(milliseconds: 0)

    /// - Parameter tape: has to outlive the player.
    public init(_ tape: UnsafeBufferPointer<UInt8>) {
        ports = TapePorts(tape)
    }

    /// Plays to the end, or to the first thing that the engine did otherwise, and says what it came to.
    public mutating func play(name: UInt32, to sink: inout some TextSink) {
        let start = ports.reader.isAtEnd ? now : Instant(milliseconds: ports.reader.peekClock())
        while ports.difference == nil && !ports.reader.isAtEnd { step() }
        sink.write("world ")
        sink.write(decimal: Int64(name))
        sink.write(": ")
        sink.write(decimal: now.since(start) / 1000)
        sink.write(" s, ")
        sink.write(decimal: Int64(ports.frames))
        sink.write(" CAN frames, ")
        sink.write(decimal: Int64(ports.others))
        sink.write(" other deeds, ")
        if let difference = ports.difference {
            sink.write("different after ")
            sink.write(decimal: now.since(start))
            sink.write(" ms: ")
            sink.write(difference)
            if difference.isOfFrame {
                sink.write(", recorded ")
                ports.expected.write(to: &sink)
                sink.write(", played ")
                ports.found.write(to: &sink)
            }
        } else {
            sink.write("all as recorded, checksum ")
            sink.write(hexadecimal: ports.checksum.value)
        }
        sink.write("\n")
    }

    private mutating func step() {
        switch ports.reader.mark() {
        case .clock: now = Instant(milliseconds: ports.reader.int64())
        case .start: start()
        case .bmsPort:
            let isOpen = ports.reader.byte() != 0
            engine?.bmsPort(0, isOpen: isOpen, at: now, ports: &ports)
        case .inverterPort:
            let state = CANBusState(rawValue: ports.reader.byte()) ?? .closed
            engine?.inverterPort(0, state: state, at: now, ports: &ports)
        case .reply:
            let bytes = ports.reader.bytes()
            engine?.received(bytes.span, onBMSPort: 0, at: now, ports: &ports)
        case .heard:
            let frame = ports.reader.frame()
            engine?.received(frame, onInverterPort: 0, at: now, ports: &ports)
        case .link:
            let bytes = ports.reader.bytes()
            engine?.receivedLink(bytes.span, at: now, ports: &ports)
        case .wake:
            if let due = engine?.wake(at: now, ports: &ports) { ports.answered(due) }
        case .prepareStop: engine?.prepareStop(at: now, ports: &ports)
        case .stop: engine?.stop(at: now, ports: &ports)
        case .reconfigure:
            let image = ports.reader.bytes()
            if let new = try? BridgeConfiguration(image: image.span) {
                try? engine?.reconfigure(new, at: now, ports: &ports)
            }
        case .sent, .request, .message, .record, .restartBus, .reopen, .due: ports.differs(.missing)
        case nil: ports.differs(.tape)
        }
    }

    private mutating func start() {
        ports.hasReader = ports.reader.byte() != 0
        let image = ports.reader.bytes()
        let record = ports.reader.bytes()
        guard let configuration = try? BridgeConfiguration(image: image.span) else { return ports.differs(.configuration) }
        engine = Engine(configuration: configuration, record: PersistedRecord(image: record.span), at: now)
    }
}

/// What the engine did otherwise than on the tape.
enum TapeDifference: Equatable {
    case frame, additional, missing, request, message, record, due, configuration, tape

    var isOfFrame: Bool { self == .frame }
}

extension TextSink {
    fileprivate mutating func write(_ difference: TapeDifference) {
        switch difference {
        case .frame: write("a CAN frame")
        case .additional: write("something was done that is not on the tape")
        case .missing: write("something on the tape was not done")
        case .request: write("a request to the battery")
        case .message: write("a Link message")
        case .record: write("the persisted record")
        case .due: write("when the engine wants to be called again")
        case .configuration: write("the configuration is refused")
        case .tape: write("the tape is damaged")
        }
    }
}
