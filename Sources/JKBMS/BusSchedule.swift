import Battery

/// Who is asked next on a line with one or several packs, and when it is given up. One for all protocols in which the host asks.
struct BusSchedule: Sendable {
    enum Turn: Equatable, Sendable {
        case wait(until: Instant)
        case ask(slot: Int)
        /// No answer, repeats included.
        case gaveUp(slot: Int)
    }

    /// A pack that was silent this often in a row is asked only now and then and only once, so that it does not eat the time of the
    /// others.
    private static let patience: Int32 = 3
    private static let silentInterval: Milliseconds = 5000
    /// How much longer than the interval a line that is never quiet is waited for. Then it is asked into the noise, so that a pack
    /// behind a babbling input is reported as silent.
    static let noisePatience: Milliseconds = 1000

    var pace: PollPace
    /// Silence between packets that a unit needs even when the configuration asks for less, and the same in the fast mode.
    private let leastGap: Milliseconds
    private let fastGap: Milliseconds
    /// Silence that ends an attempt in which something, but no answer, was heard.
    private let spoiltAfter: Milliseconds

    private var polls = PackList<Poll>(filler: Poll())
    private var current = 0
    private var isAwaiting = false
    private var repeats: Int32 = 0
    /// The poll of `current` has another request to come.
    private var continues = false
    private var requestedAt = Instant(milliseconds: 0)
    private var heardSomething = false
    private var lastActivity: Instant?

    private struct Poll: BitwiseCopyable, Sendable {
        var began: Instant?
        var silences: Int32 = 0
    }

    init(
        slots: Int, pace: PollPace, leastGap: Milliseconds, fastGap: Milliseconds, spoiltAfter: Milliseconds
    ) {
        self.pace = pace
        self.leastGap = leastGap
        self.fastGap = fastGap
        self.spoiltAfter = spoiltAfter
        for _ in 0..<slots { polls.append(Poll()) }
        current = slots - 1
    }

    /// The slot whose answer is awaited.
    var awaited: Int? { isAwaiting ? current : nil }

    /// - Parameter incompleteUntil: when a telegram that has begun to come will be given up.
    mutating func turn(at now: Instant, incompleteUntil: Instant?) -> Turn {
        if polls.isEmpty { return .wait(until: now + Self.silentInterval) }
        if isAwaiting {
            if let incompleteUntil, incompleteUntil > now { return .wait(until: incompleteUntil) }
            let deadline = replyDeadline
            if now < deadline { return .wait(until: deadline) }
            isAwaiting = false
            if repeats >= pace.retries || polls[current].silences >= Self.patience {
                repeats = 0
                continues = false
                polls[current].silences &+= 1
                return .gaveUp(slot: current)
            }
            repeats += 1
        }
        var slot = current
        var due = now
        if repeats == 0 && !continues { (slot, due) = next(at: now) }
        if let lastActivity, lastActivity + gap > due, now.since(requestedAt) < pace.interval + Self.noisePatience {
            due = lastActivity + gap
        }
        if now < due { return .wait(until: due) }
        current = slot
        return .ask(slot: slot)
    }

    /// The request that `turn` asked for went out.
    mutating func asked(at now: Instant) {
        if repeats == 0 && !continues { polls[current].began = now }
        isAwaiting = true
        heardSomething = false
        requestedAt = now
        lastActivity = now
    }

    /// Bytes came in.
    mutating func heard(at now: Instant) {
        heardSomething = true
        lastActivity = now
    }

    /// What was heard was our own request.
    mutating func heardEcho() {
        heardSomething = false
    }

    /// The awaited answer is there.
    /// - Parameter more: the same pack is to be asked for something else in the same poll.
    mutating func answered(more: Bool) {
        isAwaiting = false
        repeats = 0
        continues = more
        polls[current].silences = 0
    }

    private var gap: Milliseconds {
        if pace.interval == 0 { return fastGap }
        return pace.gap > leastGap ? pace.gap : leastGap
    }

    private var replyDeadline: Instant {
        let late = requestedAt + pace.replyTimeout
        guard heardSomething, let lastActivity else { return late }
        let spoilt = lastActivity + spoiltAfter
        return spoilt < late ? spoilt : late
    }

    /// The slot that has been due for the longest time, or will be due first. Equals take turns.
    private func next(at now: Instant) -> (slot: Int, due: Instant) {
        var best = (slot: 0, due: Instant(milliseconds: .max))
        for step in 1...polls.count {
            let slot = (current + step) % polls.count
            let due = due(polls[slot])
            if due < best.due { best = (slot, due) }
        }
        return best
    }

    private func due(_ poll: Poll) -> Instant {
        guard let began = poll.began else { return Instant(milliseconds: .min) }
        let isSilent = poll.silences >= Self.patience && pace.interval < Self.silentInterval
        return began + (isSilent ? Self.silentInterval : pace.interval)
    }
}
