import Battery

/// Conversions from the units of the core to what the frames carry. The only place that rounds, always to the safe side
/// (charge-control.md §3), and never wraps: a value that the field cannot hold becomes the nearest one that is safe.
enum WireValue {
    /// CVL in 0.1 V, rounded down.
    static func chargeVoltage(_ report: borrowing BankReport) -> UInt16 {
        uint16(report.chargeVoltageLimit / 100)
    }

    /// DVL in 0.1 V, rounded up.
    static func dischargeVoltage(_ report: borrowing BankReport) -> UInt16 {
        let limit = report.dischargeVoltageLimit
        return limit <= 0 ? 0 : uint16((limit &- 1) / 100 &+ 1)
    }

    /// CCL in 0.1 A, rounded down.
    static func chargeCurrent(_ report: borrowing BankReport) -> UInt16 {
        currentLimit(report.chargeCurrentLimit, isEnabled: report.chargeEnabled)
    }

    /// DCL in 0.1 A, rounded down.
    static func dischargeCurrent(_ report: borrowing BankReport) -> UInt16 {
        currentLimit(report.dischargeCurrentLimit, isEnabled: report.dischargeEnabled)
    }

    /// A limit is a positive 16-bit number even in fields declared signed: every capture of a real pack is positive, and an early
    /// diyBMS that sent −10 A was not understood (pylontech-can.md §0x351).
    ///
    /// A direction that is not enabled has no current: several dialects have no enable bit, the limit must say it alone. Only
    /// 0.1 A passes, the "zero" of inverters that ignore an exact 0 (amendment 15).
    private static func currentLimit(_ limit: Milliamps, isEnabled: Bool) -> UInt16 {
        let tenths = min(max(limit / 100, 0), 32767)
        return UInt16(truncatingIfNeeded: isEnabled || tenths <= 1 ? tenths : 0)
    }

    /// Whole percent, 0...100.
    static func percent(_ value: Int32) -> UInt16 {
        UInt16(truncatingIfNeeded: min(max(value, 0), 100))
    }

    /// A measured value in steps of `step`, nearest, as two's complement in 16 bits.
    @inline(__always)
    static func measured(_ value: Int32, step: Int32) -> UInt16 {
        int16(nearest(value, step))
    }

    /// 0.1 °C. A bank without any temperature reads 0.0: charging is then blocked by the control logic, and 0 °C is the value
    /// at which every LFP inverter agrees with that.
    static func temperature(_ value: Decidegrees?, otherwise second: Decidegrees? = nil) -> UInt16 {
        int16(value ?? second ?? 0)
    }

    /// Whole kelvin, 273 for 0 °C.
    static func kelvin(_ value: Decidegrees?, otherwise second: Decidegrees?) -> UInt16 {
        uint16(nearest(value ?? second ?? 0, 10) &+ 273)
    }

    /// Whole Ah, rounded down.
    static func ampHours(_ value: MilliampHours) -> UInt16 {
        uint16(value / 1000)
    }

    /// What the owner installed, in whole Ah; what the BMS has learned when the owner told nothing.
    static func installed(_ report: borrowing BankReport) -> UInt16 {
        let rated = report.rated
        return ampHours(rated > 0 ? rated : report.full)
    }

    /// Nearest multiple of `step`, halves away from zero, in steps.
    @inline(__always)
    static func nearest(_ value: Int32, _ step: Int32) -> Int32 {
        let whole = value / step
        let rest = value % step
        if rest >= (step &+ 1) / 2 { return whole &+ 1 }
        if rest <= -(step &+ 1) / 2 { return whole &- 1 }
        return whole
    }

    static func int16(_ value: Int32) -> UInt16 {
        UInt16(bitPattern: Int16(truncatingIfNeeded: min(max(value, -32768), 32767)))
    }

    static func uint16(_ value: Int32) -> UInt16 {
        UInt16(truncatingIfNeeded: min(max(value, 0), 65535))
    }

    static func uint8(_ value: Int32, in range: ClosedRange<Int32> = 0...255) -> UInt8 {
        UInt8(truncatingIfNeeded: min(max(value, range.lowerBound), range.upperBound))
    }

    /// Four 16-bit values, low byte first, in wire order.
    static func littleEndian(_ a: UInt16, _ b: UInt16, _ c: UInt16, _ d: UInt16 = 0) -> UInt64 {
        UInt64(a) | UInt64(b) << 16 | UInt64(c) << 32 | UInt64(d) << 48
    }

    /// Four 16-bit values, high byte first, in wire order.
    static func bigEndian(_ a: UInt16, _ b: UInt16, _ c: UInt16, _ d: UInt16) -> UInt64 {
        littleEndian(a.byteSwapped, b.byteSwapped, c.byteSwapped, d.byteSwapped)
    }
}
