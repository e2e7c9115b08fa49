import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// Sequence numbers and the receiving side of the Link protocol.
struct LinkState: Sendable {
    var sequence: UInt32 = 0
    var snapshot: UInt32 = 0
    var receiver = LinkReceiver()
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
            while let message = link.receiver.next() { receivedLink(message, at: now, ports: &ports) }
        }
    }

    /// A message of a reader whose bytes were put together outside. Where several readers are connected, each needs a receiver of
    /// its own: a command may come in pieces, between which another reader speaks.
    public mutating func receivedLink<Ports: EnginePorts>(_ message: LinkMessage, at now: Instant, ports: inout Ports) {
        var reader = message.payload
        switch message.kind {
        case .command:
            var command = LinkCommand()
            command.visitFields(&reader)
            if reader.isValid { execute(command, at: now, ports: &ports) }
        case .replay:
            var replay = LinkReplay()
            replay.visitFields(&reader)
            if reader.isValid { link.replayAfter = min(link.replayAfter ?? .max, replay.after) }
            answerReplay(at: now, ports: &ports)
        case .reading:
            var reading = LinkReading()
            reading.visitFields(&reader)
            if reader.isValid { take(reading, at: now, ports: &ports) }
        case .configure:
            var reply = LinkCommandReply()
            reader.field(&reply.identity)
            if !reader.isValid { return }
            reply.refusal = message.withPayload { bytes in
                ports.configure(bytes.extracting(droppingFirst: LinkConfigure.headerSize))
            }
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
        send(.commandReply, ports: &ports) { writer in reply.visitFields(&writer) }
        publish(log(.command, a: Int32(bitPattern: reply.identity), b: code, at: now), ports: &ports)
    }

    /// A reading for a pack that is fed over Link; for any other pack it is refused, so that no program can speak for a BMS.
    private mutating func take<Ports: EnginePorts>(_ input: LinkReading, at now: Instant, ports: inout Ports) {
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
        send(.commandReply, ports: &ports) { writer in reply.visitFields(&writer) }
    }

    mutating func publishConfiguration<Ports: EnginePorts>(ports: inout Ports) {
        let image = configuration.image()
        send(.configuration, ports: &ports) { writer in
            for i in 0..<image.count { writer.append(image.bytes[i]) }
        }
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

    mutating func publish<Ports: EnginePorts>(_ event: EngineEvent, ports: inout Ports) {
        if !ports.hasReader { return }
        var copy = event
        send(.event, ports: &ports) { writer in copy.visitFields(&writer) }
    }

    /// One snapshot: the bank, every pack, every port, and the end mark. Each message stands alone, so that a small receiver
    /// needs a small buffer.
    mutating func publishSnapshot<Ports: EnginePorts>(at now: Instant, ports: inout Ports) {
        link.snapshot &+= 1
        var bank = bankPayload(at: now)
        send(.bank, ports: &ports) { writer in bank.visitFields(&writer) }
        for index in 0..<configuration.control.packs.count {
            var pack = PackPayload()
            pack.snapshot = link.snapshot
            pack.number = UInt8(index + 1)
            if index < controller.output.packs.count { pack.status = controller.output.packs[index] }
            if let at = readings[index].at {
                pack.readingAge = now.since(at)
                pack.reading = readings[index].reading
            }
            send(.pack, ports: &ports) { writer in pack.visitFields(&writer) }
        }
        for index in 0..<configuration.bmsPorts.count {
            var port = BMSPortPayload()
            port.snapshot = link.snapshot
            port.number = UInt8(index + 1)
            port.bmsProtocol = bmsPorts[index].configuration.bmsProtocol
            port.isOpen = bmsPorts[index].isOpen
            port.counters = bmsPorts[index].counters
            send(.bmsPort, ports: &ports) { writer in port.visitFields(&writer) }
        }
        for index in 0..<configuration.inverterPorts.count {
            var port = InverterPortPayload()
            port.snapshot = link.snapshot
            port.number = UInt8(index + 1)
            port.language = inverterPorts[index].configuration.language
            port.state = inverterPorts[index].state
            port.heartbeatAge = inverterPorts[index].lastHeartbeat.map { now.since($0) } ?? -1
            port.counters = inverterPorts[index].counters
            port.frames = inverterPorts[index].frames
            send(.inverterPort, ports: &ports) { writer in port.visitFields(&writer) }
        }
        var orders = OrdersPayload()
        orders.snapshot = link.snapshot
        controller.forEachOrder(at: now) { command, remaining in
            if let order = OrderInForce(of: command, remaining: remaining) { orders.orders.append(order) }
        }
        send(.orders, ports: &ports) { writer in orders.visitFields(&writer) }
        var snapshot = link.snapshot
        send(.endOfSnapshot, ports: &ports) { writer in writer.field(&snapshot) }
    }

    private func bankPayload(at now: Instant) -> BankPayload {
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
        return bank
    }

    private mutating func send<Ports: EnginePorts>(
        _ kind: LinkKind, ports: inout Ports, _ fields: (inout LinkWriter) -> Void
    ) {
        link.sequence &+= 1
        var writer = LinkWriter()
        linkMessage(kind, sequence: link.sequence, into: &writer, fields)
        writer.withBytes { bytes in ports.publish(bytes) }
    }
}
