import Battery
import BridgeEngine
import InverterDialects
import JKBMS

/// Says what the core makes of golden vectors, the same on the host and on the microcontroller: Tests/vectors/golden.txt, and whatever else
/// has its form. A line is `KIND NAME INPUT = RESULT`; the answer to it is `KIND NAME = RESULT`.
public struct Vectors {
    private let text: UnsafeBufferPointer<UInt8>
    private var position = 0
    /// The bytes of the vector.
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private var count = 0

    /// - Parameters:
    ///   - text: has to outlive this.
    ///   - scratch: room for the bytes of one vector.
    public init(_ text: UnsafeBufferPointer<UInt8>, scratch: UnsafeMutableBufferPointer<UInt8>) {
        self.text = text
        bytes = scratch
    }

    /// Answers every line.
    public mutating func answer(to sink: inout some TextSink) {
        while position < text.count {
            let kind = word()
            if kind.isEmpty || kind.first == UInt8(ascii: "#") {
                skipLine()
                continue
            }
            let name = word()
            sink.write(kind)
            sink.write(" ")
            sink.write(name)
            sink.write(" =")
            judge(kind, &sink)
            sink.write("\n")
            skipLine()
        }
    }

    private mutating func judge(_ kind: Slice<UnsafeBufferPointer<UInt8>>, _ sink: inout some TextSink) {
        if kind.says("jk-4e57") {
            takeBytes()
            decode4E57(&sink)
        } else if kind.says("jk-4e57-stream") {
            takeBytes()
            readStream(&sink)
        } else if kind.says("jk-55aaeb90") {
            takeBytes()
            decode55AA(&sink)
        } else if kind.says("jk-can") {
            let id = hexadecimal(word())
            takeBytes()
            readCAN(id, &sink)
        } else if kind.says("encode") {
            let dialect = dialect(word())
            encode(dialect, &sink)
        } else if kind.says("decode") {
            let dialect = dialect(word())
            let id = hexadecimal(word())
            takeBytes()
            decode(dialect, id, &sink)
        } else if kind.says("link") {
            takeBytes()
            receive(&sink)
        } else if kind.says("configuration") {
            takeBytes()
            configure(&sink)
        } else {
            sink.write(" no such kind")
        }
    }

    // MARK: text

    private mutating func word() -> Slice<UnsafeBufferPointer<UInt8>> {
        while position < text.count && text[position] == UInt8(ascii: " ") { position += 1 }
        let start = position
        while position < text.count && text[position] > UInt8(ascii: " ") { position += 1 }
        return text[start..<position]
    }

    private mutating func skipLine() {
        while position < text.count && text[position] != UInt8(ascii: "\n") { position += 1 }
        position += 1
    }

    /// The next word in hexadecimal; none when there is only the result.
    private mutating func takeBytes() {
        count = 0
        let digits = word()
        if digits.first == UInt8(ascii: "=") { return }
        var at = digits.startIndex
        while at + 1 < digits.endIndex && count < bytes.count {
            bytes[count] = Self.digit(digits[at]) << 4 | Self.digit(digits[at + 1])
            count += 1
            at += 2
        }
    }

    private static func digit(_ character: UInt8) -> UInt8 {
        character <= UInt8(ascii: "9") ? character - UInt8(ascii: "0") : (character | 0x20) - UInt8(ascii: "a") + 10
    }

    private func hexadecimal(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> UInt32 {
        digits.reduce(0) { $0 << 4 | UInt32(Self.digit($1)) }
    }

    private func dialect(_ name: Slice<UnsafeBufferPointer<UInt8>>) -> DialectName {
        for raw in 0...UInt8.max {
            if let dialect = DialectName(rawValue: raw), name.says(dialect.text) { return dialect }
        }
        return .pylontech
    }

    private var input: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: bytes[..<count]) }

    // MARK: batteries

    private func decode4E57(_ sink: inout some TextSink) {
        var report = JK4E57.Report()
        do throws(FrameRejection) {
            try JK4E57.decode(input.span, into: &report)
        } catch {
            return sink.write(rejection: error)
        }
        sink.write(" command ")
        sink.write(decimal: Int64(report.command))
        sink.write(report.isPartial ? ", partial:" : ":")
        sink.write(cells: report.cells)
        for raw in UInt8(0x80)...0xC0 {
            guard let id = JK4E57.Identifier(rawValue: raw), report.carries(id) else { continue }
            sink.write(" ")
            sink.write(hexadecimal: raw)
            sink.write("=")
            if let text = report.text(id) {
                for i in 0..<text.count { sink.write(hexadecimal: text[i]) }
            } else if let value = report.value(of: id) {
                sink.write(decimal: value)
            } else {
                sink.write("?")
            }
        }
        sink.write(reading: report.reading())
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        var isSame = frame.count == count
        for i in 0..<min(frame.count, count) where frame[i] != bytes[i] { isSame = false }
        sink.write(isSame ? " encodes to the same" : " encodes to another")
    }

    /// The frames that a line with these bytes on it carries.
    private func readStream(_ sink: inout some TextSink) {
        var assembler = JK4E57.Assembler()
        var report = JK4E57.Report()
        var now = Instant(milliseconds: 0)
        for i in 0..<count {
            _ = assembler.take(input.span.extracting(i..<i + 1), at: now)
            while assembler.next(into: &report, at: now).wasNotable(assembler, report, &sink) {}
        }
        now = now + JK4E57.Assembler.longest
        while assembler.next(into: &report, at: now).wasNotable(assembler, report, &sink) {}
    }

    private func decode55AA(_ sink: inout some TextSink) {
        do throws(FrameRejection) {
            if try JK55AA.validate(input.span) == .settings {
                var reading = PackReading()
                var settings = PackSettings()
                reading.rated = try JK55AA.decodeSettings(input.span, into: &settings)
                reading.settings = settings
                sink.write(" settings")
                sink.write(reading: reading)
            } else {
                var reading = PackReading()
                var probes = JKProbes()
                let layout = try JK55AA.decodeStatus(input.span, probes: &probes, into: &reading)
                sink.write(" layout ")
                sink.write(decimal: Int64(layout.rawValue))
                sink.write(cells: reading.cells)
                sink.write(reading: reading)
            }
        } catch {
            sink.write(rejection: error)
        }
    }

    /// One frame of the unit's CAN bus, in the words of the codec.
    private func readCAN(_ id: UInt32, _ sink: inout some TextSink) {
        guard let (message, address) = JKCAN.identify(id: id, isExtended: id > 0x7FF) else { return sink.write(" foreign") }
        sink.write(" unit ")
        sink.write(decimal: Int64(address))
        switch message {
        case .battery:
            sink.write(JKCAN.packVoltage(input.span), " mV")
            sink.write(JKCAN.rawSignCurrent(input.span), " mA")
        case .temperatures: sink.write(JKCAN.temperature(input.span, 0), " dC")
        case .alarms:
            sink.write(JKCAN.alarmWord(input.span).map { Int32(bitPattern: JKCAN.alarms($0).rawValue) }, " alarms")
        case .cells, .capacity, .probes, .faults, .information, .switches, .cellVoltages, .chargeRequest: break
        }
    }

    // MARK: inverters

    /// `example`, `empty`, `extreme NUMBER`, `random SEED COUNT`.
    private mutating func encode(_ dialect: DialectName, _ sink: inout some TextSink) {
        let name = word()
        if name.says("random") {
            var random = ReportStream(seed: UInt64(decimal(word())))
            let reports = decimal(word())
            var checksum = CRC32()
            for _ in 0..<reports {
                forEachFrame(dialect, random.next()) { frame in
                    checksum.update(UInt8(truncatingIfNeeded: frame.id))
                    checksum.update(UInt8(truncatingIfNeeded: frame.id >> 8))
                    for i in 0..<Int(frame.length) { checksum.update(frame[i]) }
                }
            }
            sink.write(" checksum ")
            sink.write(hexadecimal: checksum.value)
        } else {
            var report = BankReport()
            if name.says("example") { report = .example }
            if name.says("extreme") { report = .extreme(decimal(word())) }
            forEachFrame(dialect, report) { frame in
                sink.write(" ")
                frame.write(to: &sink)
            }
        }
    }

    private func forEachFrame(_ dialect: DialectName, _ report: BankReport, _ body: (CANFrame) -> Void) {
        var set = FrameSet(filler: CANFrame(id: 0, length: 0))
        dialect.encode(report, into: &set)
        for i in 0..<set.count { body(set[i]) }
    }

    private func decimal(_ digits: Slice<UnsafeBufferPointer<UInt8>>) -> Int32 {
        var value: Int64 = 0
        for digit in digits where digit != UInt8(ascii: "-") { value = value * 10 + Int64(digit - UInt8(ascii: "0")) }
        return Int32(truncatingIfNeeded: digits.first == UInt8(ascii: "-") ? -value : value)
    }

    private func decode(_ dialect: DialectName, _ id: UInt32, _ sink: inout some TextSink) {
        var frame = CANFrame(id: id, length: UInt8(min(8, count)))
        for i in 0..<Int(frame.length) { frame[i] = bytes[i] }
        dialect.signals { signal in
            guard let raw = signal.raw(in: frame) else { return }
            sink.write(" ")
            signal.writeName(to: &sink)
            sink.write("=")
            signal.writeValue(raw, to: &sink)
        }
        if dialect.isHeartbeat(frame) { sink.write(" heartbeat") }
        if dialect.carriesLimits(frame) { sink.write(" limits") }
    }

    // MARK: Link

    private func receive(_ sink: inout some TextSink) {
        var receiver = LinkReceiver()
        for i in 0..<count {
            receiver.push(bytes[i])
            while let message = receiver.next() {
                sink.write(" ")
                sink.write(decimal: Int64(message.kind.rawValue))
                sink.write(" number ")
                sink.write(decimal: Int64(message.sequence))
                var checksum = CRC32()
                message.withPayload { payload in for i in payload.indices { checksum.update(payload[i]) } }
                sink.write(" payload ")
                sink.write(hexadecimal: checksum.value)
            }
        }
        sink.write(", discarded ")
        sink.write(decimal: Int64(receiver.discarded))
        sink.write(", unknown ")
        sink.write(decimal: Int64(receiver.unknown))
    }

    /// Whether this build takes the configuration, and why not. Boards have less room than the host, and fewer protocols.
    private func configure(_ sink: inout some TextSink) {
        do throws(BridgeConfiguration.ImageProblem) {
            let configuration = try BridgeConfiguration(image: input.span)
            sink.write(" accepted ")
            sink.write(hexadecimal: configuration.image().withBytes { CRC32.of($0) })
        } catch {
            switch error {
            case .tooLong: sink.write(" tooLong")
            case .checksum: sink.write(" checksum")
            case .layout(let layout):
                sink.write(" layout ")
                sink.write(decimal: Int64(layout))
            case .content: sink.write(" content")
            case .noRoom: sink.write(" noRoom")
            case .notInThisBuild(let name):
                sink.write(" notInThisBuild ")
                sink.write(name.text)
            }
        }
    }
}
