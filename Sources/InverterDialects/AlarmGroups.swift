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
