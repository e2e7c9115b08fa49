import Battery

/// The 300-byte records `55 AA EB 90` of JK units (jk-modbus.md §3–5, jk-ble.md §2–5): what a function-10 trigger on RS485 is
/// answered with, what the units of a bus send each other, and what Bluetooth carries.
///
/// ```
/// 0  55 AA EB 90    4  type    5  counter or source tag    6...298  little-endian fields    299  sum of all before, modulo 256
/// ```
/// A record says nothing about its sender, and its sum is weak: one captured record has everything shifted by half a byte from
/// byte 5 on and still passes. So a status record must be plausible too before it is believed.
public enum JK55AA {
    public static let recordLength = 300
    static let header: (UInt8, UInt8, UInt8, UInt8) = (0x55, 0xAA, 0xEB, 0x90)

    public enum Kind: UInt8, Sendable, CaseIterable {
        case settings = 1
        case status = 2
        case about = 3
        /// Over Bluetooth only, like `faults`.
        case logBook = 5
        case faults = 6

        /// The register whose write triggers this record on RS485 (§3.1).
        var trigger: UInt16? {
            switch self {
            case .settings: 0x161E
            case .status: 0x1620
            case .about: 0x161C
            case .logBook, .faults: nil
            }
        }

        /// The record that a write to this register triggers.
        public init?(trigger: UInt16) {
            switch trigger {
            case 0x161E: self = .settings
            case 0x1620: self = .status
            case 0x161C: self = .about
            default: return nil
            }
        }
    }

    /// How a status record is laid out. Old units differ, and nothing in the record names the layout.
    public enum Layout: UInt8, Sendable {
        /// Floats, of the balancers and the first BMS generation: cells only.
        case jk04
        case cells24
        case cells32
    }

    /// Framing and sum of one record.
    /// - Returns: nil for a type that is not known.
    public static func validate(_ record: Span<UInt8>) throws(FrameRejection) -> Kind? {
        if record.count < 4 { throw .truncated }
        if record[0] != header.0 || record[1] != header.1 || record[2] != header.2 || record[3] != header.3 {
            throw .noise
        }
        if record.count < recordLength { throw .truncated }
        if record.count > recordLength { throw .badLength }
        if sum(record) != record[recordLength - 1] { throw .badChecksum }
        return Kind(rawValue: record[4])
    }

    static func sum(_ record: Span<UInt8>) -> UInt8 {
        var sum: UInt8 = 0
        for i in 0..<recordLength - 1 { sum &+= record[unchecked: i] }
        return sum
    }

    /// Decodes a status record.
    ///
    /// - Parameter layout: as found in an earlier record of the same unit; nil finds it by the content.
    /// - Returns: the layout, to be remembered: a sleeping unit sends zeros that fit none.
    /// - Throws: what `validate` throws, `unexpected` for a record of another type, and `badStructure` for one that fits no layout
    ///   or whose values contradict each other.
    @discardableResult
    public static func decodeStatus(
        _ record: Span<UInt8>, layout: Layout? = nil, probes: inout JKProbes, into reading: inout PackReading
    ) throws(FrameRejection) -> Layout {
        if try validate(record) != .status { throw .unexpected }
        guard let layout = layout ?? classify(record) else { throw .badStructure }
        reading = PackReading()
        if layout == .jk04 {
            try readJK04Status(record, into: &reading)
            return layout
        }
        let registers = JKRegisters.record(.status, cells24: layout == .cells24)
        registers.readStatus(record, probes: &probes, into: &reading)
        if !isPlausible(reading, registers, record) { throw .badStructure }
        return layout
    }

    /// Decodes a settings record.
    /// - Returns: the configured capacity, which belongs to the reading of the pack.
    public static func decodeSettings(
        _ record: Span<UInt8>, into settings: inout PackSettings
    ) throws(FrameRejection) -> MilliampHours? {
        if try validate(record) != .settings { throw .unexpected }
        settings = PackSettings()
        switch settingsLayout(record) {
        case .jk04:
            readJK04Settings(record, into: &settings)
            return nil
        case .cells24, .cells32: return JKRegisters.record(.settings).readSettings(record, into: &settings)
        case nil: throw .badStructure
        }
    }

    // MARK: Layout

    /// The layout whose own numbers agree (jk-ble.md §2): cell mask not empty, cells within 0.5...5 V, and their mean within 6 mV of
    /// the stored average. Of 1364 captured records exactly one layout fits 1356, and none the rest.
    public static func classify(_ record: Span<UInt8>) -> Layout? {
        var found: Layout?
        if fits(JKRegisters.record(.status), record) { found = .cells32 }
        if fits(JKRegisters.record(.status, cells24: true), record) {
            if found != nil { return nil }
            found = .cells24
        }
        if fitsJK04(record) {
            if found != nil { return nil }
            found = .jk04
        }
        return found
    }

    private static func fits(_ registers: JKRegisters, _ record: Span<UInt8>) -> Bool {
        guard let mask = registers.u32(JKRegister.cellMask, record), mask != 0,
            let average = registers.u16(JKRegister.averageCell, record)
        else { return false }
        var sum: Int32 = 0
        var count: Int32 = 0
        var isWithinRange = true
        registers.forEachCell(record) { _, cell in
            if cell == 0 { return }
            if cell < 500 || cell > 5000 { isWithinRange = false }
            sum += Int32(cell)
            count += 1
        }
        if count == 0 || !isWithinRange { return false }
        let off = sum - Int32(average) * count
        return off <= 6 * count && off >= -6 * count
    }

    /// 24-cell and 32-cell units share the first half of the settings; what only the longer one has is zero in the shorter.
    public static func settingsLayout(_ record: Span<UInt8>) -> Layout? {
        let registers = JKRegisters.record(.settings)
        if let cells = registers.u32(JKRegister.cellCount, record), cells >= 1 && cells <= 32,
            let over = registers.u32(JKRegister.cellOverVoltage, record), over >= 500 && over <= 5000
        {
            for i in 270..<299 where record[i] != 0 { return .cells32 }
            return .cells24
        }
        return fitsJK04Settings(record) ? .jk04 : nil
    }

    // MARK: Plausibility

    /// What the weak sum cannot assure (§3.1): a cell for each bit of the mask and no other, the pack within 2 % of the sum of its
    /// cells, SoC at most 100, remaining charge at most 1.2 × full.
    private static func isPlausible(_ reading: borrowing PackReading, _ registers: JKRegisters, _ record: Span<UInt8>)
        -> Bool
    {
        let mask = registers.u32(JKRegister.cellMask, record) ?? 0
        var present: UInt32 = 0
        var sum: Int32 = 0
        registers.forEachCell(record) { k, cell in
            if cell != 0 { present |= 1 << UInt32(k) }
            sum += Int32(cell)
        }
        guard mask != 0, mask == present, let pack = reading.packVoltage, let soc = reading.soc,
            let remaining = reading.remaining, let full = reading.full
        else { return false }
        let off = Int64(pack) - Int64(sum)
        return off.magnitude * 50 < UInt64(sum) && soc <= 10_000 && Int64(remaining) * 10 <= Int64(full) * 12
    }
}
