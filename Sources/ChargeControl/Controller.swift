import Battery

/// The control logic of one bank: snapshots of packs in, what the inverter may be told out.
///
/// A value without I/O and without a clock: the same calls with the same instants give the same result, on a Raspberry Pi, on the
/// microcontroller and in the simulator (charge-control.md §0, §4).
public struct Controller: Sendable {
    public private(set) var output = ControlOutput()
    /// Fill the limiter lists of `output` too. Costs time; off on the hot path.
    public var listsLimiters = false
    public let configuration: ControlConfiguration

    /// - Parameter record: what was persisted, when its checksum was good.
    /// - Parameter recentBoots: restarts within the last 10 minutes, for the boot-loop guard.
    public init(configuration: ControlConfiguration, record: ControlRecord?, recentBoots: Int32 = 0, at now: Instant) {
        self.configuration = configuration
    }

    /// A decoded snapshot of pack `pack` (index from 0). It is judged here; what is implausible is not used.
    public mutating func accept(_ reading: borrowing PackReading, pack: Int, at now: Instant) {}

    /// A frame of this pack was damaged or the pack did not answer: link quality only, never a limit by itself.
    public mutating func linkFault(pack: Int, at now: Instant) {}

    /// One evaluation: at 1 Hz, and at once after every accepted snapshot and every fault event (amendment 26).
    public mutating func tick(at now: Instant) {}

    public mutating func handle(_ command: Command, at now: Instant) throws(CommandRefusal) {}

    /// The present state to persist.
    public var record: ControlRecord { ControlRecord() }
    /// True when something happened that should be persisted at once (phase change, FULL, LOST).
    public var recordIsUrgent: Bool { false }
}
