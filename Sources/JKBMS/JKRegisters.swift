import Battery

/// Finds the registers of a JK BMS in a block of bytes (jk-modbus.md §2).
///
/// The vendor's address of a register is its block's base plus its **byte** offset. The same registers travel in three forms: big-endian
/// words over Modbus, and the little-endian record `55 AA EB 90` in which an address lies at `address - base + 6`, with 32 cells
/// or, in older units, with 24.
///
/// All reads give nil when the block does not reach that far.
public struct JKRegisters: Equatable, Sendable {
    public enum Block: Int, Sendable {
        case settings = 0x1000
        case status = 0x1200
        case about = 0x1400
    }

    private enum Form: UInt8 {
        case words
        case record32
        case record24
    }

    private let form: Form
    /// Address of the first register of the block, and how many bytes carry registers.
    private let first: Int
    private let length: Int

    /// The data bytes of a Modbus reply that begins with register `first`.
    public static func words(from first: Int, byteCount: Int) -> JKRegisters {
        JKRegisters(form: .words, first: first, length: byteCount)
    }

    /// A whole 300-byte record. `cells24` concerns status records only; the settings are the same in both layouts up to address
    /// 0x1087, and the about record always.
    public static func record(_ block: Block, cells24: Bool = false) -> JKRegisters {
        JKRegisters(form: cells24 ? .record24 : .record32, first: block.rawValue, length: 293)
    }

    /// Where a register begins in the bytes; nil when it is not in the block.
    public func offset(of address: Int) -> Int? { offset(address, 1) }

    /// Where an address is in the bytes, for `width` bytes.
    @inline(__always)
    private func offset(_ address: Int, _ width: Int) -> Int? {
        let at = address - first
        if at < 0 { return nil }
        switch form {
        case .words: return at + width <= length ? at : nil
        case .record32: return at + width <= length ? at + 6 : nil
        case .record24: return Self.offset24(address)
        }
    }

    /// jk-ble.md §3: 8 cells and 8 resistances less, but for two places that do not follow. Nothing after the MOSFET states is
    /// known.
    @inline(__always)
    private static func offset24(_ address: Int) -> Int? {
        switch address {
        case 0x1200..<0x1230: address - 0x1200 + 6
        case 0x1240..<0x127A: address - 0x1200 + 6 - 16
        case 0x128A...0x128B: address - JKRegister.mosfetTemperature + 134
        case 0x12A0...0x12A1: address - JKRegister.alarms + 136
        case 0x12A2...0x12A3: nil
        case 0x128C..<0x12C2: address - 0x1200 + 6 - 32
        default: nil
        }
    }

    /// The 24-cell layout has only the low half of the alarm word.
    var alarmWidth: Int { form == .record24 ? 2 : 4 }

    public var cellCapacity: Int { form == .record24 ? 24 : 32 }

    @inline(__always)
    public func u8(_ address: Int, _ bytes: Span<UInt8>) -> UInt8? {
        guard let at = offset(address, 1) else { return nil }
        return bytes[at]
    }

    @inline(__always)
    public func u16(_ address: Int, _ bytes: Span<UInt8>) -> UInt16? {
        guard let at = offset(address, 2) else { return nil }
        let a = UInt16(bytes[at])
        let b = UInt16(bytes[at + 1])
        return form == .words ? a << 8 | b : b << 8 | a
    }

    @inline(__always)
    public func u32(_ address: Int, _ bytes: Span<UInt8>) -> UInt32? {
        guard let at = offset(address, 4) else { return nil }
        let a = UInt32(bytes[at])
        let b = UInt32(bytes[at + 1])
        let c = UInt32(bytes[at + 2])
        let d = UInt32(bytes[at + 3])
        return form == .words ? a << 24 | b << 16 | c << 8 | d : d << 24 | c << 16 | b << 8 | a
    }

    /// Visits the cell voltages from the first to the last that the layout has, the ones that are not fitted included. Does nothing
    /// when the block does not carry all of them.
    @inline(__always)
    func forEachCell(_ bytes: Span<UInt8>, _ body: (_ index: Int, _ cell: UInt16) -> Void) {
        let count = cellCapacity
        guard let start = offset(JKRegister.cellVoltages, 2), offset(JKRegister.cellVoltages + 2 * count - 2, 2) != nil,
            start + 2 * count <= bytes.count
        else { return }
        for k in 0..<count {
            // Inside the block by the comparison above.
            let a = UInt16(bytes[unchecked: start &+ 2 &* k])
            let b = UInt16(bytes[unchecked: start &+ 2 &* k &+ 1])
            body(k, form == .words ? a << 8 | b : b << 8 | a)
        }
    }

    @inline(__always)
    public func i16(_ address: Int, _ bytes: Span<UInt8>) -> Int16? {
        u16(address, bytes).map { Int16(bitPattern: $0) }
    }

    @inline(__always)
    public func i32(_ address: Int, _ bytes: Span<UInt8>) -> Int32? {
        u32(address, bytes).map { Int32(bitPattern: $0) }
    }

    /// A number that the vendor declares unsigned but whose plausible values are far below 2^31. Nil above: no value rather than a
    /// wrong one.
    @inline(__always)
    func amount(_ address: Int, _ bytes: Span<UInt8>) -> Int32? {
        guard let raw = u32(address, bytes), raw <= UInt32(Int32.max) else { return nil }
        return Int32(raw)
    }

    /// A text register up to its first zero, at most `width` bytes of the block.
    public func text(_ address: Int, width: Int, _ bytes: Span<UInt8>, into text: inout FixedArray<24, UInt8>) {
        text.removeAll()
        guard let at = offset(address, width) else { return }
        for i in 0..<width {
            if bytes[at + i] == 0 { return }
            text.append(bytes[at + i])
        }
    }
}

/// Vendor addresses of the registers that the shared vocabulary needs (jk-modbus.md §2.2, §2.3).
enum JKRegister {
    // Settings, base 0x1000
    static let cellUnderVoltage = 0x1004
    static let cellUnderVoltageRelease = 0x1008
    static let cellOverVoltage = 0x100C
    static let cellOverVoltageRelease = 0x1010
    static let balanceTrigger = 0x1014
    static let chargeLimit = 0x102C
    static let dischargeLimit = 0x1038
    static let chargeOverTemperature = 0x104C
    static let dischargeOverTemperature = 0x1054
    static let chargeUnderTemperature = 0x105C
    static let mosfetOverTemperature = 0x1064
    static let cellCount = 0x106C
    static let chargeEnabled = 0x1070
    static let dischargeEnabled = 0x1074
    static let balancerEnabled = 0x1078
    static let capacity = 0x107C
    static let balanceStart = 0x1084

    // Status, base 0x1200
    static let cellVoltages = 0x1200
    static let cellMask = 0x1240
    static let averageCell = 0x1244
    static let mosfetTemperature = 0x128A
    static let packVoltage = 0x1290
    static let current = 0x1298
    static let temperature1 = 0x129C
    static let temperature2 = 0x129E
    static let alarms = 0x12A0
    static let balanceState = 0x12A6
    static let soc = 0x12A7
    static let remaining = 0x12A8
    static let fullCapacity = 0x12AC
    static let cycles = 0x12B0
    static let throughput = 0x12B4
    static let soh = 0x12B8
    static let runtime = 0x12BC
    static let chargeSwitch = 0x12C0
    static let dischargeSwitch = 0x12C1
    static let sensorBits = 0x12D0
    static let temperature3 = 0x12F8
    static let temperature4 = 0x12FA
    static let temperature5 = 0x12FC
}
