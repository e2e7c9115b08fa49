import Battery
import Testing

@testable import JKBMS

@Suite struct JK55AASessionTests {
    private func session(
        _ list: FixedArray<16, UInt8> = addresses(3), _ pace: PollPace = PollPace(), listenOnly: Bool = false
    ) -> (JK55AASession, RecordingLine) {
        (JK55AASession(addresses: list, pace: pace, listenOnly: listenOnly), RecordingLine())
    }

    @Test func `a trigger has the bytes of the captures`() {
        var request = FrameBytes<11>()
        JK55AASession.encodeTrigger(.status, address: 1, into: &request)
        #expect(hex(request.array) == "011016200001020000d6f1")
        JK55AASession.encodeTrigger(.settings, address: 3, into: &request)
        #expect(hex(request.array) == "0310161e0001020000cb4f")
        JK55AASession.encodeTrigger(.about, address: 15, into: &request)
        #expect(hex(request.array) == "0f10161c00010200009fad")
    }

    @Test func `settings come first, then the status, which carries them`() throws {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        #expect(line.sent == [trigger(3, 0x1E)])
        session.receive(settings32() + acknowledgement(3, 0x1E), at: 70, on: &line)
        #expect(line.readings.isEmpty)
        #expect(session.wake(at: 71, on: &line) == 170)
        session.wake(at: 170, on: &line)
        #expect(line.sent.last == trigger(3, 0x20))
        session.receive(status32() + acknowledgement(3, 0x20), at: 240, on: &line)
        let (reading, address, at) = try #require(line.readings.first)
        #expect(address == 3)
        #expect(at == 240)
        #expect(reading.packVoltage == 53_120)
        #expect(reading.settings?.cellOverVoltage == 3650)
        #expect(reading.rated == 280_000)
        #expect(line.rejections.isEmpty)
        // The next poll is due one interval after the first request, and needs no settings.
        #expect(session.wake(at: 241, on: &line) == 1000)
        session.wake(at: 1000, on: &line)
        #expect(line.sent.last == trigger(3, 0x20))
    }

    @Test func `a pack that does not give its settings is read all the same`() {
        var (session, line) = session()
        var now = session.wake(at: 0, on: &line)
        now = session.wake(at: now, on: &line)
        #expect(line.sent == [trigger(3, 0x1E), trigger(3, 0x20)])
        session.receive(status32() + acknowledgement(3, 0x20), at: now - 10, on: &line)
        #expect(line.readings.count == 1)
        #expect(line.readings.first?.reading.settings == nil)
    }

    @Test func `a record belongs to the unit that acknowledges behind it`() {
        var (session, line) = session(addresses(3, 4))
        session.wake(at: 0, on: &line)
        session.receive(status32() + acknowledgement(4, 0x20), at: 60, on: &line)
        #expect(line.readings.map(\.address) == [4])
        // No acknowledgement, no sender.
        session.receive(status32(), at: 100, on: &line)
        session.wake(at: 300, on: &line)
        #expect(line.readings.count == 1)
    }

    @Test func `an acknowledgement for another register does not fit a record`() {
        var (session, line) = session()
        session.receive(status32() + acknowledgement(3, 0x1E), at: 0, on: &line)
        #expect(line.readings.isEmpty)
        #expect(line.rejections == [.unexpected])
    }

    @Test func `zero bytes around the acknowledgement are tolerated`() {
        var (session, line) = session(addresses(5))
        session.receive(status32() + [0] + acknowledgement(5, 0x20) + [0], at: 0, on: &line)
        session.wake(at: 200, on: &line)
        #expect(line.readings.map(\.address) == [5])
        #expect(line.rejections.isEmpty)
    }

    @Test func `packs that are not ours are left alone`() {
        var (session, line) = session(addresses(3))
        session.receive(status32() + acknowledgement(9, 0x20), at: 0, on: &line)
        #expect(line.readings.isEmpty)
        #expect(line.rejections.isEmpty)
    }

    @Test func `our own trigger, looped back, is an echo and not a master`() {
        var (session, line) = session()
        session.wake(at: 0, on: &line)
        session.receive(trigger(3, 0x1E) + settings32() + acknowledgement(3, 0x1E), at: 70, on: &line)
        #expect(line.rejections == [.echo])
        session.wake(at: 170, on: &line)
        #expect(line.sent.count == 2)
    }

    @Test func `a damaged and an implausible record are counted by their reason and asked again`() {
        var (session, line) = session()
        session.receive(settings32() + acknowledgement(3, 0x1E), at: 0, on: &line)
        session.wake(at: 200, on: &line)
        var damaged = status32()
        damaged[40] ^= 1
        session.receive(damaged + acknowledgement(3, 0x20), at: 260, on: &line)
        session.wake(at: 310, on: &line)
        #expect(line.rejections == [.badChecksum])
        session.wake(at: 360, on: &line)
        #expect(line.sent.count == 2, "asked again long before the time-out of 500 ms")
        session.receive(status32 { $0[173] = 200 } + acknowledgement(3, 0x20), at: 420, on: &line)
        #expect(line.rejections == [.badChecksum, .badStructure])
        #expect(line.readings.isEmpty)
    }

    // MARK: A bus with a master

    @Test func `with address 0 among the packs it only listens`() {
        var (session, line) = session(addresses(0, 1))
        var now: Milliseconds = 0
        while now < 20_000 {
            // As captured: own status and settings of the master without request, then a polled slave.
            session.receive(
                status32() + acknowledgement(0, 0x20) + settings32() + acknowledgement(0, 0x1E) + trigger(1, 0x20)
                    + status32 { $0[5] = 5 } + acknowledgement(1, 0x20), at: now, on: &line)
            session.wake(at: now, on: &line)
            now += 4400
        }
        #expect(line.sent.isEmpty)
        #expect(line.readings.map(\.address) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
        #expect(line.timeouts.isEmpty)
        #expect(line.readings[2].reading.settings?.cellCount == 16)
        #expect(line.readings[3].reading.settings == nil, "nobody asked the slave for its settings")
    }

    @Test func `a foreign request silences it for ten seconds`() {
        var (session, line) = session(addresses(3))
        session.receive(trigger(7, 0x20), at: 0, on: &line)
        session.wake(at: 0, on: &line)
        session.wake(at: 9_999, on: &line)
        #expect(line.sent.isEmpty)
        session.wake(at: 10_000, on: &line)
        #expect(line.sent.count == 1)
    }

    @Test func `a request before a record does not name its sender`() {
        var (session, line) = session(addresses(0, 15))
        // The scan of absent unit 15, then the broadcast of the master.
        session.receive(trigger(15, 0x20) + status32() + acknowledgement(0, 0x20), at: 0, on: &line)
        #expect(line.readings.map(\.address) == [0])
    }

    @Test func `a pack that is not heard is reported while listening`() {
        var (session, line) = session(addresses(2), listenOnly: true)
        for now in stride(from: Milliseconds(0), through: 20_000, by: 1000) { session.wake(at: now, on: &line) }
        #expect(line.timeouts == [2, 2])
        #expect(line.sent.isEmpty)
    }

    // MARK: Judgement that needs memory

    @Test func `the latched full flag of an open charge MOSFET is no over-voltage`() {
        var (session, line) = session()
        session.receive(settings32() + acknowledgement(3, 0x1E), at: 0, on: &line)
        func alarms(_ cell: UInt16, charging: UInt8) -> Alarms? {
            let record = status32(cells: [UInt16](repeating: cell, count: 16)) {
                $0.put(UInt32(0x10), at: 166)
                $0[198] = charging
            }
            session.receive(record + acknowledgement(3, 0x20), at: 1000, on: &line)
            return line.readings.last?.reading.alarms
        }
        #expect(alarms(3296, charging: 0) == [])
        #expect(alarms(3296, charging: 1) == .cellOverVoltage, "the MOSFET does not stop it")
        #expect(alarms(3444, charging: 0) == .cellOverVoltage, "not below the release voltage")
    }

    @Test func `SoC 0 with 0 cycles and healthy cells is a unit that has just started`() {
        var (session, line) = session()
        let fresh = status32 {
            $0[173] = 0
            $0.put(UInt32(0), at: 182)
        }
        for now in [Milliseconds(0), 9000, 18_000, 27_000, 36_000] {
            session.receive(fresh + acknowledgement(3, 0x20), at: now, on: &line)
        }
        #expect(line.readings.map(\.reading.starting) == [true, true, true, true, false])
    }

    @Test(.enabled(if: Captures.arePresent, "no captures folder: set PACKBRIDGE_CAPTURES"))
    func `captured bus logs give the status of master and slaves without sending`() throws {
        for capture in try Captures.records("jk-55aaeb90") where capture.kind == "stream" {
            let items = capture.expected["items"] as! [[String: Any]]
            let expected = items.filter { $0["frame_type"] as? Int == 2 }.compactMap {
                $0["address_from_following_ack"] as? UInt8
            }
            var (session, line) = session(addresses(0, 1, 2, 3, 4, 5), listenOnly: true)
            for (i, byte) in capture.frame.enumerated() { session.receive([byte], at: Milliseconds(i) / 11, on: &line) }
            session.wake(at: 1_000_000, on: &line)
            #expect(line.readings.map(\.address) == expected, "\(capture.id)")
            #expect(line.sent.isEmpty)
        }
    }
}
