import Battery
import JKBMS
import Testing

@Suite struct JK4E57EncoderTests {
    private func encoded(_ build: (inout JK4E57.Frame) -> Void) -> String {
        var frame = JK4E57.Frame()
        build(&frame)
        return hex(frame.array)
    }

    @Test func `requests have the bytes of the vendor and of captures`() {
        // length 0013, command 06, source 3, transport 0, id 00, sum 0129
        #expect(encoded { JK4E57.encodeReadAll(into: &$0) } == "4e5700130000000006030000000000006800000129")
        #expect(
            encoded { JK4E57.encodeReadAll(source: .gps, into: &$0) } == "4e5700130000000006020000000000006800000128")
        #expect(encoded { JK4E57.encodeRead(.soc, into: &$0) } == "4e57001300000000030300850000000068000001ab")
        #expect(encoded { JK4E57.encodeRead(.cellVoltages, into: &$0) } == "4e570013000000000303007900000000680000019f")
        #expect(encoded { JK4E57.encodeActivate(into: &$0) } == "4e5700130000000001030000000000006800000124")
    }

    @Test func `writes and the password have the width of their identifier`() {
        #expect(
            encoded { JK4E57.encodeWrite(.chargeEnabled, raw: 1, into: &$0) }
                == "4e57001400000000020300ab010000000068000001d2")
        #expect(
            encoded { JK4E57.encodeWrite(.balancerEnabled, raw: 1, into: &$0) }
                == "4e570014000000000203009d010000000068000001c4")
        #expect(
            encoded { JK4E57.encodeWrite(.cellOverVoltage, raw: 3650, into: &$0) }
                == hex(frame("90 0e42", command: 2, source: 3, transport: 0)))
        let password = Array("123456".utf8)
        #expect(
            encoded { JK4E57.encodePassword(password.span, into: &$0) }
                == "4e57001d00000000050300b231323334353600000000000000006800000319")
    }

    @Test func `a reply built from values reads back as the same values`() throws {
        var numbers = SeededNumbers(seed: 1)
        for round in 0..<200 {
            var report = JK4E57.Report()
            report.command = 6
            report.transport = 1
            report.setValue(of: .protocolVersion, to: Int64(round & 1))
            let cells = Int.random(in: 1...32, using: &numbers)
            for _ in 0..<cells { report.cells.append(.random(in: 0...5000, using: &numbers)) }
            let current = Int64.random(in: round & 1 == 0 ? -55_000...10_000 : -32_000...32_000, using: &numbers) * 10
            let temperatures = (0..<3).map { _ in Int64.random(in: -40...99, using: &numbers) }
            let limit = Int64.random(in: -45...25, using: &numbers)
            report.setValue(of: .current, to: current)
            report.setValue(of: .mosfetTemperature, to: temperatures[0])
            report.setValue(of: .temperature1, to: temperatures[1])
            report.setValue(of: .temperature2, to: temperatures[2])
            report.setValue(of: .chargeUnderTemperature, to: limit)
            report.setValue(of: .packVoltage, to: 53_210)
            report.setValue(of: .cellCount, to: Int64(cells))
            let name = Array("pack one".utf8)
            report.setText(.deviceName, to: name.span)

            var frame = JK4E57.Frame()
            JK4E57.encodeReply(report, into: &frame)
            let read = try decode(frame.array)
            #expect(list(read.cells) == list(report.cells))
            #expect(read.current == Milliamps(current))
            #expect(read.value(of: .mosfetTemperature) == temperatures[0])
            #expect(read.value(of: .temperature1) == temperatures[1])
            #expect(read.value(of: .temperature2) == temperatures[2])
            #expect(read.value(of: .chargeUnderTemperature) == limit)
            #expect(read.value(of: .packVoltage) == 53_210)
            #expect(text(read, .deviceName) == "pack one")
            #expect(read.value(of: .soc) == nil, "what was not set is not sent")
        }
    }

    @Test func `the largest reply fits the frame`() throws {
        var report = JK4E57.Report()
        for _ in 0..<32 { report.cells.append(3300) }
        for id in JK4E57.Identifier.allCases where id != .cellVoltages {
            if id.layout.measure == .text {
                report.setText(id, to: [UInt8]().span)
            } else {
                report.setRaw(id, to: 32)
            }
        }
        report.setRaw(.cellCount, to: 32)
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        #expect(try decode(frame.array).cells.count == 32)
        // 339 bytes of §7 plus the five write-only identifiers
        #expect(frame.count == 339 + 2 + 2 + 2 + 3 + 3)
    }
}
