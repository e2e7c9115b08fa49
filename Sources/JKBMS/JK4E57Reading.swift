import Battery

extension JK4E57.Report {
    /// The frame in the shared vocabulary, before any judgement.
    ///
    /// Not set here: `starting`, which needs to know how long the BMS has been answering.
    public func reading() -> PackReading {
        var reading = PackReading()
        reading.cells = cells
        reading.packVoltage = value(of: .packVoltage).map { Millivolts($0) }
        reading.current = current
        reading.mosfetTemperature = sensor(.mosfetTemperature)
        appendCellSensors(to: &reading.cellTemperatures)
        reading.soc = value(of: .soc).map { CentiPercent($0 * 100) }
        reading.rated = milliampHours(.configuredCapacity)
        reading.full = fullCapacity
        reading.remaining = remaining(soc: reading.soc, full: reading.full)
        reading.cycles = value(of: .cycles).map { Int32($0) }
        reading.throughput = milliampHours(.throughput)
        reading.chargeSwitch = chargeSwitchOn
        reading.dischargeSwitch = dischargeSwitchOn
        reading.balancing = balancing
        reading.alarms = alarms
        // Whole minutes: too coarse to prove that the BMS lives (amendment 1).
        reading.uptime = value(of: .runtime).map { $0 * 60_000 }
        reading.uptimeResolution = 60_000
        if hasSettings {
            reading.settings = PackSettings()
            readSettings(into: &reading.settings!)
        }
        return reading
    }

    /// 0x81 and 0x82 are on cells; 0x86 says how many of them are fitted.
    private func appendCellSensors(to sensors: inout CellTemperatures) {
        let fitted = value(of: .probeCount) ?? 2
        if fitted >= 1 && carries(.temperature1) { sensors.append(sensor(.temperature1)) }
        if fitted >= 2 && carries(.temperature2) { sensors.append(sensor(.temperature2)) }
    }

    /// Nil also when the number cannot be a capacity: more than 2 147 483 Ah do not fit, and no battery has them.
    private func milliampHours(_ id: JK4E57.Identifier) -> MilliampHours? {
        guard let ampHours = value(of: id), ampHours <= 2_147_483 else { return nil }
        return MilliampHours(ampHours * 1000)
    }

    /// Amendment 22: what the BMS has learned when that is 70–110 % of the configured capacity, else the configured one. Old
    /// firmware sends 0.
    private var fullCapacity: MilliampHours? {
        guard let rated = milliampHours(.configuredCapacity) else { return nil }
        guard let learned = milliampHours(.learnedCapacity) else { return rated }
        let percent = Int64(learned) * 100
        return percent >= Int64(rated) * 70 && percent <= Int64(rated) * 110 ? learned : rated
    }

    /// The protocol has no remaining charge; amendment 22 computes it, rounded down.
    private func remaining(soc: CentiPercent?, full: MilliampHours?) -> MilliampHours? {
        guard let soc, let full, soc <= 10_000 else { return nil }
        return MilliampHours(Int64(full) * Int64(soc) / 10_000)
    }

    /// The frame carries a setting.
    private var hasSettings: Bool {
        let settingIdentifiers: ClosedRange<UInt8> = 0x8E...0xAC
        let mask =
            UInt64.max << UInt64(settingIdentifiers.lowerBound & 0x3F) & UInt64.max
            >> UInt64(0xBF - settingIdentifiers.upperBound)
        return present & mask != 0
    }

    private func readSettings(into settings: inout PackSettings) {
        @inline(__always) func value32(_ id: JK4E57.Identifier, times factor: Int64 = 1) -> Int32? {
            value(of: id).map { Int32($0 * factor) }
        }
        settings.cellOverVoltage = value32(.cellOverVoltage)
        settings.cellOverVoltageRelease = value32(.cellOverVoltageRelease)
        settings.cellUnderVoltage = value32(.cellUnderVoltage)
        settings.cellUnderVoltageRelease = value32(.cellUnderVoltageRelease)
        settings.packOverVoltage = value32(.packOverVoltage)
        settings.packUnderVoltage = value32(.packUnderVoltage)
        settings.chargeOverCurrent = value32(.chargeOverCurrent, times: 1000)
        settings.dischargeOverCurrent = value32(.dischargeOverCurrent, times: 1000)
        settings.chargeOverTemperature = value32(.chargeOverTemperature, times: 10)
        settings.chargeUnderTemperature = value32(.chargeUnderTemperature, times: 10)
        settings.dischargeOverTemperature = value32(.dischargeOverTemperature, times: 10)
        settings.dischargeUnderTemperature = value32(.dischargeUnderTemperature, times: 10)
        settings.mosfetOverTemperature = value32(.mosfetOverTemperature, times: 10)
        settings.boxOverTemperature = value32(.boxOverTemperature, times: 10)
        settings.balanceStart = value32(.balanceStart)
        settings.balanceTrigger = value32(.balanceTrigger)
        settings.cellCount = value32(.configuredCellCount)
        settings.chargeEnabled = flag(.chargeEnabled)
        settings.dischargeEnabled = flag(.dischargeEnabled)
        settings.balancerEnabled = flag(.balancerEnabled)
    }
}
