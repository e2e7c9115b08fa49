import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// The session of whichever protocol a line speaks. One case and a few lines for each protocol.
enum BMSSession: Sendable {
    case jk4E57(JK4E57Session)
    case jkModbus(ModbusLine)
    case jk55AA(RecordLine)
    case jkCAN(CANLine)
    case link(LinkInput)

    @inline(never)
    init(_ configuration: BMSPortConfiguration) {
        switch configuration.bmsProtocol {
        case .jk4E57: self = .jk4E57(JK4E57Session(pace: configuration.pace))
        case .jkModbus: self = ModbusLine.opened(configuration)
        case .jk55AA: self = RecordLine.opened(configuration)
        case .jkCAN: self = CANLine.opened(configuration)
        case .link: self = .link(LinkInput())
        }
    }

    mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {
        switch self {
        case .jk4E57(var session):
            session.receive(bytes, at: now, on: &line)
            self = .jk4E57(session)
        case .jkModbus(var session):
            session.receive(bytes, at: now, on: &line)
            self = .jkModbus(session)
        case .jk55AA(var session):
            session.receive(bytes, at: now, on: &line)
            self = .jk55AA(session)
        case .jkCAN, .link: return
        }
    }

    /// A frame from the CAN bus of the BMS.
    mutating func receive<Line: BMSLine>(_ frame: CANFrame, at now: Instant, on line: inout Line) {
        guard case .jkCAN(var listener) = self else { return }
        var data = InlineArray<8, UInt8>(repeating: 0)
        for i in 0..<8 { data[i] = frame[i] }
        listener.receive(
            id: frame.id, isExtended: frame.isExtended, data: data.span.extracting(0..<Int(frame.length)), at: now,
            on: &line)
        self = .jkCAN(listener)
    }

    /// A reading of another program.
    mutating func receive<Line: BMSLine>(_ reading: PackReading, at now: Instant, on line: inout Line) {
        guard case .link(var input) = self else { return }
        if input.admits(at: now) {
            line.received(reading, from: 0, at: now)
        } else {
            line.rejected(.unexpected, at: now)
        }
        self = .link(input)
    }

    mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        let next: Instant
        switch self {
        case .jk4E57(var session):
            next = session.wake(at: now, on: &line)
            self = .jk4E57(session)
        case .jkModbus(var session):
            next = session.wake(at: now, on: &line)
            self = .jkModbus(session)
        case .jk55AA(var session):
            next = session.wake(at: now, on: &line)
            self = .jk55AA(session)
        case .jkCAN(var listener):
            next = listener.wake(at: now, on: &line)
            self = .jkCAN(listener)
        case .link(var input):
            next = input.wake(at: now, on: &line)
            self = .link(input)
        }
        return next
    }

    mutating func setPace(_ pace: PollPace) {
        switch self {
        case .jk4E57(var session):
            session.setPace(pace)
            self = .jk4E57(session)
        case .jkModbus(var session):
            session.setPace(pace)
            self = .jkModbus(session)
        case .jk55AA(var session):
            session.setPace(pace)
            self = .jk55AA(session)
        case .jkCAN(var listener):
            listener.setInterval(pace.interval)
            self = .jkCAN(listener)
        case .link: return
        }
    }
}

/// One line with its session, its state and its counters.
struct BMSPort: Sendable {
    let configuration: BMSPortConfiguration
    var session: BMSSession
    var isOpen = false
    var counters = BMSPortCounters()
    /// When the line last carried a byte, or was opened.
    var lastByte = Instant(milliseconds: 0)
    var nextWake = Instant(milliseconds: 0)
    var pollsFast = false

    /// Silence after which the port is opened again (failsafe.md §7).
    static let silenceBeforeReopen: Milliseconds = 30_000
    /// Amendment 14 asks for 500 ms until the first frame. A little more, so that the fourth reply is at least 1.5 s after the
    /// first one although replies jitter.
    static let startUpInterval: Milliseconds = 503

    @inline(never)
    init(_ configuration: BMSPortConfiguration) {
        self.configuration = configuration
        session = BMSSession(configuration)
    }

    mutating func restartSession() {
        session = BMSSession(configuration)
        pollsFast = false
    }

    /// Polls faster until the first frame may be sent.
    mutating func setFast(_ fast: Bool) {
        if fast == pollsFast { return }
        pollsFast = fast
        var pace = configuration.pace
        if fast { pace.interval = min(pace.interval, Self.startUpInterval) }
        session.setPace(pace)
    }
}

/// What has happened on one BMS line since the start.
public struct BMSPortCounters: Equatable, Sendable, BitwiseCopyable {
    public var bytes: UInt64 = 0
    public var snapshots: UInt32 = 0
    public var timeouts: UInt32 = 0
    public var reopens: UInt32 = 0
    /// Indexed by `FrameRejection`.
    public var rejections = InlineArray<8, UInt32>(repeating: 0)

    public init() {}

    public static func == (a: Self, b: Self) -> Bool {
        for i in 0..<8 where a.rejections[i] != b.rejections[i] { return false }
        return a.bytes == b.bytes && a.snapshots == b.snapshots && a.timeouts == b.timeouts && a.reopens == b.reopens
    }
}

/// What one pack last said, whether or not the control logic accepted it.
public struct LastReading: Sendable {
    public var reading = PackReading()
    public var at: Instant?
}

/// Receives the events of a session while it handles bytes or time. Holds pointers because a session reports in the middle of a
/// call; they live only inside `Engine.withLine`.
struct LineEvents<Ports: EnginePorts>: BMSLine {
    let port: Int
    let configuration: BMSPortConfiguration
    let controller: UnsafeMutablePointer<Controller>
    let readings: UnsafeMutablePointer<PerPack<LastReading>>
    let memories: UnsafeMutablePointer<PerPack<JKPackMemory>>
    let ports: UnsafeMutablePointer<Ports>
    var counters: BMSPortCounters
    /// Something happened that deserves an evaluation at once (amendment 26).
    var needsTick = false

    func pack(at address: UInt8) -> Int? {
        for i in 0..<configuration.addresses.count where configuration.addresses[i] == address {
            return Int(configuration.firstPack) + i
        }
        return nil
    }

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memories.pointee[Int(configuration.firstPack) + slot] }
        set { memories.pointee[Int(configuration.firstPack) + slot] = newValue }
    }

    mutating func transmit(_ bytes: Span<UInt8>) {
        ports.pointee.transmit(bytes, onBMSPort: port)
    }

    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        guard let pack = pack(at: address) else {
            rejected(.unexpected, at: now)
            return
        }
        counters.snapshots &+= 1
        readings.pointee[pack] = LastReading(reading: copy reading, at: now)
        controller.pointee.accept(reading, pack: pack, at: now)
        needsTick = true
    }

    mutating func rejected(_ reason: FrameRejection, at now: Instant) {
        counters.rejections[Int(reason.rawValue)] &+= 1
        if reason == .echo || reason == .noise { return }
        // On a line with one pack the damaged frame can only be its.
        if configuration.addresses.count == 1 {
            controller.pointee.linkFault(pack: Int(configuration.firstPack), at: now)
        }
    }

    mutating func timedOut(_ address: UInt8, at now: Instant) {
        counters.timeouts &+= 1
        if let pack = pack(at: address) { controller.pointee.linkFault(pack: pack, at: now) }
        needsTick = true
    }
}
