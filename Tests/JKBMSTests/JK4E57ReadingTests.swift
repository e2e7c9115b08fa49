import Battery
import JKBMS
import Testing

@Suite struct JK4E57ReadingTests {
    private func reading(_ information: String) throws -> PackReading {
        try decode(frame(information)).reading()
    }

    @Test func `what the frame does not carry stays nil`() throws {
        let reading = try reading("85 3c 86 02")
        #expect(reading.soc == 6000)
        #expect(reading.cells.isEmpty)
        #expect(reading.packVoltage == nil)
        #expect(reading.current == nil)
        #expect(reading.cellTemperatures.isEmpty)
        #expect(reading.mosfetTemperature == .absent)
        #expect(reading.soh == nil)
        #expect(reading.remaining == nil)
        #expect(reading.full == nil)
        #expect(reading.cycles == nil)
        #expect(reading.chargeSwitch == nil)
        #expect(reading.alarms == nil)
        #expect(reading.uptime == nil)
        #expect(reading.settings == nil)
    }

    @Test func `0x81 and 0x82 are cell sensors, 0x80 is the MOSFET, 0x86 counts the fitted ones`() throws {
        let both = try reading("80 0030 81 0010 82 0065 86 02")
        #expect(both.mosfetTemperature == .value(480))
        #expect(both.cellTemperatures.count == 2)
        #expect(both.cellTemperatures[0] == .value(160))
        #expect(both.cellTemperatures[1] == .value(-10))
        #expect(try reading("81 0010 82 0065 86 01").cellTemperatures.count == 1)
        #expect(try reading("81 0010 82 0065 86 00").cellTemperatures.isEmpty)
        #expect(try reading("81 0010 82 0065 85 01").cellTemperatures.count == 2)
    }

    /// A broken sensor must be seen as broken, not as missing.
    @Test func `a code that is no temperature stays in the list as invalid`() throws {
        let reading = try reading("81 00ff 82 0010 86 02")
        #expect(reading.cellTemperatures.count == 2)
        #expect(reading.cellTemperatures[0] == .invalid)
    }

    @Test(arguments: [
        ("aa 000000c8 b9 000000be", MilliampHours(190_000)),  // 95 %: learned
        ("aa 000000c8 b9 0000008c", 140_000),  // 70 %
        ("aa 000000c8 b9 000000dc", 220_000),  // 110 %
        ("aa 000000c8 b9 0000008b", 200_000),  // 69.5 %: configured
        ("aa 000000c8 b9 000000dd", 200_000),  // 110.5 %
        ("aa 000000c8 b9 00000000", 200_000),  // old firmware
        ("aa 000000c8", 200_000),
    ])
    func `the full capacity is the learned one only where it is plausible`(
        information: String, full: MilliampHours
    ) throws {
        let reading = try reading(information + "85 32")
        #expect(reading.full == full)
        #expect(reading.rated == 200_000)
        #expect(reading.remaining == full / 2)
    }

    @Test func `no configured capacity, no capacity at all`() throws {
        let reading = try reading("b9 000000be 85 32")
        #expect(reading.full == nil)
        #expect(reading.remaining == nil)
    }

    @Test func `an impossible capacity or state of charge gives no remaining charge`() throws {
        #expect(try reading("aa ffffffff 85 32").rated == nil)
        #expect(try reading("89 ffffffff 85 32").throughput == nil)
        let over = try reading("aa 000000c8 85 65")
        #expect(over.soc == 10_100, "handed on as it is, for the control logic to refuse")
        #expect(over.remaining == nil)
    }

    @Test func `the running time has a resolution of a minute, too coarse to prove liveness`() throws {
        let reading = try reading("b6 ffffffff")
        #expect(reading.uptime == 257_698_037_700_000)
        #expect(reading.uptimeResolution == 60_000)
    }

    @Test func `each setting goes to its place in the shared unit`() throws {
        let settings = try #require(
            reading(
                "8e 1590 8f 12c0 90 0e42 91 0e10 93 0a5a 94 0a8c 97 0064 99 0046 9b 0d48 9c 000a 9d 01"
                    + "9e 0055 a0 0050 a3 003c a4 0041 a5 0000 a7 ffec a9 10 ab 01 ac 00"
            ).settings)
        #expect(settings.packOverVoltage == 55_200)
        #expect(settings.packUnderVoltage == 48_000)
        #expect(settings.cellOverVoltage == 3650)
        #expect(settings.cellOverVoltageRelease == 3600)
        #expect(settings.cellUnderVoltage == 2650)
        #expect(settings.cellUnderVoltageRelease == 2700)
        #expect(settings.dischargeOverCurrent == 100_000)
        #expect(settings.chargeOverCurrent == 70_000)
        #expect(settings.balanceStart == 3400)
        #expect(settings.balanceTrigger == 10)
        #expect(settings.balancerEnabled == true)
        #expect(settings.mosfetOverTemperature == 850)
        #expect(settings.boxOverTemperature == 800)
        #expect(settings.chargeOverTemperature == 600)
        #expect(settings.dischargeOverTemperature == 650)
        #expect(settings.chargeUnderTemperature == 0)
        #expect(settings.dischargeUnderTemperature == -200)
        #expect(settings.cellCount == 16)
        #expect(settings.chargeEnabled == true)
        #expect(settings.dischargeEnabled == false)
    }

    @Test func `one setting is enough, and the others stay nil`() throws {
        for information in ["8e 1590 85 01", "ac 01 85 01"] { #expect(try reading(information).settings != nil) }
        for information in ["8c 0003 85 01", "ad 0418 85 01"] { #expect(try reading(information).settings == nil) }
        #expect(try reading("99 0046 85 01").settings?.cellOverVoltage == nil)
    }

    @Test func `every value of every field can be mapped without a trap`() throws {
        var numbers = SeededNumbers(seed: 57)
        for _ in 0..<2000 {
            var information = ""
            for id in JK4E57.Identifier.allCases where id != .cellVoltages && Bool.random(using: &numbers) {
                let extreme = Bool.random(using: &numbers) ? UInt8.random(in: 0...255, using: &numbers) : 0xFF
                information += hex([id.rawValue] + [UInt8](repeating: extreme, count: Int(id.layout.width)))
            }
            guard information.count > 2 else { continue }
            let report = try decode(frame(information))
            let reading = report.reading()
            #expect(reading.soc == report.raw(.soc).map { CentiPercent($0 * 100) })
        }
    }
}
