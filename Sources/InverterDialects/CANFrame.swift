/// A classic CAN data frame.
public struct CANFrame: Equatable, Sendable, BitwiseCopyable {
    /// 11-bit identifier, or 29-bit when `isExtended`.
    public var id: UInt32
    public var isExtended: Bool
    /// Number of data bytes, 0...8.
    public var length: UInt8
    /// Data byte 0 in the lowest byte of this word, byte 7 in the highest. Bytes at and above `length` are 0.
    public var word: UInt64

    @inlinable
    public init(id: UInt32, isExtended: Bool = false, length: UInt8, word: UInt64 = 0) {
        precondition(length <= 8)
        self.id = id
        self.isExtended = isExtended
        self.length = length
        self.word = length == 8 ? word : word & ((1 << (UInt64(length) &* 8)) &- 1)
    }

    /// Data byte `index`, 0...7.
    @inlinable
    public subscript(index: Int) -> UInt8 {
        get { UInt8(truncatingIfNeeded: word >> (UInt64(index) &* 8)) }
        set {
            let shift = UInt64(index) &* 8
            word = (word & ~(0xFF << shift)) | (UInt64(newValue) << shift)
        }
    }
}
