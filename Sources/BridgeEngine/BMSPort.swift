import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// The session of whichever protocol a line speaks; the others are nil. Each has a place of its own, where it works: the payload of an
/// enum would be taken out and put back for each call, some kilobytes each time.
struct BMSSession: Sendable {
    private var jk4E57: JK4E57Session?
    private var jkModbus: ModbusLine?
    private var jk55AA: RecordLine?
    private var jkCAN: CANLine?
    private var link: LinkInput?

    @inline(never)
    init(_ configuration: BMSPortConfiguration) {
        switch configuration.bmsProtocol {
        case .jk4E57: jk4E57 = JK4E57Session(pace: configuration.pace)
        case .jkModbus: jkModbus = ModbusLine.opened(configuration)
        case .jk55AA: jk55AA = RecordLine.opened(configuration)
        case .jkCAN: jkCAN = CANLine.opened(configuration)
        case .link: link = LinkInput()
        }
    }

    mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {
        jk4E57?.receive(bytes, at: now, on: &line)
        jkModbus?.receive(bytes, at: now, on: &line)
        jk55AA?.receive(bytes, at: now, on: &line)
    }

    /// A frame from the CAN bus of the BMS.
    mutating func receive<Line: BMSLine>(_ frame: CANFrame, at now: Instant, on line: inout Line) {
        if jkCAN == nil { return }
        var data = InlineArray<8, UInt8>(repeating: 0)
        for i in 0..<8 { data[i] = frame[i] }
        jkCAN?.receive(
            id: frame.id, isExtended: frame.isExtended, data: data.span.extracting(0..<Int(frame.length)), at: now,
            on: &line)
    }

    /// A reading of another program.
    mutating func receive<Line: BMSLine>(_ reading: PackReading, at now: Instant, on line: inout Line) {
        guard let isAdmitted = link?.admits(at: now) else { return }
        if isAdmitted {
            line.received(reading, from: 0, at: now)
        } else {
            line.rejected(.unexpected, at: now)
        }
    }

    mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        var next: Instant?
        if jk4E57 != nil { next = jk4E57?.wake(at: now, on: &line) }
        if jkModbus != nil { next = jkModbus?.wake(at: now, on: &line) }
        if jk55AA != nil { next = jk55AA?.wake(at: now, on: &line) }
        if jkCAN != nil { next = jkCAN?.wake(at: now, on: &line) }
        if link != nil { next = link?.wake(at: now, on: &line) }
        return next ?? now
    }

    mutating func setPace(_ pace: PollPace) {
        jk4E57?.setPace(pace)
        jkModbus?.setPace(pace)
        jk55AA?.setPace(pace)
        jkCAN?.setInterval(pace.interval)
    }
}

/// One line with its session, its state and its counters.
struct BMSPort: Sendable {
    private(set) var configuration: BMSPortConfiguration
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

    @inline(never)
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
    /// Received, whatever they meant.
    public var bytes: UInt64 = 0
    /// Good replies; what the control logic thinks of them is not counted here.
    public var snapshots: UInt32 = 0
    /// Requests without an answer.
    public var timeouts: UInt32 = 0
    /// How often the line was opened again because it was silent.
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
