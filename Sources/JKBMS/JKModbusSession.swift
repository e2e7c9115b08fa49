import Battery

/// The host's side of a Modbus RTU bus with up to 16 JK units: reads the status of each in turn and its settings now and then. Never
/// writes.
///
/// On a bus whose units also speak `55 AA EB 90` that protocol is the better one: units were seen to stop answering function 03 after a
/// few seconds without function 10, and to drop half of the requests (field report, §2.1). So one silent read is repeated before it
/// counts.
public struct JKModbusSession: BMSProtocol {
    /// One read of a poll. All reads of a poll make one snapshot.
    private enum Step: UInt8, CaseIterable {
        /// Settings 0x1000...0x1087.
        case settings
        /// Status 0x1200...0x12EF.
        case status
        /// Status 0x12F0...0x12FD: the further temperature probes.
        case probes

        var register: UInt16 {
            switch self {
            case .settings: 0x1000
            case .status: 0x1200
            case .probes: 0x12F0
            }
        }

        var words: Int {
            switch self {
            case .settings: 68
            case .status: 120
            case .probes: 7
            }
        }
    }

    private let addresses: PackList<UInt8>
    private var schedule: BusSchedule
    private var stream = JKBusStream()
    private var step = Step.status
    /// The snapshot of the present poll, as far as it has been read.
    private var reading = PackReading()
    /// The status of this poll is in `reading`.
    private var hasStatus = false

    public init(addresses: PackList<UInt8>, pace: PollPace = PollPace()) {
        self.addresses = addresses
        // A packet ends with 3.5 characters of silence, 0.3 ms at 115200 baud; the clock counts whole milliseconds.
        schedule = BusSchedule(
            slots: addresses.count, pace: pace, leastGap: 2, fastGap: 1, spoiltAfter: JKBusStream.silence)
    }

    public mutating func setPace(_ pace: PollPace) {
        schedule.pace = pace
    }

    public mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {
        var taken = 0
        while taken < bytes.count {
            drain(at: now, on: &line)
            taken += stream.take(bytes.extracting(taken..<bytes.count), at: now)
            schedule.heard(at: now)
            drain(at: now, on: &line)
        }
    }

    public mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        drain(at: now, on: &line)
        while true {
            switch schedule.turn(at: now, incompleteUntil: stream.deadline) {
            case .wait(let until): return until
            case .gaveUp(let slot):
                hasStatus = false
                line.timedOut(addresses[slot], at: now)
            case .ask(let slot):
                step = nextStep(of: slot, at: now, &line)
                var request = JKModbus.Request()
                JKModbus.encodeRead(
                    address: addresses[slot], register: step.register, words: step.words, into: &request)
                request.withSpan { line.transmit($0) }
                schedule.asked(at: now)
            }
        }
    }

    private func nextStep<Line: BMSLine>(of slot: Int, at now: Instant, _ line: inout Line) -> Step {
        if hasStatus { return .probes }
        if line[memoryOf: slot].settingsAreDue(at: now, after: JK55AASession.settingsAge) {
            line[memoryOf: slot].settingsAskedAt = now
            return .settings
        }
        return .status
    }

    private mutating func drain<Line: BMSLine>(at now: Instant, on line: inout Line) {
        while let (element, _, _) = stream.next(at: now) {
            switch element {
            case .readReply(let address, let byteCount): accept(address, byteCount, at: now, on: &line)
            case .readRequest(let address, let register, _):
                if let slot = schedule.awaited, addresses[slot] == address, register == step.register {
                    schedule.heardEcho()
                    line.rejected(.echo, at: now)
                } else {
                    line.rejected(.unexpected, at: now)
                }
            case .junk: line.rejected(.noise, at: now)
            case .exception(let address, 0x03, _): skip(address, at: now, on: &line)
            default: line.rejected(.unexpected, at: now)
            }
        }
    }

    /// A reply does not say which registers it carries: it must come from the unit that was asked and have the length that was asked
    /// for.
    private mutating func accept<Line: BMSLine>(
        _ address: UInt8, _ byteCount: UInt8, at now: Instant, on line: inout Line
    ) {
        guard let slot = schedule.awaited, addresses[slot] == address, Int(byteCount) == 2 * step.words else {
            line.rejected(.unexpected, at: now)
            return
        }
        let registers = JKRegisters.words(from: Int(step.register), byteCount: Int(byteCount))
        var pack = line[memoryOf: slot]
        stream.withElement { frame in
            let data = frame.extracting(3..<3 + Int(byteCount))
            switch step {
            case .settings:
                var settings = PackSettings()
                let capacity = registers.readSettings(data, into: &settings)
                pack.remember(settings, capacity, at: now)
            case .status:
                reading = PackReading()
                registers.readStatus(data, probes: &pack.probes, into: &reading)
            case .probes: registers.readStatus(data, probes: &pack.probes, into: &reading)
            }
        }
        line[memoryOf: slot] = pack
        finishStep(of: slot, at: now, on: &line)
    }

    /// A unit that refuses registers: without a status there is no snapshot, but settings and further probes may be missing.
    private mutating func skip<Line: BMSLine>(_ address: UInt8, at now: Instant, on line: inout Line) {
        guard let slot = schedule.awaited, addresses[slot] == address, step != .status else {
            line.rejected(.unexpected, at: now)
            return
        }
        finishStep(of: slot, at: now, on: &line)
    }

    private mutating func finishStep<Line: BMSLine>(of slot: Int, at now: Instant, on line: inout Line) {
        hasStatus = step == .status
        schedule.answered(more: step != .probes)
        if step != .probes { return }
        line[memoryOf: slot].complete(&reading, at: now)
        line.received(reading, from: addresses[slot], at: now)
    }
}
