import Battery

/// The registers in the shared vocabulary, for the Modbus and the 55AAEB90 protocol alike.
extension JKRegisters {
    /// Fills what a status block carries. A block that begins later (a second Modbus read) adds to what is there.
    public func readStatus(
        _ bytes: Span<UInt8>, probes: inout JKProbes, into reading: inout PackReading
    ) {
        if let mask = u32(JKRegister.cellMask, bytes) {
            reading.cells.removeAll()
            forEachCell(bytes) { k, cell in
                if mask >> UInt32(k) & 1 != 0 { reading.cells.append(cell) }
            }
        }
        if let voltage = amount(JKRegister.packVoltage, bytes) { reading.packVoltage = voltage }
        if let current = i32(JKRegister.current, bytes) { reading.current = current }
        readSensors(bytes, probes: &probes, into: &reading)
        if let soc = u8(JKRegister.soc, bytes) { reading.soc = CentiPercent(soc) * 100 }
        // Units without SoH leave a zero, which is no state of health.
        if let soh = u8(JKRegister.soh, bytes), soh > 0 { reading.soh = CentiPercent(soh) * 100 }
        if let remaining = i32(JKRegister.remaining, bytes) { reading.remaining = remaining }
        if let full = amount(JKRegister.fullCapacity, bytes) { reading.full = full }
        if let cycles = amount(JKRegister.cycles, bytes) { reading.cycles = cycles }
        if let throughput = amount(JKRegister.throughput, bytes) { reading.throughput = throughput }
        if let seconds = u32(JKRegister.runtime, bytes) {
            reading.uptime = Milliseconds(seconds) * 1000
            reading.uptimeResolution = 1000
        }
        if let on = u8(JKRegister.chargeSwitch, bytes) { reading.chargeSwitch = on != 0 }
        if let on = u8(JKRegister.dischargeSwitch, bytes) { reading.dischargeSwitch = on != 0 }
        if let state = u8(JKRegister.balanceState, bytes) { reading.balancing = state != 0 }
        if let word = alarmWord(bytes) { reading.alarms = Self.alarms(word) }
    }

    /// Fills the protection settings and gives the configured capacity.
    public func readSettings(_ bytes: Span<UInt8>, into settings: inout PackSettings) -> MilliampHours? {
        settings.cellOverVoltage = amount(JKRegister.cellOverVoltage, bytes)
        settings.cellOverVoltageRelease = amount(JKRegister.cellOverVoltageRelease, bytes)
        settings.cellUnderVoltage = amount(JKRegister.cellUnderVoltage, bytes)
        settings.cellUnderVoltageRelease = amount(JKRegister.cellUnderVoltageRelease, bytes)
        settings.chargeOverCurrent = amount(JKRegister.chargeLimit, bytes)
        settings.dischargeOverCurrent = amount(JKRegister.dischargeLimit, bytes)
        settings.chargeOverTemperature = i32(JKRegister.chargeOverTemperature, bytes)
        settings.chargeUnderTemperature = i32(JKRegister.chargeUnderTemperature, bytes)
        settings.dischargeOverTemperature = i32(JKRegister.dischargeOverTemperature, bytes)
        settings.mosfetOverTemperature = i32(JKRegister.mosfetOverTemperature, bytes)
        settings.balanceStart = amount(JKRegister.balanceStart, bytes)
        settings.balanceTrigger = amount(JKRegister.balanceTrigger, bytes)
        settings.cellCount = amount(JKRegister.cellCount, bytes)
        settings.chargeEnabled = u32(JKRegister.chargeEnabled, bytes).map { $0 != 0 }
        settings.dischargeEnabled = u32(JKRegister.dischargeEnabled, bytes).map { $0 != 0 }
        settings.balancerEnabled = u32(JKRegister.balancerEnabled, bytes).map { $0 != 0 }
        return amount(JKRegister.capacity, bytes)
    }

    /// The alarm word of §4, the low half of it in the 24-cell layout.
    public func alarmWord(_ bytes: Span<UInt8>) -> UInt32? {
        alarmWidth == 2 ? u16(JKRegister.alarms, bytes).map { UInt32($0) } : u32(JKRegister.alarms, bytes)
    }

    // MARK: Alarms

    /// Bit 0 first (§4). Bits 18 (GPS disconnected) and 19 ("change the password", set on many healthy units) are no alarms of the
    /// battery.
    private static let alarmBits: InlineArray<29, Alarms> = [
        .wireResistance, .mosfetOverTemperature, .cellCount, .bmsInternal,  // 3: current sensor
        .cellOverVoltage, .packOverVoltage, .chargeOverCurrent, .shortCircuit,
        .chargeOverTemperature, .chargeUnderTemperature, .bmsInternal, .cellUnderVoltage,
        .packUnderVoltage, .dischargeOverCurrent, .shortCircuit, .dischargeOverTemperature,
        .chargeSwitchFault, .dischargeSwitchFault, [], [],
        .dischargeSwitchFault, .cellOverTemperature, .temperatureSensor, .other,  // 23: parallel module
        .shortCircuit, .dischargeOverCurrent, .dischargeOverCurrent, .dischargeUnderTemperature,
        .other,  // 28: remote lock
    ]

    /// The alarm word in the shared vocabulary. A bit that no document names counts as `other`.
    public static func alarms(_ word: UInt32) -> Alarms {
        var alarms: Alarms = []
        var rest = word
        while rest != 0 {
            let bit = rest.trailingZeroBitCount
            alarms.formUnion(bit < 29 ? alarmBits[bit] : .other)
            rest &= rest &- 1
        }
        return alarms
    }

    // MARK: Temperatures

    private func readSensors(_ bytes: Span<UInt8>, probes: inout JKProbes, into reading: inout PackReading) {
        if let mosfet = i16(JKRegister.mosfetTemperature, bytes) { reading.mosfetTemperature = Self.sensor(mosfet) }
        if let bits = u8(JKRegister.sensorBits, bytes) { probes.present = bits }
        if let first = i16(JKRegister.temperature1, bytes), let second = i16(JKRegister.temperature2, bytes) {
            reading.cellTemperatures.removeAll()
            reading.cellTemperatures.append(probes.isPresent(1) ? Self.sensor(first) : .absent)
            reading.cellTemperatures.append(probes.isPresent(2) ? Self.sensor(second) : .absent)
        }
        if let third = i16(JKRegister.temperature3, bytes), let fourth = i16(JKRegister.temperature4, bytes),
            let fifth = i16(JKRegister.temperature5, bytes)
        {
            probes.learn(third: third, fourth: fourth, fifth: fifth, mosfet: reading.mosfetTemperature.temperature)
            reading.cellTemperatures.append(probes.isProven(3) ? Self.sensor(third) : .absent)
            reading.cellTemperatures.append(probes.isProven(4) ? Self.sensor(fourth) : .absent)
            reading.cellTemperatures.append(probes.isProven(5) ? Self.sensor(fifth) : .absent)
        }
    }

    /// Tenths of a degree; -2000 is how a JK says that no probe is connected.
    static func sensor(_ raw: Int16) -> SensorReading {
        raw == -2000 ? .absent : .value(Decidegrees(raw))
    }
}

/// Which of the battery probes 3, 4 and 5 a unit really has, learned over a session.
///
/// The register of presence bits does not tell: units of firmware 11 set all bits although their registers 4 and 5 are constant zero
/// (which would read as 0 °C and forbid charging), and units without a third probe repeat the MOSFET temperature in its register
/// (captures `55aa-jblance-jk02-32-status-02`, `55aa-jblance-capture-*`). A probe counts from the moment at which its register shows
/// something else, and then for the whole session.
public struct JKProbes: Equatable, Sendable, BitwiseCopyable {
    /// Bit 0 MOSFET, 1...5 battery probes, 1 = present. All ones until the register was read: older layouts do not have it.
    var present: UInt8 = 0xFF
    private var proven: UInt8 = 0

    public init() {}

    func isPresent(_ probe: UInt8) -> Bool { present >> probe & 1 != 0 }

    func isProven(_ probe: UInt8) -> Bool { isPresent(probe) && proven >> probe & 1 != 0 }

    mutating func learn(third: Int16, fourth: Int16, fifth: Int16, mosfet: Decidegrees?) {
        if third != 0, let mosfet, Decidegrees(third) != mosfet { proven |= 1 << 3 }
        if fourth != 0 { proven |= 1 << 4 }
        if fifth != 0 { proven |= 1 << 5 }
    }
}
