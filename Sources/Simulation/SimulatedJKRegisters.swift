/// The registers of one simulated JK unit with 32 cell inputs (jk-modbus.md §2), in both forms in which they travel: as the words of
/// a Modbus reply and as the records `55 AA EB 90`.
///
/// It has its own encoder on purpose, like `SimulatedJK4E57`: a mistake made twice by the same code would cancel itself out.
public struct SimulatedJKRegisters: Sendable {
    /// One block of registers. Byte n is the register at base + n.
    private struct Block: Sendable {
        var words = [UInt8](repeating: 0, count: 0x124)
        var record = [UInt8](repeating: 0, count: 0x124)

        mutating func put(_ value: Int, _ width: Int, at offset: Int) {
            let bits = UInt32(truncatingIfNeeded: value)
            for i in 0..<width {
                record[offset + i] = UInt8(truncatingIfNeeded: bits >> UInt32(8 * i))
                words[offset + i] = UInt8(truncatingIfNeeded: bits >> UInt32(8 * (width - 1 - i)))
            }
        }

        mutating func put(_ text: String, _ width: Int, at offset: Int) {
            for (i, byte) in text.utf8.prefix(width).enumerated() {
                record[offset + i] = byte
                words[offset + i] = byte
            }
        }
    }

    /// Blocks 0x1000, 0x1200 and 0x1400.
    private var blocks = [Block(), Block(), Block()]
    private let address: UInt8
    private var counter: UInt8 = 0

    public init(address: UInt8, name: String = "SIM-PACK") {
        self.address = address
        blocks[2].put("JK_PB2A16S20P", 16, at: 0x00)
        blocks[2].put("19A", 8, at: 0x10)
        blocks[2].put("19.12", 8, at: 0x18)
        blocks[2].put(9, 4, at: 0x24)
        blocks[2].put(name, 16, at: 0x28)
        blocks[2].put("260101", 8, at: 0x48)
        blocks[2].put("4010000000\(address)", 16, at: 0x50)
    }

    /// The words of registers `register` and up, high byte first; nil when some are not readable.
    public func words(from register: UInt16, count: Int) -> [UInt8]? {
        let block = Int(register >> 9) - 8
        let offset = Int(register & 0x1FF)
        guard (0...2).contains(block), offset + 2 * count <= blocks[block].words.count else { return nil }
        return Array(blocks[block].words[offset..<offset + 2 * count])
    }

    /// The 300 bytes of a record; kind 1 settings, 2 status, 3 about.
    public mutating func record(_ kind: UInt8) -> [UInt8] {
        counter &+= 1
        let block = kind == 1 ? 0 : kind == 2 ? 1 : 2
        var record: [UInt8] = [0x55, 0xAA, 0xEB, 0x90, kind, counter]
        record += blocks[block].record
        record += [UInt8](repeating: 0, count: 299 - record.count)
        record.append(record.reduce(0) { $0 &+ $1 })
        return record
    }

    // MARK: What is in them

    /// Takes over what the BMS measures now.
    public mutating func update(_ m: PackMeasurement) {
        writeStatus(m)
        writeSettings(m)
    }

    private mutating func writeStatus(_ m: PackMeasurement) {
        var mask = 0
        var sum = 0
        for i in 0..<32 {
            let cell = i < m.cellCount ? Int(m.millivolts[i]) : 0
            blocks[1].put(cell, 2, at: 2 * i)
            if cell > 0 { mask |= 1 << i }
            sum += cell
        }
        let full = Int(m.capacity * 1000)
        let probe = { (celsius: Int32?) in celsius.map { Int($0) * 10 } ?? -2000 }
        let fields: [(value: Int, width: Int, register: Int)] = [
            (mask, 4, 0x40), (sum / max(1, m.cellCount), 2, 0x44), (Int(m.highest) - Int(m.lowest), 2, 0x46),
            (probe(m.mosfet), 2, 0x8A), (Int(m.packCentivolts) * 10, 4, 0x90),
            (Int(m.packCentivolts) * Int(m.centiamps.magnitude) / 10, 4, 0x94), (Int(m.centiamps) * 10, 4, 0x98),
            (probe(m.temperature1), 2, 0x9C), (probe(m.temperature2), 2, 0x9E), (Self.alarms(m.warnings), 4, 0xA0),
            (m.balancing ? 1 : 0, 1, 0xA6), (Int(m.soc), 1, 0xA7), (full * Int(m.soc) / 100, 4, 0xA8), (full, 4, 0xAC),
            (Int(m.cycles), 4, 0xB0), (Int(m.throughput) * 1000, 4, 0xB4), (100, 1, 0xB8), (Int(m.seconds), 4, 0xBC),
            (m.chargeSwitch ? 1 : 0, 1, 0xC0), (m.dischargeSwitch ? 1 : 0, 1, 0xC1), (0b0000_0111, 1, 0xD0),
            (Int(m.packCentivolts), 2, 0xE4), (Int(m.seconds) * 10, 4, 0xF0), (probe(m.mosfet), 2, 0xF8),
        ]
        for field in fields { blocks[1].put(field.value, field.width, at: field.register) }
        for (i, cell) in (0..<m.cellCount).map({ m.millivolts[$0] }).enumerated() {
            if cell == m.highest { blocks[1].put(i, 1, at: 0x48) }
            if cell == m.lowest { blocks[1].put(i, 1, at: 0x49) }
        }
    }

    private mutating func writeSettings(_ m: PackMeasurement) {
        let s = m.settings
        let fields: [(value: Int32, register: Int)] = [
            (s.cellUnderVoltage, 0x04), (s.cellUnderVoltageRelease, 0x08), (s.cellOverVoltage, 0x0C),
            (s.cellOverVoltageRelease, 0x10), (s.balanceTrigger, 0x14), (s.chargeOverCurrent * 1000, 0x2C),
            (s.chargeOverCurrentDelay, 0x30), (60, 0x34), (s.dischargeOverCurrent * 1000, 0x38),
            (s.dischargeOverCurrentDelay, 0x3C), (60, 0x40), (s.chargeOverTemperature * 10, 0x4C),
            (s.dischargeOverTemperature * 10, 0x54), (s.chargeUnderTemperature * 10, 0x5C),
            (s.chargeUnderTemperatureRelease * 10, 0x60), (s.mosfetOverTemperature * 10, 0x64),
            (Int32(m.cellCount), 0x6C), (s.chargeAllowed ? 1 : 0, 0x70), (s.dischargeAllowed ? 1 : 0, 0x74),
            (s.balancerEnabled ? 1 : 0, 0x78), (Int32(m.capacity * 1000), 0x7C), (s.balanceStart, 0x84),
            (Int32(address), 0x108),
        ]
        for field in fields { blocks[0].put(Int(field.value), 4, at: field.register) }
    }

    /// The alarm word of jk-modbus.md §4 for the warnings of a pack, which are those of the older protocol.
    private static func alarms(_ warnings: BMSWarnings) -> Int {
        let bits: [(BMSWarnings, [Int])] = [
            (.mosfetHot, [1]), (.packOverVoltage, [5]), (.packUnderVoltage, [12]), (.batteryHot, [8, 15]),
            (.chargeOverCurrent, [6]), (.dischargeOverCurrent, [13]), (.boxHot, [21]), (.batteryCold, [9, 27]),
            (.cellOverVoltage, [4]), (.cellUnderVoltage, [11]),
        ]
        var word = 0
        for (warning, numbers) in bits where warnings.contains(warning) {
            for number in numbers { word |= 1 << number }
        }
        return word
    }
}
