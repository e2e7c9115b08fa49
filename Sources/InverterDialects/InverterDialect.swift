import Battery

/// The most frames in one set of any dialect.
public let maximumFramesPerSet = 32

/// The frames of one complete set, in the order in which they go out.
public typealias FrameSet = FixedArray<32, CANFrame>

/// One language in which a battery talks to an inverter over CAN.
///
/// A dialect is one file: a type without state that conforms to this, one line in `DialectName`, its DBC and its tests.
public protocol InverterDialect {
    /// Appends the complete set that says `report`. Rounds only to the safe side.
    static func encode(_ report: borrowing BankReport, into frames: inout FrameSet)

    /// The identifiers on which the inverter answers or polls (0x305, 0x301, ...). Content is never interpreted.
    static func isHeartbeat(_ frame: CANFrame) -> Bool

    /// Every signal of every frame of the dialect, both directions. The DBC files say the same (tested).
    static var signalCount: Int { get }
    static func signal(_ index: Int) -> Signal
}

/// Where one value sits in the frames of a dialect and what its raw number means: `value = raw × scale / divisor + offset`.
public struct Signal: Sendable {
    public var frame: UInt32
    public var isExtended: Bool
    public var name: StaticString
    /// As in a DBC file: for little-endian the lowest bit, for big-endian the most significant bit (sawtooth numbering).
    public var startBit: UInt8
    public var length: UInt8
    public var isBigEndian: Bool
    public var isSigned: Bool
    /// value = raw / divisor + offset. The divisor is 1, 10, 100 or 1000.
    public var divisor: Int32
    public var multiplier: Int32
    public var offset: Int32

    public init(
        _ frame: UInt32, _ name: StaticString, at startBit: UInt8, _ length: UInt8, bigEndian: Bool = false,
        signed: Bool = false, multiplier: Int32 = 1, divisor: Int32 = 1, offset: Int32 = 0, extended: Bool = false
    ) {
        self.frame = frame
        self.isExtended = extended
        self.name = name
        self.startBit = startBit
        self.length = length
        self.isBigEndian = bigEndian
        self.isSigned = signed
        self.divisor = divisor
        self.multiplier = multiplier
        self.offset = offset
    }
}
