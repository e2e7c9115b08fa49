import Battery

/// The alarms of one pack. Once raised an alarm stays until fresh data have been without it for 10 s and the cause has gone back
/// behind its hysteresis; loss of data never clears one (failsafe.md §4, P24).
struct HeldAlarms: Sendable, BitwiseCopyable {
    private(set) var held = Alarms()
    private var lastSeen = InlineArray<32, Instant>(repeating: never)
    /// Over-voltage trips since `resetTrips`, for "three trips end a charge" (charge-control.md §5.1).
    private(set) var overVoltageTrips: Int32 = 0

    static var overVoltage: Alarms { Alarms.packOverVoltage.union(.cellOverVoltage) }
    static var underVoltage: Alarms { Alarms.packUnderVoltage.union(.cellUnderVoltage) }
    static let clearAfter: Milliseconds = 10_000

    init() {}

    mutating func resetTrips() {
        overVoltageTrips = 0
    }

    /// Unconfirmed or frozen data: alarms can only be added.
    mutating func add(_ present: Alarms, at now: Instant) {
        if held.isDisjoint(with: Self.overVoltage) && !present.isDisjoint(with: Self.overVoltage) {
            overVoltageTrips = min(overVoltageTrips + 1, 1000)
        }
        held.formUnion(present)
        var rest = present.rawValue
        while rest != 0 {
            lastSeen[rest.trailingZeroBitCount] = now
            rest &= rest &- 1
        }
    }

    mutating func update(
        _ present: Alarms, highest: Millivolts, lowest: Millivolts, settings: KnownSettings, at now: Instant
    ) {
        add(present, at: now)
        var rest = held.subtracting(present).rawValue
        while rest != 0 {
            let bit = rest.trailingZeroBitCount
            rest &= rest &- 1
            let alarm = Alarms(rawValue: 1 << UInt32(bit))
            if now.since(lastSeen[bit]) < Self.clearAfter { continue }
            if !alarm.isDisjoint(with: Self.overVoltage), let release = settings.overVoltageRelease, highest > release {
                continue
            }
            if !alarm.isDisjoint(with: Self.underVoltage), let release = settings.underVoltageRelease, lowest < release {
                continue
            }
            held.subtract(alarm)
        }
    }
}

/// Which direction an alarm stops (amendment 8 for the 4E57 bits; failsafe.md §4 for the others).
struct AlarmEffect: Equatable, Sendable, BitwiseCopyable {
    var charge: Alarms
    var discharge: Alarms

    static var both: Alarms {
        Alarms.mosfetOverTemperature.union(.hardwareA).union(.hardwareB).union(.bmsInternal).union(.cellCount).union(.other)
    }
    static var charge: Alarms {
        Alarms.packOverVoltage.union(.chargeOverCurrent).union(.cellOverTemperature).union(.boxOverTemperature)
            .union(.cellUnderTemperature).union(.cellOverVoltage).union(.chargeOverTemperature).union(.chargeUnderTemperature)
            .union(.chargeSwitchFault).union(.temperatureSensor)
    }
    static var discharge: Alarms {
        Alarms.packUnderVoltage.union(.dischargeOverCurrent).union(.cellUnderVoltage).union(.dischargeOverTemperature)
            .union(.dischargeUnderTemperature).union(.shortCircuit).union(.dischargeSwitchFault)
    }
    /// Too hot, direction not stated: discharge stops only when the BMS has stopped it or the sensor is past the setting.
    static var heat: Alarms { Alarms.cellOverTemperature.union(.boxOverTemperature) }

    init(_ alarms: Alarms, wireResistanceStops: Bool, dischargeSwitchOff: Bool, beyondDischargeTemperature: Bool) {
        var always = Self.both
        if wireResistanceStops { always.insert(.wireResistance) }
        charge = alarms.intersection(Self.charge.union(always))
        discharge = alarms.intersection(Self.discharge.union(always))
        if dischargeSwitchOff || beyondDischargeTemperature { discharge.formUnion(alarms.intersection(Self.heat)) }
    }
}
