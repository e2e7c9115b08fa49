import Battery

// The frames that SMA, Victron and BYD share, and that PYLON V2 and GoodWe add to Pylontech's. Layouts: victron-can.md, sma-can.md.

/// 0x355 with the state of charge a second time, in 0.01 %.
///
/// SMA reads this value instead of the whole percent whenever it is there: zeros in its place report an empty battery and shut
/// the system down. It is therefore always the real one.
enum FineStateFrame {
    static func encode(_ report: borrowing BankReport, length: UInt8) -> CANFrame {
        let fine = UInt64(WireValue.uint16(min(report.socFine, 100_00)))
        return CANFrame(id: 0x355, length: length, word: StateFrame.word(report) | fine << 32)
    }

    static func signals(_ visit: (Signal) -> Void) {
        StateFrame.signals(visit)
        visit(Signal(0x355, "SOC_HiRes", at: 32, 16, divisor: 100, unit: "%"))
    }
}

/// 0x356 with the number of cycles in bytes 6–7 (a Seplos pack; others send 0 there).
enum CycleMeasurementFrame {
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x356, length: 8,
            word: MeasurementFrame.word(report) | UInt64(WireValue.uint16(report.cycles)) << 48)
    }

    static func signals(_ visit: (Signal) -> Void) {
        MeasurementFrame.signals(visit)
        visit(Signal(0x356, "Cycles", at: 48, 16))
    }
}

/// 0x35A: thirteen alarms in bytes 0–3 and the same as warnings in bytes 4–7, two bits each: 1 = raised, 2 = cleared.
///
/// A pair of 0 changes nothing at the reader, so an alarm that was raised stays until a 2 is sent. Every healthy pair is
/// therefore sent as 2, never as 0 (sma-can.md §0x35A; captures of healthy BYD and Seplos packs agree).
///
/// | pair | name | alarms of the bank |
/// |---|---|---|
/// | 0 | general | a protection without a pair of its own; as a warning: other |
/// | 1, 2 | high, low voltage | over-, under-voltage of a cell or the pack |
/// | 3 | high temperature | discharge over-temperature, MOSFET; cells and box when discharge is blocked |
/// | 4 | low temperature | discharge under-temperature; cells when discharge is blocked |
/// | 5 | high temperature, charging | charge over-temperature, MOSFET, cells, box |
/// | 6 | low temperature, charging | charge under-temperature, cells |
/// | 7, 8 | high discharge, charge current | discharge, charge over-current |
/// | 9 | contactor | a charge or discharge switch does not do what it should |
/// | 10 | short circuit | short circuit |
/// | 11 | BMS internal | the other faults of the electronics, or the bridge has lost the BMS |
/// | 12 | cell imbalance | imbalance |
enum AlarmPairs {
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x35A, length: 8, word: word(report))
    }

    static func word(_ report: borrowing BankReport) -> UInt64 {
        let stopped = !report.dischargeEnabled
        let protections = report.protections
        let alarms = raised(protections, dischargeStopped: stopped) | protections.bit(0, otherThan: named)
        let warnings = report.warnings
        let advice = raised(warnings, dischargeStopped: stopped) | warnings.bit(0, .other)
        let both = alarms | advice << 32
        return both | (healthy & ~(both << 1))
    }

    /// 2 in each of the thirteen pairs of both halves. Pairs 13–15 are not for an external battery and stay 0.
    private static let healthy: UInt64 = 0x02AA_AAAA_02AA_AAAA

    private static func raised(_ alarms: Alarms, dischargeStopped: Bool) -> UInt64 {
        alarms.bit(2, .overVoltage) | alarms.bit(4, .underVoltage)
            | alarms.bit(6, .dischargeHeat(isStopped: dischargeStopped))
            | alarms.bit(8, .dischargeCold(isStopped: dischargeStopped))
            | alarms.bit(10, .chargeHeat) | alarms.bit(12, .chargeCold)
            | alarms.bit(14, .dischargeOverCurrent) | alarms.bit(16, .chargeOverCurrent)
            | alarms.bit(18, switches) | alarms.bit(20, .shortCircuit) | alarms.bit(22, inside)
            | alarms.bit(24, .cellImbalance)
    }

    private static var switches: Alarms { Alarms.chargeSwitchFault.union(.dischargeSwitchFault) }
    private static var inside: Alarms {
        .electronics.subtracting(Alarms.other.union(.chargeSwitchFault).union(.dischargeSwitchFault))
    }
    private static var named: Alarms { .withDirection.union(Alarms.cellImbalance.union(switches).union(inside)) }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x35A, "A_General", at: 0, 2))
        visit(Signal(0x35A, "A_HighVoltage", at: 2, 2))
        visit(Signal(0x35A, "A_LowVoltage", at: 4, 2))
        visit(Signal(0x35A, "A_HighTemp", at: 6, 2))
        visit(Signal(0x35A, "A_LowTemp", at: 8, 2))
        visit(Signal(0x35A, "A_HighTempCharge", at: 10, 2))
        visit(Signal(0x35A, "A_LowTempCharge", at: 12, 2))
        visit(Signal(0x35A, "A_HighDischargeCurrent", at: 14, 2))
        visit(Signal(0x35A, "A_HighChargeCurrent", at: 16, 2))
        visit(Signal(0x35A, "A_Contactor", at: 18, 2))
        visit(Signal(0x35A, "A_ShortCircuit", at: 20, 2))
        visit(Signal(0x35A, "A_BmsInternal", at: 22, 2))
        visit(Signal(0x35A, "A_CellImbalance", at: 24, 2))
        visit(Signal(0x35A, "W_General", at: 32, 2))
        visit(Signal(0x35A, "W_HighVoltage", at: 34, 2))
        visit(Signal(0x35A, "W_LowVoltage", at: 36, 2))
        visit(Signal(0x35A, "W_HighTemp", at: 38, 2))
        visit(Signal(0x35A, "W_LowTemp", at: 40, 2))
        visit(Signal(0x35A, "W_HighTempCharge", at: 42, 2))
        visit(Signal(0x35A, "W_LowTempCharge", at: 44, 2))
        visit(Signal(0x35A, "W_HighDischargeCurrent", at: 46, 2))
        visit(Signal(0x35A, "W_HighChargeCurrent", at: 48, 2))
        visit(Signal(0x35A, "W_Contactor", at: 50, 2))
        visit(Signal(0x35A, "W_ShortCircuit", at: 52, 2))
        visit(Signal(0x35A, "W_BmsInternal", at: 54, 2))
        visit(Signal(0x35A, "W_CellImbalance", at: 56, 2))
    }

    /// Peers of Victron tell here whether the system is online. We leave it 0, "not supported", as the captured Seplos pack does.
    static func onlineSignal(_ visit: (Signal) -> Void) {
        visit(Signal(0x35A, "SystemOnline", at: 58, 2))
    }
}

/// 0x35F: product, firmware, capacity in Ah, hardware.
enum InfoFrame {
    static func encode(product: UInt16, firmware: UInt16, capacity: MilliampHours) -> CANFrame {
        CANFrame(
            id: 0x35F, length: 8,
            word: WireValue.littleEndian(product, firmware.byteSwapped, WireValue.ampHours(capacity), 0))
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x35F, "ProductId", at: 0, 16))
        visit(Signal(0x35F, "FwMajor", at: 16, 8))
        visit(Signal(0x35F, "FwMinor", at: 24, 8))
        visit(Signal(0x35F, "CapacityAh", at: 32, 16, unit: "Ah"))
        visit(Signal(0x35F, "HardwareVersion", at: 48, 16))
    }
}

/// 0x360: byte 0 is 0xFF while the battery asks to be charged (peers only; a real BYD sends 0).
enum ChargeRequestFrame {
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x360, length: 8, word: report.requests.isEmpty ? 0 : 0xFF)
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x360, "ChargeRequest", at: 0, 8))
    }
}

/// 0x372–0x377 and 0x379: packs, extremes and where they are, installed capacity.
enum BankFrames {
    static func append(_ report: borrowing BankReport, _ frames: inout FrameSet) {
        appendPacks(report, &frames)
        appendExtremes(report, &frames)
        appendPlaces(report, &frames)
        frames.append(CapacityFrame.encode(report))
    }

    static func appendPacks(_ report: borrowing BankReport, _ frames: inout FrameSet) {
        frames.append(
            CANFrame(
                id: 0x372, length: 8,
                word: WireValue.littleEndian(
                    WireValue.uint16(report.packsOnline), WireValue.uint16(report.packsBlockingCharge),
                    WireValue.uint16(report.packsBlockingDischarge), WireValue.uint16(report.packsOffline))))
    }

    /// Temperatures in whole kelvin with 273 for 0 °C.
    static func appendExtremes(_ report: borrowing BankReport, _ frames: inout FrameSet) {
        frames.append(
            CANFrame(
                id: 0x373, length: 8,
                word: WireValue.littleEndian(
                    WireValue.uint16(report.lowestCell), WireValue.uint16(report.highestCell),
                    WireValue.kelvin(report.lowestTemperature, otherwise: report.temperature),
                    WireValue.kelvin(report.highestTemperature, otherwise: report.temperature))))
    }

    /// Places as text, `P2C14` for cell 14 of pack 2.
    static func appendPlaces(_ report: borrowing BankReport, _ frames: inout FrameSet) {
        frames.append(CANFrame(id: 0x374, length: 8, word: TextFrame.word(report.lowestCellPlace, "C")))
        frames.append(CANFrame(id: 0x375, length: 8, word: TextFrame.word(report.highestCellPlace, "C")))
        frames.append(CANFrame(id: 0x376, length: 8, word: TextFrame.word(report.lowestTemperaturePlace, "T")))
        frames.append(CANFrame(id: 0x377, length: 8, word: TextFrame.word(report.highestTemperaturePlace, "T")))
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x372, "ModulesOnline", at: 0, 16))
        visit(Signal(0x372, "ModulesBlockingCharge", at: 16, 16))
        visit(Signal(0x372, "ModulesBlockingDischarge", at: 32, 16))
        visit(Signal(0x372, "ModulesOffline", at: 48, 16))
        visit(Signal(0x373, "CellMin", at: 0, 16, unit: "mV"))
        visit(Signal(0x373, "CellMax", at: 16, 16, unit: "mV"))
        visit(Signal(0x373, "TempMin", at: 32, 16, offset: -273, unit: "degC"))
        visit(Signal(0x373, "TempMax", at: 48, 16, offset: -273, unit: "degC"))
        TextFrame.signals(0x374, "CellMinId_", visit)
        TextFrame.signals(0x375, "CellMaxId_", visit)
        TextFrame.signals(0x376, "TempMinId_", visit)
        TextFrame.signals(0x377, "TempMaxId_", visit)
        CapacityFrame.signals(visit)
    }
}

/// 0x378: energy charged and discharged in 0.1 kWh (BYD capture; MG Energy documents 0.01 kWh).
enum EnergyFrame {
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(
            id: 0x378, length: 8,
            word: UInt64(tenths(report.energyCharged)) | UInt64(tenths(report.energyDischarged)) << 32)
    }

    private static func tenths(_ wattHours: Int64) -> UInt32 {
        UInt32(truncatingIfNeeded: min(max(wattHours / 100, 0), 0xFFFF_FFFF))
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x378, "EnergyCharged", at: 0, 32, divisor: 10, unit: "kWh"))
        visit(Signal(0x378, "EnergyDischarged", at: 32, 32, divisor: 10, unit: "kWh"))
    }
}

/// 0x379: installed capacity in Ah.
enum CapacityFrame {
    static func encode(_ report: borrowing BankReport) -> CANFrame {
        CANFrame(id: 0x379, length: 8, word: UInt64(WireValue.installed(report)))
    }

    static func signals(_ visit: (Signal) -> Void) {
        visit(Signal(0x379, "InstalledCapacity", at: 0, 16, unit: "Ah"))
    }
}
