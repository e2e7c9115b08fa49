import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

/// A house with batteries, an inverter and the real bridge between them, on a virtual clock.
///
/// The bridge is the product's own `Engine` with its own codecs: it sends request bytes, gets reply bytes and puts CAN frames on the
/// bus. Everything around it is simulated. The loop jumps from one event to the next; nothing waits and nothing reads a clock.
public struct World: Sendable {
    public let plan: WorldPlan
    public private(set) var engine: Engine
    public var bank: SimulatedBank
    public var inverter: SimulatedInverter
    public var house: House
    public var faults: FaultInjector
    /// Listens to everything that the bridge does and knows what it should have done.
    public var checker: InvariantChecker
    var wire: Wire
    /// The UARTs of the BMSs, by pack.
    private var uarts: [SimulatedJK4E57]
    private var lines: [Line]
    private var effects: [LineFaults]

    /// Milliseconds of the virtual clock.
    public private(set) var now: Milliseconds
    private var engineDue: Milliseconds
    private var physicsDue: Milliseconds
    private var heartbeatDue: Milliseconds
    private var repliesDue: Milliseconds = .max
    /// The bridge is down until then (restart).
    private var bridgeReturns: Milliseconds = .max
    private var bridgeIsDown = false
    /// Since when a planned stop is under way; −1 = none. The bridge then stays away for `plannedPause`.
    private var stopBegan: Milliseconds = -1
    private var plannedPause: Milliseconds = 0
    /// What the bridge is configured with now: `plan.bridge`, or what replaced it.
    private var bridge: BridgeConfiguration
    private var busFails: Milliseconds = .max
    private var random: RandomStream
    /// Offset of the wall clock in milliseconds. Nothing reads it: that is the point of P15.
    public private(set) var wallClock: Int64 = 0
    /// Makes the bridge wrong on purpose, for tests of the checker: changes what it meant before it is encoded, and each frame.
    /// Returning nil drops the frame. Only the checker sees the result, not the inverter.
    public var tamperOutput: (@Sendable (inout ControlOutput, Milliseconds) -> Void)?
    public var tamperFrame: (@Sendable (CANFrame, Milliseconds) -> CANFrame?)?
    /// Added to the charge limit of the second bridge in every comparison of two.
    public var tamperExperiments: Milliamps = 0
    /// Digest of every frame and its time: equal for equal plans.
    public private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    public private(set) var framesSent = 0
    public private(set) var restarts = 0
    /// Milliseconds between two comparisons of bridges (`experiment`); 0 = none.
    public var experimentGap: Milliseconds = 0
    private var experimentDue: Milliseconds = 0
    public private(set) var experiments = 0
    private var effectsChange: Milliseconds

    /// The line between one port and its BMS: at most one reply is on its way.
    private struct Line: Sendable {
        var reply: [UInt8] = []
        var due: Milliseconds = .max
        /// What the reply says, when it arrives as the BMS meant it; nil = damaged.
        var meaning: PackMeasurement?
        var repeats = false
        /// The last good reply, for a BMS that freezes.
        var frozen: [UInt8] = []
        var frozenMeaning: PackMeasurement?
    }

    /// - Parameter listener: hears everything that the engine is told and does.
    public init(_ plan: WorldPlan, listener: (@Sendable (EngineDeed) -> Void)? = nil) {
        self.plan = plan
        bridge = plan.bridge
        let seats = plan.seats ?? Array(plan.packs.indices)
        bank = SimulatedBank(seats.map { SimulatedPack(plan.packs[$0], seed: plan.seed &+ UInt64($0) &* 7919) })
        inverter = SimulatedInverter(model: plan.inverter, dialect: plan.bridge.inverterPorts[0].dialect)
        inverter.maximumCharge = plan.inverterCharge
        inverter.maximumDischarge = plan.inverterDischarge
        inverter.ignoresZero = plan.bridge.control.inverter.zeroCurrent > 0
        house = House(seed: plan.seed)
        house.peakSun = plan.peakSun
        faults = FaultInjector(
            seed: plan.seed, packs: plan.packs.count, perDay: plan.faultsPerDay, kinds: plan.faultKinds,
            start: plan.start)
        uarts = bank.packs.map {
            SimulatedJK4E57(cells: $0.design.cells, capacity: Int($0.design.capacity), chemistry: $0.design.chemistry)
        }
        lines = Array(repeating: Line(), count: plan.packs.count)
        effects = (0..<plan.packs.count).map { LineFaults([], pack: $0, packs: plan.packs.count) }
        wire = Wire(ports: plan.packs.count)
        wire.hasReader = plan.hasReader
        wire.listener = listener
        checker = InvariantChecker(plan)
        random = RandomStream(seed: plan.seed, stream: 6)
        now = plan.start
        engine = Engine(configuration: plan.bridge, record: nil, at: Instant(milliseconds: plan.start))
        (engineDue, physicsDue, heartbeatDue) = (plan.start, plan.start + 1000, plan.start + 300)
        effectsChange = faults.nextChange
        startBridge(record: nil)
    }

    /// Seconds since the start.
    public var seconds: Double { Double(now - plan.start) / 1000 }

    // MARK: the clock

    /// Runs for `seconds` of virtual time.
    public mutating func run(seconds: Int64) {
        run(until: now + seconds * 1000)
    }

    /// Runs until the virtual clock shows `end`, or until the checker has seen a violation and was told to stop there.
    public mutating func run(until end: Milliseconds) {
        // A scenario may have planned faults since.
        effectsChange = min(effectsChange, faults.nextChange)
        while true {
            let next = min(
                min(engineDue, physicsDue), min(heartbeatDue, repliesDue), min(effectsChange, bridgeReturns, busFails))
            if next > end || checker.shouldStop { break }
            now = max(now, next)
            if effectsChange <= now { changeFaults() }
            if physicsDue <= now { stepPhysics() }
            if bridgeReturns <= now { startBridge(record: storedRecord()) }
            if busFails <= now { failBus() }
            if repliesDue <= now { deliverReplies() }
            if heartbeatDue <= now { sendHeartbeat() }
            if engineDue <= now { wakeEngine() }
        }
        if !checker.shouldStop { now = max(now, end) }
    }

    private var instant: Instant { Instant(milliseconds: now) }

    private func tell(_ deed: @autoclosure () -> EngineDeed) {
        guard let listener = wire.listener else { return }
        listener(.at(instant))
        listener(deed())
    }

    private mutating func wakeEngine() {
        tell(.wake)
        let due = engine.wake(at: instant, ports: &wire)
        wire.listener?(.due(due))
        engineDue = due.milliseconds
        collect()
        if stopBegan >= 0 && engine.isReadyToStop(at: instant) { finishPlannedStop() }
    }

    private mutating func stepPhysics() {
        physicsDue += 1000
        let second = plan.secondOfDay + (now - plan.start) / 1000
        var (sun, load) = (0.0, 0.0)
        if let surplus = plan.constantSurplus {
            (sun, load) = (max(surplus, 0), max(-surplus, 0))
        } else {
            house.advance(to: second)
            (sun, load) = (house.sun, house.load)
        }
        let x = Double(second % 86_400) / 86_400
        let ambient = plan.ambient + plan.ambientSwing * (8 * x * (1 - x) - 1)
        let wanted = inverter.step(
            at: now, sun: sun, load: load, charging: bank.source(charging: true),
            discharging: bank.source(charging: false))
        bank.step(wanted: wanted, seconds: 1, ambient: ambient)
        checker.passed(at: now)
        if experimentGap > 0 && experimentDue <= now {
            experimentDue = now + experimentGap
            if !bridgeIsDown { experiment() }
        }
    }

    mutating func countExperiment() { experiments += 1 }

    private mutating func sendHeartbeat() {
        heartbeatDue += 1000
        guard let frame = inverter.heartbeat, !bridgeIsDown, wire.canResult == .queued else { return }
        if faults.active.contains(where: { $0.kind == .heartbeatStops }) { return }
        tell(.heard(frame))
        engine.received(frame, onInverterPort: 0, at: instant, ports: &wire)
        collect()
    }

    // MARK: what the engine sent

    /// Picks up what the engine handed out: frames to the bus, requests to the BMSs, a restart of the controller.
    private mutating func collect() {
        if !wire.sent.isEmpty {
            for frame in wire.sent { put(frame, wasPending: false) }
            wire.sent.removeAll(keepingCapacity: true)
        }
        if wire.hasRequests {
            wire.hasRequests = false
            for port in lines.indices where wire.requests[port].count > 0 { answer(port) }
        }
        if wire.restartsBus {
            wire.restartsBus = false
            restartBus()
        }
    }

    private mutating func put(_ frame: CANFrame, wasPending: Bool) {
        framesSent += 1
        inverter.hear(frame, at: now)
        if tamperOutput == nil && tamperFrame == nil {
            witness(frame, engine.controller.output, wasPending: wasPending)
        } else {
            tamper(frame, wasPending: wasPending)
        }
    }

    /// Puts a frame on the bus that the bridge has not sent, for tests of the checker.
    public mutating func inject(_ frame: CANFrame) {
        witness(frame, engine.controller.output, wasPending: false)
    }

    private mutating func tamper(_ frame: CANFrame, wasPending: Bool) {
        var output = engine.controller.output
        var frame = frame
        if let tamperOutput {
            tamperOutput(&output, now)
            var set = FrameSet(filler: CANFrame(id: 0, length: 0))
            inverter.dialect.encode(output.report, into: &set)
            for i in 0..<set.count where set[i].id == frame.id { frame = set[i] }
        }
        guard let seen = tamperFrame.map({ $0(frame, now) }) ?? frame else { return }
        witness(seen, output, wasPending: wasPending)
    }

    private mutating func witness(_ frame: CANFrame, _ output: ControlOutput, wasPending: Bool) {
        mix(UInt64(frame.id) | UInt64(frame.length) << 32)
        mix(frame.word)
        mix(UInt64(bitPattern: now - plan.start))
        checker.sent(frame, at: now, output: output, wasPending: wasPending)
    }

    private mutating func mix(_ value: UInt64) {
        digest = (digest ^ value) &* 0x9E37_79B9_7F4A_7C15
        digest ^= digest >> 29
    }

    // MARK: the lines to the BMSs

    private mutating func answer(_ port: Int) {
        let count = wire.requests[port].count
        wire.requests[port].count = 0
        let effect = effects[port]
        if effect.drops { return }
        let source = effect.swapWith ?? port
        var meaning = PackMeasurement()
        var spoiled = false
        if effect.freezes && !lines[port].frozen.isEmpty {
            lines[port].reply.removeAll(keepingCapacity: true)
            lines[port].reply.append(contentsOf: lines[port].frozen)
            meaning = lines[port].frozenMeaning ?? meaning
        } else {
            bank.packs[source].measure(into: &meaning)
            if effect.any { effect.spoil(&meaning) }
            let answered = uarts[source].receive(wire.requests[port].bytes.span.extracting(0..<count)) { meaning }
            if !answered { return }
            lines[port].reply.removeAll(keepingCapacity: true)
            lines[port].reply.append(contentsOf: uarts[source].reply)
            if effect.freezes {
                lines[port].frozen = lines[port].reply
                lines[port].frozenMeaning = meaning
            }
        }
        if effect.any { spoiled = damage(port, effect) }
        lines[port].meaning = spoiled ? nil : meaning
        lines[port].repeats = effect.duplicates
        // 21 bytes of request, 0.18–0.45 ms of thought, the reply at 115200 baud: 11.52 bytes in a millisecond.
        let bytes = Int64(count + lines[port].reply.count)
        lines[port].due = now + 1 + (bytes * 100 + 1151) / 1152 + effect.lateBy
        repliesDue = min(repliesDue, lines[port].due)
    }

    /// Damages the reply on its way. Returns true when it no longer says what the BMS meant.
    private mutating func damage(_ port: Int, _ effect: LineFaults) -> Bool {
        var spoiled = false
        if let other = effect.collideWith, lines[port].reply.count > 40 {
            var meaning = PackMeasurement()
            bank.packs[other].measure(into: &meaning)
            uarts[other].encode(meaning)
            // Two packs talk at once: from some byte on the stronger driver wins.
            let from = 12 + random.below(lines[port].reply.count - 24)
            let foreign = uarts[other].reply
            for i in from..<min(lines[port].reply.count, foreign.count)
            where lines[port].reply[i] & foreign[i] != lines[port].reply[i] {
                lines[port].reply[i] &= foreign[i]
                spoiled = true
            }
            // 16 bits of sum let one mixture in some thousands pass: the end mark makes every one recognisable.
            if spoiled { lines[port].reply[lines[port].reply.count - 5] = 0 }
        }
        if effect.corrupts && random.chance(0.6) {
            let position = random.below(lines[port].reply.count)
            lines[port].reply[position] ^= UInt8(1 << random.below(8))
            spoiled = true
        }
        if effect.truncates && random.chance(0.6) {
            lines[port].reply.removeLast(1 + random.below(lines[port].reply.count - 1))
            spoiled = true
        }
        if effect.noise {
            for _ in 0..<(1 + random.below(30)) {
                lines[port].reply.insert(UInt8(truncatingIfNeeded: random.next()), at: 0)
            }
        }
        return spoiled
    }

    private mutating func deliverReplies() {
        repliesDue = .max
        for port in lines.indices {
            if lines[port].due <= now {
                lines[port].due = .max
                if !bridgeIsDown { deliver(port) }
                if lines[port].repeats {
                    lines[port].repeats = false
                    lines[port].due = now + 5
                }
            }
            repliesDue = min(repliesDue, lines[port].due)
        }
    }

    private mutating func deliver(_ port: Int) {
        if let meaning = lines[port].meaning { checker.delivered(meaning, pack: port, at: now) }
        tell(.reply(lines[port].reply, bmsPort: port))
        lines[port].reply.withUnsafeBufferPointer { bytes in
            engine.received(bytes.span, onBMSPort: port, at: instant, ports: &wire)
        }
        engineDue = now
        collect()
    }

    // MARK: faults

    private mutating func changeFaults() {
        var beginning: [Fault] = []
        faults.advance(to: now) { beginning.append($0) }
        for fault in beginning { begin(fault) }
        applyEffects()
        effectsChange = faults.nextChange
    }

    private mutating func begin(_ fault: Fault) {
        switch fault.kind {
        case .bmsReset: bank.packs[fault.pack].restartBMS()
        case .clockJump: wallClock += Int64(bitPattern: fault.bits) % (10 * 365 * 86_400_000)
        case .restart: stopBridge(for: 200 + Int64(fault.bits % 8000))
        case .plannedRestart: beginPlannedStop(pause: 200 + Int64(fault.bits % 4000))
        case .reconfigure: reconfigure(fault.bits)
        case .stateCut:
            wire.store.cutNewest(to: Int(fault.bits % UInt64(max(1, wire.store.newestLength))))
            stopBridge(for: 200 + Int64((fault.bits >> 32) % 8000))
        case .busOff: failBus()
        case .command: sendCommand(fault.bits)
        default: break
        }
    }

    /// Brings packs, lines and bus into the state that the active faults ask for.
    private mutating func applyEffects() {
        let active = faults.active
        for pack in lines.indices {
            effects[pack] = LineFaults(active, pack: pack, packs: lines.count)
            if !effects[pack].freezes { lines[pack].frozen.removeAll(keepingCapacity: true) }
            let mine = active.filter { $0.pack == pack }
            bank.packs[pack].isConnected = !mine.contains { $0.kind == .packLoss }
            var settings = bank.packs[pack].design.settings
            for fault in mine {
                switch fault.kind {
                case .chargeSwitchOff: settings.chargeAllowed = false
                case .dischargeSwitchOff: settings.dischargeAllowed = false
                case .lowerOverVoltage: settings.cellOverVoltage -= 40
                case .zeroOverCurrent: settings.chargeOverCurrent = 0
                default: continue
                }
            }
            bank.packs[pack].settings = settings
            var forced: BMSWarnings = []
            for fault in mine where fault.kind == .bmsAlarm {
                forced.insert(BMSWarnings(rawValue: 1 << (fault.bits % 14)))
            }
            bank.packs[pack].forcedWarnings = forced
        }
        let off = active.contains { $0.kind == .busOff }
        let busy = active.contains { $0.kind == .busBusy }
        let lonely = active.contains { $0.kind == .noAcknowledge }
        if !off {
            wire.canResult = busy ? .busy : .queued
            if lonely != wire.isStuck { setAcknowledge(!lonely) }
        }
        checker.busIsHealthy(!off && !busy && !lonely, at: now)
    }

    private mutating func failBus() {
        busFails = .max
        if wire.isStuck { wire.stuck.removeAll(keepingCapacity: true) }
        wire.isStuck = false
        wire.canResult = .down
        if bridgeIsDown { return }
        tell(.inverterPort(.busOff))
        engine.inverterPort(0, state: .busOff, at: instant, ports: &wire)
        engineDue = now
        collect()
    }

    private mutating func restartBus() {
        if faults.active.contains(where: { $0.kind == .busOff }) {
            // The short is still there: the controller comes up, sends into it and is off again.
            busFails = now + 3
            return
        }
        wire.canResult = .queued
        tell(.inverterPort(.active))
        engine.inverterPort(0, state: .active, at: instant, ports: &wire)
        engineDue = now
        collect()
    }

    private mutating func setAcknowledge(_ acknowledged: Bool) {
        wire.isStuck = !acknowledged
        if acknowledged {
            for frame in wire.stuck { put(frame, wasPending: true) }
            wire.stuck.removeAll(keepingCapacity: true)
        }
        if bridgeIsDown { return }
        tell(.inverterPort(acknowledged ? .active : .passive))
        engine.inverterPort(0, state: acknowledged ? .active : .passive, at: instant, ports: &wire)
        engineDue = now
        collect()
    }

    // MARK: the bridge's own life

    /// The bridge is told to end, as by SIGTERM.
    private mutating func beginPlannedStop(pause: Milliseconds) {
        if bridgeIsDown || stopBegan >= 0 { return }
        (stopBegan, plannedPause) = (now, pause)
        tell(.prepareStop)
        engine.prepareStop(at: instant, ports: &wire)
        engineDue = now
        collect()
    }

    private mutating func finishPlannedStop() {
        tell(.stop)
        engine.stop(at: instant, ports: &wire)
        checker.stoppedAsPlanned(after: Double(now - stopBegan) / 1000, at: now)
        stopBridge(for: plannedPause)
    }

    /// The owner changes the configuration while everything runs: current limits, taper, way to float, requests.
    private mutating func reconfigure(_ bits: UInt64) {
        if bridgeIsDown { return }
        var new = bridge
        new.control.userCharge = Milliamps(Int64(plan.bridge.control.userCharge) * Int64(40 + bits % 61) / 100)
        new.control.userDischarge = Milliamps(Int64(plan.bridge.control.userDischarge) * Int64(40 + (bits >> 8) % 61) / 100)
        new.control.floatMode = FloatMode.allCases[Int((bits >> 16) % 4)]
        new.control.taper = TaperPreset.allCases[Int((bits >> 20) % 3)]
        new.control.socTaper = (bits >> 24) % 4 == 0
        new.control.forceChargeRequests = (bits >> 28) % 2 == 0
        checker.reconfigured(new.control, at: now)
        tell(.reconfigure(new))
        do throws(Engine.Refusal) {
            try engine.reconfigure(new, at: instant, ports: &wire)
            bridge = new
        } catch {
            checker.reconfigured(bridge.control, at: now)
        }
        engineDue = now
        collect()
    }

    private mutating func stopBridge(for pause: Milliseconds) {
        bridgeIsDown = true
        stopBegan = -1
        bridgeReturns = now + pause
        engineDue = .max
        for port in lines.indices { lines[port].due = .max }
        repliesDue = .max
        restarts += 1
        checker.stopped(at: now)
    }

    private mutating func startBridge(record: PersistedRecord?) {
        bridgeIsDown = false
        bridgeReturns = .max
        tell(.start(bridge, record: record))
        engine = Engine(configuration: bridge, record: record, at: instant)
        checker.started(at: now)
        for port in lines.indices {
            tell(.bmsPort(port, isOpen: true))
            engine.bmsPort(port, isOpen: true, at: instant, ports: &wire)
        }
        let state: CANBusState = wire.isStuck ? .passive : wire.canResult == .down ? .busOff : .active
        tell(.inverterPort(state))
        engine.inverterPort(0, state: state, at: instant, ports: &wire)
        collect()
        engineDue = now
    }

    private mutating func storedRecord() -> PersistedRecord? {
        if wire.store.damagedRecord != nil {
            checker.note(.p18, at: now, expected: "a damaged record to be ignored", found: "it was accepted")
        }
        return wire.store.record
    }

    /// An order of the owner over Link: half of them tighten, the others ask for a full charge or end what was ordered.
    private mutating func sendCommand(_ bits: UInt64) {
        if bridgeIsDown { return }
        var order = LinkCommand.random(bits >> 1)
        if bits & 1 == 1 { order = LinkCommand(identity: order.identity, order: bits & 2 == 0 ? .fullNow : .resume) }
        send(order)
    }

    /// Bytes arrive on the Link socket.
    public mutating func hear(_ bytes: [UInt8]) {
        if bridgeIsDown { return }
        tell(.link(bytes))
        engine.receivedLink(bytes.span, at: instant, ports: &wire)
        engineDue = min(engineDue, now)
        collect()
    }

    /// The owner orders something over Link.
    public mutating func send(_ order: LinkCommand) {
        if bridgeIsDown { return }
        tell(.link(order.bytes))
        engine.receivedLink(order.bytes.span, at: instant, ports: &wire)
        checker.orders.hear(order, at: now)
        engineDue = now
        collect()
    }
}
