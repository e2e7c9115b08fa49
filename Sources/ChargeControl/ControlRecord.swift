import Battery

/// What survives a restart (failsafe.md §5.8): phase, absorb time, days since full, SoC state, counters.
///
/// The engine writes it to alternating slots with a CRC, at most once in 5 minutes and on events.
public struct ControlRecord: Equatable, Sendable, BitwiseCopyable {
    public init() {}
}
