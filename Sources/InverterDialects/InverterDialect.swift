import Battery

/// The most frames in one set of any dialect.
public let maximumFramesPerSet = 32

/// The frames of one complete set, in the order in which they go out.
public typealias FrameSet = FixedArray<32, CANFrame>

/// One language in which a battery talks to an inverter over CAN.
///
/// A dialect is one file: a type without state that conforms to this, its lines in `DialectName`, its DBC and its tests.
public protocol InverterDialect {
    /// Appends the complete set that says `report`. Rounds only to the safe side (`WireValue`).
    static func encode(_ report: borrowing BankReport, into frames: inout FrameSet)

    /// True for the frame with which the inverter answers or polls. Its content is never interpreted: some inverters send
    /// zeros, some a clock, some their measurements (pylontech-can.md §0x305).
    static func isHeartbeat(_ frame: CANFrame) -> Bool

    /// True for the frames that say how much may flow: they go out at once when a limit tightens and are never dropped when the
    /// transmit queue is full (failsafe.md §6).
    static func carriesLimits(_ frame: CANFrame) -> Bool

    /// Shows every signal of every frame of the dialect, both directions. The DBC file says the same (tested).
    static func signals(_ visit: (Signal) -> Void)
}

extension InverterDialect {
    /// 0x351 and 0x35C in every relative of Pylontech's dialect.
    public static func carriesLimits(_ frame: CANFrame) -> Bool {
        frame.id == 0x351 || frame.id == 0x35C
    }
}
