import Battery
import Testing

@testable import JKBMS

@Suite struct JKBLETests {
    private func elements(_ notifications: [[UInt8]]) -> [JKBLE.Assembler.Element] {
        var assembler = JKBLE.Assembler()
        var found: [JKBLE.Assembler.Element] = []
        for notification in notifications {
            assembler.push(notification.span)
            while let element = assembler.next() { found.append(element) }
        }
        return found
    }

    private func pieces(_ bytes: [UInt8], of size: Int) -> [[UInt8]] {
        stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
    }

    @Test func `a command has the bytes of the captures`() {
        var frame = FrameBytes<20>()
        JKBLE.encode(.about, into: &frame)
        #expect(hex(frame.array) == "aa5590eb97000000000000000000000000000011")
        JKBLE.encode(.settings, into: &frame)
        #expect(hex(frame.array) == "aa5590eb96000000000000000000000000000010")
    }

    @Test(arguments: [20, 23, 128, 244, 300])
    func `a record is put together from notifications of any size`(size: Int) {
        #expect(elements(pieces(status32(), of: size)) == [.record])
        #expect(elements(pieces(settings32(), of: size) + pieces(status32(), of: size)) == [.record, .record])
    }

    @Test func `acknowledgements and the radio's text between records are skipped`() {
        let acknowledgement = bytes("AA5590EBC8010100000000000000000000000044")
        let text = Array("AT\r\n".utf8)
        #expect(
            elements(
                pieces(settings32() + acknowledgement, of: 128) + [text] + pieces(status32(), of: 128) + [text]
                    + pieces(status32(), of: 20)) == [.record, .record, .record])
    }

    @Test func `a record that lost a fragment is damaged and the next one is read`() {
        var lossy = pieces(status32(), of: 100)
        lossy.remove(at: 1)
        #expect(elements(lossy + pieces(status32(), of: 100)) == [.record], "a header begins anew")
        let joined = lossy.flatMap { $0 } + status32()
        #expect(elements(pieces(joined, of: 100)).last == .record)
        var flipped = status32()
        flipped[150] ^= 1
        #expect(elements(pieces(flipped, of: 128)).first == .damaged)
    }

    @Test func `the session asks who it is, starts the stream, and tells each status with its settings`() throws {
        var session = JKBLESession()
        var line = RecordingLine()
        #expect(session.wake(at: 0, on: &line) == 500)
        session.wake(at: 500, on: &line)
        #expect(line.sent.map { $0[4] } == [0x97, 0x96])
        for piece in pieces(settings32(), of: 128) { session.receive(piece, at: 700, on: &line) }
        for piece in pieces(status32(), of: 128) { session.receive(piece, at: 900, on: &line) }
        let reading = try #require(line.readings.first)
        #expect(reading.reading.packVoltage == 53_120)
        #expect(reading.reading.settings?.cellOverVoltage == 3650)
        #expect(reading.reading.rated == 280_000)
        #expect(line.rejections.isEmpty)
    }

    @Test func `two readings are at least an interval apart`() {
        var session = JKBLESession()
        var line = RecordingLine()
        for now in stride(from: Milliseconds(0), to: 10_000, by: 250) { session.receive(status32(), at: now, on: &line) }
        #expect(line.readings.count == 10)
    }

    @Test func `a silent stream is started again every five seconds and counts as missing`() {
        var session = JKBLESession()
        var line = RecordingLine()
        var now: Milliseconds = 0
        while now < 21_000 { now = session.wake(at: now, on: &line) }
        #expect(line.timeouts.count == 4)
        #expect(line.sent.filter { $0[4] == 0x96 }.count == 5)
        #expect(line.sent.allSatisfy { $0.count == 20 && ($0[4] == 0x96 || $0[4] == 0x97) }, "nothing is written")
    }

    @Test func `settings are asked for again every minute`() {
        var session = JKBLESession()
        var line = RecordingLine()
        var now: Milliseconds = 0
        while now < 200_000 {
            let before = line.sent.count
            now = session.wake(at: now, on: &line)
            if line.sent.count > before, line.sent.last?[4] == 0x96 {
                session.receive(settings32(), at: now, on: &line)
            }
            session.receive(status32(), at: now, on: &line)
        }
        #expect((3...4).contains(line.sent.filter { $0[4] == 0x96 }.count))
        #expect(line.timeouts.isEmpty)
    }

    @Test(.enabled(if: Captures.arePresent, "no captures folder: set PACKBRIDGE_CAPTURES"))
    func `captured records pass in fragments as they do whole`() throws {
        var count = 0
        for capture in try Captures.records("jk-55aaeb90") where capture.frame.count == 300 {
            guard (try? JK55AA.validate(capture.frame.span)) != nil else { continue }
            #expect(elements(pieces(capture.frame, of: 128)) == [.record], "\(capture.id)")
            count += 1
        }
        #expect(count > 10)
    }
}
