import Battery

/// JK units over Bluetooth LE (jk-ble.md): commands of 20 bytes go to a characteristic, and the records `55 AA EB 90` come back in
/// notifications of at most 20 to 244 bytes.
public enum JKBLE {
    public enum Command: UInt8, Sendable {
        /// Settings now, and from then on a status record every half second or so.
        case settings = 0x96
        case about = 0x97
    }

    /// `AA 55 90 EB | command | length of value | value, 13 bytes | sum of all before`
    public static func encode(_ command: Command, into frame: inout FrameBytes<20>) {
        frame.removeAll()
        frame.append(bigEndian: 0xAA55_90EB, width: 4)
        frame.append(command.rawValue)
        while frame.count < 19 { frame.append(0) }
        var sum: UInt8 = 0
        for i in 0..<19 { sum &+= frame[i] }
        frame.append(sum)
    }

    /// Puts records together. What stands between them, acknowledgements `AA 55 90 EB …` and the radio module's `AT`, is skipped; a
    /// record that lost a fragment has a wrong sum.
    public struct Assembler: Sendable {
        private var bytes = InlineArray<640, UInt8>(repeating: 0)
        private var count = 0
        private var taken = 0

        public init() {}

        /// One notification.
        public mutating func push(_ notification: Span<UInt8>) {
            discard(taken)
            taken = 0
            // A header at the start of a notification begins a record; what is there of another one will not be completed.
            if Self.hasHeader(notification, at: 0) { count = 0 }
            for i in notification.indices {
                if count == 640 { discard(1) }
                bytes[count] = notification[i]
                count += 1
            }
        }

        public enum Element: Equatable, Sendable {
            case record
            case damaged
        }

        /// The next record, whose bytes `withRecord` lends until the next call; nil when more bytes are needed.
        public mutating func next() -> Element? {
            discard(taken)
            taken = 0
            while count >= 4 {
                guard Self.hasHeader(bytes.span, at: 0) else {
                    discard(1)
                    continue
                }
                if count < JK55AA.recordLength { return nil }
                let isGood = JK55AA.sum(bytes.span) == bytes[JK55AA.recordLength - 1]
                taken = isGood ? JK55AA.recordLength : 1
                return isGood ? .record : .damaged
            }
            return nil
        }

        public func withRecord<Result, Failure: Error>(
            _ body: (Span<UInt8>) throws(Failure) -> Result
        ) throws(Failure) -> Result {
            try body(bytes.span.extracting(0..<JK55AA.recordLength))
        }

        private mutating func discard(_ length: Int) {
            if length == 0 { return }
            for i in length..<max(count, length) { bytes[i - length] = bytes[i] }
            count = max(0, count - length)
        }

        private static func hasHeader(_ bytes: Span<UInt8>, at start: Int) -> Bool {
            let header = JK55AA.header
            return bytes.count >= start + 4 && bytes[start] == header.0 && bytes[start + 1] == header.1
                && bytes[start + 2] == header.2 && bytes[start + 3] == header.3
        }
    }
}

/// The host's side of a Bluetooth connection to one unit: asks who it is, starts its stream of records, and asks for its settings every
/// minute. Reads only; the commands that it sends change nothing.
public struct JKBLESession: BMSProtocol {
    /// Commands need half a second between them (jk-ble.md §1).
    static let gap: Milliseconds = 500
    /// The stream is started again after this silence, and after each such silence the unit counts as missing.
    static let silence: Milliseconds = 5000

    private var assembler = JKBLE.Assembler()
    private var interval: Milliseconds
    private var lastCommand: Instant?
    private var lastStatus: Instant?
    private var lastDelivery: Instant?

    public init(pace: PollPace = PollPace()) {
        interval = pace.interval
    }

    /// The interval is the least time between two snapshots; the unit sends as it likes.
    public mutating func setPace(_ pace: PollPace) {
        interval = pace.interval
    }

    /// - Parameter bytes: one notification.
    public mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {
        assembler.push(bytes)
        while let element = assembler.next() {
            if element == .damaged {
                line.rejected(.badChecksum, at: now)
                continue
            }
            do throws(FrameRejection) { try takeRecord(at: now, on: &line) } catch { line.rejected(error, at: now) }
        }
    }

    private mutating func takeRecord<Line: BMSLine>(at now: Instant, on line: inout Line) throws(FrameRejection) {
        let kind = try assembler.withRecord { (record) throws(FrameRejection) in try JK55AA.validate(record) }
        switch kind {
        case .settings:
            var memory = line[memoryOf: 0]
            try assembler.withRecord { (record) throws(FrameRejection) in try memory.readSettings(record, at: now) }
            line[memoryOf: 0] = memory
        case .status:
            lastStatus = now
            if let lastDelivery, now.since(lastDelivery) < interval { return }
            var memory = line[memoryOf: 0]
            var reading = PackReading()
            try assembler.withRecord { (record) throws(FrameRejection) in
                try memory.readStatus(record, into: &reading)
            }
            memory.complete(&reading, at: now)
            line[memoryOf: 0] = memory
            lastDelivery = now
            line.received(reading, from: 0, at: now)
        case .about, .logBook, .faults, nil: return
        }
    }

    public mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        guard let lastCommand else {
            send(.about, at: now, on: &line)
            return now + Self.gap
        }
        if now.since(lastCommand) < Self.gap { return lastCommand + Self.gap }
        let memory = line[memoryOf: 0]
        let isSilent = now.since(lastStatus ?? lastCommand) >= Self.silence
        if isSilent { line.timedOut(0, at: now) }
        if isSilent || memory.settingsAreDue(at: now, after: JK55AASession.settingsAge) {
            line[memoryOf: 0].settingsAskedAt = now
            lastStatus = now
            send(.settings, at: now, on: &line)
        }
        return now + Self.gap
    }

    private mutating func send<Line: BMSLine>(_ command: JKBLE.Command, at now: Instant, on line: inout Line) {
        var frame = FrameBytes<20>()
        JKBLE.encode(command, into: &frame)
        frame.withSpan { line.transmit($0) }
        lastCommand = now
    }
}
