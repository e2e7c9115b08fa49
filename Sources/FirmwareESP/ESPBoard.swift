import BoardESP
import BridgeEngine
import Firmware
import FirmwareHAL
import FirmwareStart
import InverterDialects

/// An ESP32-C3 or ESP32-C6 with a level shifter to the BMS and a CAN transceiver (docs/firmware.md). Everything runs from the 40 MHz
/// crystal.
struct ESPBoard: Board {
    static var name: StaticString { Chip.name }

    private let console = UART(base: Chip.uart0)
    private let usb = USBConsole()
    private let bms = UART(base: Chip.uart1)
    var can = SJA1000(TWAIRegisters(base: Chip.twai), setup: .twaiAt500k)
    var flash: ROMFlash { ROMFlash() }
    /// The last 64 KiB of 4 MiB.
    var configurationSectors: Range<Int> { 1008..<1010 }
    var recordSectors: Range<Int> { 1010..<1018 }

    typealias Mailbox = FrameMailbox<TWAIRegisters>
    private let mailbox: UnsafeMutablePointer<Mailbox>

    init(_ mailbox: UnsafeMutablePointer<Mailbox>) {
        self.mailbox = mailbox
        console.drain()
        Chip.startClocks()
        console.start()
        bms.start()
        Pins.output(Chip.signalUART1, to: Chip.pinBMSTransmit)
        Pins.input(Chip.signalUART1, from: Chip.pinBMSReceive)
        Pins.output(Chip.signalTWAI, to: Chip.pinCANTransmit)
        Pins.input(Chip.signalTWAI, from: Chip.pinCANReceive)
        Pins.startLED()
    }

    static var ticksPerMillisecond: UInt32 { 16_000 }

    /// SYSTIMER: asks for a copy of the counter and reads its lower half. The interrupt does the same, so ticks are held meanwhile.
    static func readTicks() -> UInt32 {
        Register32(Chip.systemTimer + 4).store(1 << 30)
        while Register32(Chip.systemTimer + 4).load() & (1 << 29) == 0 {}
        return Register32(Chip.systemTimer + 0x44).load()
    }

    func ticks() -> UInt32 { heldTicks { Self.readTicks() } }
    func startTicking() {
        mailbox.pointee.start(at: Self.readTicks())
        rt_start_ticking({ $0!.assumingMemoryBound(to: Mailbox.self).pointee.poll(at: ESPBoard.readTicks()) }, mailbox)
    }

    func receiveFrame() -> CANFrame? { heldTicks { mailbox.pointee.pop() } }
    var polls: PollRecord { heldTicks { mailbox.pointee.polls } }

    private func heldTicks<Result>(_ body: () -> Result) -> Result {
        rt_hold_ticks()
        defer { rt_release_ticks() }
        return body()
    }

    func readBMS() -> UInt8? { bms.read() }
    func writeBMS(_ byte: UInt8) -> Bool { bms.write(byte) }

    func readConsole() -> UInt8? {
        usb.flush()
        return console.read() ?? usb.read()
    }

    /// The same on both; the UART, which is always there, sets the pace.
    func writeConsole(_ byte: UInt8) -> Bool {
        if !console.write(byte) { return false }
        usb.write(byte)
        return true
    }

    var stackUsed: UInt32 { rt_stack_used() }

    func feedWatchdog() { HardwareWatchdog.feed() }
    func setLED(_ isOn: Bool) { Pins.setLED(isOn) }

    /// A trap and a planned restart have left a note; for the rest the ROM knows.
    func takeResetReport() -> ResetReport {
        var stop = rt_stop()
        if rt_take_stop(&stop) != 0 {
            if stop.kind == RT_PLANNED { return ResetReport(.restart) }
            return ResetReport(.trap, trapCause: stop.cause, trapAddress: stop.address)
        }
        switch board_reset_reason() {
        case 0x01, 0x15, 0x16: return ResetReport(.powerOn)
        case 0x07, 0x08, 0x09, 0x0B, 0x0D, 0x10, 0x11, 0x12: return ResetReport(.watchdog)
        case 0x0F: return ResetReport(.brownOut)
        default: return ResetReport(.unknown)
        }
    }

    func restart() { rt_restart() }
}

@main
struct FirmwareESP {
    static func main() {
        Chip.stopBootWatchdogs()
        HardwareWatchdog.start()
        var mailbox = ESPBoard.Mailbox(
            TWAIRegisters(base: Chip.twai), ticksPerMillisecond: ESPBoard.ticksPerMillisecond)
        withUnsafeMutablePointer(to: &mailbox) { mailbox in
            var board = ESPBoard(mailbox)
            rt_with_room(UInt32(MemoryLayout<BridgeLoop<ESPBoard>>.size), run, &board)
        }
    }

    /// For ever, in the room that is given.
    private static let run: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { room, board in
        let board = board!.assumingMemoryBound(to: ESPBoard.self).pointee
        let loop = BridgeLoop.make(board, in: room!)
        board.startTicking()
        while true { loop.pointee.turn() }
    }
}
