import Battery

/// Where one value sits in the frames of a dialect and what its raw number means: `value = raw / divisor + offset`.
///
/// The same description as a `SG_` line of a DBC file, so that the two can be compared word for word.
public struct Signal: Sendable {
    /// The 11-bit identifier. No dialect of a 48 V battery uses 29 bits.
    public var frame: UInt32
    public var name: StaticString
    /// Number of a byte in a text field, written after `name`; negative when there is none.
    public var part: Int8
    /// As in a DBC file: the lowest bit of a little-endian signal, the highest of a big-endian one (sawtooth numbering).
    public var startBit: UInt8
    /// 1...64 bits.
    public var length: UInt8
    public var isBigEndian: Bool
    public var isSigned: Bool
    /// 1, 10, 100 or 1000.
    public var divisor: Int32
    public var offset: Int32
    /// As the DBC file writes it: `V`, `A`, `%`, `degC`, …
    public var unit: StaticString

    public init(
        _ frame: UInt32, _ name: StaticString, part: Int8 = -1, at startBit: UInt8, _ length: UInt8,
        bigEndian: Bool = false, signed: Bool = false, divisor: Int32 = 1, offset: Int32 = 0,
        unit: StaticString = ""
    ) {
        self.frame = frame
        self.name = name
        self.part = part
        self.startBit = startBit
        self.length = length
        self.isBigEndian = bigEndian
        self.isSigned = signed
        self.divisor = divisor
        self.offset = offset
        self.unit = unit
    }

    /// The raw number in `frame`, sign-extended; an unsigned signal of 64 bits keeps its bit pattern.
    ///
    /// Nil when the frame has another identifier or ends before the signal does: real batteries send frames that are shorter
    /// than the documents say.
    public func raw(in frame: CANFrame) -> Int64? {
        guard frame.id == self.frame, !frame.isExtended, let shift = shift(in: frame.length) else { return nil }
        let word = isBigEndian ? frame.word.byteSwapped : frame.word
        let bits = (word >> shift) & mask
        let unused = 64 &- UInt64(length)
        return isSigned ? Int64(bitPattern: bits << unused) >> Int64(unused) : Int64(bitPattern: bits)
    }

    /// Writes the low bits of `raw` into the place of the signal; false (and no change) when the frame is too short.
    @discardableResult
    public func insert(_ raw: Int64, into frame: inout CANFrame) -> Bool {
        guard let shift = shift(in: frame.length) else { return false }
        var word = isBigEndian ? frame.word.byteSwapped : frame.word
        word = (word & ~(mask << shift)) | ((UInt64(bitPattern: raw) & mask) << shift)
        frame.word = isBigEndian ? word.byteSwapped : word
        return true
    }

    private var mask: UInt64 { UInt64.max >> (64 &- UInt64(length)) }

    /// How far the signal sits above bit 0 of the word (byte-swapped for big-endian); nil when it does not fit into the frame.
    private func shift(in bytes: UInt8) -> UInt64? {
        let available = UInt64(bytes) &* 8
        let start = UInt64(startBit)
        let first = isBigEndian ? (start & ~7) | (7 &- (start & 7)) : start
        let end = first &+ UInt64(length)
        guard length >= 1, end <= available, end <= 64 else { return nil }
        return isBigEndian ? 64 &- end : first
    }

    public func writeName(to sink: inout some TextSink) {
        sink.write(name)
        if part >= 0 { sink.write(decimal: Int64(part)) }
    }

    /// Writes the value of `raw` as a decimal number.
    public func writeValue(_ raw: Int64, to sink: inout some TextSink) {
        if raw < 0 && !isSigned {
            // 64 bits without a sign, above what Int64 holds.
            let bits = UInt64(bitPattern: raw)
            sink.write(decimal: Int64(bits / 10))
            sink.write(decimal: Int64(bits % 10))
            return
        }
        sink.write(fixed: raw &+ Int64(offset) &* Int64(divisor), decimals: decimals)
    }

    /// Digits after the point: as many as the divisor has zeros.
    private var decimals: Int {
        switch divisor {
        case 10: 1
        case 100: 2
        case 1000: 3
        default: 0
        }
    }
}
