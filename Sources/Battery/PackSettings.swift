/// The protection settings that the owner stored in the BMS. Nil means that the protocol or this reply does not carry it.
public struct PackSettings: Equatable, Sendable, BitwiseCopyable {
    public var cellOverVoltage: Millivolts?
    public var cellOverVoltageRelease: Millivolts?
    public var cellUnderVoltage: Millivolts?
    public var cellUnderVoltageRelease: Millivolts?
    public var packOverVoltage: Millivolts?
    public var packUnderVoltage: Millivolts?
    public var chargeOverCurrent: Milliamps?
    public var dischargeOverCurrent: Milliamps?
    public var chargeOverTemperature: Decidegrees?
    public var chargeUnderTemperature: Decidegrees?
    public var dischargeOverTemperature: Decidegrees?
    public var dischargeUnderTemperature: Decidegrees?
    public var mosfetOverTemperature: Decidegrees?
    public var boxOverTemperature: Decidegrees?
    public var balanceStart: Millivolts?
    public var balanceTrigger: Millivolts?
    public var cellCount: Int32?
    /// What the owner allows; the actual state is in `PackReading`.
    public var chargeEnabled: Bool?
    public var dischargeEnabled: Bool?
    public var balancerEnabled: Bool?

    @inline(never)
    public init() {}
}
