import Battery

// The frames that Pylontech V1.2 shares with the dialects derived from it. Layouts: pylontech-can.md §Frames.

/// 0x351: what the inverter may do.
enum LimitsFrame {
    @inline(__always)
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x351, length: 8,
            word: WireValue.littleEndian(
                WireValue.chargeVoltage(report), WireValue.chargeCurrent(report),
                WireValue.dischargeCurrent(report), WireValue.dischargeVoltage(report)))
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x351, "ChargeVoltage", at: 0, 16, divisor: 10, unit: "V"))
        visit(Signal(0x351, "ChargeCurrentLimit", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x351, "DischargeCurrentLimit", at: 32, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x351, "DischargeVoltage", at: 48, 16, divisor: 10, unit: "V"))
    }
}

/// 0x355, bytes 0–3: state of charge and of health in whole percent. What follows differs from dialect to dialect.
enum StateFrame {
    @inline(__always)
    static func word(_ report: borrowing BankReport) -> UInt64 {
        WireValue.littleEndian(WireValue.percent(report.soc), WireValue.percent(report.soh), 0)
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x355, "SOC", at: 0, 16, unit: "%"))
        visit(Signal(0x355, "SOH", at: 16, 16, unit: "%"))
    }
}

/// 0x356, bytes 0–5: voltage in 0.01 V, current in 0.1 A positive while charging, temperature in 0.1 °C.
enum MeasurementFrame {
    @inline(__always)
    static func encode(_ report: borrowing BankReport, length: UInt8) -> CANFrame {
        CANFrame(id: 0x356, length: length, word: word(report))
    }

    @inline(__always)
    static func word(_ report: borrowing BankReport) -> UInt64 {
        WireValue.littleEndian(
            WireValue.measured(report.voltage, step: 10), WireValue.measured(report.current, step: 100),
            WireValue.temperature(report.temperature))
    }

    /// Eight bytes, the voltage in 0.1 V.
    static func encodeInTenths(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x356, length: 8,
            word: word(report) & ~0xFFFF | UInt64(WireValue.measured(report.voltage, step: 100)))
    }

    /// `voltageDivisor` is 10 in the two dialects that count the voltage in 0.1 V.
    static func signals(voltageDivisor: Int32 = 100, _ visit: (Signal) -> Void) {
        visit(Signal(0x356, "Voltage", at: 0, 16, signed: true, divisor: voltageDivisor, unit: "V"))
        visit(Signal(0x356, "Current", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x356, "Temperature", at: 32, 16, signed: true, divisor: 10, unit: "degC"))
    }
}

/// 0x359: protections (bytes 0–1), warnings (bytes 2–3), number of packs (byte 4) and the letters `PN` (bytes 5–6).
///
/// | protection | warning | alarms of the bank |
/// |---|---|---|
/// | byte 0 bit 1 | byte 2 bit 1 | over-voltage of a cell or the pack |
/// | byte 0 bit 2 | byte 2 bit 2 | under-voltage of a cell or the pack |
/// | byte 0 bit 3 | byte 2 bit 3 | over-temperature of cells, box or MOSFET, either direction |
/// | byte 0 bit 4 | byte 2 bit 4 | under-temperature, either direction |
/// | byte 0 bit 7 | byte 2 bit 7 | discharge over-current, short circuit |
/// | byte 1 bit 0 | byte 3 bit 0 | charge over-current |
/// | byte 1 bit 3 "system error" | – | every other protection |
/// | – | byte 3 bit 3 "internal communication" | a fault of the electronics, or the bridge has lost the BMS |
///
/// A low state of charge, an imbalance and a bad balancing wire have no warning bit here and are not sent as something else.
enum PylontechAlarms {
    @inline(__always)
    static func encode(_ report: borrowing BankReport, length: UInt8) -> CANFrame {
        CANFrame(id: 0x359, length: length, word: bits(report) | packs(report) | pn)
    }

    /// The same with the packs that are online as a mask in byte 7. Which address is which pack is not known at this level, so the
    /// lowest bits stand for as many packs.
    static func encodeWithMask(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x359, length: 8, word: bits(report) | packs(report) | pn | mask(report))
    }

    static func mask(_ report: borrowing BankReport) -> UInt64 {
        let packs = UInt64(WireValue.uint8(report.packsOnline, in: 0...8))
        return ((1 << packs) &- 1) << 56
    }

    @inline(__always)
    static func bits(_ report: borrowing BankReport) -> UInt64 {
        let protections = report.protections
        let warnings = report.warnings
        if protections.isEmpty && warnings.isEmpty { return 0 }
        return group(protections) | protections.bit(11, otherThan: .withDirection)
            | group(warnings) << 16 | warnings.bit(27, .electronics)
    }

    /// Byte 4, at least 1: some inverters scale their own limits with it.
    @inline(__always)
    static func packs(_ report: borrowing BankReport) -> UInt64 {
        UInt64(WireValue.uint8(report.packsOnline, in: 1...255)) << 32
    }

    private static func group(_ alarms: Alarms) -> UInt64 {
        alarms.bit(1, .overVoltage) | alarms.bit(2, .underVoltage)
            | alarms.bit(3, .overTemperature) | alarms.bit(4, .underTemperature)
            | alarms.bit(7, Alarms.dischargeOverCurrent.union(.shortCircuit)) | alarms.bit(8, .chargeOverCurrent)
    }

    /// "PN" in bytes 5 and 6.
    private static let pn: UInt64 = 0x004E_5000_0000_0000

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x359, "Prot_OverVoltage", at: 1, 1))
        visit(Signal(0x359, "Prot_UnderVoltage", at: 2, 1))
        visit(Signal(0x359, "Prot_OverTemp", at: 3, 1))
        visit(Signal(0x359, "Prot_UnderTemp", at: 4, 1))
        visit(Signal(0x359, "Prot_DischargeOC", at: 7, 1))
        visit(Signal(0x359, "Prot_ChargeOC", at: 8, 1))
        visit(Signal(0x359, "Prot_SystemError", at: 11, 1))
        visit(Signal(0x359, "Alarm_HighVoltage", at: 17, 1))
        visit(Signal(0x359, "Alarm_LowVoltage", at: 18, 1))
        visit(Signal(0x359, "Alarm_HighTemp", at: 19, 1))
        visit(Signal(0x359, "Alarm_LowTemp", at: 20, 1))
        visit(Signal(0x359, "Alarm_DischargeHighCurrent", at: 23, 1))
        visit(Signal(0x359, "Alarm_ChargeHighCurrent", at: 24, 1))
        visit(Signal(0x359, "Alarm_InternalComm", at: 27, 1))
        visit(Signal(0x359, "ModuleCount", at: 32, 8))
    }

    static func maskSignal(_ visit: (Signal) -> Void) {
        visit(Signal(0x359, "OnlineMask", at: 56, 8))
    }

    static func markSignals(_ visit: (Signal) -> Void) {
        visit(Signal(0x359, "Mark_P", at: 40, 8))
        visit(Signal(0x359, "Mark_N", at: 48, 8))
    }
}

/// 0x35C: enables and requests in byte 0.
enum PylontechRequest {
    @inline(__always)
    static func encode(_ report: borrowing BankReport, length: UInt8) -> CANFrame {
        var bits: UInt64 = 0
        if report.chargeEnabled { bits |= 1 << 7 }
        if report.dischargeEnabled { bits |= 1 << 6 }
        if report.requests.contains(.forceCharge1) { bits |= 1 << 5 }
        if report.requests.contains(.forceCharge2) { bits |= 1 << 4 }
        if report.requests.contains(.fullCharge) { bits |= 1 << 3 }
        return CANFrame(id: 0x35C, length: length, word: bits)
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x35C, "FullChargeRequest", at: 3, 1))
        visit(Signal(0x35C, "ForceChargeII", at: 4, 1))
        visit(Signal(0x35C, "ForceChargeI", at: 5, 1))
        visit(Signal(0x35C, "DischargeEnable", at: 6, 1))
        visit(Signal(0x35C, "ChargeEnable", at: 7, 1))
    }
}
