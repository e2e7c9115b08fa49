import BridgeEngine

/// Everything that the control process says in one second, put together from its messages.
public struct BridgeSnapshot: Sendable {
    public var bank: BankPayload
    public var packs: [PackPayload] = []
    public var bmsPorts: [BMSPortPayload] = []
    public var inverterPorts: [InverterPortPayload] = []
    /// The orders in force; nil when the control process is older than the message that tells them.
    public var orders: [OrderInForce]?

    public init(bank: BankPayload) {
        self.bank = bank
    }
}

/// What comes out of a Link connection.
public enum LinkNews: Sendable {
    case snapshot(BridgeSnapshot)
    case event(EngineEvent)
    case commandReply(LinkCommandReply)
    /// The compact image of the configuration in force.
    case configuration([UInt8])
}

/// The reading side of the Link protocol without I/O: bytes in, snapshots and events out.
///
/// The control process drops whole messages when a reader is slow. A snapshot of which a message is missing is dropped here, so
/// that two moments are never mixed.
public struct LinkFeed: Sendable {
    private var receiver = LinkReceiver()
    private var open: BridgeSnapshot?
    private var lastSequence: UInt32?
    /// `receiver.unknown` when the last message of a known kind came.
    private var unknownBefore: UInt64 = 0
    /// Snapshots that were incomplete or contradicted themselves.
    public private(set) var incompleteSnapshots = 0
    /// Messages that the control process sent and that did not arrive, seen by the gaps in its numbers.
    public private(set) var lostMessages: UInt64 = 0
    /// Bytes that belonged to no valid message.
    public var discardedBytes: UInt64 { receiver.discarded }
    /// Messages of kinds that only a newer control process knows. They are skipped, and cost nothing else.
    public var unknownMessages: UInt64 { receiver.unknown }

    public init() {}

    public mutating func receive(_ bytes: some Sequence<UInt8>, _ deliver: (LinkNews) -> Void) {
        for byte in bytes {
            receiver.push(byte)
            while let message = receiver.next() { take(message, deliver) }
        }
    }

    private mutating func take(_ message: LinkMessage, _ deliver: (LinkNews) -> Void) {
        // What was skipped since the last message had numbers, too.
        let skipped = UInt32(truncatingIfNeeded: receiver.unknown - unknownBefore)
        unknownBefore = receiver.unknown
        let expected = lastSequence.map { $0 &+ 1 &+ skipped } ?? message.sequence
        let isNext = message.sequence == expected
        lastSequence = message.sequence
        if !isNext {
            // A number far away is a sender that started anew, not a loss.
            let gap = message.sequence &- expected
            if gap < 100_000 { lostMessages += UInt64(gap) }
            spoil()
        }
        var reader = message.payload
        switch message.kind {
        case .bank:
            spoil()
            var bank = BankPayload()
            bank.visitFields(&reader)
            open = reader.isValid ? BridgeSnapshot(bank: bank) : nil
        case .pack:
            var pack = PackPayload()
            pack.visitFields(&reader)
            add(pack, to: \.packs, snapshot: pack.snapshot, number: pack.number, isValid: reader.isValid)
        case .bmsPort:
            var port = BMSPortPayload()
            port.visitFields(&reader)
            add(port, to: \.bmsPorts, snapshot: port.snapshot, number: port.number, isValid: reader.isValid)
        case .inverterPort:
            var port = InverterPortPayload()
            port.visitFields(&reader)
            add(port, to: \.inverterPorts, snapshot: port.snapshot, number: port.number, isValid: reader.isValid)
        case .orders:
            var orders = OrdersPayload()
            orders.visitFields(&reader)
            guard let current = open else { break }
            if reader.isValid && orders.snapshot == current.bank.snapshot {
                open?.orders = (0..<orders.orders.count).map { orders.orders[$0] }
            } else {
                spoil()
            }
        case .endOfSnapshot:
            var number: UInt32 = 0
            reader.field(&number)
            if let complete = open, reader.isValid, number == complete.bank.snapshot {
                deliver(.snapshot(complete))
            } else {
                spoil()
            }
            open = nil
        case .event:
            var event = EngineEvent()
            event.visitFields(&reader)
            if reader.isValid { deliver(.event(event)) }
        case .commandReply:
            var reply = LinkCommandReply()
            reply.visitFields(&reader)
            if reader.isValid { deliver(.commandReply(reply)) }
        case .configuration:
            deliver(.configuration(message.withPayload { span in span.indices.map { span[$0] } }))
        case .command, .replay, .reading, .configure:
            break
        }
    }

    /// Adds a part to the open snapshot; a part of another snapshot, or one out of turn, spoils it.
    private mutating func add<Part>(
        _ part: Part, to list: WritableKeyPath<BridgeSnapshot, [Part]>, snapshot: UInt32, number: UInt8, isValid: Bool
    ) {
        guard let current = open else { return }
        if isValid && snapshot == current.bank.snapshot && Int(number) == current[keyPath: list].count + 1 {
            open?[keyPath: list].append(part)
        } else {
            spoil()
        }
    }

    private mutating func spoil() {
        if open != nil { incompleteSnapshots += 1 }
        open = nil
    }
}
