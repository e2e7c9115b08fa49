import Battery
import Testing

@testable import JKBMS

@Suite struct JKModbusTests {
    /// Register block as words, addressed as the vendor does.
    private struct Words {
        var first: Int
        var bytes: [UInt8]

        init(from first: Int, words: Int) {
            self.first = first
            bytes = [UInt8](repeating: 0, count: 2 * words)
        }

        mutating func put(_ value: some FixedWidthInteger, at address: Int) {
            let width = value.bitWidth / 8
            for i in 0..<width {
                bytes[address - first + i] = UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - i)))
            }
        }

        func reply(from address: UInt8) -> [UInt8] { withCRC([address, 3, UInt8(bytes.count)] + bytes) }
    }

    private var settings: Words {
        var words = Words(from: 0x1000, words: 68)
        let values: [(Int, UInt32)] = [
            (0x1004, 2580), (0x100C, 3650), (0x102C, 40_000), (0x1038, 200_000), (0x106C, 16), (0x1070, 1),
            (0x107C, 314_000),
            (0x1084, 3000),
        ]
        for (address, value) in values { words.put(value, at: address) }
        words.put(Int32(-20), at: 0x105C)
        return words
    }

    private var status: Words {
        var words = Words(from: 0x1200, words: 120)
        for k in 0..<16 { words.put(UInt16(3183), at: 0x1200 + 2 * k) }
        words.put(UInt32(0xFFFF), at: 0x1240)
        words.put(Int16(231), at: 0x128A)
        words.put(UInt32(50_928), at: 0x1290)
        words.put(Int32(-5000), at: 0x1298)
        words.put(Int16(216), at: 0x129C)
        words.put(Int16(-2000), at: 0x129E)
        words.put(UInt32(1 << 11), at: 0x12A0)
        words.put(UInt16(0x003B), at: 0x12A6)  // balance state 0, SoC 59
        words.put(Int32(184_041), at: 0x12A8)
        words.put(UInt32(314_000), at: 0x12AC)
        words.put(UInt16(0x6400), at: 0x12B8)  // SoH 100
        words.put(UInt32(12_232_624), at: 0x12BC)
        words.put(UInt16(0x0100), at: 0x12C0)  // charge on, discharge off
        words.put(UInt16(0xFF00), at: 0x12D0)
        return words
    }

    private var probes: Words {
        var words = Words(from: 0x12F0, words: 7)
        words.put(Int16(231), at: 0x12F8)
        words.put(Int16(194), at: 0x12FA)
        words.put(Int16(199), at: 0x12FC)
        return words
    }

    // MARK: Codec

    @Test func `requests have the bytes of the vendor and of captures`() {
        var request = JKModbus.Request()
        JKModbus.encodeRead(address: 1, register: 0x1200, words: 120, into: &request)
        #expect(hex(request.array) == "0103120000784090")
        JKModbus.encodeRead(address: 1, register: 0x0005, words: 2, into: &request)
        #expect(hex(request.array) == "010300050002d40a")
        let value: [UInt8] = [0, 0]
        let encoded = JKModbus.encodeWrite(address: 1, register: 0x1620, data: value.span, into: &request)
        #expect(encoded)
        #expect(hex(request.array) == "011016200001020000d6f1")
        let data: [UInt8] = [0x11, 0x22, 0x33, 0x44]
        JKModbus.encodeReadReply(address: 1, data: data.span, into: &request)
        #expect(hex(request.array) == "010304112233444bc6")
    }

    /// A current calibration of V1.0 would shut a V1.1 unit down.
    @Test func `the control block cannot be written without knowing the firmware generation`() {
        var request = JKModbus.Request()
        let value: [UInt8] = [0, 1]
        for register in UInt16(0x1600)..<0x161C {
            let encoded = JKModbus.encodeWrite(address: 1, register: register, data: value.span, into: &request)
            #expect(!encoded && request.count == 0)
        }
        JKModbus.encodeControl(.shutDown, value: 1, generation: .v10, address: 1, into: &request)
        #expect(hex(request.array.prefix(9)) == "011016020001020001")
        JKModbus.encodeControl(.shutDown, value: 1, generation: .v11, address: 1, into: &request)
        #expect(hex(request.array.prefix(9)) == "011016040001020001")
    }

    @Test func `a register is found at its byte offset, and not beyond the block`() {
        // From 0x1278, 50 words: the overlap that proved the addressing.
        let words = JKRegisters.words(from: 0x1278, byteCount: 100)
        var bytes = [UInt8](repeating: 0, count: 100)
        (bytes[0x18], bytes[0x19], bytes[0x1A], bytes[0x1B]) = (0, 0, 0xC6, 0xEB)
        #expect(words.u32(0x1290, bytes.span) == 50_923)
        #expect(words.u16(0x1276, bytes.span) == nil)
        #expect(words.u16(0x12DA, bytes.span) == 0)
        #expect(words.u16(0x12DC, bytes.span) == nil)
        #expect(words.u32(0x12DA, bytes.span) == nil)
    }

    // MARK: Session

    private func session(_ list: FixedArray<16, UInt8>) -> (JKModbusSession, RecordingLine) {
        (JKModbusSession(addresses: list, pace: PollPace(interval: 1000, gap: 10)), RecordingLine())
    }

    /// Answers every request of the last wake as a unit does.
    private func answer(_ session: inout JKModbusSession, _ line: inout RecordingLine, at now: Milliseconds) {
        guard let request = line.sent.last else { return }
        let words = request[2] == 0x10 ? settings : request[3] == 0 ? status : probes
        session.receive(words.reply(from: request[0]), at: now, on: &line)
    }

    @Test func `one poll reads settings, status and further probes and makes one snapshot`() throws {
        var (session, line) = session(addresses(7))
        for now in [Milliseconds(0), 100, 200] {
            session.wake(at: now, on: &line)
            answer(&session, &line, at: now + 30)
        }
        #expect(line.sent.map { hex($0.prefix(6)) } == ["070310000044", "070312000078", "070312f00007"])
        let (reading, address, at) = try #require(line.readings.first)
        #expect(line.readings.count == 1)
        #expect(address == 7)
        #expect(at == 230)
        #expect(reading.cells.count == 16)
        #expect(reading.packVoltage == 50_928)
        #expect(reading.current == -5000)
        #expect(reading.soc == 5900)
        #expect(reading.soh == 10_000)
        #expect(reading.remaining == 184_041)
        #expect(reading.uptime == 12_232_624_000)
        #expect(reading.chargeSwitch == true)
        #expect(reading.dischargeSwitch == false)
        #expect(reading.alarms == .cellUnderVoltage)
        #expect(reading.cellTemperatures[0] == .value(216))
        #expect(reading.cellTemperatures[1] == .absent)
        #expect(reading.cellTemperatures[2] == .absent, "repeats the MOSFET")
        #expect(reading.cellTemperatures[3] == .value(194))
        #expect(reading.settings?.chargeOverCurrent == 40_000)
        #expect(reading.settings?.chargeUnderTemperature == -20)
        #expect(reading.settings?.cellOverVoltage == 3650)
        #expect(reading.rated == 314_000)
        // The next poll needs no settings.
        session.wake(at: 1000, on: &line)
        #expect(line.sent.last.map { hex($0.prefix(4)) } == "07031200")
    }

    @Test func `several packs share the bus`() {
        var (session, line) = session(addresses(1, 2, 15))
        var now: Milliseconds = 0
        while now < 5000 {
            let sent = line.sent.count
            let next = session.wake(at: now, on: &line)
            if line.sent.count > sent {
                now += 25
                answer(&session, &line, at: now)
            } else {
                now = next
            }
        }
        for address in [UInt8(1), 2, 15] { #expect(line.readings.filter { $0.address == address }.count == 5) }
        #expect(line.timeouts.isEmpty)
        #expect(line.rejections.isEmpty)
    }

    @Test func `a reply of another unit or of another length is not taken`() {
        var (session, line) = session(addresses(7))
        session.wake(at: 0, on: &line)
        session.receive(settings.reply(from: 8), at: 20, on: &line)
        session.receive(status.reply(from: 7), at: 40, on: &line)
        #expect(line.rejections == [.unexpected, .unexpected])
        session.receive(settings.reply(from: 7), at: 60, on: &line)
        session.wake(at: 200, on: &line)
        #expect(line.sent.count == 2)
    }

    @Test func `one silent read is repeated and is no lost pack`() {
        var (session, line) = session(addresses(7))
        session.wake(at: 0, on: &line)
        session.wake(at: 500, on: &line)
        #expect(line.sent.count == 2)
        #expect(line.timeouts.isEmpty)
    }

    @Test func `a unit without the further probes is read without them`() {
        var (session, line) = session(addresses(7))
        session.wake(at: 0, on: &line)
        session.receive(withCRC([7, 0x83, 2]), at: 20, on: &line)
        session.wake(at: 100, on: &line)
        session.receive(status.reply(from: 7), at: 130, on: &line)
        session.wake(at: 200, on: &line)
        session.receive(withCRC([7, 0x83, 2]), at: 220, on: &line)
        #expect(line.readings.count == 1)
        #expect(line.readings.first?.reading.settings == nil)
        #expect(line.rejections.isEmpty)
    }

    @Test func `nothing is ever written`() {
        var (session, line) = session(addresses(1, 2))
        var now: Milliseconds = 0
        while now < 200_000 {
            now = session.wake(at: now, on: &line)
            if now % 3 == 0 { answer(&session, &line, at: now) }
        }
        #expect(line.sent.count > 100)
        #expect(line.sent.allSatisfy { $0[1] == 3 })
    }

    @Test func `16 packs in the fast mode fill the line to more than nine tenths`() {
        var list = FixedArray<16, UInt8>(filler: 0)
        for address in UInt8(0)..<16 { list.append(address) }
        var session = JKModbusSession(addresses: list, pace: PollPace(interval: 0))
        var line = RecordingLine()
        // Microseconds: ten bits a byte at 115200 baud.
        var clock = 0
        var busy = 0
        while clock < 10_000_000 {
            let sent = line.sent.count
            let next = session.wake(at: Milliseconds(clock / 1000), on: &line)
            if line.sent.count == sent {
                clock = max(clock, Int(next) * 1000)
                continue
            }
            let request = line.sent[sent]
            let reply = (request[2] == 0x10 ? settings : request[3] == 0 ? status : probes).reply(from: request[0])
            let wire = (request.count + reply.count) * 1_000_000 / 11_520
            clock += wire
            busy += wire
            session.receive(reply, at: Milliseconds(clock / 1000), on: &line)
        }
        #expect(busy * 10 > clock * 9, "\(busy * 100 / clock) %")
        #expect(line.readings.count > 10_000 / 30)
        #expect(line.timeouts.isEmpty)
    }
}
