import BridgeEngine

/// Puts the engine's events in the order of their numbers. One that is told as it happens may overtake those that are told again on
/// request, for example when the page's process finds a bridge that has just started.
struct EventOrder {
    /// The number of the newest event that was handed out.
    private(set) var last: UInt32 = 0
    private var early: [UInt32: EngineEvent] = [:]
    private var hasWaited = false

    /// The events that are due with this one, in order; none while an earlier one is missing.
    mutating func take(_ event: EngineEvent) -> [EngineEvent] {
        if event.number <= last { return [] }
        early[event.number] = event
        return due()
    }

    /// A snapshot came. What is still missing after the second one will not come any more: the engine does not keep it.
    ///
    /// - Returns: how many events are lost, and those that are due now.
    mutating func snapshot() -> (lost: UInt32, due: [EngineEvent]) {
        guard hasWaited, let next = early.keys.min() else {
            hasWaited = !early.isEmpty
            return (0, [])
        }
        let lost = next - last - 1
        last = next - 1
        return (lost, due())
    }

    private mutating func due() -> [EngineEvent] {
        var events: [EngineEvent] = []
        // After the largest number comes none.
        while let event = early.removeValue(forKey: last &+ 1) {
            events.append(event)
            last = event.number
        }
        if early.isEmpty { hasWaited = false }
        return events
    }
}
