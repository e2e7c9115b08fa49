/// A frame under construction, at most `capacity` bytes, in place: no heap.
public struct FrameBytes<let capacity: Int>: Sendable {
    private var storage = InlineArray<capacity, UInt8>(repeating: 0)
    public private(set) var count = 0

    public init() {}

    public mutating func removeAll() {
        count = 0
    }

    /// Adds one byte. The capacity is chosen for the largest frame of a protocol, so a full buffer is a programming error.
    public mutating func append(_ byte: UInt8) {
        precondition(count < capacity)
        storage[count] = byte
        count += 1
    }

    public mutating func append(_ bytes: Span<UInt8>) {
        for i in bytes.indices { append(bytes[i]) }
    }

    /// Adds the low `width` bytes of `value`, most significant first.
    public mutating func append(bigEndian value: UInt32, width: Int) {
        for i in 0..<width { append(UInt8(truncatingIfNeeded: value >> UInt32(8 * (width - 1 - i)))) }
    }

    /// Adds the low `width` bytes of `value`, least significant first.
    public mutating func append(littleEndian value: UInt32, width: Int) {
        for i in 0..<width { append(UInt8(truncatingIfNeeded: value >> UInt32(8 * i))) }
    }

    public subscript(index: Int) -> UInt8 {
        get {
            precondition(index >= 0 && index < count)
            return storage[index]
        }
        set {
            precondition(index >= 0 && index < count)
            storage[index] = newValue
        }
    }

    /// Lends the bytes to `body`.
    public func withSpan<Result, Failure: Error>(
        _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(storage.span.extracting(0..<count))
    }
}
