import Battery
import BridgeEngine
import JKBMS

extension Slice<UnsafeBufferPointer<UInt8>> {
    /// Compares with a word, byte by byte.
    func says(_ word: StaticString) -> Bool {
        if count != word.utf8CodeUnitCount { return false }
        for i in 0..<count where self[startIndex + i] != word.utf8Start[i] { return false }
        return true
    }
}

extension TextSink {
    mutating func write(_ word: Slice<UnsafeBufferPointer<UInt8>>) {
        for byte in word { write(byte) }
    }

    mutating func write(rejection: FrameRejection) {
        write(" rejected: ")
        switch rejection {
        case .noise: write("noise")
        case .badLength: write("length")
        case .badEndMark: write("end mark")
        case .badChecksum: write("checksum")
        case .truncated: write("cut off")
        case .badStructure: write("structure")
        case .unexpected: write("unexpected")
        case .echo: write("echo")
        }
    }

    mutating func write(cells: CellVoltages) {
        if cells.isEmpty { return }
        write(" cells")
        for i in 0..<cells.count {
            write(i == 0 ? " " : ",")
            write(decimal: Int64(cells[i]))
        }
    }

    /// Every field of a reading as it travels in a snapshot.
    mutating func write(reading: PackReading) {
        var pack = PackPayload()
        pack.reading = reading
        var bytes = FieldBuffer<700>()
        pack.visitFields(&bytes)
        write(" reading ")
        write(hexadecimal: bytes.checksum(from: 0))
        write(reading.packVoltage, " mV")
        write(reading.current, " mA")
        write(reading.soc, " cpct")
        write(reading.mosfetTemperature.temperature, " dC")
        write(reading.alarms.map { Int32(bitPattern: $0.rawValue) }, " alarms")
    }

    mutating func write(_ value: Int32?, _ unit: StaticString) {
        guard let value else { return }
        write(" ")
        write(decimal: Int64(value))
        write(unit)
    }
}

extension JK4E57.Assembler.Step {
    /// Says what was found. - Returns: false when more bytes are needed.
    func wasNotable(
        _ assembler: borrowing JK4E57.Assembler, _ report: borrowing JK4E57.Report, _ sink: inout some TextSink
    ) -> Bool {
        switch self {
        case .needsBytes: return false
        case .frame:
            sink.write(" at ")
            sink.write(decimal: assembler.frameOffset)
            sink.write(" ")
            sink.write(decimal: Int64(assembler.frameLength))
            sink.write(" bytes, transport ")
            sink.write(decimal: Int64(report.transport))
            if let voltage = report.value(of: .packVoltage) {
                sink.write(" ")
                sink.write(decimal: voltage)
                sink.write(" mV")
            }
        case .rejected(let reason): sink.write(rejection: reason)
        }
        return true
    }
}

/// The tests of the dialects say the example with them, too.
extension BankReport {
    /// A 16-cell pack at work: 53.21 V, 25.04 A into it, 66 %.
    public static var example: BankReport {
        var report = BankReport()
        report.chargeVoltageLimit = 56_850
        report.dischargeVoltageLimit = 46_010
        report.chargeCurrentLimit = 100_090
        report.dischargeCurrentLimit = 140_000
        report.chargeEnabled = true
        report.dischargeEnabled = true
        report.soc = 66
        report.socFine = 66_40
        report.soh = 99
        report.voltage = 53_214
        report.current = 25_040
        report.temperature = 221
        report.remaining = 185_000
        report.full = 280_000
        report.rated = 280_000
        report.cycles = 27
        report.highestCell = 3330
        report.highestCellPlace = CellPlace(pack: 1, cell: 5)
        report.lowestCell = 3322
        report.lowestCellPlace = CellPlace(pack: 1, cell: 9)
        report.highestTemperature = 234
        report.highestTemperaturePlace = CellPlace(pack: 1, cell: 1)
        report.lowestTemperature = 221
        report.lowestTemperaturePlace = CellPlace(pack: 1, cell: 2)
        return report
    }

    /// The same number in every field: nothing may trap.
    static func extreme(_ value: Int32) -> BankReport {
        var report = BankReport.example
        report.chargeVoltageLimit = value
        report.dischargeVoltageLimit = value
        report.chargeCurrentLimit = value
        report.dischargeCurrentLimit = value
        report.soc = value
        report.socFine = value
        report.soh = value
        report.voltage = value
        report.current = value
        report.temperature = value
        report.cellsInSeries = value
        report.packsOnline = value
        report.packsOffline = value
        report.remaining = value
        report.full = value
        report.rated = value
        report.cycles = value
        report.highestCell = value
        report.lowestCell = -1 - value
        report.highestTemperature = value
        report.lowestTemperature = value
        report.energyCharged = Int64(value) << 32
        report.energyDischarged = -1 - Int64(value) << 32
        return report
    }
}

/// Reports of every size, the same from the same seed.
struct ReportStream {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    private mutating func number(below bound: UInt32) -> Int32 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int32(bitPattern: UInt32(truncatingIfNeeded: state >> 32) % bound)
    }

    mutating func next() -> BankReport {
        var report = BankReport.example
        report.chargeVoltageLimit = number(below: 144_000)
        report.dischargeVoltageLimit = number(below: 144_000)
        report.chargeCurrentLimit = number(below: 2_000_000)
        report.dischargeCurrentLimit = number(below: 2_000_000)
        report.chargeEnabled = number(below: 2) == 0
        report.dischargeEnabled = number(below: 2) == 0
        report.requests = ChargeRequests(rawValue: UInt8(truncatingIfNeeded: number(below: 8)))
        report.protections = Alarms(rawValue: UInt32(bitPattern: number(below: 1 << 27)))
        report.warnings = Alarms(rawValue: UInt32(bitPattern: number(below: 1 << 27)))
        report.soc = number(below: 101)
        report.socFine = report.soc * 100
        report.soh = 1 + number(below: 100)
        report.voltage = number(below: 144_000)
        report.current = number(below: 4_000_000) - 2_000_000
        report.temperature = number(below: 4) == 0 ? nil : number(below: 1400) - 400
        report.chemistry = Chemistry(rawValue: UInt8(truncatingIfNeeded: number(below: 3))) ?? .lfp
        report.cellsInSeries = 1 + number(below: 32)
        report.packsOnline = 1 + number(below: 16)
        report.remaining = number(below: 80_000_000)
        report.full = number(below: 80_000_000)
        report.cycles = number(below: 100_000)
        report.highestCell = number(below: 5000)
        report.lowestCell = number(below: 5000)
        return report
    }
}
