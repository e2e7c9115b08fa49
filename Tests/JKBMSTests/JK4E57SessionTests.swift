import Battery
import JKBMS
import Testing

@Suite struct JK4E57SessionTests {
    private let request = bytes("4e5700130000000006030000000000006800000129")
    private let reply = frame("79 06 01 0cc6 02 0cbe 83 028c 84 8064 85 3c 87 0005 8a 0002 94 0a8c c0 01")

    private func session(_ pace: PollPace = PollPace()) -> (JK4E57Session, RecordingLine) {
        (JK4E57Session(pace: pace), RecordingLine())
    }

    // MARK: Requests

    @Test func `it asks at once, delivers the reply and asks again an interval later`() {
        var (session, line) = session()
        let deadline = session.wake(at: 1000, on: &line)
        #expect(line.sent == [request])
        #expect(deadline == 1500)
        session.receive(reply, at: 1027, on: &line)
        #expect(line.readings.count == 1)
        #expect(line.readings[0].address == 0)
        #expect(line.readings[0].at == 1027)
        #expect(line.readings[0].reading.current == 1000)
        #expect(session.wake(at: 1028, on: &line) == 2000)
        #expect(session.wake(at: 1999, on: &line) == 2000)
        #expect(line.sent.count == 1)
        session.wake(at: 2000, on: &line)
        #expect(line.sent.count == 2)
        #expect(line.rejections.isEmpty)
    }

    @Test func `100 ms lie between packets even when the interval is shorter`() {
        var (session, line) = session(PollPace(interval: 20, gap: 0))
        session.wake(at: 0, on: &line)
        session.receive(reply, at: 30, on: &line)
        #expect(session.wake(at: 30, on: &line) == 130)
        session.wake(at: 129, on: &line)
        #expect(line.sent.count == 1)
        session.wake(at: 130, on: &line)
        #expect(line.sent.count == 2)
    }

    @Test func `the fast mode asks as soon as the reply is there`() {
        var (session, line) = session(PollPace(interval: 0))
        session.wake(at: 0, on: &line)
        session.receive(reply, at: 26, on: &line)
        session.wake(at: 26, on: &line)
        #expect(line.sent.count == 2)
    }

    @Test func `a new pace holds from the next request on`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(reply, at: 26, on: &line)
        session.setPace(PollPace(interval: 500))
        #expect(session.wake(at: 27, on: &line) == 500)
    }

    @Test func `silence is asked again twice, then reported, then polled on`() {
        var (session, line) = session()
        var now: Milliseconds = 0
        var sentAt: [Milliseconds] = []
        while line.timeouts.isEmpty {
            let sent = line.sent.count
            let next = session.wake(at: now, on: &line)
            if line.sent.count > sent { sentAt.append(now) }
            #expect(next > now)
            now = next
        }
        #expect(line.timeouts == [0])
        #expect(sentAt == [0, 500, 1000, 1500], "request, two repeats, and the next poll, whose time has come")
        #expect(now == 2000)
    }

    @Test func `a repeat that is answered is no time-out`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.wake(at: 500, on: &line)
        session.receive(reply, at: 530, on: &line)
        #expect(line.sent.count == 2)
        #expect(line.readings.count == 1)
        #expect(session.wake(at: 531, on: &line) == 1000, "one second after the first request of this poll")
        #expect(line.timeouts.isEmpty)
    }

    @Test func `a line that babbles without end is asked all the same, and its pack reported`() {
        var (session, line) = session()
        for now in stride(from: Milliseconds(0), to: 20_000, by: 20) {
            session.receive([UInt8(now / 20 & 0x3F)], at: now, on: &line)
            session.wake(at: now, on: &line)
        }
        #expect(line.sent.count >= 8)
        #expect(line.timeouts.count >= 2)
    }

    @Test func `nothing but read-all requests is ever sent`() {
        var (session, line) = session(PollPace(interval: 200))
        var numbers = SeededNumbers(seed: 22)
        var now: Milliseconds = 0
        for _ in 0..<2000 {
            let next = session.wake(at: now, on: &line)
            #expect(next > now)
            now += min(next - now, .random(in: 1...80, using: &numbers))
            switch Int.random(in: 0..<6, using: &numbers) {
            case 0: session.receive(reply, at: now, on: &line)
            case 1:
                session.receive(Array(reply.prefix(.random(in: 1..<reply.count, using: &numbers))), at: now, on: &line)
            case 2: session.receive((0..<9).map { _ in .random(in: 0...255, using: &numbers) }, at: now, on: &line)
            default: break
            }
        }
        #expect(line.sent.count > 50)
        #expect(line.sent.allSatisfy { $0 == request })
    }

    // MARK: Replies

    @Test func `a reply may come byte by byte`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        for (i, byte) in reply.enumerated() { session.receive([byte], at: 1 + Milliseconds(i) / 10, on: &line) }
        #expect(line.readings.count == 1)
        #expect(line.rejections.isEmpty)
    }

    @Test func `the looped-back request is ignored and does not end the wait`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(request + reply, at: 28, on: &line)
        #expect(line.rejections == [.echo])
        #expect(line.readings.count == 1)

        (session, line) = self.session()
        session.wake(at: 0, on: &line)
        session.receive(request, at: 2, on: &line)
        #expect(session.wake(at: 300, on: &line) == 500, "only an echo was heard: the BMS still has its time")
    }

    @Test func `a spoilt reply is asked again after 100 ms, not after the whole time-out`() {
        var (session, line) = session()
        var spoilt = reply
        spoilt[20] ^= 1
        session.wake(at: 0, on: &line)
        session.receive(spoilt, at: 27, on: &line)
        #expect(line.rejections == [.badChecksum])
        #expect(line.readings.isEmpty)
        let next = session.wake(at: 28, on: &line)
        #expect(next <= 127)
        session.wake(at: 127, on: &line)
        #expect(line.sent.count == 2)
        session.receive(reply, at: 150, on: &line)
        #expect(line.readings.count == 1)
    }

    @Test func `a reply cut off is counted once and asked again`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(Array(reply.prefix(30)), at: 20, on: &line)
        #expect(session.wake(at: 21, on: &line) == 120)
        session.wake(at: 120, on: &line)
        #expect(line.rejections.first == .truncated)
        #expect(line.sent.count == 2)
        #expect(line.timeouts.isEmpty)
    }

    @Test func `a reply that has begun before the time-out is waited for`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(Array(reply.prefix(30)), at: 490, on: &line)
        session.wake(at: 500, on: &line)
        #expect(line.sent.count == 1)
        session.receive(Array(reply.dropFirst(30)), at: 510, on: &line)
        #expect(line.readings.count == 1)
        #expect(line.rejections.isEmpty)
    }

    @Test func `a valid frame without cells is not a snapshot`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(frame("ab", command: 2), at: 10, on: &line)
        session.receive(frame("85 3c", command: 3), at: 20, on: &line)
        session.receive(frame("79 03 01 0cc6", transport: 9), at: 30, on: &line)
        #expect(line.rejections == [.unexpected, .unexpected, .unexpected])
        #expect(line.readings.isEmpty)
    }

    @Test func `a partly readable reply is delivered with what was read`() throws {
        var (session, line) = session()
        session.receive(frame("79 03 01 0cc6 83 0147 88 00 85 3c"), at: 0, on: &line)
        let reading = try #require(line.readings.first?.reading)
        #expect(reading.packVoltage == 3270)
        #expect(reading.soc == nil)
    }

    // MARK: Start-up and sensors

    private let startingReply = frame("79 06 01 0cc6 02 0cbe 85 00 87 0000 94 0a8c")

    private func starting(_ frame: [UInt8], after ages: [Milliseconds]) -> [Bool] {
        var (session, line) = session()
        for age in ages { session.receive(frame, at: 50_000 + age, on: &line) }
        return line.readings.map(\.reading.starting)
    }

    @Test func `SoC 0 with 0 cycles and healthy cells is not believed for the first 30 s`() {
        #expect(
            starting(startingReply, after: [0, 5_000, 14_000, 23_000, 29_999, 30_000, 31_000])
                == [true, true, true, true, true, false, false])
    }

    @Test func `an empty pack, a used one and a charged one are believed at once`() {
        // cell 2 at 2.6 V, below the release voltage of 2.7 V
        #expect(starting(frame("79 06 01 0cc6 02 0a28 85 00 87 0000 94 0a8c"), after: [0]) == [false])
        #expect(starting(frame("79 06 01 0cc6 02 0cbe 85 00 87 0007 94 0a8c"), after: [0]) == [false])
        #expect(starting(frame("79 06 01 0cc6 02 0cbe 85 01 87 0000 94 0a8c"), after: [0]) == [false])
    }

    @Test func `ten seconds of silence begin a new session`() {
        let result = starting(startingReply, after: [0, 9_000, 18_000, 27_000, 36_000, 45_999, 56_000])
        #expect(result == [true, true, true, true, false, false, true])
    }

    @Test func `raw 100 is 0 °C unless the sensor was above 80 °C just before`() {
        func readings(_ raws: [String]) -> [SensorReading] {
            var (session, line) = session()
            for (i, raw) in raws.enumerated() {
                session.receive(frame("79 03 01 0cc6 80 \(raw) 81 \(raw) 86 01"), at: Milliseconds(i) * 1000, on: &line)
            }
            #expect(
                line.readings.map(\.reading.mosfetTemperature) == line.readings.map { $0.reading.cellTemperatures[0] })
            return line.readings.map(\.reading.mosfetTemperature)
        }
        #expect(readings(["0001", "0064", "0065"]) == [.value(10), .value(0), .value(-10)])
        #expect(readings(["0064"]) == [.value(0)])
        #expect(readings(["0050", "0064"]) == [.value(800), .value(0)])
        #expect(readings(["0061", "0064", "0064", "0061"]) == [.value(970), .invalid, .invalid, .value(970)])
    }
}
