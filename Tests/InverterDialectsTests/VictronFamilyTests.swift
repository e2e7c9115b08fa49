import Battery
import InverterDialects
import Testing

/// SMA, Victron, BYD, PYLON V2 and GoodWe: the dialects with 0x35A.
@Suite struct VictronFamilyTests {
    static let family: [DialectName] = [.sma, .victron, .bydLv, .pylontechV2, .goodwe]

    // MARK: 0x355 bytes 4–5

    @Test(arguments: family)
    func `bytes 4 and 5 of 0x355 are the real state of charge, never zeros`(dialect: DialectName) throws {
        for (soc, fine) in [(66, 6640), (1, 100), (100, 10_000)] {
            var report = BankReport.example
            report.soc = Int32(soc)
            report.socFine = Int32(fine)
            let values = decodeSet(dialect, report)
            #expect(values["0x355.SOC_HiRes"] == Double(fine) / 100)
            #expect(values["0x355.SOC"] == Double(soc))
        }
    }

    @Test func `0x355 ends after the fine value at SMA, whose unused fields must not be zero`() {
        #expect(encode(.sma, .example).first { $0.id == 0x355 }?.length == 6)
    }

    // MARK: 0x35A pairs

    @Test(arguments: family)
    func `every healthy pair says cleared, so that no alarm stays latched`(dialect: DialectName) {
        let pairs = pairValues(dialect, .example)
        #expect(pairs.count == 26)
        #expect(pairs.values.allSatisfy { $0 == 2 })
    }

    @Test(arguments: family)
    func `an alarm is raised in its pair and cleared again afterwards`(dialect: DialectName) {
        for (alarm, name) in [
            (Alarms.packOverVoltage, "HighVoltage"), (.cellOverVoltage, "HighVoltage"),
            (.packUnderVoltage, "LowVoltage"), (.cellUnderVoltage, "LowVoltage"),
            (.dischargeOverTemperature, "HighTemp"), (.dischargeUnderTemperature, "LowTemp"),
            (.chargeOverTemperature, "HighTempCharge"), (.cellOverTemperature, "HighTempCharge"),
            (.chargeUnderTemperature, "LowTempCharge"), (.cellUnderTemperature, "LowTempCharge"),
            (.dischargeOverCurrent, "HighDischargeCurrent"), (.chargeOverCurrent, "HighChargeCurrent"),
            (.chargeSwitchFault, "Contactor"), (.dischargeSwitchFault, "Contactor"), (.shortCircuit, "ShortCircuit"),
            (.bmsInternal, "BmsInternal"), (.communication, "BmsInternal"), (.temperatureSensor, "BmsInternal"),
            (.cellImbalance, "CellImbalance"), (.other, "General"),
        ] {
            var report = BankReport.example
            report.protections = alarm
            #expect(raised(dialect, report) == ["A_" + name])
            report.protections = []
            report.warnings = alarm
            #expect(raised(dialect, report) == ["W_" + name])
        }
    }

    @Test(arguments: family)
    func `a hot MOSFET and a hot cell in a blocked bank are alarms of both directions`(dialect: DialectName) {
        var report = BankReport.example
        report.protections = .mosfetOverTemperature
        #expect(raised(dialect, report) == ["A_HighTemp", "A_HighTempCharge"])
        report.protections = [.cellOverTemperature, .cellUnderTemperature]
        report.dischargeEnabled = false
        #expect(raised(dialect, report) == ["A_HighTemp", "A_HighTempCharge", "A_LowTemp", "A_LowTempCharge"])
    }

    @Test(arguments: family)
    func `no protection is lost, and none appears as a warning`(dialect: DialectName) {
        for bit in 0..<32 as Range<UInt32> {
            var report = BankReport.example
            report.protections = Alarms(rawValue: 1 << bit)
            let names = raised(dialect, report)
            #expect(!names.isEmpty, "alarm bit \(bit)")
            #expect(names.allSatisfy { $0.hasPrefix("A_") }, "alarm bit \(bit)")
        }
    }

    @Test(arguments: family)
    func `low charge and a bad balancing wire are no alarms of this vocabulary`(dialect: DialectName) {
        var report = BankReport.example
        report.warnings = [.lowStateOfCharge, .wireResistance]
        #expect(raised(dialect, report) == [])
    }

    @Test func `the pairs SMA reserves stay 0, BYD sends AA everywhere`() {
        #expect(encode(.sma, .example).map(text)[3] == "35A#AAAAAA02AAAAAA02")
        #expect(encode(.victron, .example).map(text)[3] == "35A#AAAAAA02AAAAAA02")
        #expect(encode(.bydLv, .example).map(text)[3] == "35A#AAAAAAAAAAAAAAAA")
    }

    // MARK: SMA

    @Test func `the SMA set, byte by byte`() {
        #expect(
            encode(.sma, .example).map(text) == [
                "351#3802E8037805CD01", "355#42006300F019", "356#C914FA00DD00", "35A#AAAAAA02AAAAAA02",
                "35E#5041434B42524447", "35F#FFFFFFFF1801FFFF",
            ])
    }

    @Test func `nothing but SMA's identifiers goes onto the Sunny Islands' own bus`() {
        let allowed: Set<UInt32> = [0x351, 0x355, 0x356, 0x35A, 0x35B, 0x35E, 0x35F]
        #expect(Set(encode(.sma, .example).map(\.id)).isSubset(of: allowed))
    }

    @Test func `limits outside SMA's ranges are brought inside, because it would keep the last good ones`() {
        var report = BankReport.example
        report.chargeVoltageLimit = 80_000
        report.dischargeVoltageLimit = 20_000
        report.chargeCurrentLimit = 2_000_000
        report.dischargeCurrentLimit = 2_000_000
        let values = decodeSet(.sma, report)
        #expect(values["0x351.ChargeVoltage"] == 63)
        #expect(values["0x351.DischargeVoltage"] == 41)
        #expect(values["0x351.ChargeCurrentLimit"] == 1200)
        #expect(values["0x351.DischargeCurrentLimit"] == 1200)
    }

    @Test func `a charge voltage that SMA would ignore stops the charge by its current`() {
        var report = BankReport.example
        report.chargeVoltageLimit = 40_900
        let values = decodeSet(.sma, report)
        #expect(values["0x351.ChargeVoltage"] == 40.9)
        #expect(values["0x351.ChargeCurrentLimit"] == 0)
        #expect(values["0x351.DischargeCurrentLimit"] == 140)
    }

    @Test func `an unknown temperature is SMA's "invalid"`() {
        var report = BankReport.example
        report.temperature = nil
        #expect(encode(.sma, report).map(text)[2] == "356#C914FA000080")
    }

    @Test func `the limits are little-endian and charge comes before discharge`() {
        #expect(encode(.sma, .example)[0][2] == 0xE8)
        #expect(encode(.sma, .example)[0][4] == 0x78)
    }

    // MARK: Victron and BYD

    @Test func `the Victron set, byte by byte`() {
        var report = BankReport.example
        report.packsOnline = 2
        report.packsBlockingCharge = 1
        report.packsOffline = 1
        report.energyCharged = 211_250
        report.energyDischarged = 183_590
        report.requests = .forceCharge2
        #expect(
            encode(.victron, report).map(text) == [
                "351#3802E8037805CD01", "355#42006300F0190000", "356#C914FA00DD001B00", "35A#AAAAAA02AAAAAA02",
                "35E#5041434B42524447",  // "PACKBRDG"
                "35F#0000000018010000",  // 280 Ah
                "360#FF00000000000000",
                "370#5061636B42726964", "371#6765000000000000",  // "PackBridge"
                "372#0200010000000100",  // 2 online, 1 blocks charge, 0 block discharge, 1 offline
                "373#FA0C020D27012801",  // 3322 mV, 3330 mV, 295 K, 296 K
                "374#5031433900000000", "375#5031433500000000",  // "P1C9", "P1C5"
                "376#5031543200000000", "377#5031543100000000",  // "P1T2", "P1T1"
                "379#1801000000000000",  // 280 Ah
                "378#400800002B070000",  // 211.2 kWh, 183.5 kWh
            ])
    }

    @Test func `the BYD set has the order of the capture and neither 0x359 nor 0x35C`() {
        #expect(
            encode(.bydLv, .example).map(\.id) == [
                0x35E, 0x382, 0x35F, 0x35A, 0x35B, 0x351, 0x355, 0x356, 0x360, 0x372, 0x373, 0x374, 0x375, 0x376,
                0x377, 0x378, 0x379,
            ])
        #expect(encode(.bydLv, .example).allSatisfy { $0.length == 8 })
    }

    @Test func `BYD's name and product are those of the capture, its capacity is what is left`() {
        let frames = encode(.bydLv, .example).map(text)
        #expect(frames[0] == "35E#4259440000000000")
        #expect(frames[1] == "382#5052454D49554D00")
        #expect(frames[2] == "35F#4C690117B9000000")
        #expect(frames.contains("375#3100000000000000"))
    }

    @Test(arguments: [DialectName.victron, .bydLv])
    func `without enable bits a blocked direction is a limit of 0`(dialect: DialectName) {
        var report = BankReport.example
        report.chargeEnabled = false
        report.chargeCurrentLimit = 0
        let values = decodeSet(dialect, report)
        #expect(values["0x351.ChargeCurrentLimit"] == 0)
        #expect(values["0x360.ChargeRequest"] == 0)
    }

    @Test func `Victron does not see a name that begins with PYLON`() {
        let name = encode(.victron, .example).first { $0.id == 0x35E }!
        #expect(name[0] != UInt8(ascii: "P") || name[1] != UInt8(ascii: "Y"))
        #expect(encode(.victron, .example).allSatisfy { $0.length == 8 && !$0.isExtended })
    }

    @Test func `temperatures are whole kelvin with 273 for 0 °C, below zero too`() {
        var report = BankReport.example
        report.lowestTemperature = -126
        report.highestTemperature = 5
        var values = decodeSet(.victron, report)
        #expect(values["0x373.TempMin"] == -13)
        #expect(values["0x373.TempMax"] == 1)
        report.lowestTemperature = nil
        report.highestTemperature = nil
        report.temperature = nil
        values = decodeSet(.victron, report)
        #expect(values["0x373.TempMin"] == 0)
    }

    @Test func `a place with large numbers fits, an unknown one is empty`() {
        var report = BankReport.example
        report.lowestCellPlace = CellPlace(pack: 16, cell: 32)
        report.highestCellPlace = CellPlace(pack: 255, cell: 255)
        report.lowestTemperaturePlace = .unknown
        let frames = encode(.victron, report).map(text)
        #expect(frames.contains("374#5031364333320000"))
        #expect(frames.contains("375#5032353543323535"))
        #expect(frames.contains("376#0000000000000000"))
    }

    // MARK: PYLON V2 and GoodWe

    @Test func `PYLON V2 sends the frames of both worlds in the order of its peers`() {
        #expect(
            encode(.pylontechV2, .example).map(text) == [
                "35E#50594C4F4E202020", "351#3802E8037805CD01", "355#42006300F019", "356#C914FA00DD001B00",
                "359#0000000001504E01", "35C#C000", "35A#AAAAAA02AAAAAA02", "372#0100000000000000",
                "373#FA0C020D27012801", "374#5031433900000000", "375#5031433500000000", "376#5031543200000000",
                "377#5031543100000000", "379#1801000000000000",
            ])
    }

    @Test func `GoodWe has its own name, no letters in 0x359 and no request for a full charge`() throws {
        var report = BankReport.example
        report.packsOnline = 3
        report.requests = [.fullCharge, .forceCharge2]
        let frames = encode(.goodwe, report).map(text)
        #expect(frames[0] == "35E#474F4F4457452020")
        #expect(frames.contains("359#0000000003000007"))
        #expect(frames.contains("35C#D000"))
    }

    @Test func `0x370 is text at Victron and numbers at GoodWe, and only Victron is sent it`() {
        #expect(decode(.victron, frame(0x370, "43414E2D534D4152"))["ProductA_0"] == 67)
        #expect(decode(.goodwe, frame(0x370, "E600DC00020DFA0C"))["TempMax"] == 23)
        #expect(!encode(.goodwe, .example).contains { $0.id == 0x370 || $0.id == 0x371 })
    }

    // MARK: Pieces

    private func pairValues(_ dialect: DialectName, _ report: BankReport) -> [String: Double] {
        let frame = encode(dialect, report).first { $0.id == 0x35A }!
        return decode(dialect, frame).filter { $0.key != "SystemOnline" }
    }

    private func raised(_ dialect: DialectName, _ report: BankReport) -> [String] {
        let pairs = pairValues(dialect, report)
        #expect(pairs.values.allSatisfy { $0 == 1 || $0 == 2 })
        return pairs.filter { $0.value == 1 }.map(\.key).sorted()
    }
}
