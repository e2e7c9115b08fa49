import Battery
import InverterDialects
import Testing

@Suite struct GrowattCANTests {
    @Test func `the set of a bank at work, byte by byte`() {
        #expect(
            encode(.growatt, .example).map(text) == [
                "311#023803E805780062",  // 56.8 V, 100.0 A, 140.0 A, charging with both outputs enabled
                "312#0000000001000010",  // one pack, 16 cells
                "313#14C900FA00EA4263",  // 53.21 V, 25.0 A, hottest cell 23.4 °C, 66 %, 99 %
                "314#48446D600008001B",  // 185.00 Ah, 280.00 Ah, 8 mV, 27 cycles
                "319#C00D020CFA050900",  // both enables, LFP, 3330 mV (cell 5), 3322 mV (cell 9)
                "320#0000010100000000",  // no maker, versions 1 and 1, no clock
                "321#0000000000000000",
            ])
    }

    @Test func `the limits and status of the ARK gateway come out of the values they stand for`() {
        var report = BankReport()
        report.chargeVoltageLimit = 56_900
        report.chargeCurrentLimit = 60_000
        report.dischargeCurrentLimit = 50_000
        report.chargeEnabled = true
        report.dischargeEnabled = true
        #expect(text(encode(.growatt, report)[0]) == "311#0239025801F40061")
    }

    // MARK: Mistakes of other projects (growatt-can.md)

    @Test func `11-bit identifiers and the high byte first`() {
        let limits = encode(.growatt, .example)[0]
        #expect(!limits.isExtended)
        #expect(limits.id == 0x311)
        #expect(limits[0] == 0x02 && limits[1] == 0x38)
    }

    @Test func `the number of packs and the number of cells are two things`() {
        var report = BankReport.example
        report.packsOnline = 3
        let frame = encode(.growatt, report)[1]
        #expect(frame[4] == 3)
        #expect(frame[7] == 48)
        report.packsOnline = 200
        #expect(encode(.growatt, report)[1][7] == 255)
        report.packsOnline = 0
        #expect(encode(.growatt, report)[1][4] == 1)
        report.packsOnline = 1000
        #expect(encode(.growatt, report)[1][4] == 254)
    }

    @Test func `the capacity stops at 655.35 Ah instead of wrapping`() {
        var report = BankReport.example
        report.remaining = 655_360
        report.full = 1_120_000
        #expect(text(encode(.growatt, report)[3]) == "314#FFFFFFFF0008001B")
        report.remaining = 655_350
        report.full = 655_359
        #expect(text(encode(.growatt, report)[3]) == "314#FFFFFFFF0008001B")
        report.remaining = 655_349
        #expect(text(encode(.growatt, report)[3]) == "314#FFFEFFFF0008001B")
    }

    @Test func `protections reach 0x312 and say that the error fields are valid`() {
        var report = BankReport.example
        report.protections = .cellOverVoltage
        report.chargeEnabled = false
        let frames = encode(.growatt, report)
        #expect(frames[1][0] == 0x10)
        let values = decode(.growatt, frames[0])
        #expect(values["ErrorValid"] == 1)
        #expect(values["ChargeOutput"] == 0)
        #expect(values["DischargeOutput"] == 1)
    }

    @Test func `the safety flag of the state of health stays 0`() {
        var report = BankReport.example
        report.soh = 1000
        #expect(encode(.growatt, report)[2][7] == 100)
    }

    // MARK: Status

    @Test func `the status follows the current that is shown`() {
        var report = BankReport.example
        for (current, status) in [(0, 1), (49, 1), (50, 2), (-49, 1), (-50, 3), (30_000, 2), (-30_000, 3)] {
            report.current = Int32(current)
            #expect(decode(.growatt, encode(.growatt, report)[0])["Status"] == Double(status), "\(current) mA")
        }
    }

    @Test func `sleep, open terminal and balance are never claimed`() {
        var numbers = SeededNumbers(seed: 5)
        for _ in 0..<200 {
            let values = decode(.growatt, encode(.growatt, .random(&numbers))[0])
            #expect(values["Sleep"] == 0 && values["TerminalOpen"] == 0 && values["CellBalance"] == 0)
        }
    }

    @Test func `several packs are a parallel bank`() {
        var report = BankReport.example
        #expect(decode(.growatt, encode(.growatt, report)[0])["MasterBoxMode"] == 0)
        report.packsOnline = 2
        #expect(decode(.growatt, encode(.growatt, report)[0])["MasterBoxMode"] == 1)
    }

    // MARK: Alarms

    @Test func `each alarm has its bit, the directions apart`() {
        #expect(alarmBytes(protections: .packUnderVoltage) == [0x02, 0, 0, 0])
        #expect(alarmBytes(protections: .packOverVoltage) == [0x04, 0, 0, 0])
        #expect(alarmBytes(protections: .cellUnderVoltage) == [0x08, 0, 0, 0])
        #expect(alarmBytes(protections: .cellOverVoltage) == [0x10, 0, 0, 0])
        #expect(alarmBytes(protections: .shortCircuit) == [0x20, 0, 0, 0])
        #expect(alarmBytes(protections: .chargeOverCurrent) == [0x40, 0, 0, 0])
        #expect(alarmBytes(protections: .dischargeOverCurrent) == [0x80, 0, 0, 0])
        #expect(alarmBytes(protections: .cellImbalance) == [0, 0x04, 0, 0])
        #expect(alarmBytes(protections: .bmsInternal) == [0, 0x08, 0, 0])
        #expect(alarmBytes(protections: .chargeUnderTemperature) == [0, 0x10, 0, 0])
        #expect(alarmBytes(protections: .dischargeUnderTemperature) == [0, 0x20, 0, 0])
        #expect(alarmBytes(protections: .chargeOverTemperature) == [0, 0x40, 0, 0])
        #expect(alarmBytes(protections: .dischargeOverTemperature) == [0, 0x80, 0, 0])
        #expect(alarmBytes(protections: .mosfetOverTemperature) == [0, 0xC0, 0, 0])
        #expect(alarmBytes(warnings: [.packUnderVoltage, .cellOverVoltage]) == [0, 0, 0x12, 0])
        #expect(alarmBytes(warnings: .shortCircuit) == [0, 0, 0x80, 0])
        #expect(alarmBytes(warnings: .chargeOverCurrent) == [0, 0, 0x40, 0])
        #expect(alarmBytes(warnings: .cellImbalance) == [0, 0, 0, 0x04])
        #expect(alarmBytes(warnings: .communication) == [0, 0, 0, 0x01])
        #expect(alarmBytes(warnings: .chargeUnderTemperature) == [0, 0, 0, 0x10])
        #expect(alarmBytes(warnings: [.lowStateOfCharge, .wireResistance]) == [0, 0, 0, 0])
    }

    @Test func `a temperature alarm without a direction stops discharge only when discharge is blocked`() {
        #expect(alarmBytes(protections: .cellOverTemperature) == [0, 0x40, 0, 0])
        #expect(alarmBytes(protections: .cellOverTemperature, dischargeEnabled: false) == [0, 0xC0, 0, 0])
        #expect(alarmBytes(protections: .boxOverTemperature, dischargeEnabled: false) == [0, 0xC0, 0, 0])
        #expect(alarmBytes(protections: .cellUnderTemperature) == [0, 0x10, 0, 0])
        #expect(alarmBytes(protections: .cellUnderTemperature, dischargeEnabled: false) == [0, 0x30, 0, 0])
    }

    @Test func `no protection is lost, whatever its kind`() {
        for bit in 0..<32 as Range<UInt32> {
            let bytes = alarmBytes(protections: Alarms(rawValue: 1 << bit))
            #expect(bytes[0] != 0 || bytes[1] != 0, "alarm bit \(bit)")
            #expect(bytes[2] == 0 && bytes[3] == 0, "alarm bit \(bit)")
        }
    }

    // MARK: Values

    @Test func `cells of parallel packs are counted on from the first pack`() {
        var report = BankReport.example
        report.highestCellPlace = CellPlace(pack: 3, cell: 2)
        report.lowestCellPlace = .unknown
        var frame = encode(.growatt, report)[4]
        #expect(frame[5] == 34)
        #expect(frame[6] == 0)
        report.highestCellPlace = CellPlace(pack: 16, cell: 16)
        frame = encode(.growatt, report)[4]
        #expect(frame[5] == 255)
    }

    @Test func `chemistry and requests share byte 0 of 0x319`() {
        var report = BankReport.example
        report.chemistry = .nmc
        report.requests = [.forceCharge1, .fullCharge]
        #expect(encode(.growatt, report)[4][0] == 0xE1)
        report.chemistry = .lto
        report.requests = .forceCharge2
        #expect(encode(.growatt, report)[4][0] == 0xD2)
    }

    @Test func `the hottest cell is shown, then the reported temperature, then 0.0 °C`() {
        func shown(_ report: BankReport) -> Double? { decode(.growatt, encode(.growatt, report)[2])["CellTempMax"] }
        var report = BankReport.example
        #expect(shown(report) == 23.4)
        report.highestTemperature = nil
        #expect(shown(report) == 22.1)
        report.temperature = nil
        #expect(shown(report) == 0)
    }

    @Test func `a heartbeat is 0x301 with any content`() {
        #expect(GrowattCAN.isHeartbeat(frame(0x301, "1122334455667788")))
        #expect(GrowattCAN.isHeartbeat(frame(0x301, "0B16212C37424D58")))
        #expect(!GrowattCAN.isHeartbeat(frame(0x305, "0000000000000000")))
    }

    private func alarmBytes(
        protections: Alarms = [], warnings: Alarms = [], dischargeEnabled: Bool = true
    ) -> [UInt8] {
        var report = BankReport.example
        report.protections = protections
        report.warnings = warnings
        report.dischargeEnabled = dischargeEnabled
        let frame = encode(.growatt, report)[1]
        return (0..<4).map { frame[$0] }
    }
}
