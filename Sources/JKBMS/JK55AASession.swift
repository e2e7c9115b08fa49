import Battery

/// The host's side of an RS485 bus of JK units that speak `55 AA EB 90`: triggers the status of each pack in turn, its settings now and
/// then, or only listens.
///
/// A trigger is a function-10 write to 0x161C, 0x161E or 0x1620. It changes nothing in the unit, and it is all that is ever
/// transmitted. A unit with address 0 is the master of its bus and must not be addressed: with address 0 among the packs, and for
/// 10 s after somebody else's request was heard, this session listens and does not transmit.
public struct JK55AASession: BMSProtocol {
    /// Settings are read again after this long: they need not be younger (amendment 17).
    static let settingsAge: Milliseconds = 60_000
    /// The cycle of a bus with a master is 4.4 s.
    static let masterMemory: Milliseconds = 10_000

    private let addresses: PackList<UInt8>
    private let listensOnly: Bool
    private var schedule: BusSchedule
    private var stream = JKBusStream()
    private var asking = JK55AA.Kind.status
    private var masterHeard: Instant?

    /// A record that waits for the acknowledgement that names its sender.
    private var record = InlineArray<300, UInt8>(repeating: 0)
    private var recordIsPending = false

    /// - Parameter listenOnly: transmit nothing even if no master is heard.
    public init(addresses: PackList<UInt8>, pace: PollPace = PollPace(), listenOnly: Bool = false) {
        self.addresses = addresses
        var isMasterConfigured = false
        for i in 0..<addresses.count where addresses[i] == 0 { isMasterConfigured = true }
        listensOnly = listenOnly || isMasterConfigured
        // Units need 75 ms between packets; with 50 ms they sent stale bytes (jk-modbus.md §3.2).
        schedule = BusSchedule(
            slots: addresses.count, pace: pace, leastGap: 100, fastGap: 75, spoiltAfter: JKBusStream.silence)
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
        if isListening(at: now) { return listen(at: now, on: &line) }
        while true {
            switch schedule.turn(at: now, incompleteUntil: stream.deadline) {
            case .wait(let until): return until
            case .gaveUp(let slot): line.timedOut(addresses[slot], at: now)
            case .ask(let slot):
                asking = line[memoryOf: slot].settingsAreDue(at: now, after: Self.settingsAge) ? .settings : .status
                if asking == .settings { line[memoryOf: slot].settingsAskedAt = now }
                var request = FrameBytes<11>()
                Self.encodeTrigger(asking, address: addresses[slot], into: &request)
                request.withSpan { line.transmit($0) }
                schedule.asked(at: now)
            }
        }
    }

    /// The request for one record: `A 10 16 RR 00 01 02 00 00 crc`.
    public static func encodeTrigger(_ kind: JK55AA.Kind, address: UInt8, into request: inout FrameBytes<11>) {
        guard let register = kind.trigger else { preconditionFailure("no trigger for this record") }
        request.removeAll()
        request.append(address)
        request.append(0x10)
        request.append(bigEndian: UInt32(register), width: 2)
        request.append(bigEndian: 1, width: 2)
        request.append(2)
        request.append(bigEndian: 0, width: 2)
        let crc = request.withSpan { CRC16.of($0) }
        request.append(littleEndian: UInt32(crc), width: 2)
    }

    // MARK: Listening

    private func isListening(at now: Instant) -> Bool {
        if listensOnly { return true }
        guard let masterHeard else { return false }
        return now.since(masterHeard) < Self.masterMemory
    }

    /// Nobody is asked, so nobody is late; but a pack that is not heard for two cycles of the master is reported.
    private mutating func listen<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        for slot in 0..<addresses.count {
            var pack = line[memoryOf: slot]
            let since = pack.silentSince ?? now
            pack.silentSince = since
            if now.since(since) >= Self.masterMemory {
                pack.silentSince = now
                line.timedOut(addresses[slot], at: now)
            }
            line[memoryOf: slot] = pack
        }
        let tick = now + 1000
        guard let deadline = stream.deadline, deadline < tick else { return tick }
        return deadline
    }

    // MARK: What comes in

    private mutating func drain<Line: BMSLine>(at now: Instant, on line: inout Line) {
        while let (element, _, _) = stream.next(at: now) {
            switch element {
            case .record:
                stream.withElement { bytes in
                    for i in 0..<JK55AA.recordLength { record[i] = bytes[i] }
                }
                recordIsPending = true
            case .acknowledgement(let address, let register): acknowledge(address, register, at: now, on: &line)
            case .write(let address, let register): noteRequest(address, register, at: now, on: &line)
            case .junk: noteJunk(at: now, on: &line)
            case .exception:
                line.rejected(.unexpected, at: now)
            // Somebody reads single registers on the same bus.
            case .readRequest, .readReply: recordIsPending = false
            }
        }
    }

    private mutating func noteRequest<Line: BMSLine>(
        _ address: UInt8, _ register: UInt16, at now: Instant, on line: inout Line
    ) {
        recordIsPending = false
        if let slot = schedule.awaited, addresses[slot] == address, asking.trigger == register {
            schedule.heardEcho()
            line.rejected(.echo, at: now)
        } else {
            masterHeard = now
        }
    }

    /// Zeros around the acknowledgement are reported from one installation and tolerated.
    private mutating func noteJunk<Line: BMSLine>(at now: Instant, on line: inout Line) {
        let (isZeros, isRecord) = stream.withElement { bytes in
            var isZeros = true
            for i in bytes.indices where bytes[i] != 0 { isZeros = false }
            return (
                isZeros, bytes.count > 3 && bytes[0] == 0x55 && bytes[1] == 0xAA && bytes[2] == 0xEB && bytes[3] == 0x90
            )
        }
        if isZeros { return }
        recordIsPending = false
        line.rejected(isRecord ? .badChecksum : .noise, at: now)
    }

    /// The acknowledgement behind a record tells whose it is; a request before it does not (§3.3).
    private mutating func acknowledge<Line: BMSLine>(
        _ address: UInt8, _ register: UInt16, at now: Instant, on line: inout Line
    ) {
        guard recordIsPending else { return }
        recordIsPending = false
        let kind = JK55AA.Kind(rawValue: record[4])
        if kind == nil || kind?.trigger != register {
            line.rejected(.unexpected, at: now)
            return
        }
        // Other packs may be on the bus without being ours.
        guard let slot = slot(of: address) else { return }
        var pack = line[memoryOf: slot]
        do throws(FrameRejection) {
            switch kind {
            case .status: try deliverStatus(&pack, from: address, at: now, on: &line)
            case .settings: try pack.readSettings(record.span, at: now)
            default: break
            }
            if schedule.awaited == slot && kind == asking { schedule.answered(more: kind == .settings) }
        } catch {
            line.rejected(error, at: now)
        }
        line[memoryOf: slot] = pack
    }

    private mutating func deliverStatus<Line: BMSLine>(
        _ pack: inout JKPackMemory, from address: UInt8, at now: Instant, on line: inout Line
    ) throws(FrameRejection) {
        var reading = PackReading()
        try pack.readStatus(record.span, into: &reading)
        pack.complete(&reading, at: now)
        line.received(reading, from: address, at: now)
    }

    private func slot(of address: UInt8) -> Int? {
        for i in 0..<addresses.count where addresses[i] == address { return i }
        return nil
    }
}
