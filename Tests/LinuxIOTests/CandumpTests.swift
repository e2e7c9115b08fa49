import Battery
import InverterDialects
import LinuxIO
import Testing

@Suite struct CandumpTests {
    static let limits = CANFrame(0x351, [0x14, 0x02, 0x74, 0x0E, 0x74, 0x0E, 0xCC, 0x01])

    @Test(arguments: [
        ("(1700000000.123456) can0 351#1402740E740ECC01", Int64(1_700_000_000_123_456)),
        ("(1700000000.123456) can0 351#1402740E740ECC01 R", 1_700_000_000_123_456),
        ("351#1402740E740ECC01", nil),
        ("351#14.02.74.0E.74.0E.CC.01", nil),
        ("351#1402740e740ecc01_9", nil),
        ("  can0  351   [8]  14 02 74 0E 74 0E CC 01", nil),
        ("  can0  351   [8]  14 02 74 0E 74 0E CC 01   '..t.t...'", nil),
        (" (000.001000)  vcan0  351   [8]  14 02 74 0E 74 0E CC 01\r", 1000),
        (" (1.5)  can0  351   [8]  14 02 74 0E 74 0E CC 01", 1_500_000),
    ])
    func `every form of a candump line gives the same frame`(text: String, time: Int64?) throws {
        let line = try CandumpLine(text)
        #expect(line.frame == Self.limits)
        #expect(line.microseconds == time)
        #expect(!line.isRemote)
    }

    @Test func `eight digits are a 29-bit identifier, three an 11-bit one, whatever their value`() throws {
        #expect(try CandumpLine("18FF50E5#CAFE").frame == CANFrame(0x18FF_50E5, [0xCA, 0xFE], extended: true))
        #expect(try CandumpLine("00000305#").frame == CANFrame(0x305, [], extended: true))
        #expect(try CandumpLine(" can0  305   [0] ").frame == CANFrame(0x305, []))
    }

    @Test func `remote frames are told apart`() throws {
        #expect(try CandumpLine("305#R").isRemote)
        #expect(try CandumpLine(" can0  305   [0]  remote request").isRemote)
    }

    @Test(arguments: [
        ("", CandumpLine.Problem.empty), ("   ", .empty), ("(12", .badTime), ("(x) can0 351#00", .badTime),
        ("can0", .noFrame), ("can0 351", .noFrame), ("can0 351 [9] 00", .noFrame), ("can0 351 [2] 00", .badBytes),
        ("can0 351 [2] 00 0", .badBytes), ("35#00", .badIdentifier), ("851#00", .badIdentifier),
        ("3G1#00", .badIdentifier),
        ("351#0", .badBytes), ("351#0G", .badBytes), ("351#000000000000000000", .badBytes),
        ("20000040#0000000000000000", .errorFrame), ("351##100", .canFD),
    ])
    func `a line that is none is refused with the reason`(text: String, problem: CandumpLine.Problem) {
        #expect(throws: problem) { try CandumpLine(text) }
    }

    @Test func `a log is replayed at its own pace`() throws {
        let folder = TemporaryFolder()
        let log = """
            (1700000000.000000) can0 351#1402740E740ECC01
            (1700000000.010000) can0 355#32006400
            (1700000000.010000) can0 20000040#0000000000000000

            (1700000001.000000) can0 356#4E15000000FA
            """
        let port = CandumpReplayPort(path: folder.write(log, to: "bus.log"))
        try port.open(at: .at(0))
        #expect(ids(port, at: .at(0)) == [0x351])
        #expect(port.wake(at: .at(0)) == .at(10))
        #expect(ids(port, at: .at(9)) == [])
        #expect(ids(port, at: .at(10)) == [0x355])
        #expect(ids(port, at: .at(999)) == [])
        #expect(!port.isFinished)
        #expect(ids(port, at: .at(5000)) == [0x356])
        #expect(port.isFinished)
        #expect(port.counters.busErrors == 1)
        #expect(port.counters.received == 3)
    }

    @Test func `a log can be replayed at once`() throws {
        let folder = TemporaryFolder()
        let log = "(1.0) can0 351#00\n(9.0) can0 355#00\n"
        let port = CandumpReplayPort(path: folder.write(log, to: "bus.log"), isTimed: false)
        try port.open(at: .at(0))
        #expect(ids(port, at: .at(0)) == [0x351, 0x355])
    }

    @Test func `a file that is no log is refused with the number of the line`() throws {
        let folder = TemporaryFolder()
        let path = folder.write("351#00\nhello\n", to: "bus.log")
        #expect(throws: PortFailure(path, .badLog(line: 2))) { try CandumpReplayPort(path: path).open(at: .at(0)) }
    }

    private func ids(_ port: CandumpReplayPort, at now: Instant) -> [UInt32] {
        var ids: [UInt32] = []
        port.receive(at: now) { ids.append($0.id) }
        return ids
    }
}
