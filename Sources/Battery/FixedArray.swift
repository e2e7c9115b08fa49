/// An array of at most `capacity` elements that lives in its owner: no heap, so it works on the microcontroller too.
public struct FixedArray<let capacity: Int, Element: BitwiseCopyable & Sendable>: Sendable {
    @usableFromInline var storage: InlineArray<capacity, Element>
    @usableFromInline var used: Int32

    /// An empty array. `filler` occupies the unused places and is never visible.
    @inlinable
    public init(filler: Element) {
        storage = InlineArray(repeating: filler)
        used = 0
    }

    @inlinable public var count: Int { Int(used) }
    @inlinable public var isEmpty: Bool { used == 0 }
    @inlinable public var isFull: Bool { count == capacity }

    /// Adds an element; false (and no change) when the array is full.
    @inlinable
    @discardableResult
    public mutating func append(_ element: Element) -> Bool {
        if isFull { return false }
        storage[count] = element
        used += 1
        return true
    }

    @inlinable
    public mutating func removeAll() {
        used = 0
    }

    @inlinable
    public subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < count)
            return storage[index]
        }
        set {
            precondition(index >= 0 && index < count)
            storage[index] = newValue
        }
    }
}

extension FixedArray: Equatable where Element: Equatable {
    public static func == (a: Self, b: Self) -> Bool {
        if a.used != b.used { return false }
        for i in 0..<a.count where a.storage[i] != b.storage[i] { return false }
        return true
    }
}

extension FixedArray: BitwiseCopyable {}
