/// A ring of bytes between the loop, which never waits, and a UART, which is slow.
public struct ByteRing<let capacity: Int>: Sendable {
    private var storage = InlineArray<capacity, UInt8>(repeating: 0)
    private var head = 0
    public private(set) var count = 0
    /// Bytes that found no room.
    public private(set) var lost: UInt32 = 0

    public init() {}

    public var room: Int { capacity - count }

    /// Adds one byte; it is lost, and counted, when the ring is full.
    public mutating func push(_ byte: UInt8) {
        if count == capacity {
            lost &+= 1
            return
        }
        let tail = head + count
        storage[tail < capacity ? tail : tail - capacity] = byte
        count += 1
    }

    /// Adds all bytes or none, so that a message is never cut.
    public mutating func push(_ bytes: Span<UInt8>) {
        if bytes.count > room {
            lost &+= UInt32(bytes.count)
            return
        }
        var tail = head + count
        if tail >= capacity { tail -= capacity }
        for i in bytes.indices {
            storage[tail] = bytes[i]
            tail = tail + 1 < capacity ? tail + 1 : 0
        }
        count += bytes.count
    }

    /// The byte that leaves next.
    /// - Precondition: the ring is not empty.
    public var first: UInt8 {
        // Without `mutating` the compiler copies the whole ring for each byte.
        mutating get {
            precondition(count > 0)
            return storage[head]
        }
    }

    public mutating func drop() {
        precondition(count > 0)
        head = head + 1 < capacity ? head + 1 : 0
        count -= 1
    }
}
