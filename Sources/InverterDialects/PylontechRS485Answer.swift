import Battery

/// INFO of every answer (pylontech-rs485.md §Commands and §System commands).
///
/// Commands that would switch the battery off or change its settings (64, 94, 95) are unknown here.
enum PylontechRS485Answer {
    /// Writes INFO byte by byte; what was written counts only when the code is good.
    static func information(
        _ request: PylontechRequestTelegram, _ settings: PylontechRS485Settings, _ report: borrowing BankReport,
        _ packs: borrowing some PackReadings, to info: inout some TextSink
    ) -> PylontechReturnCode {
        switch request.command {
        case 0x4F: return .good
        case 0x42:
            return modules(request, packs, &info) { reading, info in analog(reading, &info) }
        case 0x44:
            let alarms = AlarmState(report)
            return modules(request, packs, &info) { reading, info in states(reading, alarms, &info) }
        case 0x47: return parameters(report, packs, &info)
        case 0x51: maker(&info)
        case 0x60: identity(packs, &info)
        case 0x61: summary(report, packs, &info)
        case 0x62: alarms(report, &info)
        case 0x63: limits(report, settings, &info)
        case 0x92:
            guard let module = request.argument else { return .badData }
            info.write(module)
            management(report, &info)
        default: return .unknownCommand
        }
        return .good
    }

    // MARK: 42 and 44, for one module or all

    /// Flags, then COMMAND (in an answer for the group the number of modules), then the modules.
    private static func modules<Info: TextSink>(
        _ request: PylontechRequestTelegram, _ packs: borrowing some PackReadings, _ info: inout Info,
        _ write: (PackReading, inout Info) -> Void
    ) -> PylontechReturnCode {
        guard let argument = request.argument else { return .badData }
        let count = packs.packCount
        if argument == 0xFF {
            var heard: UInt8 = 0
            for index in 0..<count where packs.reading(ofPack: index) != nil { heard &+= 1 }
            guard heard > 0 else { return .internalCommunication }
            info.write(0)
            info.write(heard)
            for index in 0..<count {
                if let reading = packs.reading(ofPack: index) { write(reading, &info) }
            }
            return .good
        }
        // The master is 2 in its group, the next module 3.
        let index = Int(argument & 0x0F) - 2
        guard argument >> 4 == request.address >> 4, index >= 0, index < count else { return .badData }
        guard let reading = packs.reading(ofPack: index) else { return .internalCommunication }
        info.write(0)
        info.write(argument)
        write(reading, &info)
        return .good
    }

    private static func analog(_ pack: PackReading, _ info: inout some TextSink) {
        let cells = pack.cells.count
        info.write(UInt8(truncatingIfNeeded: cells))
        for cell in 0..<cells { info.write(word: pack.cells[cell]) }
        let temperatures = Temperatures(pack)
        info.write(UInt8(truncatingIfNeeded: temperatures.list.count))
        for index in 0..<temperatures.list.count { info.write(word: kelvin(temperatures.list[index])) }
        info.write(word: WireValue.measured(pack.current ?? 0, step: 100))
        info.write(word: WireValue.uint16(pack.packVoltage ?? 0))
        let full = pack.full ?? pack.rated ?? 0
        let remaining = pack.remaining ?? (pack.soc ?? 0) / 100 &* (full / 100)
        // Above 65 Ah the two 16-bit fields are FFFF and two of 24 bits follow.
        let isLarge = full > 65_000
        info.write(word: isLarge ? 0xFFFF : WireValue.uint16(remaining))
        info.write(isLarge ? 4 : 2)
        info.write(word: isLarge ? 0xFFFF : WireValue.uint16(full))
        info.write(word: WireValue.uint16(pack.cycles ?? 0))
        if isLarge {
            info.write(wide: remaining)
            info.write(wide: full)
        }
    }

    private static func states(_ pack: PackReading, _ bank: AlarmState, _ info: inout some TextSink) {
        let any = bank.protections.union(bank.warnings)
        let (lowest, highest) = extremes(pack.cells)
        let cells = pack.cells.count
        info.write(UInt8(truncatingIfNeeded: cells))
        for cell in 0..<cells {
            let isHigh = pack.cells[cell] == highest && any.contains(.cellOverVoltage)
            let isLow = pack.cells[cell] == lowest && any.contains(.cellUnderVoltage)
            info.write(isHigh ? 2 : isLow ? 1 : 0)
        }
        let temperatures = Temperatures(pack).list.count
        info.write(UInt8(truncatingIfNeeded: temperatures))
        for _ in 0..<temperatures { info.write(any.state(below: .underTemperature, above: .overTemperature)) }
        info.write(any.state(below: Alarms(), above: .chargeOverCurrent))
        info.write(any.state(below: .packUnderVoltage, above: .packOverVoltage))
        info.write(any.state(below: Alarms(), above: Alarms.dischargeOverCurrent.union(.shortCircuit)))
        let tripped = bank.protections
        info.write(
            byte(
                tripped.bit(7, .packUnderVoltage) | tripped.bit(6, .chargeHeat)
                    | tripped.bit(5, .dischargeHeat(isStopped: !bank.dischargeEnabled))
                    | tripped.bit(4, Alarms.dischargeOverCurrent.union(.shortCircuit)) | tripped.bit(2, .chargeOverCurrent)
                    | tripped.bit(1, .cellUnderVoltage) | tripped.bit(0, .overVoltage)))
        let current = WireValue.nearest(pack.current ?? 0, 100)
        var switches: UInt8 = 1 << 3
        if bank.dischargeEnabled && pack.dischargeSwitch == true { switches |= 1 << 2 }
        if bank.chargeEnabled && pack.chargeSwitch == true { switches |= 1 << 1 }
        info.write(switches)
        info.write((current > 1 ? 1 << 7 : 0) | (current < -1 ? 1 << 6 : 0) | (bank.isFull ? 1 << 3 : 0))
        // Errors of single cells: a BMS does not tell which one.
        info.write(word: 0)
    }

    // MARK: 47

    /// The limits in force. What the BMS does not store is the tighter of what the vendors of LFP cells allow.
    private static func parameters(
        _ report: borrowing BankReport, _ packs: borrowing some PackReadings, _ info: inout some TextSink
    ) -> PylontechReturnCode {
        guard packs.packCount > 0, let pack = packs.reading(ofPack: 0), let settings = pack.settings,
            let cellHigh = settings.cellOverVoltage, let cellLow = settings.cellUnderVoltage
        else { return .internalCommunication }
        let series = max(report.cellsInSeries, 1)
        info.write(0)
        info.write(word: WireValue.uint16(min(cellHigh, report.chargeVoltageLimit / series)))
        info.write(word: WireValue.uint16(max(cellLow, report.dischargeVoltageLimit / series)))
        info.write(word: WireValue.uint16(cellLow))
        info.write(word: kelvin(settings.chargeOverTemperature ?? 450))
        info.write(word: kelvin(settings.chargeUnderTemperature ?? 0))
        info.write(word: WireValue.chargeCurrent(report))
        info.write(word: WireValue.uint16(report.chargeVoltageLimit))
        info.write(word: WireValue.uint16(report.dischargeVoltageLimit))
        info.write(word: WireValue.uint16(cellLow &* series))
        info.write(word: kelvin(settings.dischargeOverTemperature ?? 550))
        info.write(word: kelvin(settings.dischargeUnderTemperature ?? -100))
        info.write(word: 0 &- WireValue.dischargeCurrent(report))
        return .good
    }

    // MARK: 51 and 60

    private static func maker(_ info: inout some TextSink) {
        info.write("US2000C", width: 10)
        info.write(word: 0x0105)
        info.write("Pylon", width: 20)
    }

    /// Sources disagree about the length of the version; here it has two bytes. The packs are called `PACK01` and so on.
    private static func identity(_ packs: borrowing some PackReadings, _ info: inout some TextSink) {
        let count = UInt8(truncatingIfNeeded: min(packs.packCount, 99))
        info.write("US2000C", width: 10)
        info.write("Pylon", width: 20)
        info.write(word: 0x0105)
        info.write(count)
        for number in 1..<(count + 1) {
            info.write("PACK")
            info.write(UInt8(ascii: "0") &+ number / 10)
            info.write(UInt8(ascii: "0") &+ number % 10)
            for _ in 6..<16 { info.write(0) }
        }
    }

    // MARK: 61, 62

    private static func summary(
        _ report: borrowing BankReport, _ packs: borrowing some PackReadings, _ info: inout some TextSink
    ) {
        info.write(word: WireValue.uint16(report.voltage))
        info.write(word: WireValue.measured(report.current, step: 10))
        info.write(byte(WireValue.percent(report.soc)))
        let cycles = WireValue.uint16(report.cycles)
        info.write(word: cycles)
        info.write(word: cycles)
        let health = byte(WireValue.percent(report.soh))
        info.write(health)
        info.write(health)
        info.write(word: WireValue.uint16(report.highestCell))
        info.write(place: report.highestCellPlace)
        info.write(word: WireValue.uint16(report.lowestCell))
        info.write(place: report.lowestCellPlace)

        let shown = report.temperature ?? 0
        let highest = report.highestTemperature ?? shown
        let lowest = report.lowestTemperature ?? shown
        info.write(word: kelvin(shown))
        info.write(word: kelvin(highest))
        info.write(place: report.highestTemperaturePlace)
        info.write(word: kelvin(lowest))
        info.write(place: report.lowestTemperaturePlace)
        writeSwitchTemperatures(packs, otherwise: highest, &info)
        // A JK BMS has no probe of its own board beside the one at the MOSFETs: the hottest cell stands for it.
        info.write(word: kelvin(highest))
        info.write(word: kelvin(highest))
        info.write(place: CellPlace(pack: 1, cell: 1))
        info.write(word: kelvin(highest))
        info.write(place: CellPlace(pack: 1, cell: 1))
    }

    /// Mean, highest and its place, lowest and its place, of the MOSFET sensors.
    private static func writeSwitchTemperatures(
        _ packs: borrowing some PackReadings, otherwise fallback: Decidegrees, _ info: inout some TextSink
    ) {
        var sum: Decidegrees = 0
        var count: Decidegrees = 0
        var (highest, lowest) = (Decidegrees.min, Decidegrees.max)
        var (hottest, coldest): (UInt8, UInt8) = (1, 1)
        for index in 0..<packs.packCount {
            guard let value = packs.reading(ofPack: index)?.mosfetTemperature.temperature else { continue }
            let pack = UInt8(truncatingIfNeeded: index + 1)
            if value > highest { (highest, hottest) = (value, pack) }
            if value < lowest { (lowest, coldest) = (value, pack) }
            sum &+= value
            count &+= 1
        }
        let isKnown = count > 0
        info.write(word: kelvin(isKnown ? sum / count : fallback))
        info.write(word: kelvin(isKnown ? highest : fallback))
        info.write(place: CellPlace(pack: hottest, cell: 1))
        info.write(word: kelvin(isKnown ? lowest : fallback))
        info.write(place: CellPlace(pack: coldest, cell: 1))
    }

    /// | bit | byte 0 alarm, byte 2 protection | byte 1 alarm | byte 3 protection |
    /// |---|---|---|---|
    /// | 7, 6 | pack over-, under-voltage | – | – |
    /// | 6 | | charge over-current | charge over-current |
    /// | 5, 4 | cell over-, under-voltage | 5: discharge over-current, short circuit | 5: the same |
    /// | 4 | | a fault of the electronics | – |
    /// | 3, 2 | over-, under-temperature | – | 3: every other protection |
    /// | 1 | MOSFET over-temperature | – | – |
    /// | 0 | imbalance (alarm only) | – | – |
    private static func alarms(_ report: borrowing BankReport, _ info: inout some TextSink) {
        let warnings = report.warnings
        let protections = report.protections
        info.write(byte(voltagesAndTemperatures(warnings) | warnings.bit(0, .cellImbalance)))
        info.write(byte(currents(warnings) | warnings.bit(4, .electronics)))
        info.write(byte(voltagesAndTemperatures(protections)))
        info.write(byte(currents(protections) | protections.bit(3, otherThan: .withDirection)))
    }

    private static func voltagesAndTemperatures(_ alarms: Alarms) -> UInt64 {
        alarms.bit(7, .packOverVoltage) | alarms.bit(6, .packUnderVoltage)
            | alarms.bit(5, .cellOverVoltage) | alarms.bit(4, .cellUnderVoltage)
            | alarms.bit(3, .overTemperature.subtracting(.mosfetOverTemperature)) | alarms.bit(2, .underTemperature)
            | alarms.bit(1, .mosfetOverTemperature)
    }

    private static func currents(_ alarms: Alarms) -> UInt64 {
        alarms.bit(6, .chargeOverCurrent) | alarms.bit(5, Alarms.dischargeOverCurrent.union(.shortCircuit))
    }

    // MARK: 63 and 92

    private static func limits(
        _ report: borrowing BankReport, _ settings: PylontechRS485Settings, _ info: inout some TextSink
    ) {
        // Both limits are whole tenths of an ampere first, so that the finer step never says more than the coarser one.
        let factor: UInt16 = settings.limitStep == .tenthOfAmpere ? 1 : 10
        let charge = min(WireValue.chargeCurrent(report), 32_767 / factor) &* factor
        let discharge = min(WireValue.dischargeCurrent(report), 32_767 / factor) &* factor
        writeVoltages(report, &info)
        info.write(word: charge)
        info.write(word: settings.hasNegativeDischargeLimit ? 0 &- discharge : discharge)
        info.write(permissions(report))
    }

    private static func management(_ report: borrowing BankReport, _ info: inout some TextSink) {
        writeVoltages(report, &info)
        info.write(word: WireValue.chargeCurrent(report))
        info.write(word: 0 &- WireValue.dischargeCurrent(report))
        info.write(permissions(report))
    }

    /// In mV, so nothing is rounded; 65.535 V is the most that the fields hold.
    private static func writeVoltages(_ report: borrowing BankReport, _ info: inout some TextSink) {
        info.write(word: WireValue.uint16(report.chargeVoltageLimit))
        info.write(word: WireValue.uint16(report.dischargeVoltageLimit))
    }

    /// The bits of 0x35C, whose document is the same maker's.
    private static func permissions(_ report: borrowing BankReport) -> UInt8 {
        PylontechRequest.encode(report, length: 1)[0]
    }

    // MARK: Pieces

    /// 0.1 K with 2731 for 0 °C.
    private static func kelvin(_ value: Decidegrees) -> UInt16 {
        WireValue.uint16(min(max(value, -2731), 60_000) &+ 2731)
    }

    private static func byte(_ bits: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: bits) }
    private static func byte(_ value: UInt16) -> UInt8 { UInt8(truncatingIfNeeded: value) }

    private static func extremes(_ cells: CellVoltages) -> (lowest: UInt16, highest: UInt16) {
        var (lowest, highest) = (UInt16.max, UInt16.min)
        for cell in 0..<cells.count {
            lowest = min(lowest, cells[cell])
            highest = max(highest, cells[cell])
        }
        return (lowest, highest)
    }
}

/// What 44 needs of the report, for every module.
private struct AlarmState {
    var protections: Alarms
    var warnings: Alarms
    var chargeEnabled: Bool
    var dischargeEnabled: Bool
    var isFull: Bool

    init(_ report: borrowing BankReport) {
        protections = report.protections
        warnings = report.warnings
        chargeEnabled = report.chargeEnabled
        dischargeEnabled = report.dischargeEnabled
        isFull = report.soc >= 100
    }
}

/// The temperatures of one module: first the board (at a JK the MOSFET sensor, without one the hottest cell), then the cell
/// sensors that read. A module without any shows 0.0 °C once: charging is blocked then.
private struct Temperatures {
    var list = FixedArray<6, Decidegrees>(filler: 0)

    init(_ pack: PackReading) {
        var cells = FixedArray<5, Decidegrees>(filler: 0)
        var hottest = Decidegrees.min
        for sensor in 0..<pack.cellTemperatures.count {
            guard let value = pack.cellTemperatures[sensor].temperature else { continue }
            cells.append(value)
            hottest = max(hottest, value)
        }
        list.append(pack.mosfetTemperature.temperature ?? (cells.isEmpty ? 0 : hottest))
        for index in 0..<cells.count { list.append(cells[index]) }
    }
}

extension Alarms {
    /// 1 below, 2 above, 0 normal.
    fileprivate func state(below: Alarms, above: Alarms) -> UInt8 {
        if !isDisjoint(with: above) { return 2 }
        return isDisjoint(with: below) ? 0 : 1
    }
}

extension TextSink {
    /// Milliamp hours in 24 bits.
    fileprivate mutating func write(wide value: MilliampHours) {
        let bits = UInt32(min(max(value, 0), 0xFF_FFFF))
        write(UInt8(truncatingIfNeeded: bits >> 16))
        write(word: UInt16(truncatingIfNeeded: bits))
    }

    /// Module in the high byte, cell in the low one.
    fileprivate mutating func write(place: CellPlace) {
        write(place.pack)
        write(place.cell)
    }
}
