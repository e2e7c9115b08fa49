import Battery
import JKBMS
import Testing

@Suite struct JK4E57DecoderTests {
    /// Every identifier with a number: wire bytes, value in the unit of its measure.
    @Test(arguments: [
        (JK4E57.Identifier.mosfetTemperature, "80 0016", Int64(22)),
        (.temperature1, "81 0015", 21),
        (.temperature2, "82 0016", 22),
        (.packVoltage, "83 146c", 52_280),
        (.current, "84 26ac", 1_000),  // version 0: (10000 - 9900) × 10 mA
        (.soc, "85 3c", 60),
        (.probeCount, "86 02", 2),
        (.cycles, "87 0123", 291),
        (.throughput, "89 00002014", 8212),
        (.cellCount, "8a 0010", 16),
        (.warnings, "8b 0208", 0x0208),
        (.status, "8c 0007", 7),
        (.packOverVoltage, "8e 1590", 55_200),
        (.packUnderVoltage, "8f 12c0", 48_000),
        (.cellOverVoltage, "90 0d7a", 3450),
        (.cellOverVoltageRelease, "91 0d48", 3400),
        (.cellOverVoltageDelay, "92 0005", 5),
        (.cellUnderVoltage, "93 0bb8", 3000),
        (.cellUnderVoltageRelease, "94 0bea", 3050),
        (.cellUnderVoltageDelay, "95 0006", 6),
        (.cellDifference, "96 012c", 300),
        (.dischargeOverCurrent, "97 0050", 80),
        (.dischargeOverCurrentDelay, "98 012c", 300),
        (.chargeOverCurrent, "99 0032", 50),
        (.chargeOverCurrentDelay, "9a 001e", 30),
        (.balanceStart, "9b 0c80", 3200),
        (.balanceTrigger, "9c 000a", 10),
        (.balancerEnabled, "9d 01", 1),
        (.mosfetOverTemperature, "9e 0050", 80),
        (.mosfetOverTemperatureRelease, "9f 0046", 70),
        (.boxOverTemperature, "a0 0064", 100),  // settings do not use the sensor scheme
        (.boxOverTemperatureRelease, "a1 0063", 99),
        (.temperatureDifference, "a2 0014", 20),
        (.chargeOverTemperature, "a3 003c", 60),
        (.dischargeOverTemperature, "a4 0046", 70),
        (.chargeUnderTemperature, "a5 ffec", -20),
        (.chargeUnderTemperatureRelease, "a6 fff6", -10),
        (.dischargeUnderTemperature, "a7 0005", 5),
        (.dischargeUnderTemperatureRelease, "a8 ffff", -1),
        (.configuredCellCount, "a9 10", 16),
        (.configuredCapacity, "aa 00000118", 280),
        (.chargeEnabled, "ab 01", 1),
        (.dischargeEnabled, "ac 00", 0),
        (.currentCalibration, "ad 0418", 1048),
        (.boardAddress, "ae 01", 1),
        (.chemistry, "af 02", 2),
        (.sleepDelay, "b0 000a", 10),
        (.lowCapacityAlarm, "b1 14", 20),
        (.dedicatedCharger, "b3 01", 1),
        (.runtime, "b6 00021710", 136_976),
        (.calibrating, "b8 01", 1),
        (.learnedCapacity, "b9 0000006e", 110),
        (.restart, "bb 01", 1),
        (.factoryReset, "bc 01", 1),
        (.remoteUpdate, "bd 01", 1),
        (.gpsCutVoltage, "be 0b54", 2900),
        (.gpsReturnVoltage, "bf 0bb8", 3000),
        (.protocolVersion, "c0 01", 1),
    ])
    func `a number is decoded with its width, sign and unit`(
        id: JK4E57.Identifier, information: String, value: Int64
    ) throws {
        // Followed by another field, so that a wrong width would derail the walk.
        let report = try decode(frame(information + (id == .soc ? "87 0021" : "85 21")))
        #expect(report.value(of: id) == value)
        #expect(report.value(of: id == .soc ? .cycles : .soc) == 0x21)
        #expect(!report.isPartial)
    }

    @Test(arguments: [
        (JK4E57.Identifier.passcode, "b2 31323334353600000000", "123456\0\0\0\0"),
        (.deviceName, "b4 496e707574205573", "Input Us"),
        (.productionDate, "b5 32333036", "2306"),
        (.softwareVersion, "b7 31312e58575f5331312e323632485f", "11.XW_S11.262H_"),
        (.manufacturer, "ba 62656b6900000000000000004a4b5f423141323453313550", "beki\0\0\0\0\0\0\0\0JK_B1A24S15P"),
    ])
    func `a text keeps every byte of its field`(id: JK4E57.Identifier, information: String, value: String) throws {
        let report = try decode(frame(information + "85 21"))
        #expect(text(report, id) == value)
        #expect(report.value(of: .soc) == 33)
        #expect(report.raw(id) == nil)
    }

    @Test func `every identifier has a width, and no two texts share bytes`() throws {
        for id in JK4E57.Identifier.allCases where id != .cellVoltages {
            #expect([1, 2, 4, 8, 10, 15, 24].contains(id.layout.width), "\(id)")
        }
        let texts = "b2 61616161616161616161 b4 6262626262626262 b5 63636363 b7 646464646464646464646464646464"
        let report = try decode(frame(texts + "ba" + String(repeating: "65", count: 24)))
        #expect(text(report, .passcode) == "aaaaaaaaaa")
        #expect(text(report, .deviceName) == "bbbbbbbb")
        #expect(text(report, .productionDate) == "cccc")
        #expect(text(report, .softwareVersion) == "ddddddddddddddd")
        #expect(text(report, .manufacturer) == String(repeating: "e", count: 24))
    }

    @Test func `the header is kept`() throws {
        // terminal ffffffff, command 03, source 0, transport 0, record 001122ad
        let report = try decode(bytes("4e570015ffffffff030000800064001122ad68000006e5"))
        #expect(report.terminal == 0xFFFF_FFFF)
        #expect(report.record == 0x0011_22AD)
        #expect(report.command == 3)
        #expect(report.source == 0)
        #expect(report.transport == 0)
    }

    // MARK: Cells

    @Test func `cells are millivolts in their order, and 0 mV is a value`() throws {
        let report = try decode(frame("79 0c 01 0eed 02 0000 03 0ef7 04 0eec 8a 0004"))
        #expect(list(report.cells) == [3821, 0, 3831, 3820])
    }

    @Test(arguments: [
        ("79 0d 01 0eed 02 0efa 03 0ef7 04 0eec 85", "13 bytes are no whole number of cells"),
        ("79 00 85 21", "no cells"),
        ("79 0c 01 0eed 02 0efa 03 0ef7", "the block is longer than the information"),
        ("79 06 01 0eed 03 0efa", "cell 2 is missing"),
        ("79 06 02 0eed 01 0efa", "cells are swapped"),
        ("79 06 00 0eed 01 0efa", "cells count from 0"),
        ("79 06 01 0eed 02 0efa 8a 0003", "0x8A says three cells"),
        ("85 21 83 14", "the last value is cut off"),
        ("85 21 b2 3132", "the last text is cut off"),
    ])
    func `a structure that contradicts itself is rejected whole`(information: String, why: Comment) {
        #expect(rejection(of: frame(information)) == .badStructure, why)
    }

    @Test func `32 cells are accepted and 33 are not`() throws {
        func block(_ count: Int) -> String {
            "79" + hex([UInt8(3 * count)]) + (1...count).map { hex([UInt8($0)]) + "0ce4" }.joined()
        }
        #expect(try decode(frame(block(32) + "8a 0020")).cells.count == 32)
        #expect(rejection(of: frame(block(33) + "8a 0021")) == .badStructure)
    }

    /// The vendor table has no length byte in a single-id reply; never captured.
    @Test func `a single-id reply with cells is read with and without the length byte`() throws {
        let without = try decode(frame("79 01 0eed 02 0efa 03 0ef7", command: 3))
        #expect(list(without.cells) == [3821, 3834, 3831])
        let with = try decode(frame("79 09 01 0eed 02 0efa 03 0ef7", command: 3))
        #expect(list(with.cells) == [3821, 3834, 3831])
        #expect(rejection(of: frame("79 01 0eed 02 0efa 03 0ef7", command: 6)) == .badStructure)
    }

    // MARK: Walk

    @Test func `an unknown identifier ends the walk and keeps what was read`() throws {
        let report = try decode(frame("83 146c 85 3c 88 01 87 0005"))
        #expect(report.isPartial)
        #expect(report.value(of: .packVoltage) == 52_280)
        #expect(report.value(of: .soc) == 60)
        #expect(report.value(of: .cycles) == nil)
    }

    @Test func `the order of the identifiers does not matter`() throws {
        let report = try decode(frame("c0 01 85 3c 84 83f4 79 03 01 0cc6"))
        #expect(report.current == 10_120)
        #expect(list(report.cells) == [3270])
    }

    @Test func `nothing of the previous frame is left in the report`() throws {
        var report = try decode(frame("79 03 01 0cc6 85 3c b4 6161616161616161 c0 01"))
        let next = frame("83 146c")
        try JK4E57.decode(next.span, into: &report)
        #expect(report.cells.isEmpty)
        #expect(report.value(of: .soc) == nil)
        #expect(report.text(.deviceName) == nil)
        #expect(report.value(of: .protocolVersion) == nil)
        #expect(throws: FrameRejection.badChecksum) {
            try JK4E57.decode(Array(next.dropLast() + [0]).span, into: &report)
        }
        #expect(report.value(of: .packVoltage) == nil)
    }

    @Test func `requests decode as far as they go`() throws {
        #expect(try decode(frame("00", source: 3, transport: 0)).transport == 0)
        #expect(try decode(frame("79", command: 3, source: 3, transport: 0)).cells.isEmpty)
        // syssi sends a password request whose value is one byte instead of ten.
        #expect(try decode(frame("b2 00", command: 5, source: 2, transport: 0)).isPartial)
        // OpenDTU leaves the identifier out.
        #expect(try decode(frame("", source: 3, transport: 0)).command == 6)
        // The acknowledgement of a write carries the identifier alone.
        #expect(try decode(frame("ab", command: 2)).flag(.chargeEnabled) == nil)
    }

    // MARK: Framing

    @Test func `a wrong frame says what is wrong`() {
        let good = frame("85 3c")
        #expect(rejection(of: good) == nil)
        #expect(rejection(of: Array(good.dropLast())) == .truncated)
        #expect(rejection(of: Array(good.prefix(3))) == .truncated)
        #expect(rejection(of: []) == .truncated)
        #expect(rejection(of: good + [0]) == .badLength)
        #expect(rejection(of: patched(good, [0: 0x4F])) == .noise)
        #expect(rejection(of: patched(good, [good.count - 5: 0x69])) == .badEndMark)
        var spoilt = good
        spoilt[12] ^= 1
        #expect(rejection(of: spoilt) == .badChecksum)
        #expect(rejection(of: bytes("4e57001100000000060001")) == .badLength, "LENGTH below 18")
        #expect(
            rejection(of: [0x4E, 0x57, 0x04, 0x01] + [UInt8](repeating: 0, count: 1023)) == .badLength, "above 1024")
    }

    /// Proven by write frames that a BMS ignored because their sum left out the end mark.
    @Test func `the end mark is part of the sum`() {
        #expect(rejection(of: bytes("4e57001400000000020200ab00000000006800000168")) == .badChecksum)
        #expect(rejection(of: bytes("4e57001400000000020200ab000000000068000001d0")) == nil)
    }

    @Test func `the unused CRC field is ignored`() throws {
        var odd = frame("85 3c")
        odd[odd.count - 4] = 0xAB
        odd[odd.count - 3] = 0xCD
        #expect(try decode(odd).value(of: .soc) == 60)
    }

    // MARK: Fields that need care

    @Test(arguments: [
        ("0000", SensorReading.value(0)), ("0001", .value(10)), ("0063", .value(990)),
        ("0064", .value(0)), ("0065", .value(-10)), ("0074", .value(-160)), ("008c", .value(-400)),
        ("008d", .invalid), ("00ff", .invalid), ("0165", .invalid), ("ffff", .invalid),
    ])
    func `temperatures count down below zero from raw 100 and nothing is clamped`(
        raw: String, expected: SensorReading
    ) throws {
        let report = try decode(frame("80 \(raw) 81 \(raw) 82 \(raw)"))
        for id in [JK4E57.Identifier.mosfetTemperature, .temperature1, .temperature2] {
            #expect(report.sensor(id) == expected)
        }
        #expect(report.value(of: .temperature1) == expected.temperature.map { Int64($0 / 10) })
    }

    @Test(arguments: [
        ("07d0", Milliamps(-20_000)), ("87d0", 20_000),  // vendor examples
        ("83f4", 10_120), ("81c5", 4530), ("80d0", 2080), ("824a", 5860), ("0370", -8800), ("0045", -690),  // captures
        ("0000", 0), ("8000", 0), ("7fff", -327_670), ("ffff", 327_670),
    ])
    func `version 1 has a sign bit that means charging`(raw: String, current: Milliamps) throws {
        #expect(try decode(frame("84 \(raw) c0 01")).current == current)
    }

    @Test(arguments: ["c0 00", ""]) func `version 0, and none, is an offset of 10000`(version: String) throws {
        for (raw, current) in [("2710", Milliamps(0)), ("2af8", -10_000), ("251c", 5000), ("0000", 100_000)] {
            #expect(try decode(frame("84 \(raw) 85 3c \(version)")).current == current)
        }
    }

    @Test func `a current whose encoding is not known is no current`() throws {
        let later = try decode(frame("84 83f4 c0 02"))
        #expect(later.current == nil)
        #expect(later.value(of: .current) == nil)
        #expect(later.raw(.current) == 0x83F4)
        let stopped = try decode(frame("84 83f4 88 00 c0 01"))
        #expect(stopped.current == nil, "the walk ended before it could see the version")
        let known = try decode(frame("c0 01 84 83f4 88 00"))
        #expect(known.current == 10_120, "the version came before the unknown identifier")
    }

    @Test func `each warning bit has its own alarm`() throws {
        let alarms: [Alarms] = [
            .lowStateOfCharge, .mosfetOverTemperature, .packOverVoltage, .packUnderVoltage, .cellOverTemperature,
            .chargeOverCurrent, .dischargeOverCurrent, .cellImbalance, .boxOverTemperature, .cellUnderTemperature,
            .cellOverVoltage, .cellUnderVoltage, .hardwareA, .hardwareB, [], [],
        ]
        for bit in 0..<16 {
            let word = hex([UInt8((1 << bit) >> 8), UInt8(truncatingIfNeeded: 1 << bit)])
            #expect(try decode(frame("8b \(word) 85 3c")).alarms == alarms[bit], "bit \(bit)")
        }
        #expect(try decode(frame("85 3c 87 0000")).alarms == nil)
    }

    @Test func `the status word tells what the power stage really does`() throws {
        for raw in UInt8(0)..<16 {
            // Bit 3 changes nothing: its meaning is contradicted by captures.
            let report = try decode(frame("8c 00\(hex([raw])) ab 00 ac 00"))
            #expect(report.chargeSwitchOn == (raw & 1 != 0))
            #expect(report.dischargeSwitchOn == (raw & 2 != 0))
            #expect(report.balancing == (raw & 4 != 0))
            #expect(report.flag(.chargeEnabled) == false)
        }
        #expect(try decode(frame("85 3c ab 01")).chargeSwitchOn == nil)
    }
}
