import Battery
import FirmwareTrial
import Foundation
import InverterDialects

/// The package's folder, found from this file.
let packageRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

func encode(_ dialect: DialectName, _ report: BankReport) -> [CANFrame] {
    var set = FrameSet(filler: CANFrame(id: 0, length: 0))
    dialect.encode(report, into: &set)
    return (0..<set.count).map { set[$0] }
}

/// `351#1402740E740ECC01`, as candump writes it.
func text(_ frame: CANFrame) -> String {
    let id = String(frame.id, radix: 16, uppercase: true)
    let width = frame.isExtended ? 8 : 3
    let bytes = (0..<Int(frame.length)).map { String(format: "%02X", frame[$0]) }.joined()
    return String(repeating: "0", count: width - id.count) + id + "#" + bytes
}

func frame(_ id: UInt32, _ hex: String, extended: Bool = false) -> CANFrame {
    let digits = Array(hex.filter { $0 != " " })
    var frame = CANFrame(id: id, isExtended: extended, length: UInt8(digits.count / 2))
    for i in 0..<digits.count / 2 { frame[i] = UInt8(String(digits[2 * i...2 * i + 1]), radix: 16)! }
    return frame
}

/// Text as written into a sink.
struct Text: TextSink {
    var bytes: [UInt8] = []
    var string: String { String(decoding: bytes, as: UTF8.self) }
    mutating func write(_ byte: UInt8) { bytes.append(byte) }
}

extension Signal {
    var fullName: String {
        var text = Text()
        writeName(to: &text)
        return text.string
    }

    func value(_ raw: Int64) -> Double {
        var text = Text()
        writeValue(raw, to: &text)
        return Double(text.string)!
    }
}

/// Every value of `frame` by the name of its signal.
func decode(_ dialect: DialectName, _ frame: CANFrame) -> [String: Double] {
    var values: [String: Double] = [:]
    dialect.signals { signal in
        if let raw = signal.raw(in: frame) { values[signal.fullName] = signal.value(raw) }
    }
    return values
}

/// Every value of a whole set, `0x355.SOC` style because some names occur in two frames.
func decodeSet(_ dialect: DialectName, _ report: BankReport) -> [String: Double] {
    var values: [String: Double] = [:]
    for frame in encode(dialect, report) {
        for (name, value) in decode(dialect, frame) {
            values["0x\(String(frame.id, radix: 16, uppercase: true)).\(name)"] = value
        }
    }
    return values
}

func allSignals(_ dialect: DialectName) -> [Signal] {
    var list: [Signal] = []
    dialect.signals { list.append($0) }
    return list
}

/// A sequence of numbers that is the same on every run.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

extension BankReport {
    /// Anything a bank of up to 32 cells in series can report.
    static func random(_ numbers: inout SeededNumbers) -> BankReport {
        var report = BankReport()
        report.chargeVoltageLimit = .random(in: 0...144_000, using: &numbers)
        report.dischargeVoltageLimit = .random(in: 0...144_000, using: &numbers)
        report.chargeCurrentLimit = .random(in: 0...2_000_000, using: &numbers)
        report.dischargeCurrentLimit = .random(in: 0...2_000_000, using: &numbers)
        report.chargeEnabled = .random(using: &numbers)
        report.dischargeEnabled = .random(using: &numbers)
        report.requests = ChargeRequests(rawValue: .random(in: 0...7, using: &numbers))
        report.protections = Alarms(rawValue: .random(in: 0..<1 << 27, using: &numbers))
        report.warnings = Alarms(rawValue: .random(in: 0..<1 << 27, using: &numbers))
        report.soc = .random(in: 0...100, using: &numbers)
        report.socFine = report.soc * 100
        report.soh = .random(in: 1...100, using: &numbers)
        report.voltage = .random(in: 0...144_000, using: &numbers)
        report.current = .random(in: -2_000_000...2_000_000, using: &numbers)
        report.temperature = Bool.random(using: &numbers) ? .random(in: -400...1000, using: &numbers) : nil
        report.chemistry = Chemistry.allCases.randomElement(using: &numbers)!
        report.cellsInSeries = .random(in: 1...32, using: &numbers)
        report.packsOnline = .random(in: 1...16, using: &numbers)
        report.remaining = .random(in: 0...80_000_000, using: &numbers)
        report.full = .random(in: 0...80_000_000, using: &numbers)
        report.cycles = .random(in: 0...100_000, using: &numbers)
        report.highestCell = .random(in: 0...5000, using: &numbers)
        report.lowestCell = .random(in: 0...5000, using: &numbers)
        return report
    }

    /// Nonsense of every size in every field: nothing may trap.
    static func extreme(_ value: Int32) -> BankReport {
        var report = BankReport()
        report.chargeVoltageLimit = value
        report.dischargeVoltageLimit = value
        report.chargeCurrentLimit = value
        report.dischargeCurrentLimit = value
        report.chargeEnabled = true
        report.dischargeEnabled = true
        report.soc = value
        report.socFine = value
        report.soh = value
        report.voltage = value
        report.current = value
        report.temperature = value
        report.cellsInSeries = value
        report.packsOnline = value
        report.packsExpected = value
        report.packsBlockingCharge = value
        report.packsBlockingDischarge = value
        report.packsOffline = value
        report.remaining = value
        report.full = value
        report.rated = value
        report.cycles = value
        report.highestCell = value
        report.lowestCell = -1 - value
        report.highestCellPlace = CellPlace(pack: 255, cell: 255)
        report.lowestCellPlace = CellPlace(pack: 255, cell: 255)
        report.highestTemperature = value
        report.lowestTemperature = value
        report.energyCharged = Int64(value) << 32
        report.energyDischarged = -1 - Int64(value) << 32
        return report
    }
}
