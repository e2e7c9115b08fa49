import Battery
import BridgeEngine
import Glibc
import InverterDialects
import LinuxIO
import Simulation

/// A pseudo-terminal that is reachable under a name of the user's choice for as long as the simulator runs.
final class NamedTerminal {
    let terminal: PseudoTerminal
    /// The name that was made here, to be removed at the end: nothing else is.
    private var link: String?
    private var backlog: [UInt8] = []

    /// - Parameter link: becomes a symbolic link to the terminal; an old link of that name is replaced, anything else is refused.
    init(link: String? = nil) throws {
        do { terminal = try PseudoTerminal() } catch { throw Failure("\(error)") }
        guard let link else { return }
        if let kind = FileKind(of: link) {
            guard kind == .link else { throw Failure("\(link) exists and is no symbolic link; choose another name") }
            unlink(link)
        }
        guard symlink(terminal.path, link) == 0 else {
            throw Failure("\(link): cannot be created: \(String(cString: strerror(errno)))")
        }
        self.link = link
    }

    deinit {
        if let link { unlink(link) }
    }

    /// What the other side sent.
    func receive() -> [UInt8] {
        flush()
        return terminal.receive()
    }

    func send(_ bytes: some Sequence<UInt8>) {
        backlog += bytes
        flush()
    }

    /// What the line did not take waits; what nobody reads for long is dropped, as a wire would.
    private func flush() {
        if backlog.isEmpty { return }
        let taken = terminal.transmit(backlog)
        backlog.removeFirst(taken)
        if backlog.count > 8192 { backlog.removeAll() }
    }
}

/// The battery side: one simulated pack that answers on a serial line.
struct PackLine {
    let terminal: NamedTerminal
    var uart: SimulatedJK4E57
    /// Replies on their way, each at the time when its last byte is on the wire.
    private var waiting: [(at: Instant, bytes: [UInt8])] = []
    private(set) var requests = 0
    private var random: RandomStream

    init(terminal: NamedTerminal, design: PackDesign, seed: UInt64) {
        self.terminal = terminal
        uart = SimulatedJK4E57(cells: design.cells, capacity: Int(design.capacity), chemistry: design.chemistry)
        random = RandomStream(seed: seed, stream: 8)
    }

    /// When something is due; nil when nothing is.
    var next: Instant? { waiting.first?.at }

    /// Answers what was asked.
    ///
    /// - Parameter faults: kinds of faults that act on this line now.
    mutating func serve(_ pack: inout SimulatedPack, faults: Set<FaultKind>, at now: Instant) {
        let asked = terminal.receive()
        if !asked.isEmpty {
            var measurement = PackMeasurement()
            pack.measure(into: &measurement)
            LineTrouble.spoil(&measurement, faults)
            let answered = uart.receive(asked.span) { measurement }
            if answered && faults.isDisjoint(with: [.drop, .unplug, .packLoss]) {
                requests += 1
                // 21 bytes of request have passed; the reply takes its bytes at 115200 baud (11.52 bytes in a millisecond).
                var bytes = uart.reply
                LineTrouble.damage(&bytes, faults, &random)
                let delay = 1 + Int64(bytes.count * 100 / 1152) + (faults.contains(.late) ? 900 : 0)
                waiting.append((now + delay, bytes))
            }
        }
        while let first = waiting.first, first.at <= now {
            terminal.send(first.bytes)
            waiting.removeFirst()
        }
    }
}

/// What a lasting fault does to one reply.
enum LineTrouble {
    static func spoil(_ m: inout PackMeasurement, _ faults: Set<FaultKind>) {
        if faults.contains(.sensorMissing) { m.temperature1 = nil }
        if faults.contains(.sensorCold) { m.temperature1 = -2 }
        if faults.contains(.sensorHot) { m.temperature1 = 58 }
        if faults.contains(.cellZero) { m.millivolts[0] = 0 }
        if faults.contains(.cellMaximum) { m.millivolts[0] = 65_535 }
        if faults.contains(.sumBroken) { m.packCentivolts &+= 400 }
        if faults.contains(.zeroSoC) { m.soc = 0 }
    }

    static func damage(_ bytes: inout [UInt8], _ faults: Set<FaultKind>, _ random: inout RandomStream) {
        if faults.contains(.corrupt) && random.chance(0.5) {
            bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8))
        }
        if faults.contains(.truncate) && random.chance(0.5) { bytes.removeLast(1 + random.below(bytes.count - 1)) }
        if faults.contains(.noise) { bytes = (0..<12).map { _ in UInt8(truncatingIfNeeded: random.next()) } + bytes }
        if faults.contains(.duplicate) { bytes += bytes }
    }
}

/// The inverter side: a simulated inverter behind a simulated SLCAN adapter.
struct InverterLine {
    let terminal: NamedTerminal
    var adapter = SimulatedSLCAN()
    var inverter: SimulatedInverter
    private(set) var frames = 0
    private(set) var lastLimits: Instant?
    private var nextHeartbeat: Instant

    init(terminal: NamedTerminal, inverter: SimulatedInverter, at now: Instant) {
        self.terminal = terminal
        self.inverter = inverter
        nextHeartbeat = now
    }

    /// Hears what was sent and sends the heartbeat when it is due.
    ///
    /// - Parameter heard: gets every frame.
    mutating func serve(sendsHeartbeat: Bool, at now: Instant, heard: (CANFrame) -> Void = { _ in }) {
        let bytes = terminal.receive()
        var arrived: [CANFrame] = []
        if !bytes.isEmpty { adapter.receive(bytes) { arrived.append($0) } }
        for frame in arrived {
            frames += 1
            inverter.hear(frame, at: now.milliseconds)
            heard(frame)
        }
        if now >= nextHeartbeat {
            nextHeartbeat = now + 1000
            if sendsHeartbeat, let frame = inverter.heartbeat { adapter.send(frame) }
        }
        if !adapter.output.isEmpty {
            terminal.send(adapter.output)
            adapter.output.removeAll(keepingCapacity: true)
        }
    }
}

/// What a path is, links not followed.
private enum FileKind {
    case link, other

    init?(of path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        self = status.st_mode & S_IFMT == S_IFLNK ? .link : .other
    }
}
