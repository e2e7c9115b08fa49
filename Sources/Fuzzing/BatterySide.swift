import Battery
import JKBMS

/// One frame. As it is, and once more with length, end mark and checksum made right, so that the walk over the fields is reached.
func fuzzFrame(_ bytes: [UInt8]) {
    decode(bytes)
    decode(repaired(bytes))
}

/// A byte stream in pieces: the first byte of each piece is its length, and time passes between the pieces.
func fuzzStream(_ bytes: [UInt8]) {
    var session = JK4E57Session(pace: PollPace(interval: 0))
    var line = CountingLine()
    var now = Instant(milliseconds: 0)
    var rest = bytes[...]
    while let length = rest.popFirst() {
        let piece = Array(rest.prefix(Int(length)))
        rest = rest.dropFirst(piece.count)
        session.receive(piece.span, at: now, on: &line)
        now = now + Milliseconds(length)
        let next = session.wake(at: now, on: &line)
        precondition(next > now - 1, "a deadline in the past would make the loop spin")
    }
}

private func decode(_ frame: [UInt8]) {
    var report = JK4E57.Report()
    do throws(FrameRejection) { try JK4E57.decode(frame.span, into: &report) } catch { return }
    precondition((0...maximumCells).contains(report.cells.count))
    // What was accepted can be sent again, and says the same.
    let reading = report.reading()
    precondition(reading.cells == report.cells)
    // A partial frame has lost its protocol version, and a current without one is not believed.
    if report.cells.isEmpty || report.isPartial { return }
    var copy = JK4E57.Frame()
    JK4E57.encodeReply(report, into: &copy)
    var again = JK4E57.Report()
    copy.withSpan { span in
        do throws(FrameRejection) { try JK4E57.decode(span, into: &again) } catch {
            fatalError("own frame refused: \(error)")
        }
    }
    precondition(again.cells == report.cells && again.alarms == report.alarms && again.current == report.current)
}

/// A reply to "read everything" with right length, end mark and checksum; its fields are those of the input.
private func repaired(_ bytes: [UInt8]) -> [UInt8] {
    let fields = (bytes.starts(with: [0x4E, 0x57]) ? bytes.dropFirst(11) : bytes[...]).prefix(1000)
    let length = 18 + fields.count
    var frame: [UInt8] = [0x4E, 0x57, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, 0, 0, 6, 0, 1]
    frame += fields
    frame += [0, 0, 0, 0, 0x68]
    let sum = frame.reduce(UInt32(0)) { $0 + UInt32($1) }
    return frame + [0, 0, UInt8(truncatingIfNeeded: sum >> 8), UInt8(truncatingIfNeeded: sum)]
}

private struct CountingLine: BMSLine {
    var events = 0
    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { JKPackMemory() }
        set {}
    }

    mutating func transmit(_ bytes: Span<UInt8>) {
        precondition(bytes.count > 0)
        events += 1
    }

    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) { events += 1 }
    mutating func rejected(_ reason: FrameRejection, at now: Instant) { events += 1 }
    mutating func timedOut(_ address: UInt8, at now: Instant) { events += 1 }
}
