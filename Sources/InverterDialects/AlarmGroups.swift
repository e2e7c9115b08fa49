import Battery

/// Alarms grouped as inverters know them. Each dialect's file shows which of its bits a group sets.
extension Alarms {
    static var overVoltage: Alarms { [.packOverVoltage, .cellOverVoltage] }
    static var underVoltage: Alarms { [.packUnderVoltage, .cellUnderVoltage] }
    static var overTemperature: Alarms {
        [
            .mosfetOverTemperature, .cellOverTemperature, .boxOverTemperature, .chargeOverTemperature,
            .dischargeOverTemperature,
        ]
    }
    static var underTemperature: Alarms {
        [.cellUnderTemperature, .chargeUnderTemperature, .dischargeUnderTemperature]
    }

    /// What stops the charge because it is too hot or too cold. Alarms that do not state a direction are among them
    /// (amendments.md, 8).
    static var chargeHeat: Alarms {
        [.chargeOverTemperature, .mosfetOverTemperature, .cellOverTemperature, .boxOverTemperature]
    }
    static var chargeCold: Alarms { [.chargeUnderTemperature, .cellUnderTemperature] }

    /// What stops the discharge. Alarms without a direction count only when the control logic has stopped it.
    static func dischargeHeat(isStopped: Bool) -> Alarms {
        let always: Alarms = [.dischargeOverTemperature, .mosfetOverTemperature]
        return isStopped ? always.union([.cellOverTemperature, .boxOverTemperature]) : always
    }
    static func dischargeCold(isStopped: Bool) -> Alarms {
        isStopped ? [.dischargeUnderTemperature, .cellUnderTemperature] : .dischargeUnderTemperature
    }

    /// Everything that every dialect has an own bit for.
    static var withDirection: Alarms {
        [
            .overVoltage, .underVoltage, .overTemperature, .underTemperature, .dischargeOverCurrent, .shortCircuit,
            .chargeOverCurrent,
        ]
    }

    /// A fault of the battery's electronics: worth a warning where the dialect has nothing more exact.
    static var electronics: Alarms {
        [
            .hardwareA, .hardwareB, .bmsInternal, .cellCount, .chargeSwitchFault, .dischargeSwitchFault,
            .temperatureSensor, .communication, .other,
        ]
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
