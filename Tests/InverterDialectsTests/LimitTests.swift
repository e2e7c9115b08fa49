import Battery
import InverterDialects
import Testing

/// Where each dialect carries the four limits and the enables.
struct LimitNames {
    var chargeVoltage = "0x351.ChargeVoltage"
    var dischargeVoltage = "0x351.DischargeVoltage"
    var chargeCurrent = "0x351.ChargeCurrentLimit"
    var dischargeCurrent = "0x351.DischargeCurrentLimit"
    var chargeEnable: String? = "0x35C.ChargeEnable"
    var dischargeEnable: String? = "0x35C.DischargeEnable"

    static func of(_ dialect: DialectName) -> LimitNames {
        switch dialect {
        case .pylontech: LimitNames()
        case .growatt:
            LimitNames(
                chargeVoltage: "0x311.ChargeVoltage", dischargeVoltage: "", chargeCurrent: "0x311.ChargeCurrentLimit",
                dischargeCurrent: "0x311.DischargeCurrentLimit", chargeEnable: "0x319.ChargeEnable",
                dischargeEnable: "0x319.DischargeEnable")
        }
    }
}

@Suite struct LimitTests {
    @Test(arguments: DialectName.allCases)
    func `the inverter reads the limits that were asked, at most one step tighter and never looser`(
        dialect: DialectName
    ) throws {
        let names = LimitNames.of(dialect)
        var numbers = SeededNumbers(seed: 2026)
        for _ in 0..<2000 {
            let report = BankReport.random(&numbers)
            let values = decodeSet(dialect, report)
            func thousandths(_ name: String) throws -> Int32 { Int32((try #require(values[name]) * 1000).rounded()) }

            let cvl = try thousandths(names.chargeVoltage)
            #expect(cvl <= report.chargeVoltageLimit && cvl > report.chargeVoltageLimit - 100)
            if !names.dischargeVoltage.isEmpty {
                let dvl = try thousandths(names.dischargeVoltage)
                #expect(dvl >= report.dischargeVoltageLimit && dvl < report.dischargeVoltageLimit + 100)
            }
            let ccl = try thousandths(names.chargeCurrent)
            let asked = report.chargeEnabled ? report.chargeCurrentLimit : min(report.chargeCurrentLimit, 100)
            #expect(ccl >= 0 && ccl <= asked && ccl > asked - 100)
            let dcl = try thousandths(names.dischargeCurrent)
            let askedOut =
                report.dischargeEnabled ? report.dischargeCurrentLimit : min(report.dischargeCurrentLimit, 100)
            #expect(dcl >= 0 && dcl <= askedOut && dcl > askedOut - 100)

            if let name = names.chargeEnable { #expect(values[name] == (report.chargeEnabled ? 1 : 0)) }
            if let name = names.dischargeEnable { #expect(values[name] == (report.dischargeEnabled ? 1 : 0)) }
        }
    }

    @Test(arguments: DialectName.allCases)
    func `a limit beyond its field becomes the largest that fits, never a negative or a wrapped one`(
        dialect: DialectName
    ) throws {
        let names = LimitNames.of(dialect)
        let huge = decodeSet(dialect, .extreme(.max))
        #expect(try #require(huge[names.chargeVoltage]) == 6553.5)
        #expect(try #require(huge[names.chargeCurrent]) == 3276.7)
        #expect(try #require(huge[names.dischargeCurrent]) == 3276.7)
        let negative = decodeSet(dialect, .extreme(.min))
        #expect(negative[names.chargeVoltage] == 0)
        #expect(negative[names.chargeCurrent] == 0)
        #expect(negative[names.dischargeCurrent] == 0)
    }

    @Test(arguments: DialectName.allCases)
    func `no value whatever traps`(dialect: DialectName) {
        for value in [Int32.min, .min + 1, -65_537, -1, 0, 1, 99, 100, 65_536, 655_360, .max - 1, .max] {
            #expect(!encode(dialect, .extreme(value)).isEmpty)
        }
    }

    @Test(arguments: DialectName.allCases)
    func `a new report says stop in both directions`(dialect: DialectName) {
        let names = LimitNames.of(dialect)
        let values = decodeSet(dialect, BankReport())
        #expect(values[names.chargeCurrent] == 0)
        #expect(values[names.dischargeCurrent] == 0)
        if let name = names.chargeEnable { #expect(values[name] == 0) }
    }

    @Test(arguments: DialectName.allCases)
    func `a direction that is not enabled has no current even when a limit is given`(dialect: DialectName) {
        let names = LimitNames.of(dialect)
        var report = BankReport.example
        report.chargeEnabled = false
        var values = decodeSet(dialect, report)
        #expect(values[names.chargeCurrent]! <= 0.1)
        #expect(values[names.dischargeCurrent] == 140)
        report.chargeEnabled = true
        report.dischargeEnabled = false
        values = decodeSet(dialect, report)
        #expect(values[names.chargeCurrent] == 100)
        #expect(values[names.dischargeCurrent]! <= 0.1)
    }
}
