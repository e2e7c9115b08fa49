import InverterDialects

/// What a listener on the bus understands of the frames it heard: the inverter's side, read straight from the bytes.
///
/// Deliberately not `InverterDialects`: the inverter of the simulation and the invariant checker must not share a mistake with the
/// encoder. Two layouts are understood, Growatt's and the family of 0x351 … 0x35C, in which the twelve others differ in details.
public struct HeardFrames: Equatable, Sendable {
    /// Tenths of a volt.
    public var chargeVoltage: Int32 = 0
    public var dischargeVoltage: Int32 = 0
    /// Tenths of an ampere.
    public var chargeLimit: Int32 = 0
    public var dischargeLimit: Int32 = 0
    /// The second pair of limits that Deye's PCS dialect has, for the grid.
    public var gridChargeLimit: Int32 = 0
    public var gridDischargeLimit: Int32 = 0
    /// Always true in dialects that have no such bits.
    public var chargeEnabled = false
    public var dischargeEnabled = false
    public var forceCharge1 = false
    public var forceCharge2 = false
    public var fullCharge = false
    public var soc: Int32 = -1
    public var soh: Int32 = -1
    /// Hundredths of a volt, tenths of an ampere (positive while charging), tenths of a degree.
    public var voltage: Int32 = 0
    public var current: Int32 = 0
    public var temperature: Int32 = 0
    /// Raw protection and warning bits as they are on the wire; of pairs one bit each.
    public var protections: UInt32 = 0
    public var warnings: UInt32 = 0
    /// -1: the dialect does not tell.
    public var modules: Int32 = -1

    /// Which parts have been heard since the start.
    public var hasLimits = false
    public var hasFlags = false
    public var hasAlarms = false

    public init() {}

    public enum Content: Int, Sendable, CaseIterable {
        case limits, soc, measurements, alarms, flags, other, gridLimits
    }

    /// Understands one frame.
    public mutating func hear(_ frame: CANFrame, dialect: DialectName) -> Content {
        if frame.isExtended { return .other }
        return dialect == .growatt ? hearGrowatt(frame) : hearFamily(frame, dialect)
    }

    /// The kinds of frames that a complete set has.
    static func kinds(of dialect: DialectName) -> [Content] {
        switch dialect {
        case .growatt: [.limits, .measurements, .alarms, .flags]
        case .sma: [.limits, .soc, .measurements, .alarms]
        case .deyePcs: [.limits, .soc, .measurements, .alarms, .flags, .gridLimits]
        default: [.limits, .soc, .measurements, .alarms, .flags]
        }
    }

    /// The dialect has bits that permit charge and discharge.
    static func hasEnables(_ dialect: DialectName) -> Bool {
        dialect != .sma && dialect != .victron && dialect != .bydLv
    }

    private mutating func hearFamily(_ f: CANFrame, _ dialect: DialectName) -> Content {
        func u16(_ i: Int) -> Int32 { Int32(f[i]) | Int32(f[i + 1]) << 8 }
        func s16(_ i: Int) -> Int32 { Int32(Int16(truncatingIfNeeded: u16(i))) }
        func u32(_ i: Int) -> UInt32 { UInt32(truncatingIfNeeded: f.word >> UInt64(8 * i)) }
        let hasPairs = !Self.hasEnables(dialect)
        switch f.id {
        case 0x351:
            (chargeVoltage, chargeLimit, dischargeLimit, dischargeVoltage) = (u16(0), s16(2), s16(4), u16(6))
            hasLimits = true
            if hasPairs { (chargeEnabled, dischargeEnabled) = (true, true) }
            return .limits
        case 0x371 where dialect == .deyePcs:
            (gridChargeLimit, gridDischargeLimit) = (s16(0), s16(2))
            return .gridLimits
        case 0x355:
            (soc, soh) = (u16(0), u16(2))
            return .soc
        case 0x356:
            (voltage, current, temperature) = (s16(0), s16(2), s16(4))
            if dialect == .hybridLi || dialect == .solark { voltage *= 10 }
            if dialect == .deyePcs { current = -current }
            return .measurements
        case 0x359 where dialect == .deyePcs:
            (protections, warnings) = (u32(0), u32(4))
            hasAlarms = true
            return .alarms
        case 0x359 where !hasPairs:
            (protections, warnings) = (u32(0) & 0xFFFF, u32(2) & 0xFFFF)
            modules = Int32(f[4])
            hasAlarms = true
            return .alarms
        case 0x35A where hasPairs:
            (protections, warnings) = (u32(0) & 0x0155_5555, u32(4) & 0x0155_5555)
            hasAlarms = true
            return .alarms
        case 0x372 where hasPairs:
            modules = u16(0)
            return .other
        case 0x35C where !hasPairs:
            chargeEnabled = f[0] & 0x80 != 0
            dischargeEnabled = f[0] & 0x40 != 0
            forceCharge1 = f[0] & 0x20 != 0
            forceCharge2 = f[0] & 0x10 != 0
            fullCharge = f[0] & 0x08 != 0
            hasFlags = true
            return .flags
        case 0x360 where hasPairs:
            fullCharge = f[0] == 0xFF
            return .flags
        default:
            return .other
        }
    }

    private mutating func hearGrowatt(_ f: CANFrame) -> Content {
        func u16(_ i: Int) -> Int32 { Int32(f[i]) << 8 | Int32(f[i + 1]) }
        func s16(_ i: Int) -> Int32 { Int32(Int16(truncatingIfNeeded: u16(i))) }
        switch f.id {
        case 0x311:
            (chargeVoltage, chargeLimit, dischargeLimit) = (u16(0), u16(2), u16(4))
            hasLimits = true
            return .limits
        case 0x312:
            (protections, warnings) = (UInt32(f[0]) | UInt32(f[1]) << 8, UInt32(f[2]) | UInt32(f[3]) << 8)
            modules = Int32(f[4])
            hasAlarms = true
            return .alarms
        case 0x313:
            (voltage, current, temperature) = (s16(0), s16(2), s16(4))
            (soc, soh) = (Int32(f[6]), Int32(f[7] & 0x7F))
            return .measurements
        case 0x319:
            chargeEnabled = f[0] & 0x80 != 0
            dischargeEnabled = f[0] & 0x40 != 0
            forceCharge1 = f[0] & 0x20 != 0
            forceCharge2 = f[0] & 0x10 != 0
            fullCharge = false
            hasFlags = true
            return .flags
        default:
            return .other
        }
    }

    /// Length and meaningful bits of a frame, byte 0 lowest; nil for a frame without a fixed layout.
    static func definedBits(of id: UInt32, dialect: DialectName) -> (length: UInt8, mask: UInt64)? {
        switch id {
        case 0x311...0x321 where dialect == .growatt: growattBits(of: id)
        case 0x351: (8, .max)
        case 0x355: stateBits(dialect)
        case 0x356: measurementBits(dialect)
        case 0x359: alarmBits(dialect)
        case 0x35A: (8, dialect == .bydLv ? .max : 0x03FF_FFFF_03FF_FFFF)
        case 0x35C: requestBits(dialect)
        case 0x35E: (8, .max)
        case 0x360: (8, 0xFF)
        case 0x371 where dialect == .deyePcs: (8, 0xFFFF_FFFF)
        default: nil
        }
    }

    private static func growattBits(of id: UInt32) -> (length: UInt8, mask: UInt64)? {
        switch id {
        case 0x311: (8, 0xFF0F_FFFF_FFFF_FFFF)
        case 0x312: (8, 0xFFFF_FFFF_F7DE_FCFF)
        case 0x313, 0x314: (8, .max)
        case 0x319: (8, 0xFFFF_FFFF_FFFF_FFF3)
        default: nil
        }
    }

    private static func stateBits(_ dialect: DialectName) -> (length: UInt8, mask: UInt64) {
        switch dialect {
        case .pylontech, .deye, .sofar: (4, 0xFFFF_FFFF)
        case .pylontechV2, .goodwe, .sma: (6, 0xFFFF_FFFF_FFFF)
        case .victron, .bydLv: (8, 0xFFFF_FFFF_FFFF)
        case .luxpower: (8, .max)
        case .deyePcs, .hybridLi, .solark, .growatt: (8, 0xFFFF_FFFF)
        }
    }

    private static func measurementBits(_ dialect: DialectName) -> (length: UInt8, mask: UInt64) {
        switch dialect {
        case .pylontech, .deye, .sofar, .goodwe, .sma: (6, 0xFFFF_FFFF_FFFF)
        case .victron, .pylontechV2, .luxpower: (8, .max)
        case .bydLv, .deyePcs, .hybridLi, .solark, .growatt: (8, 0xFFFF_FFFF_FFFF)
        }
    }

    private static func alarmBits(_ dialect: DialectName) -> (length: UInt8, mask: UInt64)? {
        switch dialect {
        case .pylontech, .deye, .sofar: (7, 0x004E_50FF_099E_099E)
        case .solark: (8, 0x004E_50FF_099E_099E)
        case .pylontechV2: (8, 0xFF4E_50FF_099E_099E)
        case .goodwe: (8, 0xFF00_00FF_099E_099E)
        case .luxpower: (8, 0x00FF_FFFF_099E_099E)
        case .hybridLi: (8, 0x0000_00FF_199E_199E)
        case .deyePcs, .growatt, .sma, .victron, .bydLv: nil
        }
    }

    private static func requestBits(_ dialect: DialectName) -> (length: UInt8, mask: UInt64)? {
        switch dialect {
        case .pylontech, .deye, .sofar, .pylontechV2, .deyePcs: (2, 0xF8)
        case .goodwe: (2, 0xF0)
        case .hybridLi: (8, 0xE0)
        case .solark: (8, 0xF8)
        case .luxpower: (8, 0xFFFF_00F8)
        case .growatt, .sma, .victron, .bydLv: nil
        }
    }

    /// 0x35A: each of the thirteen pairs of both halves says 1 or 2; 0 would leave an old alarm standing, 3 means nothing.
    static func arePairsDecided(_ word: UInt64) -> Bool {
        let low = word & 0x0155_5555_0155_5555
        let high = word >> 1 & 0x0155_5555_0155_5555
        return low ^ high == 0x0155_5555_0155_5555
    }
}
