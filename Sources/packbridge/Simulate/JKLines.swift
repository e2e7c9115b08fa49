import Battery
import LinuxIO
import Simulation

/// How simulated units speak on their pseudo-terminal, under the names of the configuration.
enum JKSpeech: String, CaseIterable {
    case gps = "jk-4e57"
    /// One simulated bus answers both languages, as real units do.
    case modbus = "jk-modbus"
    case records = "jk-55aaeb90"
    case can = "jk-can"
}

/// The line of one or more simulated units.
enum JKLine {
    case gps(PackLine)
    case bus(JKBusLine)
    case can(JKCANLine)

    init(_ speech: JKSpeech, addresses: [UInt8], terminal: NamedTerminal, design: PackDesign, seed: UInt64) {
        switch speech {
        case .gps: self = .gps(PackLine(terminal: terminal, design: design, seed: seed))
        case .modbus, .records: self = .bus(JKBusLine(terminal: terminal, addresses: addresses, seed: seed))
        case .can: self = .can(JKCANLine(terminal: terminal, addresses: addresses))
        }
    }

    var terminal: NamedTerminal {
        switch self {
        case .gps(let line): line.terminal
        case .bus(let line): line.terminal
        case .can(let line): line.terminal
        }
    }

    var requests: Int {
        switch self {
        case .gps(let line): line.requests
        case .bus(let line): line.requests
        case .can: 0
        }
    }

    /// When something is due; nil when nothing is.
    var next: Instant? {
        switch self {
        case .gps(let line): line.next
        case .bus(let line): line.next
        case .can(let line): line.next
        }
    }

    mutating func serve(_ packs: inout [SimulatedPack], faults: Set<FaultKind>, at now: Instant) {
        switch self {
        case .gps(var line):
            line.serve(&packs[0], faults: faults, at: now)
            self = .gps(line)
        case .bus(var line):
            line.serve(&packs, faults: faults, at: now)
            self = .bus(line)
        case .can(var line):
            line.serve(&packs, faults: faults, at: now)
            self = .can(line)
        }
    }
}

/// Units on an RS485 bus.
struct JKBusLine {
    let terminal: NamedTerminal
    private var bus: SimulatedJKBus
    /// Telegrams on their way, each at the time when its last byte is on the wire.
    private var waiting: [(at: Instant, bytes: [UInt8])] = []
    private(set) var requests = 0
    private var random: RandomStream

    init(terminal: NamedTerminal, addresses: [UInt8], seed: UInt64) {
        self.terminal = terminal
        bus = SimulatedJKBus(addresses: addresses)
        random = RandomStream(seed: seed, stream: 8)
    }

    /// A bus with a master moves by itself.
    var next: Instant? { bus.hasMaster ? Instant.now + 10 : waiting.first?.at }

    mutating func serve(_ packs: inout [SimulatedPack], faults: Set<FaultKind>, at now: Instant) {
        let asked = terminal.receive()
        let isSilent = !faults.isDisjoint(with: [.drop, .unplug, .packLoss])
        var measured = packs
        let measure = { (index: Int) -> PackMeasurement? in
            if isSilent { return nil }
            var measurement = PackMeasurement()
            measured[index].measure(into: &measurement)
            LineTrouble.spoil(&measurement, faults)
            return measurement
        }
        for answer in bus.receive(asked.span, measure: measure) {
            requests += 1
            send(answer.bytes, after: answer.delay, faults, at: now)
        }
        if let told = bus.masterTraffic(at: now.milliseconds, measure: measure) { send(told, after: 0, faults, at: now) }
        packs = measured
        while let first = waiting.first, first.at <= now {
            terminal.send(first.bytes)
            waiting.removeFirst()
        }
    }

    private mutating func send(_ bytes: [UInt8], after delay: Int64, _ faults: Set<FaultKind>, at now: Instant) {
        var bytes = bytes
        LineTrouble.damage(&bytes, faults, &random)
        // 115200 baud: 11.52 bytes in a millisecond.
        let onWire = Int64(bytes.count * 100 / 1152) + (faults.contains(.late) ? 900 : 0)
        waiting.append((now + delay + onWire, bytes))
    }
}

/// Units on a CAN bus, behind an SLCAN adapter.
struct JKCANLine {
    let terminal: NamedTerminal
    private var adapter = SimulatedSLCAN()
    private var units: [SimulatedJKCAN]
    private var due = Instant.now

    init(terminal: NamedTerminal, addresses: [UInt8]) {
        self.terminal = terminal
        units = addresses.map { SimulatedJKCAN(address: $0) }
    }

    var next: Instant? { due }

    mutating func serve(_ packs: inout [SimulatedPack], faults: Set<FaultKind>, at now: Instant) {
        adapter.receive(terminal.receive()) { _ in }
        if now >= due {
            due = now + 100
            for index in units.indices where faults.isDisjoint(with: [.drop, .unplug, .packLoss]) {
                var measurement = PackMeasurement()
                packs[index].measure(into: &measurement)
                LineTrouble.spoil(&measurement, faults)
                for frame in units[index].frames(measurement) { adapter.send(frame) }
            }
        }
        if adapter.output.isEmpty { return }
        terminal.send(adapter.output)
        adapter.output.removeAll(keepingCapacity: true)
    }
}
