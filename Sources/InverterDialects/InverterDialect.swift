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

    /// Shows every signal of every frame of the dialect, both directions. The DBC file says the same (tested).
    static func signals(_ visit: (Signal) -> Void)
}
