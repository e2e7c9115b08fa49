import Battery
import InverterDialects

/// One CAN port towards an inverter: spreads the frames of a set over its cycle, sends at once when a limit tightens, supervises
/// the heartbeat and brings the controller back after bus-off (failsafe.md §6, amendments 13 and 28).
struct InverterPort: Sendable, BitwiseCopyable {
    let configuration: InverterPortConfiguration
    /// What these inverters take for zero, 0 or 100 mA. Each of them needs the whole of it: a share would be an exact 0, which is what
    /// such an inverter ignores.
    private let zero: Milliamps
    private(set) var state = CANBusState.closed
    private(set) var counters = InverterPortCounters()
    private(set) var lastHeartbeat: Instant?

    /// The set on its way; frames before `next` have been handed out, and those marked in `sentEarly`.
    private(set) var frames = FrameSet(filler: CANFrame(id: 0, length: 0))
    private var next = 0
    private var sentEarly: UInt32 = 0
    /// When the present set began; nil while nothing may be sent.
    private var setBegan: Instant?
    private var nextFrameAt = Instant(milliseconds: 0)
    private var restartAt: Instant?
    private var restarts: Int32 = 0
    private var healthySince: Instant?

    /// Time without a heartbeat after which the inverter counts as unconfirmed. Deye is late by 3 s every two hours.
    static let heartbeatTimeout: Milliseconds = 10_000
    /// Pause before a frame is offered again that the full queue refused.
    static let busyRetry: Milliseconds = 5
    /// Bus-off back-off; the last value repeats for ever (amendment 13).
    static let restartDelays: InlineArray<3, Milliseconds> = [200, 500, 1000]

    /// After this long on the bus the next bus-off starts with the shortest back-off again.
    static let healthyAfter: Milliseconds = 10_000

    @inline(never)
    init(_ configuration: InverterPortConfiguration, zero: Milliamps = 0) {
        self.configuration = configuration
        self.zero = zero
    }

    var isBusy: Bool { setBegan != nil && next < frames.count }

    func isHeartbeatFresh(at now: Instant) -> Bool {
        guard let lastHeartbeat else { return false }
        return now.since(lastHeartbeat) <= Self.heartbeatTimeout
    }

    mutating func received(_ frame: CANFrame, at now: Instant) {
        counters.received &+= 1
        if configuration.dialect.isHeartbeat(frame) {
            counters.heartbeats &+= 1
            lastHeartbeat = now
        }
    }

    /// An inverter on RS485 asked.
    mutating func noteRequest(at now: Instant) {
        counters.received &+= 1
        counters.heartbeats &+= 1
        lastHeartbeat = now
    }

    /// It was answered.
    mutating func noteAnswer() {
        counters.sets &+= 1
        counters.sent &+= 1
    }

    mutating func changed(to newState: CANBusState, at now: Instant) {
        if newState == state { return }
        let wasDown = state == .closed || state == .busOff
        state = newState
        switch newState {
        case .busOff:
            counters.busOffs &+= 1
            // A bus that is shorted goes off again at once: the back-off must grow although it was "active" in between.
            if let healthySince, now.since(healthySince) >= Self.healthyAfter { restarts = 0 }
            healthySince = nil
            restartAt = now + restartDelay
            setBegan = nil
        case .closed:
            restartAt = nil
            setBegan = nil
        case .active, .warning, .passive:
            restartAt = nil
            if healthySince == nil { healthySince = now }
            // After bus-off or a lost adapter the next set is complete and starts at once (P17).
            if wasDown { setBegan = nil }
        }
    }

    /// A limit became tighter: everything that carries limits goes out now, the rest of the fresh set follows spread.
    mutating func tighten<Ports: EnginePorts>(
        to report: borrowing BankReport, port: Int, at now: Instant, ports: inout Ports
    ) {
        if state == .closed || state == .busOff { return }
        begin(report, at: now)
        var isFirst = true
        for index in 0..<frames.count where configuration.dialect.carriesLimits(frames[index]) {
            if offer(frames[index], port: port, ports: &ports) == .queued { sentEarly |= 1 << UInt32(index) }
            // The next set begins so much earlier that its limits come one cycle after these, wherever they stand in the set.
            if isFirst { setBegan = now - gap * Milliseconds(index) }
            isFirst = false
        }
    }

    /// Sends what is due.
    /// - Returns: when the next frame or restart is due; nil when nothing is planned.
    mutating func wake<Ports: EnginePorts>(
        report: borrowing BankReport, mayTransmit: Bool, port: Int, at now: Instant, ports: inout Ports
    ) -> Instant? {
        if state == .closed { return nil }
        if state == .busOff { return restartIfDue(port: port, at: now, ports: &ports) }
        guard mayTransmit else {
            setBegan = nil
            return nil
        }
        if let began = setBegan {
            let due = began + configuration.cycle
            if now >= due && next >= frames.count {
                // Keep the rhythm; after a long pause start afresh instead of catching up.
                begin(report, at: now.since(due) < configuration.cycle ? due : now)
            }
        } else {
            begin(report, at: now)
        }
        while next < frames.count && now >= nextFrameAt {
            if sentEarly & (1 << UInt32(next)) != 0 {
                next += 1
                continue
            }
            switch offer(frames[next], port: port, ports: &ports) {
            case .queued:
                advance()
            case .busy where configuration.dialect.carriesLimits(frames[next]):
                // Limits are never dropped; the set waits for room and is replaced when its time is over.
                if let began = setBegan, now.since(began) >= configuration.cycle {
                    begin(report, at: now)
                }
                nextFrameAt = now + Self.busyRetry
                return nextFrameAt
            case .busy:
                counters.dropped &+= 1
                advance()
            case .down:
                counters.dropped &+= 1
                advance()
            }
        }
        return next < frames.count ? nextFrameAt : (setBegan ?? now) + configuration.cycle
    }

    private mutating func begin(_ report: borrowing BankReport, at now: Instant) {
        frames.removeAll()
        if configuration.sharePerMille == 1000 {
            configuration.dialect.encode(report, configuration.options, into: &frames)
        } else {
            configuration.dialect.encode(part(of: report), configuration.options, into: &frames)
        }
        next = 0
        sentEarly = 0
        setBegan = now
        nextFrameAt = now
        counters.sets &+= 1
    }

    /// What this port may say of the bank's limits; all ports together at most the whole.
    func part(of report: borrowing BankReport) -> BankReport {
        var part = copy report
        part.chargeCurrentLimit = share(of: report.chargeCurrentLimit)
        part.dischargeCurrentLimit = share(of: report.dischargeCurrentLimit)
        return part
    }

    private func share(of limit: Milliamps) -> Milliamps {
        max(Milliamps(truncatingIfNeeded: Int64(limit) * Int64(configuration.sharePerMille) / 1000), min(limit, zero))
    }

    /// The spec recommends 20...100 ms between frames; a short cycle needs less.
    private var gap: Milliseconds {
        min(100, max(1, configuration.cycle / Milliseconds(frames.count + 1)))
    }

    private mutating func advance() {
        next += 1
        nextFrameAt = nextFrameAt + gap
    }

    private mutating func offer<Ports: EnginePorts>(_ frame: CANFrame, port: Int, ports: inout Ports) -> CANSendResult {
        let result = ports.transmit(frame, onInverterPort: port)
        switch result {
        case .queued: counters.sent &+= 1
        case .busy: counters.busy &+= 1
        case .down: break
        }
        return result
    }

    private mutating func restartIfDue<Ports: EnginePorts>(port: Int, at now: Instant, ports: inout Ports) -> Instant? {
        guard let due = restartAt else { return nil }
        if now < due { return due }
        restarts += 1
        counters.restarts &+= 1
        ports.restartBus(inverterPort: port)
        let again = now + restartDelay
        restartAt = again
        return again
    }

    private var restartDelay: Milliseconds {
        Self.restartDelays[min(Int(restarts), Self.restartDelays.count - 1)]
    }
}

/// What has happened on one CAN port since the start.
public struct InverterPortCounters: Equatable, Sendable, BitwiseCopyable {
    /// Complete sets of frames, and frames that the bus has taken.
    public var sets: UInt32 = 0
    public var sent: UInt32 = 0
    /// Refusals of a full queue, and frames dropped because of it or because the port was down.
    public var busy: UInt32 = 0
    public var dropped: UInt32 = 0
    /// Frames of others, and those among them by which the inverter of this dialect confirms that it lives.
    public var received: UInt32 = 0
    public var heartbeats: UInt32 = 0
    /// How often the bus was off, and how often it was restarted for that.
    public var busOffs: UInt32 = 0
    public var restarts: UInt32 = 0

    public init() {}
}
