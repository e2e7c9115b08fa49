import Battery
import JKBMS

/// One 300-byte record. As it is, and once more with start and sum made right, so that the fields are reached.
func fuzzRecord(_ bytes: [UInt8]) {
    decodeRecord(bytes)
    var record = Array(bytes.prefix(300)) + [UInt8](repeating: 0, count: max(0, 300 - bytes.count))
    record.replaceSubrange(0..<4, with: [0x55, 0xAA, 0xEB, 0x90])
    record[299] = record[0..<299].reduce(0) { $0 &+ $1 }
    decodeRecord(record)
}

private func decodeRecord(_ record: [UInt8]) {
    var probes = JKProbes()
    var reading = PackReading()
    for layout: JK55AA.Layout? in [nil, .jk04, .cells24, .cells32] {
        do throws(FrameRejection) {
            try JK55AA.decodeStatus(record.span, layout: layout, probes: &probes, into: &reading)
            precondition((0...maximumCells).contains(reading.cells.count))
            precondition((reading.soc ?? 0) <= 10_000)
        } catch {}
    }
    do throws(FrameRejection) {
        var settings = PackSettings()
        _ = try JK55AA.decodeSettings(record.span, into: &settings)
        precondition((1...32).contains(settings.cellCount ?? 1))
    } catch {}
}

/// The traffic of an RS485 bus in pieces: the first byte of each piece is its length, and time passes between the pieces.
func fuzzBus(_ bytes: [UInt8]) {
    var addresses = FixedArray<16, UInt8>(filler: 0)
    for address in UInt8(1)...3 { addresses.append(address) }
    var triggering = JK55AASession(addresses: addresses, pace: PollPace(interval: 0))
    var listening = JK55AASession(addresses: addresses, listenOnly: true)
    var reading = JKModbusSession(addresses: addresses, pace: PollPace(interval: 0))
    var radio = JKBLESession(pace: PollPace(interval: 0))
    var lines = (SilentLine(), SilentLine(), SilentLine(), SilentLine())
    var stream = JKBusStream()
    var position: Int64 = 0
    var now = Instant(milliseconds: 0)
    var rest = bytes[...]
    while let length = rest.popFirst() {
        let piece = Array(rest.prefix(Int(length)))
        rest = rest.dropFirst(piece.count)
        feed(piece, to: &triggering, &lines.0, at: now)
        feed(piece, to: &listening, &lines.1, at: now)
        feed(piece, to: &reading, &lines.2, at: now)
        feed(piece, to: &radio, &lines.3, at: now)
        var taken = 0
        repeat {
            taken += stream.take(piece.span.extracting(taken..<piece.count), at: now)
            while let (_, offset, length) = stream.next(at: now) {
                precondition(offset == position && length > 0, "every byte belongs to exactly one element")
                position += Int64(length)
            }
        } while taken < piece.count
        now = now + Milliseconds(length)
    }
}

/// Frames of 13 bytes each (`canFrame`), ten milliseconds apart, to a listener for each of three units.
func fuzzJKCAN(_ bytes: [UInt8]) {
    var listeners = (1...3).map { JKCANListener(address: UInt8($0), usesUnconfirmed: $0 == 2, interval: 0) }
    var line = SilentLine()
    var now = Instant(milliseconds: 0)
    for start in stride(from: 0, to: bytes.count - 12, by: 13) {
        let frame = canFrame(bytes[start..<start + 13])
        let data = (0..<Int(frame.length)).map { frame[$0] }
        for index in listeners.indices {
            listeners[index].receive(
                id: frame.id, isExtended: frame.isExtended, data: data.span, at: now, on: &line)
            precondition(listeners[index].wake(at: now, on: &line) > now)
        }
        now = now + 10
    }
}

private func feed<Session: BMSProtocol>(
    _ bytes: [UInt8], to session: inout Session, _ line: inout SilentLine, at now: Instant
) {
    session.receive(bytes.span, at: now, on: &line)
    let next = session.wake(at: now, on: &line)
    precondition(next > now, "a deadline in the past would make the loop spin")
}

private struct SilentLine: BMSLine {
    private var memories = InlineArray<16, JKPackMemory>(repeating: JKPackMemory())
    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memories[slot] }
        set { memories[slot] = newValue }
    }
    mutating func transmit(_ bytes: Span<UInt8>) {
        precondition(bytes.count > 0)
    }
    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        precondition((0...3).contains(address))
    }
    mutating func rejected(_ reason: FrameRejection, at now: Instant) {}
    mutating func timedOut(_ address: UInt8, at now: Instant) {}
}
