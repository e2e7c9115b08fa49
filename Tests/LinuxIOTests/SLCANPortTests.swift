import Battery
import BridgeEngine
import Glibc
import InverterDialects
import LinuxIO
import Testing

/// The port on one end of a pseudo-terminal, the adapter on the other, and a clock that the test moves.
private final class SLCANBench {
    let adapter: Peer
    let port: SLCANPort
    var now = Instant.at(0)
    private(set) var frames: [CANFrame] = []

    init(bitrate: UInt32 = 500_000) throws {
        adapter = try Peer()
        port = SLCANPort(path: adapter.path, bitrate: bitrate)
    }

    /// The adapter says something, and the port has read it when `done` holds.
    func say(_ text: String, until done: (SLCANBench) -> Bool) -> Bool {
        adapter.send(text)
        return eventually {
            port.receive(at: now) { frames.append($0) }
            return done(self)
        }
    }

    /// The whole set-up with an adapter that acknowledges.
    func open() throws {
        try port.open(at: now)
        let heard = adapter.hears("\rC\r")
        try #require(heard)
        now = now + 50
        _ = port.wake(at: now)
        for command in ["S6\r", "O\r"] {
            let heard = adapter.hears(command)
            try #require(heard)
            let answered = say("\r") { $0.port.state == .active || $0.adapter.isHeard }
            try #require(answered)
        }
        try #require(port.state == .active)
        now = .at(0)
    }
}

@Suite struct SLCANPortTests {
    @Test func `the adapter is set up step by step, each after the answer to the one before`() throws {
        let bench = try SLCANBench(bitrate: 250_000)
        try bench.port.open(at: .at(0))
        var heard = bench.adapter.hears("\rC\r")
        #expect(heard)
        // Closing a channel that is not open is answered with an error, the empty line before it with another one or with none.
        bench.adapter.send("\u{07}\u{07}")
        let read = bench.say("") { _ in bench.adapter.everything() == "" }
        #expect(read)
        #expect(bench.port.wake(at: .at(49)) == .at(50))
        #expect(bench.port.wake(at: .at(50)) == .at(150))
        heard = bench.adapter.hears("S5\r")
        #expect(heard)
        #expect(bench.adapter.everything() == "")
        let answered = bench.say("\r") { _ in bench.adapter.isHeard }
        #expect(answered)
        heard = bench.adapter.hears("O\r")
        #expect(heard)
        #expect(bench.port.transmit(CANFrame(0x351, []), at: .at(60)) == .down)
        let opened = bench.say("\r") { $0.port.state == .active }
        #expect(opened)
        #expect(bench.port.transmit(CANFrame(0x351, []), at: .at(60)) == .queued)
    }

    @Test func `an adapter that never answers is set up all the same`() throws {
        let bench = try SLCANBench()
        try bench.port.open(at: .at(0))
        #expect(bench.port.wake(at: .at(50)) == .at(150))
        #expect(bench.port.wake(at: .at(149)) == .at(150))
        #expect(bench.port.state == .closed)
        #expect(bench.port.wake(at: .at(150)) == .at(250))
        #expect(bench.port.state == .closed)
        _ = bench.port.wake(at: .at(250))
        #expect(bench.port.state == .active)
        let heard = bench.adapter.hears("\rC\rS6\rO\r")
        #expect(heard)
    }

    @Test func `an adapter that refuses the bit rate is an error that names the command`() throws {
        let bench = try SLCANBench()
        try bench.port.open(at: .at(0))
        _ = bench.port.wake(at: .at(50))
        let refused = bench.say("\u{07}") { $0.port.failure != nil }
        #expect(refused)
        #expect(bench.port.failure == PortFailure(bench.adapter.path, .adapterRefused(command: "S6")))
        #expect(bench.port.state == .closed)
        #expect(bench.port.descriptor == -1)
    }

    @Test func `frames go out as lines, and their acknowledgements are not taken for traffic`() throws {
        let bench = try SLCANBench()
        try bench.open()
        let limits = CANFrame(0x351, [0x14, 0x02, 0x74, 0x0E, 0x74, 0x0E, 0xCC, 0x01])
        var result = bench.port.transmit(limits, at: bench.now)
        #expect(result == .queued)
        var heard = bench.adapter.hears("t35181402740E740ECC01\r")
        #expect(heard)
        result = bench.port.transmit(CANFrame(0x18FF_50E5, [0xCA, 0xFE], extended: true), at: bench.now)
        #expect(result == .queued)
        heard = bench.adapter.hears("T18FF50E52CAFE\r")
        #expect(heard)
        let read = bench.say("z\r\r\rZ\rt3050\r") { !$0.frames.isEmpty }
        #expect(read)
        #expect(bench.frames == [CANFrame(0x305, [])])
        #expect(bench.port.counters.garbage == 0)
        #expect(bench.port.counters.refused == 0)
    }

    @Test(arguments: [
        ("t1232AABB\r", CANFrame(0x123, [0xAA, 0xBB])),
        ("t1232aabb\r", CANFrame(0x123, [0xAA, 0xBB])),
        ("t1232AABB1F3C\r", CANFrame(0x123, [0xAA, 0xBB])),
        ("t1232AABB0001F3C4\r", CANFrame(0x123, [0xAA, 0xBB])),
        ("T18FF50E580102030405060708\r", CANFrame(0x18FF_50E5, [1, 2, 3, 4, 5, 6, 7, 8], extended: true)),
        ("T000003050\r", CANFrame(0x305, [], extended: true)),
        ("\nt3050\r\n", CANFrame(0x305, [])),
    ])
    func `a received line becomes a frame, with a time stamp or without`(line: String, frame: CANFrame) throws {
        let bench = try SLCANBench()
        try bench.open()
        let read = bench.say(line) { !$0.frames.isEmpty }
        #expect(read)
        #expect(bench.frames == [frame])
        #expect(bench.port.counters.garbage == 0)
    }

    @Test func `a line that arrives byte by byte is one frame`() throws {
        let bench = try SLCANBench()
        try bench.open()
        for byte in "t1232AABB" {
            let ready = bench.say("\(byte)") { _ in true }
            #expect(ready)
        }
        #expect(bench.frames.isEmpty)
        let read = bench.say("\r") { !$0.frames.isEmpty }
        #expect(read)
        #expect(bench.frames == [CANFrame(0x123, [0xAA, 0xBB])])
    }

    @Test(arguments: [
        "hello\r", "t12\r", "t123\r", "t1239\r", "t1232AAB\r", "t1232AABBC\r", "tFFF0\r", "t1232AAGG\r", "TFFFFFFFF0\r",
        "T1232AABB\r", "t123100123456789\r", "t12\u{07}", "s\r", "sx\r", "F\r", "Fxx\r",
        "t1238" + String(repeating: "0", count: 100) + "\r",
    ])
    func `garbage is counted, and the next line is read`(garbage: String) throws {
        let bench = try SLCANBench()
        try bench.open()
        let read = bench.say(garbage + "t3050\r") { !$0.frames.isEmpty }
        #expect(read)
        #expect(bench.frames == [CANFrame(0x305, [])])
        #expect(bench.port.counters.garbage == 1)
    }

    @Test func `remote frames are counted, not delivered`() throws {
        let bench = try SLCANBench()
        try bench.open()
        let read = bench.say("r3058\rR000003050\rt3050\r") { !$0.frames.isEmpty }
        #expect(read)
        #expect(bench.frames == [CANFrame(0x305, [])])
        #expect(bench.port.counters.remote == 2)
    }

    @Test func `an adapter whose buffer is full is left alone for a moment`() throws {
        let bench = try SLCANBench()
        try bench.open()
        let frame = CANFrame(0x351, [])
        _ = bench.port.transmit(frame, at: bench.now)
        let refused = bench.say("\u{07}") { $0.port.counters.refused == 1 }
        #expect(refused)
        var result = bench.port.transmit(frame, at: bench.now)
        #expect(result == .busy)
        result = bench.port.transmit(frame, at: bench.now + 5)
        #expect(result == .queued)
    }

    @Test func `an adapter that reads nothing makes the port busy and gets whole lines later`() throws {
        let bench = try SLCANBench()
        try bench.open()
        let frame = CANFrame(0x351, [1, 2, 3, 4, 5, 6, 7, 8])
        var queued = 0
        while bench.port.transmit(frame, at: bench.now) == .queued {
            queued += 1
            try #require(queued < 100_000)
        }
        #expect(bench.port.counters.busy == 1)
        let line = "t35180102030405060708\r"
        var text = ""
        let complete = eventually {
            text += bench.adapter.everything(for: 1)
            bench.port.flush()
            return text.utf8.count >= queued * line.utf8.count
        }
        #expect(complete)
        #expect(text == String(repeating: line, count: queued))
        #expect(!bench.port.wantsToWrite)
    }

    @Test func `a frame of which no byte went out is taken back and never goes out late`() throws {
        let bench = try SLCANBench()
        try bench.open()
        // Somebody else fills the line to its last byte.
        let other = open(bench.adapter.path, O_WRONLY | O_NONBLOCK | O_NOCTTY)
        defer { close(other) }
        while write(other, "x", 1) == 1 {}
        let result = bench.port.transmit(CANFrame(0x351, [0xAA]), at: bench.now)
        #expect(result == .busy)
        #expect(!bench.port.wantsToWrite)
        var text = ""
        let later = eventually {
            text += bench.adapter.everything(for: 1)
            return bench.port.transmit(CANFrame(0x355, [0xBB]), at: bench.now) == .queued
        }
        #expect(later)
        let came = eventually {
            text += bench.adapter.everything(for: 1)
            return text.hasSuffix("t3551BB\r")
        }
        #expect(came)
        #expect(text.trimmingPrefix(while: { $0 == "x" }) == "t3551BB\r")
    }

    @Test func `state lines and status answers tell the state of the bus`() throws {
        let bench = try SLCANBench()
        try bench.open()
        for (line, state) in [
            ("sw096100\r", CANBusState.warning), ("sp128130\r", .passive), ("sa000000\r", .active), ("F04\r", .warning),
            ("F20\r", .passive), ("F00\r", .active), ("sb256256\r", .busOff),
        ] {
            let changed = bench.say(line) { $0.port.state == state }
            #expect(changed, "\(line)")
        }
        #expect(bench.port.counters.busOffs == 1)
        #expect(bench.port.transmit(CANFrame(0x351, []), at: bench.now) == .down)
        // The status has no flag for bus-off, so it must not end it.
        _ = bench.say("F00\rt3050\r") { !$0.frames.isEmpty }
        #expect(bench.port.state == .busOff)
        bench.port.restart(at: bench.now)
        #expect(bench.port.state == .closed)
        let heard = bench.adapter.hears("\rC\r")
        #expect(heard)
    }

    @Test func `the status is asked once a second, until it is clear that nobody answers`() throws {
        let bench = try SLCANBench()
        try bench.open()
        for second in 1...3 as ClosedRange<Milliseconds> {
            _ = bench.port.wake(at: .at(second * 1000 + 50))
            let heard = bench.adapter.hears("F\r")
            #expect(heard)
        }
        _ = bench.port.wake(at: .at(4050))
        #expect(bench.port.wake(at: .at(100_000)) == noDeadline)
        #expect(bench.adapter.everything() == "")
    }

    @Test func `an adapter that is pulled out closes the port, and closing says good-bye to one that is not`() throws {
        let bench = try SLCANBench()
        try bench.open()
        bench.port.close()
        let heard = bench.adapter.hears("C\r")
        #expect(heard)
        try bench.port.open(at: bench.now)
        bench.adapter.terminal.unplug()
        let closed = bench.say("") { $0.port.descriptor == -1 }
        #expect(closed)
        #expect(bench.port.state == .closed)
        #expect(bench.port.transmit(CANFrame(0x351, []), at: bench.now) == .down)
    }
}
