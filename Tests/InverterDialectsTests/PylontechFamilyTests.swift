import Battery
import InverterDialects
import Testing

/// LuxPower, Deye, Deye PCS, hybrid-Li, Sol-Ark and Sofar: the dialects that look like Pylontech.
@Suite struct PylontechFamilyTests {
    // MARK: Heartbeats

    @Test(arguments: DialectName.allCases.filter { $0 != .growatt })
    func `0x305 is the inverter's, with 11 or 29 bits and any content`(dialect: DialectName) {
        #expect(dialect.isHeartbeat(frame(0x305, "0000000000000000")))
        #expect(dialect.isHeartbeat(frame(0x305, "000238FFFA00F401")))
        #expect(dialect.isHeartbeat(frame(0x305, "0000000000000000", extended: true)))
        #expect(!dialect.isHeartbeat(frame(0x351, "0000000000000000")))
        #expect(!encode(dialect, .example).contains { (0x300...0x30F).contains($0.id) })
    }

    @Test(arguments: DialectName.allCases)
    func `every set has 11-bit identifiers and fits into one frame set`(dialect: DialectName) {
        let frames = encode(dialect, .example)
        #expect(frames.allSatisfy { !$0.isExtended && $0.id <= 0x7FF })
        #expect(frames.count < maximumFramesPerSet)
    }

    // MARK: Deye and Sofar

    @Test(arguments: [DialectName.deye, .sofar])
    func `Deye V1.2 and Sofar are sent exactly what a Pylontech sends`(dialect: DialectName) {
        #expect(encode(dialect, .example) == encode(.pylontech, .example))
    }

    @Test func `Deye V1.2 never sees a name that begins with DY`() {
        let name = encode(.deye, .example).last!
        #expect(text(name) == "35E#50594C4F4E202020")
    }

    @Test func `a zero of 0.1 A reaches a Sofar although charging is not enabled`() {
        var report = BankReport.example
        report.chargeEnabled = false
        report.chargeCurrentLimit = 100
        #expect(decodeSet(.sofar, report)["0x351.ChargeCurrentLimit"] == 0.1)
        report.chargeCurrentLimit = 200
        #expect(decodeSet(.sofar, report)["0x351.ChargeCurrentLimit"] == 0)
    }

    // MARK: Deye PCS

    @Test func `the Deye PCS set, byte by byte`() {
        var report = BankReport.example
        report.packsOnline = 2
        report.packsExpected = 3
        report.packsBlockingCharge = 1
        report.packsOffline = 1
        #expect(
            encode(.deyePcs, report).map(text) == [
                "351#3802E8037805CD01",
                "371#E803780500000000",  // on the grid the same limits as off it
                "355#4200630000000000",
                "356#C91406FFDD000000",  // charging with 25.0 A is −25.0 A
                "359#0000000000000000",
                "35C#C000",
                "35E#445930303100F00A",  // "DY001", unknown maker, 280.0 Ah
                "361#020DFA0CEA00DD00",  // 3330 mV, 3322 mV, 23.4 °C, 22.1 °C
                "364#0101000103000000",  // 1 normal, 1 without charge, 0 without discharge, 1 offline, of 3
            ])
    }

    @Test func `the current of Deye PCS is positive while discharging, at every size`() {
        var report = BankReport.example
        for (current, shown) in [(-25_000, 25.0), (25_000, -25), (0, 0), (-5_000_000, 3276.7), (5_000_000, -3276.8)] {
            report.current = Int32(current)
            #expect(decodeSet(.deyePcs, report)["0x356.Current"] == shown, "\(current) mA")
        }
    }

    @Test func `0x371 carries limits at Deye PCS`() {
        let values = decodeSet(.deyePcs, .example)
        #expect(values["0x371.GridChargeCurrentLimit"] == 100)
        #expect(values["0x371.GridDischargeCurrentLimit"] == 140)
    }

    @Test func `Deye PCS has its own fault bits, and the letters PN are not among them`() {
        func bytes(_ protections: Alarms, _ warnings: Alarms = [], discharge: Bool = true) -> [UInt8] {
            var report = BankReport.example
            report.protections = protections
            report.warnings = warnings
            report.dischargeEnabled = discharge
            let frame = encode(.deyePcs, report)[4]
            return (0..<7).map { frame[$0] }
        }
        #expect(bytes([]) == [0, 0, 0, 0, 0, 0, 0])
        #expect(bytes(.cellOverVoltage) == [0x01, 0, 0, 0, 0, 0, 0])
        #expect(bytes(.packUnderVoltage) == [0x02, 0, 0, 0, 0, 0, 0])
        #expect(bytes([.chargeOverCurrent, .dischargeOverCurrent]) == [0x30, 0, 0, 0, 0, 0, 0])
        #expect(bytes([.chargeOverTemperature, .cellUnderTemperature]) == [0xC0, 0, 0, 0, 0, 0, 0])
        #expect(bytes(.cellOverTemperature, discharge: false) == [0x40, 0x01, 0, 0, 0, 0, 0])
        #expect(bytes(.dischargeUnderTemperature) == [0, 0x02, 0, 0, 0, 0, 0])
        #expect(bytes(.mosfetOverTemperature) == [0x40, 0x11, 0, 0, 0, 0, 0])
        #expect(bytes(.cellImbalance) == [0, 0x04, 0, 0, 0, 0, 0])
        #expect(bytes(.shortCircuit) == [0, 0, 0x80, 0, 0, 0, 0])
        #expect(bytes([.cellCount, .temperatureSensor, .chargeSwitchFault]) == [0, 0, 0, 0x0E, 0, 0, 0])
        #expect(bytes(.communication) == [0, 0, 0, 0x20, 0, 0, 0])
        #expect(bytes([], [.cellOverVoltage, .shortCircuit]) == [0, 0, 0, 0, 0x21, 0, 0])
        #expect(bytes([], [.cellImbalance, .chargeUnderTemperature]) == [0, 0, 0, 0, 0x80, 0x04, 0])
        #expect(bytes([], [.communication, .lowStateOfCharge]) == [0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `heating, which the vendor banned, is never requested`() {
        var numbers = SeededNumbers(seed: 8)
        for _ in 0..<100 { #expect(decodeSet(.deyePcs, .random(&numbers))["0x35C.HeatRequest"] == 0) }
    }

    // MARK: Voltage in 0.1 V

    @Test(arguments: [DialectName.hybridLi, .solark])
    func `the voltage of 0x356 counts in 0.1 V here`(dialect: DialectName) {
        let frame = encode(dialect, .example).first { $0.id == 0x356 }!
        #expect(text(frame) == "356#1402FA00DD000000")  // 53.2 V, 25.0 A, 22.1 °C
        #expect(decode(dialect, frame)["Voltage"] == 53.2)
    }

    @Test(arguments: DialectName.allCases.filter { ![.hybridLi, .solark, .growatt].contains($0) })
    func `the voltage of 0x356 counts in 0.01 V elsewhere`(dialect: DialectName) {
        #expect(decodeSet(dialect, .example)["0x356.Voltage"] == 53.21)
    }

    // MARK: Sol-Ark

    @Test func `the Sol-Ark set has eight bytes in every frame`() {
        var report = BankReport.example
        report.requests = [.forceCharge1, .fullCharge]
        #expect(
            encode(.solark, report).map(text) == [
                "351#3802E8037805CD01", "355#4200630000000000", "356#1402FA00DD000000", "359#0000000001504E00",
                "35C#E800000000000000", "35E#50594C4F4E202020", "379#1801000000000000",
            ])
    }

    // MARK: LuxPower

    @Test func `the LuxPower set, byte by byte`() {
        var report = BankReport.example
        report.packsOnline = 2
        #expect(
            encode(.luxpower, report).map(text) == [
                "351#3802E8037805CD01",
                "355#42006300020DFA0C",  // 3330 mV, 3322 mV
                "356#C914FA00EA00DD00",  // 23.4 °C, 22.1 °C
                "359#0000000002180100",  // 280 Ah in bytes 5–6, no PN
                "35C#C0001B0000000000",  // 27 cycles
                "35E#5041434B42524447",
            ])
    }

    @Test func `LuxPower's highest temperature is above its lowest`() {
        for temperature: Decidegrees? in [-5, 250, nil, 32_767] {
            var report = BankReport.example
            report.highestTemperature = temperature
            report.lowestTemperature = temperature
            report.temperature = temperature
            let values = decodeSet(.luxpower, report)
            let lowest = Double(temperature ?? 0) / 10
            #expect(values["0x356.CellTempMin"] == lowest)
            #expect(values["0x356.CellTempMax"] == min(3276.7, lowest + 0.1).rounded(toTenths: ()))
        }
    }

    @Test func `the request of the 5 to 10 percent class is bit 5 everywhere, whatever its name`() {
        var report = BankReport.example
        report.requests = .forceCharge1
        #expect(decodeSet(.pylontech, report)["0x35C.ForceChargeI"] == 1)
        #expect(decodeSet(.luxpower, report)["0x35C.ForceCharge2"] == 1)
        #expect(decodeSet(.luxpower, report)["0x35C.ForceCharge1"] == 0)
        report.requests = .forceCharge2
        #expect(decodeSet(.luxpower, report)["0x35C.ForceCharge1"] == 1)
        for dialect in [DialectName.pylontech, .pylontechV2, .luxpower, .deye, .deyePcs, .solark, .goodwe, .sofar] {
            report.requests = .forceCharge1
            #expect(encode(dialect, report).first { $0.id == 0x35C }?[0] == 0xE0, "\(dialect.text)")
            report.requests = .forceCharge2
            #expect(encode(dialect, report).first { $0.id == 0x35C }?[0] == 0xD0, "\(dialect.text)")
        }
    }

    @Test func `the shutdown command of LuxPower is read`() {
        #expect(decode(.luxpower, frame(0x300, "0100000000000000"))["ShutdownBattery"] == 1)
    }

    // MARK: hybrid-Li

    @Test func `the hybrid-Li set, byte by byte`() {
        var report = BankReport.example
        report.lowestTemperature = -71
        report.requests = .forceCharge2
        #expect(
            encode(.hybridLi, report).map(text) == [
                "351#3802E8037805CD01", "355#4200630000000000", "356#1402FA00DD000000", "359#0000000001000000",
                "35C#E000000000000000",  // one kind of forced charge
                "399#8F00000000000000",  // 14.3 kWh
                "3DA#020DFA0C05090000",  // 3330 mV (cell 5), 3322 mV (cell 9)
                "3DB#492B010200000000",  // 23 °C, −7 °C
            ])
    }

    @Test func `hybrid-Li has bits for imbalance and for single cells`() {
        var report = BankReport.example
        report.protections = [.cellImbalance, .cellOverVoltage]
        report.warnings = [.cellImbalance, .cellUnderVoltage]
        let values = decodeSet(.hybridLi, report)
        for name in [
            "0x359.Prot_CellImbalance", "0x359.Alarm_CellImbalance", "0x359.Prot_OverVoltage",
            "0x359.Alarm_LowVoltage", "0x399.Prot_CellHigh", "0x399.Warn_CellLow",
        ] { #expect(values[name] == 1, "\(name)") }
        for name in ["0x399.Prot_CellLow", "0x399.Warn_CellHigh", "0x359.Prot_UnderVoltage"] {
            #expect(values[name] == 0, "\(name)")
        }
    }

    @Test func `the temperatures of hybrid-Li stop at the ends of their byte`() {
        var report = BankReport.example
        report.highestTemperature = 3000
        report.lowestTemperature = -3000
        let values = decodeSet(.hybridLi, report)
        #expect(values["0x3DB.TempMax"] == 205)
        #expect(values["0x3DB.TempMin"] == -50)
    }
}

extension Double {
    fileprivate func rounded(toTenths: Void) -> Double { (self * 10).rounded() / 10 }
}
