import Battery

/// LuxPower battery CAN V04.2 (EG4 too): Pylontech's identifiers with other payloads in their tails (luxpower-can.md).
///
/// A plain Pylontech set would read as 20048 Ah here, because its letters `PN` stand where LuxPower has the capacity.
public enum LuxPowerCAN: InverterDialect {
    public static func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        frames.append(LimitsFrame.encode(report))
        frames.append(
            CANFrame(
                id: 0x355, length: 8,
                word: StateFrame.word(report) | UInt64(WireValue.uint16(report.highestCell)) << 32
                    | UInt64(WireValue.uint16(report.lowestCell)) << 48))
        frames.append(measurement(report))
        frames.append(
            CANFrame(
                id: 0x359, length: 8,
                word: PylontechAlarms.bits(report) | PylontechAlarms.packs(report)
                    | UInt64(WireValue.installed(report)) << 40))
        let request = PylontechRequest.encode(report, length: 8)
        frames.append(
            CANFrame(id: 0x35C, length: 8, word: request.word | UInt64(WireValue.uint16(report.cycles)) << 16))
        frames.append(CANFrame(id: 0x35E, length: 8, word: TextFrame.word("PACKBRDG")))
    }

    public static func isHeartbeat(_ frame: CANFrame) -> Bool {
        frame.id == 0x305
    }

    /// Highest and lowest cell temperature. Some unit misbehaves when the two are equal, as they are with a single sensor, so the
    /// highest is then one tenth of a degree higher.
    private static func measurement(_ report: borrowing BankReport) -> CANFrame {
        let lowest = WireValue.temperature(report.lowestTemperature, otherwise: report.temperature)
        var highest = WireValue.temperature(report.highestTemperature, otherwise: report.temperature)
        if highest == lowest { highest = WireValue.int16(Int32(Int16(bitPattern: lowest)) &+ 1) }
        return CANFrame(
            id: 0x356, length: 8,
            word: MeasurementFrame.word(report) & 0xFFFF_FFFF | UInt64(highest) << 32 | UInt64(lowest) << 48)
    }

    public static func signals(_ visit: (Signal) -> Void) {
        LimitsFrame.signals(visit)
        StateFrame.signals(visit)
        visit(Signal(0x355, "CellMax", at: 32, 16, unit: "mV"))
        visit(Signal(0x355, "CellMin", at: 48, 16, unit: "mV"))
        visit(Signal(0x356, "Voltage", at: 0, 16, signed: true, divisor: 100, unit: "V"))
        visit(Signal(0x356, "Current", at: 16, 16, signed: true, divisor: 10, unit: "A"))
        visit(Signal(0x356, "CellTempMax", at: 32, 16, signed: true, divisor: 10, unit: "degC"))
        visit(Signal(0x356, "CellTempMin", at: 48, 16, signed: true, divisor: 10, unit: "degC"))
        PylontechAlarms.signals(visit)
        visit(Signal(0x359, "Capacity", at: 40, 16, unit: "Ah"))
        visit(Signal(0x35C, "FullChargeRequest", at: 3, 1))
        // LuxPower counts the two requests the other way round: its number 1 is bit 4, which Pylontech calls II. The bits keep
        // their meaning, only the names are swapped.
        visit(Signal(0x35C, "ForceCharge1", at: 4, 1))
        visit(Signal(0x35C, "ForceCharge2", at: 5, 1))
        visit(Signal(0x35C, "DischargeEnable", at: 6, 1))
        visit(Signal(0x35C, "ChargeEnable", at: 7, 1))
        visit(Signal(0x35C, "Cycles", at: 16, 16))
        TextFrame.signals(0x35E, "Name", visit)
        visit(Signal(0x305, "Heartbeat", at: 0, 64))
        // From the inverter: shut the battery down. Shown, never obeyed: the bridge has no contactor.
        visit(Signal(0x300, "ShutdownBattery", at: 0, 1))
        CapacityFrame.signals(visit)
    }
}
