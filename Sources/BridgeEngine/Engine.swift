import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// The whole bridge without I/O: events in, actions out through `EnginePorts`.
///
/// It reads no clock and opens nothing. Every call is given the present instant; `wake` says when it wants to be called next.
/// The same engine runs in the gateway, in the firmware, in the simulator and under the fuzzer (design §1.1).
public struct Engine: Sendable {
    public private(set) var configuration: BridgeConfiguration
    public internal(set) var controller: Controller

    var bmsPorts: PerBMSPort<BMSPort>
    var inverterPorts: PerInverterPort<InverterPort>
    var readings = PerPack<LastReading>(repeating: LastReading())
    /// The ears of the ports on RS485.
    var responders = PerInverterPort<PylontechRS485Responder>(repeating: PylontechRS485Responder())
    /// What the sessions remember of each pack, for all lines together.
    private var memories = PerPack<JKPackMemory>(repeating: JKPackMemory())
    var events = EventLog()
    public internal(set) var seen = SeenState()
    private(set) var started: Instant
    /// The 1 Hz evaluation (amendment 26).
    var nextTick: Instant
    /// When the youngest data become too old: evaluated then, not at the next tick, so that no frame says more than it may (P3).
    private var dataEnd: Instant?
    var link = LinkState()
    /// When the control logic was last evaluated; the watchdogs look at it.
    public private(set) var lastEvaluation: Instant
    private var keeper: RecordKeeper
    private var plannedStop = PlannedStop()

    static let tickPeriod: Milliseconds = 1000

    /// - Parameter record: what was persisted, when one of the two slots had a good image.
    /// - Precondition: `configuration.control` has no problems, and its ports fit its packs.
    @inline(never)
    public init(configuration: BridgeConfiguration, record: PersistedRecord?, at now: Instant) {
        self.configuration = configuration
        keeper = RecordKeeper(boots: record?.boots ?? 0, at: now)
        controller = Controller(
            configuration: configuration.control, record: record?.control, recentBoots: Int32(keeper.boots), at: now)
        bmsPorts = InlineArray { i in
            BMSPort(i < configuration.bmsPorts.count ? configuration.bmsPorts[i] : BMSPortConfiguration())
        }
        inverterPorts = InlineArray { i in
            InverterPort(
                i < configuration.inverterPorts.count ? configuration.inverterPorts[i] : InverterPortConfiguration(),
                zero: configuration.control.inverter.zeroCurrent)
        }
        started = now
        nextTick = now
        lastEvaluation = now
        log(.started, a: Int32(keeper.boots), b: record == nil ? 0 : 1, at: now)
    }

    /// Begins anew as `init` does, part by part where the engine is. On the stack of a microcontroller a new engine would need as much
    /// room again as it takes; for the same reason each part has a function of its own.
    @inline(never)
    public mutating func begin(configuration: BridgeConfiguration, record: PersistedRecord?, at now: Instant) {
        self.configuration = configuration
        keeper = RecordKeeper(boots: record?.boots ?? 0, at: now)
        beginControl(record?.control, at: now)
        for port in bmsPorts.indices { beginBMSPort(port) }
        for port in inverterPorts.indices { beginInverterPort(port) }
        for pack in readings.indices {
            readings[pack] = LastReading()
            memories[pack] = JKPackMemory()
        }
        events = EventLog()
        seen = SeenState()
        started = now
        nextTick = now
        dataEnd = nil
        beginLink()
        lastEvaluation = now
        plannedStop = PlannedStop()
        log(.started, a: Int32(keeper.boots), b: record == nil ? 0 : 1, at: now)
    }

    @inline(never)
    private mutating func beginControl(_ record: ControlRecord?, at now: Instant) {
        controller.begin(
            configuration: configuration.control, record: record, recentBoots: Int32(keeper.boots), at: now)
    }

    @inline(never)
    private mutating func beginBMSPort(_ port: Int) {
        bmsPorts[port] = BMSPort(
            port < configuration.bmsPorts.count ? configuration.bmsPorts[port] : BMSPortConfiguration())
    }

    @inline(never)
    private mutating func beginInverterPort(_ port: Int) {
        inverterPorts[port] = InverterPort(
            port < configuration.inverterPorts.count ? configuration.inverterPorts[port] : InverterPortConfiguration(),
            zero: configuration.control.inverter.zeroCurrent)
        responders[port] = PylontechRS485Responder()
    }

    @inline(never)
    private mutating func beginLink() {
        link = LinkState()
    }

    // MARK: events

    /// Bytes from a BMS line.
    public mutating func received<Ports: EnginePorts>(
        _ bytes: Span<UInt8>, onBMSPort port: Int, at now: Instant, ports: inout Ports
    ) {
        bmsPorts[port].counters.bytes &+= UInt64(bytes.count)
        bmsPorts[port].lastByte = now
        let needsTick = withLine(port, ports: &ports) { session, line in session.receive(bytes, at: now, on: &line) }
        // A reply ends the wait for it: the session may want its next request earlier than the time-out it asked for.
        bmsPorts[port].nextWake = now
        if needsTick { evaluate(at: now, ports: &ports) }
    }

    /// A frame from the CAN bus of a BMS.
    public mutating func received<Ports: EnginePorts>(
        _ frame: CANFrame, onBMSPort port: Int, at now: Instant, ports: inout Ports
    ) {
        bmsPorts[port].counters.bytes &+= UInt64(frame.length)
        bmsPorts[port].lastByte = now
        let needsTick = withLine(port, ports: &ports) { session, line in session.receive(frame, at: now, on: &line) }
        if needsTick { evaluate(at: now, ports: &ports) }
    }

    /// A reading that came over Link.
    mutating func received<Ports: EnginePorts>(
        _ reading: PackReading, onBMSPort port: Int, at now: Instant, ports: inout Ports
    ) {
        bmsPorts[port].lastByte = now
        let needsTick = withLine(port, ports: &ports) { session, line in session.receive(reading, at: now, on: &line) }
        if needsTick { evaluate(at: now, ports: &ports) }
    }

    /// The serial port was opened (true) or lost (false).
    public mutating func bmsPort<Ports: EnginePorts>(_ port: Int, isOpen: Bool, at now: Instant, ports: inout Ports) {
        if bmsPorts[port].isOpen == isOpen { return }
        bmsPorts[port].isOpen = isOpen
        bmsPorts[port].lastByte = now
        bmsPorts[port].nextWake = now
        // A new line starts with a new session: half a frame from before means nothing now.
        if isOpen {
            bmsPorts[port].restartSession()
            let line = bmsPorts[port].configuration
            for slot in 0..<line.addresses.count { memories[Int(line.firstPack) + slot] = JKPackMemory() }
        }
        note(.bmsPort, pack: UInt8(port), a: isOpen ? 1 : 0, at: now, ports: &ports)
    }

    /// A frame from the inverter's side of a CAN port.
    public mutating func received<Ports: EnginePorts>(
        _ frame: CANFrame, onInverterPort port: Int, at now: Instant, ports: inout Ports
    ) {
        inverterPorts[port].received(frame, at: now)
        noteHeartbeat(port, at: now, ports: &ports)
    }

    /// The driver of a CAN port reports another state.
    public mutating func inverterPort<Ports: EnginePorts>(
        _ port: Int, state: CANBusState, at now: Instant, ports: inout Ports
    ) {
        let old = inverterPorts[port].state
        if old == state { return }
        inverterPorts[port].changed(to: state, at: now)
        note(.inverterBus, pack: UInt8(port), a: Int32(old.rawValue), b: Int32(state.rawValue), at: now, ports: &ports)
        _ = wakeInverterPort(port, at: now, ports: &ports)
    }

    /// Time has passed: polls, evaluates, sends what is due.
    /// - Returns: when to call again at the latest.
    public mutating func wake<Ports: EnginePorts>(at now: Instant, ports: inout Ports) -> Instant {
        for port in 0..<configuration.bmsPorts.count where bmsPorts[port].isOpen {
            wakeBMSPort(port, at: now, ports: &ports)
        }
        if now >= nextTick {
            // Keep the rhythm; after a pause start afresh instead of catching up.
            nextTick = now.since(nextTick) < Self.tickPeriod ? nextTick + Self.tickPeriod : now + Self.tickPeriod
            evaluate(at: now, ports: &ports)
            if ports.hasReader { publishSnapshot(at: now, ports: &ports) }
        } else if let end = dataEnd, now >= end {
            evaluate(at: now, ports: &ports)
        }
        answerReplay(at: now, ports: &ports)
        var next = nextTick
        if let end = dataEnd { next = min(next, end) }
        if link.replayAfter != nil { next = min(next, link.nextReplay) }
        for port in 0..<configuration.bmsPorts.count where bmsPorts[port].isOpen {
            next = min(next, bmsPorts[port].nextWake)
        }
        for port in 0..<configuration.inverterPorts.count {
            noteHeartbeat(port, at: now, ports: &ports)
            if let due = wakeInverterPort(port, at: now, ports: &ports) { next = min(next, due) }
        }
        return max(next, now + 1)
    }

    /// Begins a planned stop or restart: limits come down to 0.1C by the planned ramp, so that the inverter does not see full
    /// limits and then silence (failsafe.md §5.6). Call `wake` as before until `isReadyToStop`, then `stop`.
    public mutating func prepareStop<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        if plannedStop.begin(at: now) {
            controller.isPreparingRestart = true
            note(.stopping, at: now, ports: &ports)
            evaluate(at: now, ports: &ports)
        }
    }

    /// The inverter has been told the low limits, or there is nobody to tell, or it takes too long.
    public func isReadyToStop(at now: Instant) -> Bool {
        plannedStop.isReady(at: now)
    }

    /// An orderly stop: the record is written, and the next start does not count as one after a crash.
    public mutating func stop<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        keeper.noteOrderlyStop()
        persistIfDue(at: now, ports: &ports)
    }

    /// Why a changed configuration does not come into force.
    public enum Refusal: UInt8, Error, Equatable, Sendable, BitwiseCopyable {
        /// `ControlConfiguration.problems` names what is wrong.
        case invalid
        /// It concerns ports, the number of packs, their cells or their chemistry.
        case needsRestart
    }

    /// Puts a changed configuration into force without a restart (failsafe.md §5.6, §9). Phases, latches, counters and orders go on;
    /// what became tighter is told at once, what became looser rises by the slew. Refused as a whole or accepted as a whole.
    public mutating func reconfigure<Ports: EnginePorts>(
        _ new: BridgeConfiguration, at now: Instant, ports: inout Ports
    ) throws(Refusal) {
        if !new.control.problems().isEmpty { throw .invalid }
        if new.bmsPorts != configuration.bmsPorts || new.inverterPorts != configuration.inverterPorts
            || new.control.inverter.zeroCurrent != configuration.control.inverter.zeroCurrent
        {
            throw .needsRestart
        }
        if !controller.reconfigure(new.control) { throw .needsRestart }
        let before = configuration.generation
        configuration = new
        configuration.generation = max(new.generation, before &+ 1)
        note(
            .configured, a: Int32(truncatingIfNeeded: before),
            b: Int32(truncatingIfNeeded: configuration.generation), at: now, ports: &ports)
        if ports.hasReader { publishConfiguration(ports: &ports) }
        keeper.noteUrgent()
        evaluate(at: now, ports: &ports)
    }

    /// The inverter was heard within the last ten seconds.
    public func isHeartbeatFresh(_ port: Int, at now: Instant) -> Bool {
        inverterPorts[port].isHeartbeatFresh(at: now)
    }

    /// The board that the engine runs on tells why it started.
    public mutating func noteReset<Ports: EnginePorts>(
        _ cause: ResetCause, address: UInt32, at now: Instant, ports: inout Ports
    ) {
        note(.reset, a: Int32(cause.rawValue), b: Int32(bitPattern: address), at: now, ports: &ports)
    }

    // MARK: BMS lines

    /// Runs `body` with the session of a line and a place for what it reports.
    /// - Returns: true when the control logic has to look at once.
    private mutating func withLine<Ports: EnginePorts>(
        _ port: Int, ports: inout Ports, _ body: (inout BMSSession, inout LineEvents<Ports>) -> Void
    ) -> Bool {
        let configuration = bmsPorts[port].configuration
        let counters = bmsPorts[port].counters
        var needsTick = false
        var counted = counters
        // The session works where it is: it has some kilobytes.
        withUnsafeMutablePointer(to: &bmsPorts[port].session) { session in
            withUnsafeMutablePointer(to: &controller) { controller in
                withUnsafeMutablePointer(to: &readings) { readings in
                    withUnsafeMutablePointer(to: &memories) { memories in
                        withUnsafeMutablePointer(to: &ports) { ports in
                            var line = LineEvents(
                                port: port, configuration: configuration, controller: controller, readings: readings,
                                memories: memories, ports: ports, counters: counters)
                            body(&session.pointee, &line)
                            needsTick = line.needsTick
                            counted = line.counters
                        }
                    }
                }
            }
        }
        bmsPorts[port].counters = counted
        return needsTick
    }

    @inline(never)
    private mutating func wakeBMSPort<Ports: EnginePorts>(_ port: Int, at now: Instant, ports: inout Ports) {
        bmsPorts[port].setFast(!controller.output.mayTransmit)
        if now >= bmsPorts[port].nextWake {
            var next = now
            let needsTick = withLine(port, ports: &ports) { session, line in next = session.wake(at: now, on: &line) }
            bmsPorts[port].nextWake = next
            if needsTick { evaluate(at: now, ports: &ports) }
        }
        let hasDevice = bmsPorts[port].configuration.bmsProtocol != .link
        if hasDevice && now.since(bmsPorts[port].lastByte) >= BMSPort.silenceBeforeReopen {
            bmsPorts[port].lastByte = now
            bmsPorts[port].counters.reopens &+= 1
            note(.bmsReopened, pack: UInt8(port), at: now, ports: &ports)
            ports.reopen(bmsPort: port)
        }
    }

    // MARK: control and inverter

    /// One evaluation of the control logic; what became tighter goes out at once.
    mutating func evaluate<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        controller.tick(at: now)
        lastEvaluation = now
        dataEnd = endOfData(at: now)
        noteChanges(at: now, ports: &ports)
        for port in 0..<configuration.inverterPorts.count {
            if controller.output.mayTransmit && controller.output.tightened && !isRS485(port) {
                inverterPorts[port].tighten(to: controller.output.report, port: port, at: now, ports: &ports)
            }
        }
        persistIfDue(at: now, ports: &ports)
        if plannedStop.isRunning { updatePlannedStop(at: now) }
    }

    private mutating func updatePlannedStop(at now: Instant) {
        var isTelling = false
        var cycle: Milliseconds = 0
        for port in 0..<configuration.inverterPorts.count {
            let state = inverterPorts[port].state
            if state != .closed && state != .busOff { isTelling = controller.output.mayTransmit }
            cycle = max(cycle, configuration.inverterPorts[port].cycle)
        }
        plannedStop.update(isLow: controller.isLowForRestart, isTelling: isTelling, cycle: cycle, at: now)
    }

    func isReportOld(at now: Instant) -> Bool {
        now.since(lastEvaluation) >= Self.tickPeriod || dataEnd.map { now >= $0 } ?? false
    }

    private func isRS485(_ port: Int) -> Bool { inverterPorts[port].configuration.rs485 != nil }

    /// One millisecond after the last pack's T_zero (failsafe.md §3), nil when no pack counts any more.
    private mutating func endOfData(at now: Instant) -> Instant? {
        var end: Instant?
        for pack in 0..<controller.output.packs.count {
            let age = controller.output.packs[pack].age
            if age < 0 { continue }
            let isExtended = configuration.control.packs[pack].extendedHold && age > configuration.control.zero
            let left = (isExtended ? 120_000 : configuration.control.zero) - age
            if left >= 0 { end = max(end ?? now, now + left + 1) }
        }
        return end
    }

    private mutating func wakeInverterPort<Ports: EnginePorts>(_ port: Int, at now: Instant, ports: inout Ports)
        -> Instant?
    {
        // On RS485 the inverter asks.
        if isRS485(port) { return nil }
        return inverterPorts[port].wake(
            report: controller.output.report, mayTransmit: controller.output.mayTransmit, port: port, at: now,
            ports: &ports)
    }

    mutating func noteHeartbeat<Ports: EnginePorts>(_ port: Int, at now: Instant, ports: inout Ports) {
        let isFresh = inverterPorts[port].isHeartbeatFresh(at: now)
        if isFresh == seen.heartbeat[port] { return }
        seen.heartbeat[port] = isFresh
        note(.heartbeat, pack: UInt8(port), a: isFresh ? 1 : 0, at: now, ports: &ports)
    }

    /// Turns differences between two evaluations into events.
    private mutating func noteChanges<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        if controller.output.phase != seen.phase {
            note(.phase, a: Int32(seen.phase.rawValue), b: Int32(controller.output.phase.rawValue), at: now, ports: &ports)
            seen.phase = controller.output.phase
        }
        if controller.output.mayTransmit && !seen.mayTransmit {
            note(.transmitting, at: now, ports: &ports)
        }
        seen.mayTransmit = controller.output.mayTransmit
        let warnings = controller.output.warnings.rawValue
        if warnings != seen.warnings {
            note(
                .warnings, a: Int32(bitPattern: warnings & ~seen.warnings),
                b: Int32(bitPattern: seen.warnings & ~warnings),
                at: now, ports: &ports)
            seen.warnings = warnings
        }
        for pack in 0..<controller.output.packs.count {
            let state = controller.output.packs[pack].state
            if state != seen.packStates[pack] {
                note(
                    .packState, pack: UInt8(pack + 1), a: Int32(seen.packStates[pack].rawValue),
                    b: Int32(state.rawValue),
                    at: now, ports: &ports)
                seen.packStates[pack] = state
            }
            let alarms = controller.output.packs[pack].alarms.rawValue
            if alarms != seen.packAlarms[pack] {
                note(
                    .packAlarms, pack: UInt8(pack + 1), a: Int32(bitPattern: alarms & ~seen.packAlarms[pack]),
                    b: Int32(bitPattern: seen.packAlarms[pack] & ~alarms), at: now, ports: &ports)
                seen.packAlarms[pack] = alarms
            }
        }
    }

    /// Keeps the event and tells it.
    @inline(never)
    mutating func note<Ports: EnginePorts>(
        _ kind: EngineEventKind, pack: UInt8 = 0, a: Int32 = 0, b: Int32 = 0, at now: Instant, ports: inout Ports
    ) {
        log(kind, pack: pack, a: a, b: b, at: now)
        if let event = events.event(events.last) { publish(event, ports: &ports) }
    }

    /// Keeps the event.
    @inline(never)
    mutating func log(
        _ kind: EngineEventKind, pack: UInt8 = 0, a: Int32 = 0, b: Int32 = 0, at now: Instant
    ) {
        var event = EngineEvent()
        event.at = now
        event.kind = kind
        event.pack = pack
        event.a = a
        event.b = b
        events.append(event)
    }

    private mutating func persistIfDue<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        if controller.recordIsUrgent { keeper.noteUrgent() }
        if keeper.isDue(at: now) { persist(ports: &ports) }
    }

    private mutating func persist<Ports: EnginePorts>(ports: inout Ports) {
        var record = PersistedRecord(control: controller.record, boots: keeper.boots)
        record.control.generation = configuration.generation
        record.write(to: &link.message)
        ports.persist(link.message.bytes.span.extracting(0..<link.message.count))
    }
}

/// How far a planned stop has got.
struct PlannedStop: Sendable {
    private var began: Instant?
    private var lowSince: Instant?
    private var readyAt: Instant?

    /// The ramp takes at most 10 s; what takes longer than this is not waited for.
    static let longest: Milliseconds = 15_000

    var isRunning: Bool { began != nil }

    /// - Returns: false when it had begun before.
    mutating func begin(at now: Instant) -> Bool {
        if began != nil { return false }
        began = now
        readyAt = now + Self.longest
        return true
    }

    /// - Parameter isTelling: frames go out, so a complete set with the low limits has to.
    mutating func update(isLow: Bool, isTelling: Bool, cycle: Milliseconds, at now: Instant) {
        guard let began else { return }
        var ready = began + Self.longest
        if !isTelling {
            ready = now
        } else if isLow {
            let since = lowSince ?? now
            lowSince = since
            // A set begins within one cycle and takes one.
            ready = min(ready, since + 2 * cycle)
        } else {
            lowSince = nil
        }
        readyAt = ready
    }

    func isReady(at now: Instant) -> Bool {
        if let readyAt { now >= readyAt } else { false }
    }
}

/// What the last evaluation looked like, to notice changes.
public struct SeenState: Sendable {
    var phase = Phase.initial
    var mayTransmit = false
    var warnings: UInt32 = 0
    var packStates = PerPack<PackState>(repeating: .absent)
    var packAlarms = PerPack<UInt32>(repeating: 0)
    /// The inverter of the port was heard within the last ten seconds.
    public internal(set) var heartbeat = PerInverterPort<Bool>(repeating: false)
}
