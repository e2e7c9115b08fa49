import Battery
import BridgeEngine
import InverterDialects

/// How a board reaches the register file of an SJA1000-like CAN controller.
public protocol SJA1000Registers {
    func load(_ index: UInt32) -> UInt8
    /// 32 bits, because two registers of Espressif's TWAI (bus timing 0 and clock divider) are wider than the SJA1000's.
    func store(_ index: UInt32, _ value: UInt32)
}

/// Bus timing and output set-up of one board.
public struct SJA1000Setup: Sendable {
    public var busTiming0: UInt32
    public var busTiming1: UInt32
    public var clockDivider: UInt32
    /// Nil where the chip has no such register (TWAI).
    public var outputControl: UInt32?

    public init(busTiming0: UInt32, busTiming1: UInt32, clockDivider: UInt32, outputControl: UInt32?) {
        self.busTiming0 = busTiming0
        self.busTiming1 = busTiming1
        self.clockDivider = clockDivider
        self.outputControl = outputControl
    }

    /// A 16 MHz SJA1000 at 500 kbit/s (platform/firmware.md §2).
    public static let sja1000At500k = SJA1000Setup(
        busTiming0: 0x00, busTiming1: 0x1C, clockDivider: 0x88, outputControl: 0xDA)

    /// TWAI from the 40 MHz crystal: 20 quanta of 100 ns = 500 kbit/s, sampled at 80 %, jump width 3. Clock output off.
    public static let twaiAt500k = SJA1000Setup(
        busTiming0: 0x8001, busTiming1: 0x3E, clockDivider: 0x100, outputControl: nil)
}

/// PeliCAN driver, polled. The same code drives QEMU's SJA1000 cards, the TWAI of the ESP32-C3 and C6, and the fake registers of
/// the tests.
///
/// The receive FIFO holds 64 bytes: poll at least once in a millisecond at 500 kbit/s.
public struct SJA1000<Registers: SJA1000Registers> {
    public let registers: Registers
    let setup: SJA1000Setup
    /// When the frame in the transmit buffer was put there; nil while the buffer is free.
    private var pendingSince: Instant?
    public private(set) var overruns: UInt32 = 0
    public private(set) var aborted: UInt32 = 0

    /// A frame that nobody acknowledges is withdrawn after this time. Otherwise an inverter that is switched on after hours would
    /// first be told the limits of hours ago.
    public static var patience: Milliseconds { 250 }

    public init(_ registers: Registers, setup: SJA1000Setup) {
        self.registers = registers
        self.setup = setup
    }

    /// Configures the controller and joins the bus.
    /// - Returns: false when no controller answers at these addresses.
    public mutating func start() -> Bool {
        // The clock divider first: until its bit 7 is set a real SJA1000 (and QEMU's) is in BasicCAN mode, where every other
        // register means something else.
        registers.store(Index.mode, Mode.reset)
        registers.store(Index.clockDivider, setup.clockDivider)
        registers.store(Index.mode, Mode.reset)
        if registers.load(Index.mode) & UInt8(Mode.reset) == 0 { return false }
        registers.store(Index.interruptEnable, 0)
        registers.store(Index.busTiming0, setup.busTiming0)
        registers.store(Index.busTiming1, setup.busTiming1)
        if let outputControl = setup.outputControl { registers.store(Index.outputControl, outputControl) }
        for i in 0..<4 as Range<UInt32> { registers.store(Index.buffer + i, 0x00) }
        for i in 4..<8 as Range<UInt32> { registers.store(Index.buffer + i, 0xFF) }
        registers.store(Index.errorWarningLimit, 96)
        registers.store(Index.receiveErrors, 0)
        registers.store(Index.transmitErrors, 0)
        join()
        return true
    }

    /// Leaves reset mode. From bus-off the hardware then waits for 128 × 11 recessive bits before it takes part again.
    ///
    /// Dual filter with every bit "don't care": QEMU before 8.2.1 computes the mask of the single filter wrongly and would drop
    /// most identifiers (platform/firmware.md §2).
    public mutating func join() {
        registers.store(Index.mode, Mode.operating)
        _ = registers.load(Index.interrupts)
        registers.store(Index.command, Command.releaseReceiveBuffer | Command.clearOverrun)
        pendingSince = nil
    }

    /// The bus state as the error counters and status bits say. Counts and clears a receive overrun on the way.
    public mutating func state() -> CANBusState {
        let status = registers.load(Index.status)
        if status & Status.overrun != 0 {
            overruns &+= 1
            registers.store(Index.command, Command.clearOverrun)
        }
        if status & Status.busOff != 0 { return .busOff }
        // In reset mode without bus-off somebody else reset the controller: join again.
        if registers.load(Index.mode) & UInt8(Mode.reset) != 0 { join() }
        let transmitErrors = registers.load(Index.transmitErrors)
        let receiveErrors = registers.load(Index.receiveErrors)
        if transmitErrors >= 128 || receiveErrors >= 128 { return .passive }
        return status & Status.errorWarning != 0 ? .warning : .active
    }

    /// Puts a frame into the transmit buffer when it is free.
    public mutating func send(_ frame: CANFrame, at now: Instant) -> CANSendResult {
        let status = registers.load(Index.status)
        if status & Status.busOff != 0 { return .down }
        if status & Status.transmitBufferFree == 0 {
            let since = pendingSince ?? now
            pendingSince = since
            if now.since(since) >= Self.patience {
                registers.store(Index.command, Command.abortTransmission)
                pendingSince = nil
                aborted &+= 1
            }
            return .busy
        }
        var position = Index.buffer
        if frame.isExtended {
            let id = frame.id << 3
            registers.store(position, 0x80 | UInt32(frame.length))
            registers.store(position + 1, id >> 24 & 0xFF)
            registers.store(position + 2, id >> 16 & 0xFF)
            registers.store(position + 3, id >> 8 & 0xFF)
            registers.store(position + 4, id & 0xFF)
            position += 5
        } else {
            let id = frame.id << 5
            registers.store(position, UInt32(frame.length))
            registers.store(position + 1, id >> 8 & 0xFF)
            registers.store(position + 2, id & 0xFF)
            position += 3
        }
        for i in 0..<UInt32(frame.length) { registers.store(position + i, UInt32(frame[Int(i)])) }
        registers.store(Index.command, Command.transmit)
        pendingSince = now
        return .queued
    }

    /// The oldest frame in the receive FIFO. Remote frames are skipped: no battery protocol uses them.
    ///
    /// It touches no register that sending needs, and nothing of the driver's state: an interrupt may call it at any time.
    public static func receive(from registers: Registers) -> CANFrame? {
        func byte(_ offset: UInt32) -> UInt8 { registers.load(Index.buffer + offset) }
        while registers.load(Index.status) & Status.receiveBufferFull != 0 {
            let information = registers.load(Index.buffer)
            var frame: CANFrame
            var position = Index.buffer
            if information & 0x80 != 0 {
                let id = UInt32(byte(1)) << 24 | UInt32(byte(2)) << 16 | UInt32(byte(3)) << 8 | UInt32(byte(4))
                frame = CANFrame(id: id >> 3, isExtended: true, length: min(information & 0x0F, 8))
                position += 5
            } else {
                frame = CANFrame(id: UInt32(byte(1)) << 3 | UInt32(byte(2)) >> 5, length: min(information & 0x0F, 8))
                position += 3
            }
            for i in 0..<UInt32(frame.length) { frame[Int(i)] = registers.load(position + i) }
            registers.store(Index.command, Command.releaseReceiveBuffer)
            if information & 0x40 == 0 { return frame }
        }
        return nil
    }
}

/// Register numbers in PeliCAN mode. On a chip a register's address is base + number × stride.
private enum Index {
    static var mode: UInt32 { 0 }
    static var command: UInt32 { 1 }
    static var status: UInt32 { 2 }
    static var interrupts: UInt32 { 3 }
    static var interruptEnable: UInt32 { 4 }
    static var busTiming0: UInt32 { 6 }
    static var busTiming1: UInt32 { 7 }
    static var outputControl: UInt32 { 8 }
    static var errorWarningLimit: UInt32 { 13 }
    static var receiveErrors: UInt32 { 14 }
    static var transmitErrors: UInt32 { 15 }
    /// Transmit and receive window; acceptance code and mask in reset mode.
    static var buffer: UInt32 { 16 }
    static var clockDivider: UInt32 { 31 }
}

private enum Mode {
    static var operating: UInt32 { 0x00 }
    static var reset: UInt32 { 0x01 }
}

private enum Command {
    static var transmit: UInt32 { 0x01 }
    static var abortTransmission: UInt32 { 0x02 }
    static var releaseReceiveBuffer: UInt32 { 0x04 }
    static var clearOverrun: UInt32 { 0x08 }
}

private enum Status {
    static var receiveBufferFull: UInt8 { 0x01 }
    static var overrun: UInt8 { 0x02 }
    static var transmitBufferFree: UInt8 { 0x04 }
    static var errorWarning: UInt8 { 0x40 }
    static var busOff: UInt8 { 0x80 }
}
