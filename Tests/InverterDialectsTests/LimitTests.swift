import Battery
import InverterDialects
import Testing

/// Where each dialect carries the four limits and the enables, and what its fields can hold.
struct LimitNames {
    var chargeVoltage = "0x351.ChargeVoltage"
    var dischargeVoltage: String? = "0x351.DischargeVoltage"
    var chargeCurrent = "0x351.ChargeCurrentLimit"
    var dischargeCurrent = "0x351.DischargeCurrentLimit"
    var chargeEnable: String? = "0x35C.ChargeEnable"
    var dischargeEnable: String? = "0x35C.DischargeEnable"
    var chargeVoltages: ClosedRange<Int32> = 0...144_000
    var dischargeVoltages: ClosedRange<Int32> = 0...144_000
    var largestVoltage = 6553.5
    var largestCurrent = 3276.7

    static func of(_ dialect: DialectName) -> LimitNames {
        switch dialect {
        case .growatt:
            LimitNames(
                chargeVoltage: "0x311.ChargeVoltage", dischargeVoltage: nil, chargeCurrent: "0x311.ChargeCurrentLimit",
                dischargeCurrent: "0x311.DischargeCurrentLimit", chargeEnable: "0x319.ChargeEnable",
                dischargeEnable: "0x319.DischargeEnable")
        case .victron, .bydLv: LimitNames(chargeEnable: nil, dischargeEnable: nil)
        case .sma:
            LimitNames(
                chargeEnable: nil, dischargeEnable: nil, chargeVoltages: 41_000...63_000,
                dischargeVoltages: 41_000...48_000, largestVoltage: 63, largestCurrent: 1200)
        default: LimitNames()
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
        for _ in 0..<400 {
            var report = BankReport.random(&numbers)
            report.chargeVoltageLimit = .random(in: names.chargeVoltages, using: &numbers)
            report.dischargeVoltageLimit = .random(in: names.dischargeVoltages, using: &numbers)
            let most = Int32(names.largestCurrent * 1000)
            report.chargeCurrentLimit = .random(in: 0...most, using: &numbers)
            report.dischargeCurrentLimit = .random(in: 0...most, using: &numbers)
            let values = decodeSet(dialect, report)
            func thousandths(_ name: String) throws -> Int32 { Int32((try #require(values[name]) * 1000).rounded()) }

            let cvl = try thousandths(names.chargeVoltage)
            #expect(cvl <= report.chargeVoltageLimit && cvl > report.chargeVoltageLimit - 100)
            if let name = names.dischargeVoltage {
                let dvl = try thousandths(name)
                #expect(dvl >= report.dischargeVoltageLimit && dvl < report.dischargeVoltageLimit + 100)
            }
            let ccl = try thousandths(names.chargeCurrent)
            let asked = report.chargeEnabled || report.chargeCurrentLimit < 200 ? report.chargeCurrentLimit : 0
            #expect(ccl >= 0 && ccl <= asked && ccl > asked - 100)
            let dcl = try thousandths(names.dischargeCurrent)
            let askedOut =
                report.dischargeEnabled || report.dischargeCurrentLimit < 200 ? report.dischargeCurrentLimit : 0
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
        #expect(try #require(huge[names.chargeVoltage]) == names.largestVoltage)
        #expect(try #require(huge[names.chargeCurrent]) == names.largestCurrent)
        #expect(try #require(huge[names.dischargeCurrent]) == names.largestCurrent)
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
        #expect(values[names.chargeCurrent] == 0)
        #expect(values[names.dischargeCurrent] == 140)
        report.chargeEnabled = true
        report.dischargeEnabled = false
        values = decodeSet(dialect, report)
        #expect(values[names.chargeCurrent] == 100)
        #expect(values[names.dischargeCurrent] == 0)
    }

    @Test(arguments: DialectName.allCases)
    func `a tighter limit changes only frames that are known to carry limits, and voltages and flags count as limits`(
        dialect: DialectName
    ) {
        var report = BankReport.example
        report.chargeVoltageLimit -= 1000
        report.dischargeVoltageLimit += 1000
        report.chargeCurrentLimit = 0
        report.dischargeCurrentLimit = 0
        report.chargeEnabled = false
        report.dischargeEnabled = false
        let changed = zip(encode(dialect, .example), encode(dialect, report)).filter { $0 != $1 }.map(\.0)
        #expect(!changed.isEmpty)
        #expect(changed.allSatisfy(dialect.carriesLimits), "\(changed.map(text))")
        #expect(!dialect.carriesLimits(frame(dialect == .growatt ? 0x313 : 0x356, "0000")))
    }
}
