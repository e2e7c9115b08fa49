/// Visits the fields of a value, to write them to bytes or to read them back. One description of a layout serves both directions,
/// so that an encoder and its decoder cannot drift apart. Everything is little-endian.
public protocol FieldCoder {
    mutating func field<T: FixedWidthInteger>(_ value: inout T)
    /// A byte was read that has no meaning in its place: the whole message is invalid.
    mutating func refuse()
    /// More elements than this build has room for: valid perhaps, but not here.
    mutating func refuseForRoom()
}

extension FieldCoder {
    @inlinable
    public mutating func field(_ value: inout Bool) {
        var byte: UInt8 = value ? 1 : 0
        field(&byte)
        if byte > 1 { refuse() }
        value = byte == 1
    }

    /// A presence byte, then the value (0 when absent).
    @inlinable
    public mutating func field<T: FixedWidthInteger>(_ value: inout T?) {
        var isPresent = value != nil
        field(&isPresent)
        var number = value ?? 0
        field(&number)
        value = isPresent ? number : nil
    }

    @inlinable
    public mutating func field(_ value: inout Bool?) {
        var byte: UInt8 = value.map { $0 ? 2 : 1 } ?? 0
        field(&byte)
        if byte > 2 { refuse() }
        value = byte == 0 ? nil : byte == 2
    }

    @inlinable
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
    public mutating func array<let capacity: Int, T: BitwiseCopyable & Sendable>(
        _ value: inout FixedArray<capacity, T>, filler: T, _ element: (inout Self, inout T) -> Void
    ) {
        var count = UInt8(truncatingIfNeeded: value.count)
        field(&count)
        if Int(count) > capacity {
            refuseForRoom()
            return
        }
        while value.count < Int(count) { value.append(filler) }
        for i in 0..<Int(count) { element(&self, &value[i]) }
    }
}

/// Writes fields into a buffer of fixed size.
public struct FieldWriter<let capacity: Int>: FieldCoder, Sendable {
    public var bytes = InlineArray<capacity, UInt8>(repeating: 0)
    public var count = 0
    /// True when something did not fit; the content is then useless.
    public var overflowed = false

    public init() {}

    @inlinable
    public mutating func append(_ byte: UInt8) {
        if count == capacity {
            overflowed = true
            return
        }
        bytes[count] = byte
        count += 1
    }

    @inlinable
    public mutating func field<T: FixedWidthInteger>(_ value: inout T) {
        append(UInt64(truncatingIfNeeded: value), width: T.bitWidth / 8)
    }

    /// The lowest `width` bytes of a number.
    @inlinable
    mutating func append(_ number: UInt64, width: Int) {
        for i in 0..<width { append(UInt8(truncatingIfNeeded: number >> UInt64(8 * i))) }
    }

    @inlinable
    public mutating func refuse() {}

    @inlinable
    public mutating func refuseForRoom() {}

    /// Hands out the written bytes.
    @inlinable
    public borrowing func withBytes<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try body(bytes.span.extracting(0..<count))
    }

    /// Overwrites one byte, for a length that is known only afterwards.
    @inlinable
    public mutating func replace(at index: Int, with byte: UInt8) {
        precondition(index < count)
        bytes[index] = byte
    }

    /// CRC-32 of the bytes from `start` on.
    @inlinable
    public func checksum(from start: Int) -> UInt32 {
        var crc = CRC32()
        for i in start..<count { crc.update(bytes[i]) }
        return crc.value
    }
}

/// Reads fields from bytes. Never traps: a missing or senseless byte makes `isValid` false.
public struct FieldReader<let capacity: Int>: FieldCoder {
    @usableFromInline let bytes: InlineArray<capacity, UInt8>
    public var position: Int
    @usableFromInline let end: Int
    public var isValid = true
    /// It is not valid because an array has more elements than there is room for.
    public var lacksRoom = false

    public init(_ bytes: InlineArray<capacity, UInt8>, from start: Int, to end: Int) {
        precondition(start >= 0 && end <= capacity)
        self.bytes = bytes
        position = start
        self.end = end
    }

    @inlinable
    public mutating func field<T: FixedWidthInteger>(_ value: inout T) {
        if let number = take(width: T.bitWidth / 8) { value = T(truncatingIfNeeded: number) }
    }

    /// The next `width` bytes as a number; nil when there are fewer.
    @inlinable
    mutating func take(width: Int) -> UInt64? {
        if position + width > end {
            isValid = false
            return nil
        }
        var number: UInt64 = 0
        for i in 0..<width { number |= UInt64(bytes[position + i]) << UInt64(8 * i) }
        position += width
        return number
    }

    @inlinable
    public mutating func refuse() {
        isValid = false
    }

    @inlinable
    public mutating func refuseForRoom() {
        if isValid { lacksRoom = true }
        isValid = false
    }
}

/// CRC-32 (IEEE 802.3: polynomial 04C11DB7 reflected, start and final inversion), the one of zip and Ethernet.
public struct CRC32: Sendable {
    @usableFromInline var register: UInt32 = 0xFFFF_FFFF

    public init() {}

    @inlinable
    public mutating func update(_ byte: UInt8) {
        register ^= UInt32(byte)
        for _ in 0..<8 {
            register = (register >> 1) ^ (register & 1 == 1 ? 0xEDB8_8320 : 0)
        }
    }

    public var value: UInt32 { ~register }
}
