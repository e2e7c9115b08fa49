import Battery
import BridgeEngine
import Glibc
import InverterDialects
import JKBMS
import LinuxIO

/// What came back while the units of one port were read for a while: their readings, and everything that went wrong.
struct LineReading {
    /// The last reading of each unit.
    var readings: [UInt8: PackReading] = [:]
    /// Answers of all units together.
    var answers = 0
    var rejections: [FrameRejection: Int] = [:]
    var timeouts = 0
    var bytes = 0

    /// Damaged telegrams. An echo of our own request is none, and what was meant for somebody else is not damaged.
    var damaged: Int { rejections.filter { $0.key != .echo && $0.key != .unexpected }.reduce(0) { $0 + $1.value } }

    /// Asks the units of one serial line as the control process does, which changes nothing in them.
    ///
    /// - Parameter addresses: those of the units; one 0 for a protocol without addresses.
    /// - Parameter enough: called after each piece of news; the reading ends when it says so, else after `time`.
    /// - Throws: when the device cannot be opened.
    static func read(
        _ name: BMSProtocolName, on path: String, baud: UInt32, addresses: [UInt8], listenOnly: Bool = false,
        for time: Milliseconds, until enough: (LineReading) -> Bool
    ) throws(PortFailure) -> LineReading {
        var numbers = FixedArray<16, UInt8>(filler: 0)
        for address in addresses { numbers.append(address) }
        let pace = PollPace(interval: 500, retries: 1)
        let port = SerialPort(path: path, baud: baud)
        try port.open()
        defer { port.close() }
        switch name {
        case .jk4E57: return drive(JK4E57Session(pace: pace), port, time, enough)
        case .jkModbus: return drive(JKModbusSession(addresses: numbers, pace: pace), port, time, enough)
        case .jk55AA:
            return drive(JK55AASession(addresses: numbers, pace: pace, listenOnly: listenOnly), port, time, enough)
        case .jkCAN, .link: return LineReading()
        }
    }

    private static func drive<Session: BMSProtocol>(
        _ session: consuming Session, _ port: SerialPort, _ time: Milliseconds, _ enough: (LineReading) -> Bool
    ) -> LineReading {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
        defer { buffer.deallocate() }
        var line = SurveyedLine(transmit: { port.transmit($0) })
        let end = Instant.now + time
        while Instant.now < end && port.isOpen && !enough(line.heard) {
            let count = port.receive(into: buffer)
            if count > 0 {
                line.heard.bytes += count
                let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self)
                session.receive(bytes.span, at: .now, on: &line)
            } else {
                usleep(1000)
            }
            _ = session.wake(at: .now, on: &line)
        }
        return line.heard
    }

    /// Listens to units on a CAN bus; nothing is sent.
    static func listen(
        to units: [UInt8], on address: CANAddress, for time: Milliseconds, until enough: (LineReading) -> Bool
    ) throws(PortFailure) -> LineReading {
        let port = address.makePort()
        try port.open(at: .now)
        defer { port.close() }
        var line = SurveyedLine(transmit: { _ in })
        var listeners = units.map { JKCANListener(address: $0) }
        let end = Instant.now + time
        while Instant.now < end && !enough(line.heard) {
            port.flush()
            port.receive(at: .now) { frame in
                line.heard.bytes += Int(frame.length)
                let data = (0..<Int(frame.length)).map { frame[$0] }
                for index in listeners.indices {
                    listeners[index].receive(id: frame.id, isExtended: frame.isExtended, data: data.span, at: .now, on: &line)
                }
            }
            _ = port.wake(at: .now)
            usleep(2000)
        }
        return line.heard
    }
}

/// Collects what a session delivers.
private struct SurveyedLine: BMSLine {
    let transmit: (Span<UInt8>) -> Void
    var heard = LineReading()
    private var memories = [JKPackMemory](repeating: JKPackMemory(), count: 16)

    init(transmit: @escaping (Span<UInt8>) -> Void) {
        self.transmit = transmit
    }

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memories[slot] }
        set { memories[slot] = newValue }
    }

    mutating func transmit(_ bytes: Span<UInt8>) { transmit(bytes) }

    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        heard.answers += 1
        heard.readings[address] = copy reading
    }

    mutating func rejected(_ reason: FrameRejection, at now: Instant) { heard.rejections[reason, default: 0] += 1 }

    mutating func timedOut(_ address: UInt8, at now: Instant) { heard.timeouts += 1 }
}
