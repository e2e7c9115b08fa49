import InverterDialects

/// What a listener on the bus understands of the frames it heard: the inverter's side, read straight from the bytes.
///
/// Deliberately not `InverterDialects`: the inverter of the simulation and the invariant checker must not share a mistake with the
/// encoder. The layouts are those of pylontech-can.md and growatt-can.md.
public struct HeardFrames: Equatable, Sendable {
    /// Tenths of a volt.
    public var chargeVoltage: Int32 = 0
    public var dischargeVoltage: Int32 = 0
    /// Tenths of an ampere.
    public var chargeLimit: Int32 = 0
    public var dischargeLimit: Int32 = 0
    public var chargeEnabled = false
    public var dischargeEnabled = false
    public var forceCharge1 = false
    public var forceCharge2 = false
    public var fullCharge = false
    public var soc: Int32 = -1
    public var soh: Int32 = -1
    /// Hundredths of a volt, tenths of an ampere, tenths of a degree.
    public var voltage: Int32 = 0
    public var current: Int32 = 0
    public var temperature: Int32 = 0
    /// Raw protection and warning bits as they are on the wire.
    public var protections: UInt16 = 0
    public var warnings: UInt16 = 0
    public var modules: Int32 = -1

    /// Which parts have been heard since the start.
    public var hasLimits = false
    public var hasFlags = false
    public var hasAlarms = false

    public init() {}

    public enum Content: Sendable {
        case limits, soc, measurements, alarms, flags, other
    }

    /// Understands one frame.
    public mutating func hear(_ frame: CANFrame, dialect: DialectName) -> Content {
        if frame.isExtended { return .other }
        return dialect == .growatt ? hearGrowatt(frame) : hearPylontech(frame)
    }

    private mutating func hearPylontech(_ f: CANFrame) -> Content {
        func u16(_ i: Int) -> Int32 { Int32(f[i]) | Int32(f[i + 1]) << 8 }
        func s16(_ i: Int) -> Int32 { Int32(Int16(truncatingIfNeeded: u16(i))) }
        switch f.id {
        case 0x351:
            (chargeVoltage, chargeLimit, dischargeLimit, dischargeVoltage) = (u16(0), s16(2), s16(4), u16(6))
            hasLimits = true
            return .limits
        case 0x355:
            (soc, soh) = (u16(0), u16(2))
            return .soc
        case 0x356:
            (voltage, current, temperature) = (s16(0), s16(2), s16(4))
            return .measurements
        case 0x359:
            (protections, warnings) = (UInt16(f[0]) | UInt16(f[1]) << 8, UInt16(f[2]) | UInt16(f[3]) << 8)
            modules = Int32(f[4])
            hasAlarms = true
            return .alarms
        case 0x35C:
            chargeEnabled = f[0] & 0x80 != 0
            dischargeEnabled = f[0] & 0x40 != 0
            forceCharge1 = f[0] & 0x20 != 0
            forceCharge2 = f[0] & 0x10 != 0
            fullCharge = f[0] & 0x08 != 0
            hasFlags = true
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
            (protections, warnings) = (UInt16(f[0]) | UInt16(f[1]) << 8, UInt16(f[2]) | UInt16(f[3]) << 8)
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
        switch (dialect, id) {
        case (.growatt, 0x311): (8, 0xFF0F_FFFF_FFFF_FFFF)
        case (.growatt, 0x312): (8, 0xFFFF_FFFF_F7DE_FCFF)
        case (.growatt, 0x313), (.growatt, 0x314): (8, .max)
        case (.growatt, 0x319): (8, 0xFFFF_FFFF_FFFF_FFF3)
        case (.pylontech, 0x351), (.pylontech, 0x35E): (8, .max)
        case (.pylontech, 0x355): (4, 0xFFFF_FFFF)
        case (.pylontech, 0x356): (6, 0xFFFF_FFFF_FFFF)
        case (.pylontech, 0x359): (7, 0x004E_50FF_099E_099E)
        case (.pylontech, 0x35C): (2, 0xF8)
        default: nil
        }
    }
}
