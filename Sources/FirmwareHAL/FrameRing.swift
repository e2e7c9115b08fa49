import InverterDialects

/// CAN frames between the controller's small FIFO, which is emptied at every opportunity, and the engine, which takes its time.
public struct FrameRing: Sendable {
    private var storage = InlineArray<16, CANFrame>(repeating: CANFrame(id: 0, length: 0))
    private var head = 0
    public private(set) var count = 0
    /// Frames that found no room.
    public private(set) var lost: UInt32 = 0

    public init() {}

    public mutating func push(_ frame: CANFrame) {
        if count == storage.count {
            lost &+= 1
            return
        }
        storage[(head + count) % storage.count] = frame
        count += 1
    }

    /// The oldest frame; nil when there is none.
    public mutating func pop() -> CANFrame? {
        if count == 0 { return nil }
        defer {
            head = (head + 1) % storage.count
            count -= 1
        }
        return storage[head]
    }
}
