import Battery
import InverterDialects
import Testing

@Suite struct DialectOptionsTests {
    private func frames(_ dialect: DialectName, _ options: DialectOptions) -> [CANFrame] {
        var report = BankReport()
        report.voltage = 53_120
        report.current = -12_300
        var set = FrameSet(filler: CANFrame(id: 0, length: 0))
        dialect.encode(report, options, into: &set)
        return (0..<set.count).map { set[$0] }
    }

    private func name(_ text: String) -> UInt64? { DialectOptions.name(Array(text.utf8).span) }

    @Test func `a name has one to eight plain characters and blanks behind them`() {
        #expect(name("PYLON") == 0x2020_204E_4F4C_5950)
        #expect(name("12345678") == 0x3837_3635_3433_3231)
        for bad in ["", "123456789", "Ü", "a\tb", "a\u{7F}"] { #expect(name(bad) == nil, "\(bad)") }
    }

    @Test(arguments: DialectName.allCases)
    func `without options nothing changes, with them only the two fields`(dialect: DialectName) throws {
        let plain = frames(dialect, DialectOptions())
        var set = FrameSet(filler: CANFrame(id: 0, length: 0))
        var report = BankReport()
        (report.voltage, report.current) = (53_120, -12_300)
        dialect.encode(report, into: &set)
        #expect(plain == (0..<set.count).map { set[$0] })

        let other = frames(dialect, DialectOptions(name: name("OTHER")))
        let changed = zip(plain, other).filter { $0 != $1 }.map(\.1)
        #expect(changed.map(\.id) == (dialect.hasName ? [0x35E] : []))
        #expect(changed.allSatisfy { $0.length == 8 && $0.word == name("OTHER") })
    }

    @Test(arguments: DialectName.allCases.filter(\.hasMeasuredVoltage))
    func `the voltage of 0x356 counts in the chosen step and nothing else moves`(dialect: DialectName) throws {
        let tenths = try #require(frames(dialect, DialectOptions(isVoltageInTenths: true)).first { $0.id == 0x356 })
        let hundredths = try #require(frames(dialect, DialectOptions(isVoltageInTenths: false)).first { $0.id == 0x356 })
        #expect(tenths.word & 0xFFFF == 531)
        #expect(hundredths.word & 0xFFFF == 5312)
        #expect(tenths.word >> 16 == hundredths.word >> 16)
    }

    @Test func `a language is stored as one byte, with the numbers of the dialects`() {
        var seen = 0
        for raw in UInt8(0)...255 {
            guard let language = InverterLanguage(rawValue: raw) else { continue }
            #expect(language.rawValue == raw)
            #expect(language.dialect?.rawValue == (raw == 128 ? nil : raw))
            seen += 1
        }
        #expect(seen == DialectName.allCases.count + 1)
    }
}
