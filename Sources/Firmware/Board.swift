import Battery
import BridgeEngine
import FirmwareHAL
import InverterDialects

/// Why the board started and, after a trap, what the processor said about it.
public struct ResetReport: Equatable, Sendable {
    public var cause: ResetCause
    /// `mcause`: 2 is an illegal instruction, which is also how Swift's checks end a program.
    public var trapCause: UInt32 = 0
    /// `mepc`: where it was; the map of the image says what stands there.
    public var trapAddress: UInt32 = 0

    public init(_ cause: ResetCause, trapCause: UInt32 = 0, trapAddress: UInt32 = 0) {
        self.cause = cause
        self.trapCause = trapCause
        self.trapAddress = trapAddress
    }
}

/// What the bridge needs of a board. Nothing here waits: a full FIFO says so and the loop comes back.
public protocol Board {
    associatedtype Registers: SJA1000Registers
    associatedtype Flash: FlashMemory

    static var name: StaticString { get }
    /// Of `ticks`, a counter that never stops and wraps at 32 bits.
    static var ticksPerMillisecond: UInt32 { get }
    var can: SJA1000<Registers> { get set }
    /// Flash for the configuration and the persisted record, with the numbers of the sectors of each.
    var flash: Flash { get }
    var configurationSectors: Range<Int> { get }
    var recordSectors: Range<Int> { get }

    func ticks() -> UInt32
    /// The oldest frame that the timer interrupt took out of the CAN controller's FIFO.
    mutating func receiveFrame() -> CANFrame?
    /// How well the interrupt did it.
    var polls: PollRecord { get }
    mutating func readBMS() -> UInt8?
    /// - Returns: false when the FIFO is full.
    mutating func writeBMS(_ byte: UInt8) -> Bool
    mutating func readConsole() -> UInt8?
    mutating func writeConsole(_ byte: UInt8) -> Bool
    /// Bytes of the stack that were used at most since the start.
    var stackUsed: UInt32 { get }
    mutating func feedWatchdog()
    mutating func setLED(_ isOn: Bool)
    /// Once after the start.
    mutating func takeResetReport() -> ResetReport
    /// Restarts the board; the next report says that it was planned. Returns only in tests.
    mutating func restart()
}
