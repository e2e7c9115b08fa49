import Battery
import FirmwareHAL
import InverterDialects

/// Why the board started.
public enum ResetCause: UInt8, Equatable, Sendable, CaseIterable {
    case powerOn, watchdog, trap, brownOut, software, unknown

    public var text: StaticString {
        switch self {
        case .powerOn: "power on"
        case .watchdog: "watchdog"
        case .trap: "trap"
        case .brownOut: "brown-out"
        case .software: "restart"
        case .unknown: "unknown"
        }
    }
}

/// What the bridge needs of a board. Nothing here waits: a full FIFO says so and the loop comes back.
public protocol Board {
    associatedtype Registers: SJA1000Registers
    associatedtype Flash: FlashMemory

    static var name: StaticString { get }
    var can: SJA1000<Registers> { get set }
    /// Flash for the configuration and the persisted record, with the number of its first sector of each.
    var flash: Flash { get }
    var configurationSectors: Range<Int> { get }
    var recordSectors: Range<Int> { get }

    mutating func now() -> Instant
    mutating func readBMS() -> UInt8?
    /// - Returns: false when the FIFO is full.
    mutating func writeBMS(_ byte: UInt8) -> Bool
    mutating func readConsole() -> UInt8?
    mutating func writeConsole(_ byte: UInt8) -> Bool
    mutating func feedWatchdog()
    mutating func setLED(_ isOn: Bool)
    mutating func takeResetCause() -> ResetCause
    mutating func restart() -> Never
}
