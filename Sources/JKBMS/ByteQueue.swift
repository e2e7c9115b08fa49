import Battery

/// Bytes of a line that are not understood yet, oldest first, at most `capacity` of them, with the times at which they came.
///
/// Reading is `mutating` on purpose: an index that is not constant into an `InlineArray` of a borrowed value makes the compiler copy
/// the whole array first, here a kilobyte for each byte looked at.
struct ByteQueue<let capacity: Int>: Sendable {
    private var storage = InlineArray<capacity, UInt8>(repeating: 0)
    private var head = 0
    private var tail = 0
    /// When the oldest byte came, as far as known.
    private(set) var firstByteAt = Instant(milliseconds: 0)
    private(set) var lastByteAt = Instant(milliseconds: 0)
    /// Position of the oldest byte in the stream.
    private(set) var offset: Int64 = 0

    var count: Int { tail - head }
    var isEmpty: Bool { head == tail }

    /// Takes as many of `bytes` as there is room for.
    /// - Returns: how many were taken.
    mutating func take(_ bytes: Span<UInt8>, at now: Instant) -> Int {
        if isEmpty {
            head = 0
            tail = 0
            firstByteAt = now
        } else if bytes.count > capacity - tail && head > 0 {
            for i in head..<tail { storage[i - head] = storage[i] }
            tail -= head
            head = 0
        }
        let taken = bytes.count < capacity - tail ? bytes.count : capacity - tail
        for i in 0..<taken { storage[tail + i] = bytes[i] }
        tail += taken
        if taken > 0 { lastByteAt = now }
        return taken
    }

    /// The `index`-th oldest byte.
    mutating func peek(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < count)
        return storage[head + index]
    }

    /// Lends the `length` oldest bytes to `body`.
    mutating func withFirst<Result, Failure: Error>(
        _ length: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(length <= count)
        return try body(storage.span.extracting(head..<head + length))
    }

    mutating func drop(_ length: Int) {
        precondition(length <= count)
        head += length
        offset += Int64(length)
    }

    /// What is left began, for all that is known, with the last byte.
    mutating func restartClock() {
        firstByteAt = lastByteAt
    }

    /// When what is here is too old to be completed: after `silence`, and at the latest `longest` after its first byte. Nil while
    /// nothing is here.
    func deadline(silence: Milliseconds, longest: Milliseconds) -> Instant? {
        if isEmpty { return nil }
        let silent = lastByteAt + silence
        let late = firstByteAt + longest
        return silent < late ? silent : late
    }
}
