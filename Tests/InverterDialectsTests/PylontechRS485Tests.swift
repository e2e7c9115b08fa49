import Battery
import Foundation
import InverterDialects
import Testing

private struct Packs: PackReadings {
    var list: [PackReading?] = []
    var packCount: Int { list.count }
    func reading(ofPack index: Int) -> PackReading? { list[index] }
}

@Suite struct PylontechRS485Tests {
    // MARK: Frame

    @Test func `a request for us is taken, whatever its version`() {
        #expect(requests("~20024661E00201FD33\r") == [.init(version: 0x20, address: 2, command: 0x61, argument: 1)])
        #expect(requests(telegram("28024692E00202")) == [.init(version: 0x28, address: 2, command: 0x92, argument: 2)])
        #expect(requests(telegram("2002464F0000")) == [.init(version: 0x20, address: 2, command: 0x4F, argument: nil)])
    }

    @Test func `a request comes out of noise, echoes and a cut telegram before it`() {
        #expect(requests("\u{0}garbage~2002464\r~20024~20024661E00201FD33\r\r~2").count == 1)
    }

    @Test(arguments: [
        ("~20024661E00201FD34\r", PylontechRefusal.checksum), ("~20024661E00202FD33\r", .checksum),
        ("~20024661E00201fd33\r", .format), ("~200G4661E00201FD33\r", .format), ("~2002\r", .format), ("~\r", .format),
        ("~20024661E0020FD33\r", .format),
    ])
    func `damage is refused with its reason and no answer`(text: String, reason: PylontechRefusal) {
        var responder = PylontechRS485Responder()
        #expect(feed(text, to: &responder) == [])
        #expect(refused(responder) == [reason])
    }

    @Test func `a wrong LENGTH nibble, a wrong LENID and another CID1 are refused although the checksum fits`() {
        for (body, reason) in [
            ("20024661F00201", PylontechRefusal.length), ("20024661C00401", .length), ("20024761E00201", .format),
        ] {
            var responder = PylontechRS485Responder()
            #expect(feed(telegram(body), to: &responder) == [])
            #expect(refused(responder) == [reason], "\(body)")
        }
    }

    @Test func `a telegram that does not end does not fill the memory and the next one is read`() {
        var responder = PylontechRS485Responder()
        #expect(feed("~" + String(repeating: "20", count: 5000) + "\r", to: &responder) == [])
        #expect(refused(responder) == [.format])
        #expect(feed("~20024661E00201FD33\r", to: &responder).count == 1)
    }

    @Test func `requests for other addresses get no answer, unless the profile answers them all`() {
        var responder = PylontechRS485Responder()
        #expect(feed(telegram("20034661E00201"), to: &responder) == [])
        #expect(refused(responder) == [.address])
        responder.settings.answersEveryAddress = true
        #expect(feed(telegram("20034661E00201"), to: &responder).count == 1)
        #expect(answer(telegram("20034663E00203"), .example, settings: responder.settings).hasPrefix("~200246"))
        responder.settings = PylontechRS485Settings()
        responder.settings.address = 0x12
        #expect(feed(telegram("20124661E00212"), to: &responder).count == 1)
    }

    @Test func `every single bit error in a request is refused`() {
        let good = Array("~20024661E00201FD33\r".utf8)
        for index in 1..<(good.count - 1) {
            for bit in 0..<8 {
                var bytes = good
                bytes[index] ^= 1 << bit
                var responder = PylontechRS485Responder()
                for byte in bytes { #expect(responder.feed(byte) == nil) }
            }
        }
    }

    // MARK: Answers

    @Test func `the commands that are answered are those of the documentation`() throws {
        let answered = (0x40...0x9F).filter { command in
            let request = telegram(String(format: "200246%02XE00202", command))
            return !answer(request, .example).hasPrefix("~20024604")
        }.map { String(format: "%02X", $0) }
        let list = answered.dropLast().joined(separator: ", ") + " and " + (answered.last ?? "")
        let page = try String(
            contentsOf: packageRoot.appendingPathComponent("docs/inverter-dialects.md"), encoding: .utf8)
        #expect(page.contains("PackBridge answers \(list) of protocol V3.3"), "\(list)")
    }

    @Test func `4F answers with the version in its first field, 51 with the maker`() {
        #expect(answer("~2002464F0000FD98\r", .example) == "~330246000000FDAE\r")
        #expect(
            answer("~200246510000FDAC\r", .example)
                == "~20024600C04055533230303043000000010550796C6F6E000000000000000000000000000000F109\r")
    }

    private static var vector: BankReport {
        var report = BankReport.example
        report.chargeVoltageLimit = 53_250
        report.dischargeVoltageLimit = 45_000
        report.chargeCurrentLimit = 50_040
        report.dischargeCurrentLimit = 50_099
        report.voltage = 53_250
        report.current = -25_000
        report.cycles = 5
        report.temperature = 220
        report.highestTemperature = 230
        report.highestTemperaturePlace = CellPlace(pack: 1, cell: 1)
        report.lowestTemperature = 220
        report.lowestTemperaturePlace = CellPlace(pack: 1, cell: 2)
        return report
    }

    @Test func `92 carries the limits with the discharge limit negative`() {
        #expect(
            answer("~20024692E00202FD2E\r", Self.vector) == "~20024600B01402D002AFC801F4FE0CC0F915\r")
    }

    @Test func `63 carries the limits in steps of 0.1 A unless the profile wants 0.01 A`() {
        let request = telegram("20024663E00202")
        #expect(answer(request, Self.vector) == "~20024600D012D002AFC801F401F4C0F99A\r")
        var settings = PylontechRS485Settings()
        settings.limitStep = .hundredthOfAmpere
        settings.hasNegativeDischargeLimit = true
        let fine = answer(request, Self.vector, settings: settings)
        #expect(information(fine) == "D002AFC81388EC78C0")
        var large = Self.vector
        large.chargeCurrentLimit = 400_000
        #expect(information(answer(request, large, settings: settings)).dropFirst(8).prefix(4) == "7FF8")
    }

    @Test func `a direction that is blocked has neither a limit nor its enable bit in 63 and 92`() {
        var report = Self.vector
        report.chargeEnabled = false
        report.requests = .forceCharge1
        #expect(information(answer(telegram("20024663E00202"), report)) == "D002AFC8000001F460")
        #expect(information(answer(telegram("20024692E00202"), report)) == "02D002AFC80000FE0C60")
    }

    @Test func `voltages above 65.535 V stay at the end of their field`() {
        var report = Self.vector
        report.chargeVoltageLimit = 84_000
        #expect(information(answer(telegram("20024663E00202"), report)).hasPrefix("FFFF"))
    }

    @Test func `61 sums the bank up`() {
        var pack = PackReading()
        pack.mosfetTemperature = .value(240)
        #expect(
            answer("~20024661E00201FD33\r", Self.vector, Packs(list: [pack]))
                == "~200246008062D002F63C420005000563630D0201050CFA01090B870B9101010B8701020B9B0B9B01010B9B01010B910B9101010B910101E932\r"
        )
    }

    @Test func `62 is all zero for a healthy bank and shows every protection`() {
        #expect(answer(telegram("20024662E00202"), .example) == "~20024600800800000000FC22\r")
        func bits(_ protections: Alarms, _ warnings: Alarms = []) -> String {
            var report = BankReport.example
            report.protections = protections
            report.warnings = warnings
            return information(answer(telegram("20024662E00202"), report))
        }
        #expect(bits([], [.packOverVoltage, .cellUnderVoltage, .cellImbalance]) == "91000000")
        #expect(bits([], [.packUnderVoltage, .cellOverVoltage, .chargeOverTemperature]) == "68000000")
        #expect(bits([], [.chargeOverCurrent, .dischargeOverCurrent, .communication]) == "00700000")
        #expect(bits([.cellUnderTemperature, .mosfetOverTemperature]) == "00000600")
        #expect(bits([.chargeOverCurrent, .shortCircuit]) == "00000060")
        for bit in 0..<32 as Range<UInt32> {
            #expect(bits(Alarms(rawValue: 1 << bit)).dropFirst(4) != "0000", "alarm bit \(bit)")
        }
    }

    @Test func `60 counts the packs and names them`() {
        let text = information(answer(telegram("20024660E00202"), .example, Packs(list: [PackReading(), nil])))
        #expect(text.count == 2 * (10 + 20 + 2 + 1 + 2 * 16))
        #expect(text.dropFirst(64).prefix(14) == "025041434B3031")
    }

    // MARK: 42 and 44

    /// Pack 1 of the capture of three US2000.
    private static var us2000: PackReading {
        var pack = PackReading()
        for cell in [3303, 3304, 3302, 3303, 3304, 3304, 3304, 3302, 3301, 3302, 3304, 3303, 3306, 3301, 3302]
            as [UInt16]
        {
            pack.cells.append(cell)
        }
        pack.mosfetTemperature = .value(230)
        for value in [220, 220, 220, 220] as [Decidegrees] { pack.cellTemperatures.append(.value(value)) }
        pack.current = -2_600
        pack.packVoltage = 49_545
        pack.remaining = 33_500
        pack.full = 50_000
        pack.cycles = 31
        return pack
    }

    @Test func `42 writes a small module as the captured US2000 does`() {
        // From the capture, without its first two bytes, which say that something is unread and count three modules.
        let captured =
            "0F0CE70CE80CE60CE70CE80CE80CE80CE60CE50CE60CE80CE70CEA0CE50CE6050B910B870B870B870B87FFE6C18982DC02C350001F"
        let reply = answer(telegram("20024642E00202"), .example, Packs(list: [Self.us2000]))
        #expect(information(reply) == "0002" + captured)
        #expect(reply.hasPrefix("~20024600C06E"))
    }

    @Test func `42 for the group counts the modules that are heard`() {
        let reply = answer("~20024642E002FFFD09\r", .example, Packs(list: [Self.us2000, nil, Self.us2000]))
        #expect(information(reply).prefix(6) == "00020F")
        #expect(information(reply).count == 2 * (2 + 2 * 53))
    }

    @Test func `42 adds 24-bit capacities above 65 Ah`() {
        var pack = Self.us2000
        pack.remaining = 185_000
        pack.full = 280_000
        let text = information(answer(telegram("20024642E00202"), .example, Packs(list: [pack])))
        #expect(text.hasSuffix("FFFF04FFFF001F02D2A80445C0"))
        pack.remaining = nil
        pack.soc = 66_40
        #expect(
            information(answer(telegram("20024642E00202"), .example, Packs(list: [pack]))).hasSuffix("02D1E00445C0"))
    }

    @Test func `the number of temperatures is the number of values`() {
        var pack = Self.us2000
        pack.cellTemperatures = CellTemperatures(filler: .absent)
        pack.cellTemperatures.append(.value(-55))
        pack.cellTemperatures.append(.invalid)
        pack.mosfetTemperature = .absent
        let text = information(answer(telegram("20024642E00202"), .example, Packs(list: [pack])))
        #expect(text.dropFirst(2 * 33).prefix(10) == "020A740A74")
        pack.cellTemperatures = CellTemperatures(filler: .absent)
        let none = information(answer(telegram("20024642E00202"), .example, Packs(list: [pack])))
        #expect(none.dropFirst(2 * 33).prefix(6) == "010AAB")
    }

    @Test func `a module that cannot be heard is 91, one that does not exist 06, without COMMAND 06`() {
        let packs = Packs(list: [nil])
        #expect(answer(telegram("20024642E00202"), .example, packs).hasPrefix("~200246910000"))
        #expect(answer(telegram("20024642E002FF"), .example, packs).hasPrefix("~200246910000"))
        #expect(answer(telegram("20024642E00203"), .example, packs).hasPrefix("~200246060000"))
        #expect(answer(telegram("20024642E00212"), .example, packs).hasPrefix("~200246060000"))
        #expect(answer(telegram("200246420000"), .example, packs).hasPrefix("~200246060000"))
        #expect(answer(telegram("200246920000"), .example, packs).hasPrefix("~200246060000"))
    }

    @Test(arguments: ["64", "94", "95", "40", "00"])
    func `what would switch the battery off or set it is unknown`(command: String) {
        #expect(answer(telegram("200246\(command)E00202"), .example).hasPrefix("~200246040000"))
    }

    @Test func `44 shows the states of a healthy module at work`() {
        var pack = Self.us2000
        pack.chargeSwitch = true
        pack.dischargeSwitch = true
        let text = information(answer(telegram("20024644E00202"), .example, Packs(list: [pack])))
        #expect(text == "00020F" + String(repeating: "00", count: 15) + "050000000000" + "000000" + "000E400000")
    }

    @Test func `44 shows alarms, blocked switches and a full bank`() {
        var pack = Self.us2000
        pack.chargeSwitch = true
        pack.current = 0
        var report = BankReport.example
        report.soc = 100
        report.chargeEnabled = false
        report.protections = [.packOverVoltage, .chargeOverCurrent]
        report.warnings = [.cellOverVoltage, .cellUnderTemperature]
        let text = information(answer(telegram("20024644E00202"), report, Packs(list: [pack])))
        let cells = (0..<15).map { $0 == 12 ? "02" : "00" }.joined()
        #expect(text == "00020F" + cells + "050101010101" + "020200" + "0508080000")
    }

    @Test func `47 tells the limits in force and needs the settings of the BMS`() {
        var pack = Self.us2000
        #expect(answer(telegram("200246470000"), .example, Packs(list: [pack])).hasPrefix("~200246910000"))
        var settings = PackSettings()
        settings.cellOverVoltage = 3650
        settings.cellUnderVoltage = 2800
        settings.chargeOverTemperature = 600
        settings.chargeUnderTemperature = -100
        pack.settings = settings
        var report = BankReport.example
        report.chargeVoltageLimit = 54_000
        report.dischargeVoltageLimit = 46_000
        report.chargeCurrentLimit = 100_000
        report.dischargeCurrentLimit = 100_000
        let text = information(answer(telegram("200246470000"), report, Packs(list: [pack])))
        // 3375, 2875, 2800 mV, 60.0, −10.0 °C, 100.0 A, 54.0, 46.0, 44.8 V, 55.0, −10.0 °C, −100.0 A
        #expect(text == "00" + "0D2F0B3B0AF00D030A4703E8D2F0B3B0AF000CD10A47FC18")
    }

    @Test func `the largest bank fits into one answer`() {
        var pack = Self.us2000
        pack.full = 300_000
        while pack.cells.append(3300) {}
        while pack.cellTemperatures.append(.value(200)) {}
        let reply = answer("~20024642E002FFFD09\r", .example, Packs(list: Array(repeating: pack, count: 16)))
        #expect(information(reply).count == 2 * (2 + 16 * 95))
        #expect(isWellFormed(reply))
    }

    @Test func `every answer is well formed, also where the nibbles of its length add up to 16`() {
        var numbers = SeededNumbers(seed: 3)
        for cells in 1...32 {
            var pack = Self.us2000
            pack.cells = CellVoltages(filler: 0)
            for _ in 0..<cells { pack.cells.append(UInt16.random(in: 0...5000, using: &numbers)) }
            for command in ["42", "44", "47", "4F", "51", "60", "61", "62", "63", "92", "99"] {
                let reply = answer(telegram("200246\(command)E00202"), .random(&numbers), Packs(list: [pack]))
                #expect(isWellFormed(reply), "\(command) \(reply)")
            }
        }
    }

    @Test func `no value whatever traps`() {
        for value in [Int32.min, -1, 0, .max] {
            var pack = PackReading()
            pack.current = value
            pack.packVoltage = value
            pack.full = value
            pack.remaining = value
            pack.soc = value
            pack.cycles = value
            pack.mosfetTemperature = .value(value)
            pack.cellTemperatures.append(.value(value))
            pack.settings = PackSettings()
            pack.settings?.cellOverVoltage = value
            pack.settings?.cellUnderVoltage = value
            for command in ["42", "44", "47", "61", "62", "63", "92"] {
                #expect(
                    isWellFormed(
                        answer(telegram("200246\(command)E00202"), .extreme(value), Packs(list: [pack, pack]))))
            }
        }
    }

    // MARK: Published vectors

    @Test(
        .enabled(
            if: PublishedFrames.isPresent, "the published frames are not there: set PACKBRIDGE_CAPTURES to their folder"
        ))
    func `every published request is understood and every wrong checksum refused`() throws {
        var count = 0
        for record in try PublishedFrames.telegrams() {
            count += 1
            var responder = PylontechRS485Responder()
            let found = feed(record.ascii, to: &responder)
            #expect(isWellFormed(record.ascii) == record.isValid, "\(record.id)")
            if record.id.hasSuffix("request") {
                #expect(found.count == 1, "\(record.id)")
                #expect(found.first?.command == UInt8(record.id.prefix(2), radix: 16), "\(record.id)")
                if let command = record.command { #expect(found.first?.argument == UInt8(command), "\(record.id)") }
            }
            if !record.isValid { #expect(found == [], "\(record.id)") }
        }
        #expect(count >= 14)
    }

    // MARK: Pieces

    private func feed(_ text: String, to responder: inout PylontechRS485Responder) -> [PylontechRequestTelegram] {
        var found: [PylontechRequestTelegram] = []
        for byte in text.utf8 {
            if let request = responder.feed(byte) { found.append(request) }
        }
        return found
    }

    private func requests(_ text: String) -> [PylontechRequestTelegram] {
        var responder = PylontechRS485Responder()
        return feed(text, to: &responder)
    }

    private func refused(_ responder: PylontechRS485Responder) -> [PylontechRefusal] {
        PylontechRefusal.allCases.flatMap {
            Array(repeating: $0, count: Int(responder.refused[Int($0.rawValue)]))
        }
    }

    private func answer(
        _ text: String, _ report: BankReport, _ packs: Packs = Packs(), settings: PylontechRS485Settings = .init()
    ) -> String {
        var responder = PylontechRS485Responder(settings)
        var line = Text()
        for request in feed(text, to: &responder) { responder.answer(request, report, packs, to: &line) }
        return line.string
    }

    /// Start, checksum and end around `body`.
    private func telegram(_ body: String) -> String {
        let sum = body.utf8.reduce(0 as UInt16) { $0 &+ UInt16($1) }
        return "~" + body + String(format: "%04X", 0 &- sum) + "\r"
    }

    private func information(_ telegram: String) -> String {
        String(telegram.dropFirst(13).dropLast(5))
    }

    /// Checked by other arithmetic than the code's: all nibbles of LENGTH and all characters with the checksum add up to zero.
    private func isWellFormed(_ telegram: String) -> Bool {
        let body = Array(telegram.utf8.dropFirst().dropLast())
        guard telegram.hasPrefix("~"), telegram.hasSuffix("\r"), body.count >= 16 else { return false }
        let length = String(decoding: body[8..<12], as: UTF8.self)
        let sum = body.dropLast(4).reduce(0) { $0 + Int($1) }
        guard let checksum = Int(String(decoding: body.suffix(4), as: UTF8.self), radix: 16),
            let count = Int(length.dropFirst(), radix: 16)
        else { return false }
        let nibbles = length.compactMap(\.hexDigitValue).reduce(0, +)
        return (sum + checksum) % 65536 == 0 && nibbles % 16 == 0 && count == body.count - 16
    }
}

extension PublishedFrames {
    fileprivate struct Telegram {
        var id: String
        var ascii: String
        var isValid: Bool
        var command: Int?
    }

    fileprivate static func telegrams() throws -> [Telegram] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            guard object["protocol"] as? String == "pylontech-rs485" else { return nil }
            let decoded = object["decoded"] as? [String: Any]
            return Telegram(
                id: try #require(object["id"] as? String),
                ascii: try #require(object["ascii"] as? String).replacingOccurrences(of: "\\r", with: "\r"),
                isValid: object["checksum_valid"] as? Bool ?? true, command: decoded?["command"] as? Int)
        }
    }
}
