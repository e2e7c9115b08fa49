import Battery
import InverterDialects
import Testing

@Suite struct PylontechCANTests {
    @Test func `the set of a bank at work, byte by byte, in the order and lengths of real packs`() {
        #expect(
            encode(.pylontech, .example).map(text) == [
                "351#3802E8037805CD01",  // 56.8 V (56.85 down), 100.0 A (100.09 down), 140.0 A, 46.1 V (46.01 up)
                "355#42006300",  // 66 %, 99 %
                "356#C914FA00DD00",  // 53.21 V, 25.0 A, 22.1 °C
                "359#0000000001504E",  // one pack, PN
                "35C#C000",  // both enables
                "35E#50594C4F4E202020",  // "PYLON   "
            ])
    }

    @Test func `the captured set of a stack of six US5000 comes out of the values it stands for`() {
        var report = BankReport()
        report.chargeVoltageLimit = 53_200
        report.chargeCurrentLimit = 480_000
        report.dischargeCurrentLimit = 480_000
        report.dischargeVoltageLimit = 45_000
        report.chargeEnabled = true
        report.dischargeEnabled = true
        report.soc = 88
        report.soh = 94
        report.voltage = 49_860
        report.current = -27_000
        report.temperature = 363
        report.packsOnline = 6
        #expect(
            encode(.pylontech, report).map(text) == [
                "351#1402C012C012C201", "355#58005E00", "356#7A13F2FE6B01", "359#0000000006504E", "35C#C000",
                "35E#50594C4F4E202020",
            ])
    }

    // MARK: Mistakes of other projects (pylontech-can.md)

    @Test func `charge over-current is bit 0 of bytes 1 and 3, not bit 7`() {
        #expect(alarmBytes(protections: .chargeOverCurrent) == [0, 0x01, 0, 0])
        #expect(alarmBytes(warnings: .chargeOverCurrent) == [0, 0, 0, 0x01])
    }

    @Test func `over-temperature sets bit 3 alone, not under-voltage beside it`() {
        #expect(alarmBytes(protections: .cellOverTemperature) == [0x08, 0, 0, 0])
        #expect(alarmBytes(warnings: .chargeOverTemperature) == [0, 0, 0x08, 0])
    }

    @Test func `system error is bit 3 of byte 1, not bit 7`() {
        #expect(alarmBytes(protections: .bmsInternal) == [0, 0x08, 0, 0])
        #expect(alarmBytes(protections: .communication) == [0, 0x08, 0, 0])
    }

    @Test func `the request flags are on 0x35C and the name on 0x35E is one byte per letter`() throws {
        var report = BankReport.example
        report.requests = [.forceCharge1, .forceCharge2, .fullCharge]
        let frames = encode(.pylontech, report)
        #expect(text(try #require(frames.first { $0.id == 0x35C })) == "35C#F800")
        let name = try #require(frames.first { $0.id == 0x35E })
        #expect(name.length == 8)
        #expect((0..<8).map { name[$0] } == Array("PYLON   ".utf8))
    }

    @Test func `force charge I is bit 5, II bit 4, full charge bit 3`() {
        func byte(_ requests: ChargeRequests) -> UInt8 {
            var report = BankReport.example
            report.requests = requests
            return encode(.pylontech, report)[4][0]
        }
        #expect(byte([]) == 0xC0)
        #expect(byte(.forceCharge1) == 0xE0)
        #expect(byte(.forceCharge2) == 0xD0)
        #expect(byte(.fullCharge) == 0xC8)
    }

    @Test func `0x305 belongs to the inverter and is never sent`() {
        #expect(!encode(.pylontech, .example).contains { $0.id == 0x305 })
    }

    @Test func `the discharge limit is positive`() {
        var report = BankReport.example
        report.dischargeCurrentLimit = 10_000
        #expect(text(encode(.pylontech, report)[0]) == "351#3802E8036400CD01")
    }

    @Test func `0x355 ends after the state of health, so that nobody reads zeros as a fine state of charge`() {
        #expect(encode(.pylontech, .example)[1].length == 4)
    }

    // MARK: Alarms

    @Test func `each alarm has its bit`() {
        #expect(alarmBytes(protections: .packOverVoltage) == [0x02, 0, 0, 0])
        #expect(alarmBytes(protections: .cellOverVoltage) == [0x02, 0, 0, 0])
        #expect(alarmBytes(protections: .packUnderVoltage) == [0x04, 0, 0, 0])
        #expect(alarmBytes(protections: .cellUnderVoltage) == [0x04, 0, 0, 0])
        #expect(alarmBytes(protections: .cellUnderTemperature) == [0x10, 0, 0, 0])
        #expect(alarmBytes(protections: .dischargeUnderTemperature) == [0x10, 0, 0, 0])
        #expect(alarmBytes(protections: .dischargeOverCurrent) == [0x80, 0, 0, 0])
        #expect(alarmBytes(protections: .shortCircuit) == [0x80, 0, 0, 0])
        #expect(alarmBytes(warnings: [.cellOverVoltage, .cellUnderVoltage]) == [0, 0, 0x06, 0])
        #expect(alarmBytes(warnings: [.cellUnderTemperature, .dischargeOverCurrent]) == [0, 0, 0x90, 0])
        #expect(alarmBytes(warnings: .communication) == [0, 0, 0, 0x08])
    }

    @Test func `advisories without a bit are not dressed up as another alarm`() {
        #expect(alarmBytes(warnings: [.lowStateOfCharge, .cellImbalance, .wireResistance]) == [0, 0, 0, 0])
    }

    @Test func `no protection is lost, whatever its kind`() {
        for bit in 0..<32 as Range<UInt32> {
            let bytes = alarmBytes(protections: Alarms(rawValue: 1 << bit))
            #expect(bytes[0] != 0 || bytes[1] != 0, "alarm bit \(bit)")
            #expect(bytes[2] == 0 && bytes[3] == 0, "alarm bit \(bit)")
        }
    }

    @Test func `at least one pack is counted, at most 255`() {
        var report = BankReport.example
        report.packsOnline = 0
        #expect(encode(.pylontech, report)[3][4] == 1)
        report.packsOnline = 300
        #expect(encode(.pylontech, report)[3][4] == 255)
    }

    // MARK: Values

    @Test func `a bank without any temperature reads 0.0 °C, where charging is blocked anyway`() {
        var report = BankReport.example
        report.temperature = nil
        #expect(decode(.pylontech, encode(.pylontech, report)[2])["Temperature"] == 0)
        report.temperature = -71
        #expect(decode(.pylontech, encode(.pylontech, report)[2])["Temperature"] == -7.1)
    }

    @Test func `measured values are clamped to 16 bits instead of wrapping`() {
        var report = BankReport.example
        report.current = 5_000_000
        report.voltage = 400_000
        var values = decode(.pylontech, encode(.pylontech, report)[2])
        #expect(values["Current"] == 3276.7)
        #expect(values["Voltage"] == 327.67)
        report.current = -5_000_000
        values = decode(.pylontech, encode(.pylontech, report)[2])
        #expect(values["Current"] == -3276.8)
    }

    @Test func `measured values are rounded to the nearest step, halves away from zero`() {
        var report = BankReport.example
        for (current, shown) in [(49, 0.0), (50, 0.1), (-49, 0), (-50, -0.1), (149, 0.1), (-27_950, -28)] {
            report.current = Int32(current)
            #expect(decode(.pylontech, encode(.pylontech, report)[2])["Current"] == shown, "\(current) mA")
        }
    }

    @Test func `a heartbeat is 0x305 with any content, 11 or 29 bits`() {
        #expect(PylontechCAN.isHeartbeat(frame(0x305, "0000000000000000")))
        #expect(PylontechCAN.isHeartbeat(frame(0x305, "1E220C0F06180000")))
        #expect(PylontechCAN.isHeartbeat(frame(0x305, "", extended: true)))
        #expect(!PylontechCAN.isHeartbeat(frame(0x306, "0000000000000000")))
    }

    private func alarmBytes(protections: Alarms = [], warnings: Alarms = []) -> [UInt8] {
        var report = BankReport.example
        report.protections = protections
        report.warnings = warnings
        let frame = encode(.pylontech, report)[3]
        return (0..<4).map { frame[$0] }
    }
}
