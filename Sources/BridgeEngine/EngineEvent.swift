import Battery
import ChargeControl

/// Something worth remembering that is not a measured value. Raw values travel in the Link protocol: append, never renumber.
public enum EngineEventKind: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    /// a: number of recent boots; b: 1 when a persisted record was used.
    case started = 0
    /// a: old phase; b: new phase.
    case phase = 1
    /// pack; a: old state; b: new state.
    case packState = 2
    /// pack; a: bits that appeared; b: bits that went.
    case packAlarms = 3
    /// a: bits of `Warnings` that appeared; b: bits that went.
    case warnings = 4
    /// pack is the port; a: old state; b: new state.
    case inverterBus = 5
    /// pack is the port; a: 1 heard, 0 no longer heard.
    case heartbeat = 6
    /// pack is the port; a: 1 opened, 0 lost.
    case bmsPort = 7
    /// pack is the port: no byte for 30 s, opened again.
    case bmsReopened = 8
    /// The first set may be sent.
    case transmitting = 9
    /// a: identity of the command; b: 0 accepted, else the refusal + 1.
    case command = 10
    /// A planned stop or restart has begun: limits come down first.
    case stopping = 11
    /// Another configuration came into force. a: generation before; b: now.
    case configured = 12
    /// A board started. a: `ResetCause`; b: after a trap its address.
    case reset = 13
}

/// Why a board started. Raw values travel in an event: append, never renumber.
public enum ResetCause: UInt8, Equatable, Sendable, CaseIterable {
    case powerOn, watchdog, trap, brownOut, restart, unknown

    public var text: StaticString {
        switch self {
        case .powerOn: "power on"
        case .watchdog: "the watchdog"
        case .trap: "a trap"
        case .brownOut: "a brown-out"
        case .restart: "a planned restart"
        case .unknown: "an unknown cause"
        }
    }
}

/// One event, numbered from 1. The host adds the wall clock.
public struct EngineEvent: Equatable, Sendable, BitwiseCopyable {
    public var number: UInt32 = 0
    public var at = Instant(milliseconds: 0)
    public var kind = EngineEventKind.started
    /// The pack from 1 or the line from 0, where the kind has one.
    public var pack: UInt8 = 0
    /// What they say is with each kind.
    public var a: Int32 = 0
    public var b: Int32 = 0

    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&number)
        coder.field(&at)
        coder.field(choice: &kind)
        coder.field(&pack)
        coder.field(&a)
        coder.field(&b)
    }
}

/// The last events, so that a reader that was away can ask for what it missed.
struct EventLog: Sendable {
    #if MICROCONTROLLER
        static let capacity = 16
        private var kept = InlineArray<16, EngineEvent>(repeating: EngineEvent())
    #else
        static let capacity = 64
        private var kept = InlineArray<64, EngineEvent>(repeating: EngineEvent())
    #endif
    private(set) var last: UInt32 = 0

    /// Numbers the event and keeps it.
    @inline(never)
    mutating func append(_ event: EngineEvent) {
        last &+= 1
        let place = Int(last % UInt32(Self.capacity))
        kept[place] = event
        kept[place].number = last
    }

    /// The event with this number, when it is still kept.
    func event(_ number: UInt32) -> EngineEvent? {
        let candidate = kept[Int(number % UInt32(Self.capacity))]
        return candidate.number == number && number > 0 ? candidate : nil
    }

    /// The oldest number still kept.
    var oldest: UInt32 { last < UInt32(Self.capacity) ? 1 : last - UInt32(Self.capacity) + 1 }
}
