/// Watches how fast one current limit rises, and that it stays down after a protective cut (P8).
struct RiseWatch: Sendable {
    private var rate: Double
    /// The highest value that a correct slew can have reached.
    private var envelope = 0.0
    private var envelopeAt: Int64 = 0
    private(set) var last = 0.0
    private var cutAt: Int64 = .min / 2
    /// DCL may step to its bound once after boot and once after each loss of a pack (amendment 6).
    private var stepsAllowed = true

    /// Seconds that a value may be ahead of the frames: one tick.
    private static let tick = 1.2
    static let hold: Int64 = 30_000

    init(amperesPerSecond: Double) {
        rate = amperesPerSecond
    }

    mutating func restart(at now: Int64) {
        (envelope, envelopeAt, last, cutAt, stepsAllowed) = (0, now, 0, .min / 2, true)
    }

    /// No pack conducted and one does again: a start, no return after a cut (amendment 6).
    mutating func comeToLife() {
        (cutAt, stepsAllowed) = (.min / 2, true)
    }

    /// Another configuration: rises may be as fast as the faster of both.
    mutating func widen(_ amperesPerSecond: Double) {
        rate = max(rate, amperesPerSecond)
    }

    mutating func allowStep() {
        stepsAllowed = true
    }

    enum Finding { case fine, tooFast, tooSoon }

    /// - Parameters:
    ///   - mustCut: the old value is above what is allowed now, for a protective reason.
    ///   - mayStep: rises in one step are allowed for this direction after boot and rejoin.
    mutating func see(_ value: Double, mustCut: Bool, mayStep: Bool, at now: Int64) -> Finding {
        let dt = Double(now - envelopeAt) / 1000
        envelope = min(envelope + rate * dt, 10_000)
        let lastAt = envelopeAt
        envelopeAt = now
        var finding = Finding.fine
        if value > last + 0.05 {
            if mayStep && stepsAllowed {
                // One step; what follows is slewed again. The step may come in two frames when a pack follows the first.
                stepsAllowed = false
                envelope = value + rate * Self.tick
                cutAt = .min / 2
            } else if now - cutAt < Self.hold - 500 {
                finding = .tooSoon
            } else if value > envelope + 0.11 {
                finding = .tooFast
            }
        } else if value < last - 0.05 && mustCut {
            // It happened at the earliest after the frame before, which a dead bus may have made long ago.
            cutAt = lastAt
        }
        envelope = min(envelope, value + rate * Self.tick)
        last = value
        return finding
    }
}
