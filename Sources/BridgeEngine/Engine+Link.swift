import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// Sequence numbers and the receiving side of the Link protocol.
struct LinkState: Sendable {
    var sequence: UInt32 = 0
    var snapshot: UInt32 = 0
    var receiver = LinkReceiver()
    /// The message that is being written.
    var message = LinkBuffer()
    /// A replay that is asked for and not yet answered: the events after this number.
    var replayAfter: UInt32?
    var nextReplay = Instant(milliseconds: 0)
    /// A replay can be 65 messages to every reader: whoever asks all the time is answered this often.
    static let replayPause: Milliseconds = 200
}

extension Engine {
    /// Bytes of the Link protocol from the only reader there is, on a console line. What is damaged or not meant for this side is
    /// ignored.
    public mutating func receivedLink<Ports: EnginePorts>(_ bytes: Span<UInt8>, at now: Instant, ports: inout Ports) {
        for i in 0..<bytes.count {
            link.receiver.push(bytes[i])
            while let kind = link.receiver.advance() { receivedLink(kind, at: now, ports: &ports) }
        }
    }

    /// A message of a reader whose bytes were put together outside. Where several readers are connected, each needs a receiver of
    /// its own: a command may come in pieces, between which another reader speaks.
    public mutating func receivedLink<Ports: EnginePorts>(_ message: LinkMessage, at now: Instant, ports: inout Ports) {
        link.receiver.take(message)
        receivedLink(message.kind, at: now, ports: &ports)
    }

    /// The payload stands in the receiver.
    private mutating func receivedLink<Ports: EnginePorts>(_ kind: LinkKind, at now: Instant, ports: inout Ports) {
        switch kind {
        case .command:
            var command = LinkCommand()
            command.visitFields(&link.receiver.buffer)
            if link.receiver.buffer.isValid { execute(command, at: now, ports: &ports) }
        case .replay:
            var replay = LinkReplay()
            replay.visitFields(&link.receiver.buffer)
            if link.receiver.buffer.isValid { link.replayAfter = min(link.replayAfter ?? .max, replay.after) }
            answerReplay(at: now, ports: &ports)
        case .reading:
            receivedReading(at: now, ports: &ports)
        case .configure:
            var reply = LinkCommandReply()
            link.receiver.buffer.field(&reply.identity)
            if !link.receiver.buffer.isValid { return }
            reply.refusal = ports.configure(link.receiver.buffer.bytes.span.extracting(link.receiver.buffer.rest))
            answer(reply, at: now, ports: &ports)
        case .bank, .pack, .bmsPort, .inverterPort, .endOfSnapshot, .event, .configuration, .orders, .commandReply:
            break
        }
    }

    /// An order to the control logic; acknowledged or refused with the reason.
    private mutating func execute<Ports: EnginePorts>(_ order: LinkCommand, at now: Instant, ports: inout Ports) {
        var reply = LinkCommandReply()
        reply.identity = order.identity
        do throws(CommandRefusal) {
            try controller.handle(order.command, at: now)
        } catch {
            reply.refusal = error
        }
        answer(reply, at: now, ports: &ports)
        // The next `wake` evaluates at once. A refused order changes nothing.
        if reply.refusal == nil { nextTick = now }
    }

    private mutating func answer<Ports: EnginePorts>(_ reply: LinkCommandReply, at now: Instant, ports: inout Ports) {
        var reply = reply
        let code = reply.refusal.map { Int32($0.rawValue) + 1 } ?? 0
        send(.commandReply, ports: &ports) { message in reply.visitFields(&message) }
        note(.command, a: Int32(bitPattern: reply.identity), b: code, at: now, ports: &ports)
    }

    /// A reading for a pack that is fed over Link; for any other pack it is refused, so that no program can speak for a BMS.
    @inline(never)
    private mutating func receivedReading<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        var input = LinkReading()
        input.visitFields(&link.receiver.buffer)
        if !link.receiver.buffer.isValid { return }
        for port in 0..<configuration.bmsPorts.count {
            let line = configuration.bmsPorts[port]
            if line.bmsProtocol == .link && Int(line.firstPack) + 1 == Int(input.pack) {
                received(input.reading, onBMSPort: port, at: now, ports: &ports)
                return
            }
        }
        var reply = LinkCommandReply()
        reply.identity = input.identity
        reply.refusal = .noSuchPack
        send(.commandReply, ports: &ports) { message in reply.visitFields(&message) }
    }

    @inline(never)
    mutating func publishConfiguration<Ports: EnginePorts>(ports: inout Ports) {
        var copy = configuration
        send(.configuration, ports: &ports) { message in copy.append(to: &message) }
    }

    mutating func answerReplay<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        guard let after = link.replayAfter, now >= link.nextReplay else { return }
        link.replayAfter = nil
        link.nextReplay = now + LinkState.replayPause
        publishConfiguration(ports: &ports)
        if after >= events.last { return }
        for number in max(after &+ 1, events.oldest)...events.last {
            if let event = events.event(number) { publish(event, ports: &ports) }
        }
    }

    @inline(never)
    mutating func publish<Ports: EnginePorts>(_ event: EngineEvent, ports: inout Ports) {
        if !ports.hasReader { return }
        var copy = event
        send(.event, ports: &ports) { message in copy.visitFields(&message) }
    }

    /// One snapshot: the bank, every pack, every port, and the end mark. Each message stands alone, so that a small receiver
    /// needs a small buffer.
    mutating func publishSnapshot<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        link.snapshot &+= 1
        publishBank(at: now, ports: &ports)
        for index in 0..<configuration.control.packs.count { publishPack(index, at: now, ports: &ports) }
        for index in 0..<configuration.bmsPorts.count { publishBMSPort(index, ports: &ports) }
        for index in 0..<configuration.inverterPorts.count { publishInverterPort(index, at: now, ports: &ports) }
        publishOrders(at: now, ports: &ports)
        var snapshot = link.snapshot
        send(.endOfSnapshot, ports: &ports) { message in message.field(&snapshot) }
    }

    // Each in a function of its own: together they would ask for their room on the stack at the same time.

    @inline(never)
    private mutating func publishBank<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        var bank = BankPayload()
        bank.snapshot = link.snapshot
        bank.at = now
        bank.started = started
        bank.generation = configuration.generation
        bank.report = controller.output.report
        bank.mayTransmit = controller.output.mayTransmit
        bank.phase = controller.output.phase
        bank.rememberedPhase = controller.output.rememberedPhase
        bank.waiting = controller.output.waiting
        bank.waitingAmount = controller.output.waitingAmount
        bank.voltageReason = controller.output.voltageReason
        bank.chargeReason = controller.output.chargeReason
        bank.dischargeReason = controller.output.dischargeReason
        bank.warnings = controller.output.warnings
        bank.stage = controller.output.stage
        bank.preventsFull = controller.output.preventsFull
        bank.lastEvent = events.last
        send(.bank, ports: &ports) { message in bank.visitFields(&message) }
    }

    @inline(never)
    private mutating func publishPack<Ports: EnginePorts>(_ index: Int, at now: Instant, ports: inout Ports) {
        var pack = PackPayload()
        pack.snapshot = link.snapshot
        pack.number = UInt8(index + 1)
        if index < controller.output.packs.count { pack.status = controller.output.packs[index] }
        if let at = readings[index].at {
            pack.readingAge = now.since(at)
            pack.reading = readings[index].reading
        }
        send(.pack, ports: &ports) { message in pack.visitFields(&message) }
    }

    @inline(never)
    private mutating func publishBMSPort<Ports: EnginePorts>(_ index: Int, ports: inout Ports) {
        var port = BMSPortPayload()
        port.snapshot = link.snapshot
        port.number = UInt8(index + 1)
        port.bmsProtocol = bmsPorts[index].configuration.bmsProtocol
        port.isOpen = bmsPorts[index].isOpen
        port.counters = bmsPorts[index].counters
        send(.bmsPort, ports: &ports) { message in port.visitFields(&message) }
    }

    @inline(never)
    private mutating func publishInverterPort<Ports: EnginePorts>(_ index: Int, at now: Instant, ports: inout Ports) {
        var port = InverterPortPayload()
        port.snapshot = link.snapshot
        port.number = UInt8(index + 1)
        port.language = inverterPorts[index].configuration.language
        port.state = inverterPorts[index].state
        port.heartbeatAge = inverterPorts[index].lastHeartbeat.map { now.since($0) } ?? -1
        port.counters = inverterPorts[index].counters
        port.frames = inverterPorts[index].frames
        send(.inverterPort, ports: &ports) { message in port.visitFields(&message) }
    }

    @inline(never)
    private mutating func publishOrders<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        var orders = OrdersPayload()
        orders.snapshot = link.snapshot
        controller.forEachOrder(at: now) { command, remaining in
            orders.append(command, remaining: remaining)
        }
        send(.orders, ports: &ports) { message in orders.visitFields(&message) }
    }

    private mutating func send<Ports: EnginePorts>(
        _ kind: LinkKind, ports: inout Ports, _ fields: (inout LinkBuffer) -> Void
    ) {
        begin(kind)
        fields(&link.message)
        end(ports: &ports)
    }

    @inline(never)
    private mutating func begin(_ kind: LinkKind) {
        link.sequence &+= 1
        link.message.beginMessage(kind, sequence: link.sequence)
    }

    @inline(never)
    private mutating func end<Ports: EnginePorts>(ports: inout Ports) {
        link.message.endMessage()
        ports.publish(link.message.bytes.span.extracting(0..<link.message.count))
    }
}
