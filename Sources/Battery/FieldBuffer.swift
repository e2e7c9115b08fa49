/// Bytes into which the fields of a value are written, or from which they are read. A value describes its layout once, for both
/// directions, so that an encoder and its decoder cannot drift apart. Everything is little-endian.
///
/// One type for both directions, whose functions are called and not inlined: a list of fields then costs a microcontroller a call for
/// each field.
public struct FieldBuffer<let capacity: Int>: Sendable {
    public var bytes = InlineArray<capacity, UInt8>(repeating: 0)
    /// Where the next field goes, or comes from.
    public var position = 0
    /// What is read ends here; nil while it is written.
    @usableFromInline var end: Int?
    /// Reading: nothing was missing or senseless so far.
    public var isValid = true
    /// Reading: it is not valid because an array has more elements than there is room for. Valid perhaps, but not here.
    public var lacksRoom = false
    /// Writing: something did not fit; the content is then useless.
    public var overflowed = false

    /// An empty buffer to write to.
    @inlinable
    public init() {}

    /// Reads what stands in `bytes`.
    @inlinable
    public init(reading bytes: InlineArray<capacity, UInt8>, from start: Int, to end: Int) {
        self.bytes = bytes
        read(from: start, to: end)
    }

    /// Reads a copy of `bytes`.
    /// - Precondition: there is room for them.
    @inlinable
    public init(reading bytes: Span<UInt8>) {
        for i in bytes.indices { self.bytes[i] = bytes[i] }
        end = bytes.count
    }

    /// Begins to read what stands there. It never traps: a missing or senseless byte makes `isValid` false.
    @inlinable
    public mutating func read(from start: Int, to end: Int) {
        precondition(start >= 0 && end <= capacity)
        position = start
        self.end = end
        isValid = true
        lacksRoom = false
    }

    /// What is still to be read.
    @inlinable
    public var rest: Range<Int> { position..<(end ?? position) }

    /// How many bytes were written.
    @inlinable public var count: Int { position }

    /// Begins anew.
    @inlinable
    public mutating func removeAll() {
        position = 0
        overflowed = false
    }

    @inlinable
    @inline(never)
    public mutating func append(_ byte: UInt8) {
        if position == capacity {
            overflowed = true
            return
        }
        bytes[position] = byte
        position += 1
    }

    /// Overwrites one byte, for a length that is known only afterwards.
    @inlinable
    public mutating func replace(at index: Int, with byte: UInt8) {
        precondition(index < count)
        bytes[index] = byte
    }

    /// Hands out the written bytes.
    @inlinable
    public borrowing func withBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(bytes.span.extracting(0..<position))
    }

    /// CRC-32 of the written bytes from `start` on. `mutating` on purpose: the compiler would copy all bytes first.
    @inlinable
    public mutating func checksum(from start: Int) -> UInt32 {
        CRC32.of(bytes.span.extracting(start..<position))
    }

    // MARK: fields

    @inlinable
    @inline(never)
    public mutating func field<T: FixedWidthInteger>(_ value: inout T) {
        value = T(truncatingIfNeeded: pass(UInt64(truncatingIfNeeded: value), width: T.bitWidth / 8))
    }

    /// Writes the lowest `width` bytes of `number` and returns it, or returns as many bytes that are read. Where they are missing it
    /// stays what it was.
    @usableFromInline
    @inline(never)
    mutating func pass(_ number: UInt64, width: Int) -> UInt64 {
        guard let end else {
            if width > capacity - position {
                overflowed = true
                return number
            }
            var rest = number
            for i in 0..<width {
                bytes[position + i] = UInt8(truncatingIfNeeded: rest)
                rest >>= 8
            }
            position += width
            return number
        }
        if width > end - position {
            isValid = false
            return number
        }
        var read: UInt64 = 0
        for i in 1...width { read = read << 8 | UInt64(bytes[position + width - i]) }
        position += width
        return read
    }

    @inlinable
    @inline(never)
    public mutating func field(_ value: inout Bool) {
        var byte: UInt8 = value ? 1 : 0
        field(&byte)
        if byte > 1 { refuse() }
        value = byte == 1
    }

    /// A presence byte, then the value (0 when absent).
    @inlinable
    @inline(never)
    public mutating func field<T: FixedWidthInteger>(_ value: inout T?) {
        var isPresent = value != nil
        field(&isPresent)
        var number = value ?? 0
        field(&number)
        value = isPresent ? number : nil
    }

    @inlinable
    @inline(never)
    public mutating func field(_ value: inout Bool?) {
        var byte: UInt8 = value.map { $0 ? 2 : 1 } ?? 0
        field(&byte)
        if byte > 2 { refuse() }
        value = byte == 0 ? nil : byte == 2
    }

    @inlinable
    @inline(never)
    public mutating func field<T: RawRepresentable>(choice value: inout T) where T.RawValue: FixedWidthInteger {
        var raw = value.rawValue
        field(&raw)
        if let known = T(rawValue: raw) { value = known } else { refuse() }
    }

    @inlinable
    public mutating func field(_ value: inout Instant) {
        field(&value.milliseconds)
    }

    /// An element count, then the elements.
    @inlinable
    public mutating func array<let places: Int, T: BitwiseCopyable & Sendable>(
        _ value: inout FixedArray<places, T>, filler: T, _ element: (inout Self, inout T) -> Void
    ) {
        var count = UInt8(truncatingIfNeeded: value.count)
        field(&count)
        if Int(count) > places {
            if isValid { lacksRoom = true }
            refuse()
            return
        }
        while value.count < Int(count) { value.append(filler) }
        for i in 0..<Int(count) { element(&self, &value[i]) }
    }

    /// A byte was read that has no meaning in its place: the whole message is invalid.
    @inlinable
    public mutating func refuse() {
        isValid = false
    }
}

/// CRC-32 (IEEE 802.3: polynomial 04C11DB7 reflected, start and final inversion), the one of zip and Ethernet.
public struct CRC32: Sendable {
    private var register: UInt32 = 0xFFFF_FFFF

    public init() {}

    /// Of all bytes.
    @inline(never)
    public static func of(_ bytes: Span<UInt8>) -> UInt32 {
        var crc = CRC32()
        for i in bytes.indices { crc.update(bytes[i]) }
        return crc.value
    }

    /// What comes out for every block that ends with its own checksum, low byte first.
    public static var ofGoodBlock: UInt32 { 0x2144_DF1C }

    public mutating func update(_ byte: UInt8) {
        register ^= UInt32(byte)
        register = register >> 4 ^ Self.table[Int(register & 15)]
        register = register >> 4 ^ Self.table[Int(register & 15)]
    }

    public var value: UInt32 { ~register }

    /// What four bits at the end of the register come to.
    private static let table: InlineArray<16, UInt32> = [
        0x0000_0000, 0x1DB7_1064, 0x3B6E_20C8, 0x26D9_30AC, 0x76DC_4190, 0x6B6B_51F4, 0x4DB2_6158, 0x5005_713C,
        0xEDB8_8320, 0xF00F_9344, 0xD6D6_A3E8, 0xCB61_B38C, 0x9B64_C2B0, 0x86D3_D2D4, 0xA00A_E278, 0xBDBD_F21C,
    ]
}
