import Battery

/// How long a pack has been answering without a break (amendment 25: a session begins with the first reply after at least 10 s of
/// silence).
struct SessionClock: Sendable, BitwiseCopyable {
    static let silence: Milliseconds = 10_000
    /// How long a JK may claim SoC 0 and 0 cycles after it was switched on (jk-4e57.md §5.5).
    static let startUp: Milliseconds = 30_000

    private(set) var lastReply: Instant?
    private var began = Instant(milliseconds: 0)

    /// - Returns: the age of the session, 0 for its first reply.
    mutating func reply(at now: Instant) -> Milliseconds {
        if let lastReply, now.since(lastReply) < Self.silence {
            self.lastReply = now
            return now.since(began)
        }
        lastReply = now
        began = now
        return 0
    }
}

extension PackReading {
    /// SoC 0 together with 0 cycles although no cell is anywhere near empty: for about 16 s after power-up a JK does not know yet
    /// (jk-4e57.md §5.5). "Healthy" is at or above the release voltage of the cell under-voltage protection, and 3.0 V where that is
    /// not known.
    var looksUninitialised: Bool {
        if soc != 0 || cycles != 0 || cells.isEmpty { return false }
        let healthy = settings?.cellUnderVoltageRelease ?? 3000
        for i in 0..<cells.count where Millivolts(cells[i]) < healthy { return false }
        return true
    }
}
