import BridgeEngine

/// The two slots of the persisted record as a file system without power supply keeps them: the older one is overwritten, and a cut
/// may leave any part of it (failsafe.md §5.8, §5.9).
public struct StateStore: Sendable {
    public private(set) var slots: [[UInt8]] = [[], []]
    private var newest = 1
    /// The number of the write that each slot holds, as the file and the flash of the product keep it.
    private var numbers = [0, 0]
    public private(set) var writes = 0
    /// The newest slot no longer holds what was written.
    public private(set) var newestIsDamaged = false

    public init() {}

    mutating func write(_ image: Span<UInt8>) {
        // The older one, or the newest again when that one is no good: a cut must not cost the other.
        if !newestIsDamaged { newest = 1 - newest }
        newestIsDamaged = false
        slots[newest].removeAll(keepingCapacity: true)
        for i in image.indices { slots[newest].append(image[i]) }
        writes += 1
        numbers[newest] = writes
    }

    /// The power failed while the newest slot was being written: only its first `length` bytes reached the disk.
    public mutating func cutNewest(to length: Int) {
        if slots[newest].isEmpty { return }
        newestIsDamaged = newestIsDamaged || length < slots[newest].count
        slots[newest].removeLast(max(0, slots[newest].count - length))
    }

    /// Damage: one bit of the newest slot is wrong.
    public mutating func flipNewest(bit: Int) {
        if slots[newest].isEmpty { return }
        newestIsDamaged = true
        slots[newest][bit / 8 % slots[newest].count] ^= UInt8(1 << (bit & 7))
    }

    public var newestLength: Int { slots[newest].count }

    /// The record that a bridge finds at its start: the newer of those whose checksum is good.
    public var record: PersistedRecord? {
        for slot in numbers[0] > numbers[1] ? [0, 1] : [1, 0] {
            if let record = Self.decode(slots[slot]) { return record }
        }
        return nil
    }

    /// What the damaged newest slot decodes to: must be nothing (P18).
    public var damagedRecord: PersistedRecord? {
        newestIsDamaged ? Self.decode(slots[newest]) : nil
    }

    private static func decode(_ slot: [UInt8]) -> PersistedRecord? {
        slot.withUnsafeBufferPointer { PersistedRecord(image: $0.span) }
    }
}
