import Battery

/// The host's side of a "GPS" UART: asks for the whole table, checks and decodes the replies.
///
/// One BMS per line, delivered as address 0. Read-all requests are all that it ever transmits.
public struct JK4E57Session: BMSProtocol {
    private var pace: PollPace
    private var assembler = JK4E57.Assembler()
    private var report = JK4E57.Report()

    /// A request is out and not answered.
    private var awaiting = false
    /// How often the present poll has been repeated.
    private var repeats: Int32 = 0
    private var requestedAt: Instant?
    /// When the present poll began, repeats included.
    private var pollBegan: Instant?
    /// Bytes that were no echo came since the request.
    private var heardSomething = false
    private var lastActivity: Instant?

    private var clock = SessionClock()
    private var sensors = SensorHistory()

    @inline(never)
    public init(pace: PollPace = PollPace()) {
        self.pace = pace
    }

    public mutating func setPace(_ pace: PollPace) {
        self.pace = pace
    }

    public mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {
        var taken = 0
        while taken < bytes.count {
            // A frame whose time was over before these bytes came must not be completed by them.
            drain(at: now, on: &line)
            taken += assembler.take(bytes.extracting(taken..<bytes.count), at: now)
            heardSomething = true
            lastActivity = now
            drain(at: now, on: &line)
        }
    }

    public mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        drain(at: now, on: &line)
        if awaiting { giveUpIfLate(at: now, on: &line) }
        if awaiting { return replyDeadline(at: now) }
        let due = nextRequest(at: now)
        if now < due { return due }
        request(at: now, on: &line)
        return replyDeadline(at: now)
    }

    // MARK: Replies

    private mutating func drain<Line: BMSLine>(at now: Instant, on line: inout Line) {
        while true {
            switch assembler.next(into: &report, at: now) {
            case .needsBytes: return
            case .rejected(let reason): line.rejected(reason, at: now)
            case .frame: accept(at: now, on: &line)
            }
        }
    }

    private mutating func accept<Line: BMSLine>(at now: Instant, on line: inout Line) {
        if report.transport == JK4E57.Transport.request.rawValue {
            heardSomething = false
            line.rejected(.echo, at: now)
            return
        }
        // Anything but the table, for example the acknowledgement of somebody else's write.
        if report.cells.isEmpty || JK4E57.Transport(rawValue: report.transport) == nil {
            line.rejected(.unexpected, at: now)
            return
        }
        awaiting = false
        repeats = 0
        let age = clock.reply(at: now)
        if age == 0 { sensors = SensorHistory() }

        var reading = report.reading()
        sensors.judge(&reading, report)
        reading.starting = age < SessionClock.startUp && reading.looksUninitialised
        line.received(reading, from: 0, at: now)
    }

    // MARK: Requests

    /// In the fast mode requests follow the reply at once; otherwise never closer than the vendor's 100 ms.
    private var gap: Milliseconds {
        if pace.interval == 0 { return 0 }
        return pace.gap > 100 ? pace.gap : 100
    }

    private func nextRequest(at now: Instant) -> Instant {
        // A repeat does not wait for the interval.
        var due = now
        if repeats == 0, let pollBegan { due = pollBegan + pace.interval }
        guard let lastActivity, lastActivity + gap > due else { return due }
        // A line that is never quiet is asked all the same after a while, and at once when it has never been asked.
        let asked = requestedAt.map { now.since($0) } ?? .max
        if asked >= pace.interval + BusSchedule.noisePatience { return due }
        return lastActivity + gap
    }

    private mutating func request<Line: BMSLine>(at now: Instant, on line: inout Line) {
        var frame = FrameBytes<21>()
        JK4E57.encodeReadAll(into: &frame)
        frame.withSpan { line.transmit($0) }
        if repeats == 0 { pollBegan = now }
        awaiting = true
        heardSomething = false
        requestedAt = now
        lastActivity = now
    }

    /// A reply in progress is waited for until its own deadline; a spoilt one ends the attempt when the line is silent.
    private mutating func giveUpIfLate<Line: BMSLine>(at now: Instant, on line: inout Line) {
        if assembler.deadline != nil || now < replyDeadline(at: now) { return }
        awaiting = false
        if repeats < pace.retries {
            repeats += 1
        } else {
            repeats = 0
            line.timedOut(0, at: now)
        }
    }

    private func replyDeadline(at now: Instant) -> Instant {
        if let deadline = assembler.deadline { return deadline }
        let late = (requestedAt ?? now) + pace.replyTimeout
        guard heardSomething, let lastActivity else { return late }
        let spoilt = lastActivity + JK4E57.Assembler.silence
        return spoilt < late ? spoilt : late
    }
}

/// Temperatures before the present one, for the one code that means two things.
struct SensorHistory: Sendable {
    private var mosfet: SensorReading = .absent
    private var cells = CellTemperatures(filler: .absent)

    /// Raw 100 reads as 0 °C but could be +100 °C (§5.1). Only when the same sensor was above 80 °C just before is the second meaning
    /// possible; then the sensor counts as broken rather than as cold.
    mutating func judge(_ reading: inout PackReading, _ report: JK4E57.Report) {
        Self.judge(&reading.mosfetTemperature, raw: report.raw(.mosfetTemperature), before: &mosfet)
        while cells.count < reading.cellTemperatures.count { cells.append(.absent) }
        for i in 0..<reading.cellTemperatures.count {
            Self.judge(
                &reading.cellTemperatures[i], raw: report.raw(i == 0 ? .temperature1 : .temperature2), before: &cells[i]
            )
        }
    }

    private static func judge(_ present: inout SensorReading, raw: UInt32?, before: inout SensorReading) {
        if raw == 100, let last = before.temperature, last > 800 {
            present = .invalid
        } else if present.temperature != nil {
            before = present
        }
    }
}
