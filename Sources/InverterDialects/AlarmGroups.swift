import Battery

/// Alarms grouped as inverters know them. Each dialect's file shows which of its bits a group sets.
extension Alarms {
    static var overVoltage: Alarms { Alarms.packOverVoltage.union(.cellOverVoltage) }
    static var underVoltage: Alarms { Alarms.packUnderVoltage.union(.cellUnderVoltage) }
    static var overTemperature: Alarms {
        Alarms.mosfetOverTemperature.union(.cellOverTemperature).union(.boxOverTemperature).union(.chargeOverTemperature).union(
            .dischargeOverTemperature)
    }
    static var underTemperature: Alarms {
        Alarms.cellUnderTemperature.union(.chargeUnderTemperature).union(.dischargeUnderTemperature)
    }

    /// What stops the charge because it is too hot or too cold. Alarms that do not state a direction are among them
    /// (amendments.md, 8).
    static var chargeHeat: Alarms {
        Alarms.chargeOverTemperature.union(.mosfetOverTemperature).union(.cellOverTemperature).union(.boxOverTemperature)
    }
    static var chargeCold: Alarms { Alarms.chargeUnderTemperature.union(.cellUnderTemperature) }

    /// What stops the discharge. Alarms without a direction count only when the control logic has stopped it.
    static func dischargeHeat(isStopped: Bool) -> Alarms {
        let always = Alarms.dischargeOverTemperature.union(.mosfetOverTemperature)
        return isStopped ? always.union(Alarms.cellOverTemperature.union(.boxOverTemperature)) : always
    }
    static func dischargeCold(isStopped: Bool) -> Alarms {
        isStopped ? Alarms.dischargeUnderTemperature.union(.cellUnderTemperature) : .dischargeUnderTemperature
    }

    /// Everything that every dialect has an own bit for.
    static var withDirection: Alarms {
        Alarms.overVoltage.union(.underVoltage).union(.overTemperature).union(.underTemperature).union(.dischargeOverCurrent).union(
            .shortCircuit
        ).union(.chargeOverCurrent)
    }

    /// A fault of the battery's electronics: worth a warning where the dialect has nothing more exact.
    static var electronics: Alarms {
        Alarms.hardwareA.union(.hardwareB).union(.bmsInternal).union(.cellCount).union(.chargeSwitchFault).union(
            .dischargeSwitchFault
        ).union(.temperatureSensor).union(.communication).union(.other)
    }

    /// The bit `position` when any alarm of `group` is set, otherwise 0.
    func bit(_ position: UInt64, _ group: Alarms) -> UInt64 {
        rawValue & group.rawValue == 0 ? 0 : 1 << position
    }

    /// The bit `position` when an alarm outside `named` is set: a protection is never lost because the dialect has no bit for it.
    func bit(_ position: UInt64, otherThan named: Alarms) -> UInt64 {
        rawValue & ~named.rawValue == 0 ? 0 : 1 << position
    }
}
