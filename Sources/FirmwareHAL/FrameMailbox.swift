import InverterDialects

/// Empties the CAN controller's FIFO, which holds five frames and fills in 1.1 ms, at each tick of the timer interrupt, and keeps the
/// frames until the engine has time for them. It also watches over itself: a tick that comes late may have cost a frame.
///
/// The loop takes frames out with the ticks held.
public struct FrameMailbox<Registers: SJA1000Registers> {
    let registers: Registers
    private var frames = FrameRing()
    private var lastPoll: UInt32 = 0
    private let ticksPerMillisecond: UInt32
    public private(set) var polls = PollRecord()

    public init(_ registers: Registers, ticksPerMillisecond: UInt32) {
        self.registers = registers
        self.ticksPerMillisecond = ticksPerMillisecond
    }

    /// Ticks count from here.
    public mutating func start(at ticks: UInt32) {
        lastPoll = ticks
    }

    public mutating func poll(at ticks: UInt32) {
        polls.note(ticks &- lastPoll, ticksPerMillisecond: ticksPerMillisecond)
        lastPoll = ticks
        while let frame = SJA1000.receive(from: registers) { frames.push(frame) }
        polls.lost = frames.lost
    }

    public mutating func pop() -> CANFrame? { frames.pop() }
}

/// How well the FIFO was watched.
public struct PollRecord: Equatable, Sendable {
    /// The longest time between two looks, in ticks.
    public private(set) var longest: UInt32 = 0
    /// Looks that came more than a millisecond after the one before.
    public private(set) var late: UInt32 = 0
    /// Frames that the engine did not take in time.
    public internal(set) var lost: UInt32 = 0

    public init() {}

    mutating func note(_ gap: UInt32, ticksPerMillisecond: UInt32) {
        longest = max(longest, gap)
        if gap > ticksPerMillisecond { late &+= 1 }
    }
}
