import BridgeEngine
import Firmware
import FirmwareHAL
import FirmwareStart
import InverterDialects

/// QEMU `-M virt` with a `pci-serial` card for the BMS line and a `mioe3680_pci` card for CAN.
struct VirtBoard: Board {
    static var name: StaticString { "QEMU virt" }

    private let console = NS16550(base: 0x1000_0000)
    private let bms: NS16550
    var can: SJA1000<SJA1000ByteRegisters>
    let flash = IntelFlash()
    var configurationSectors: Range<Int> { 0..<2 }
    var recordSectors: Range<Int> { 2..<6 }

    typealias Mailbox = FrameMailbox<SJA1000ByteRegisters>
    private let mailbox: UnsafeMutablePointer<Mailbox>

    init(_ cards: Cards, _ mailbox: UnsafeMutablePointer<Mailbox>) {
        bms = cards.bms
        can = cards.can
        self.mailbox = mailbox
    }

    func startTicking() {
        mailbox.pointee.start(at: Self.readTicks())
        rt_start_ticking({ $0!.assumingMemoryBound(to: Mailbox.self).pointee.poll(at: VirtBoard.readTicks()) }, mailbox)
    }

    func receiveFrame() -> CANFrame? {
        rt_hold_ticks()
        defer { rt_release_ticks() }
        return mailbox.pointee.pop()
    }

    var polls: PollRecord {
        rt_hold_ticks()
        defer { rt_release_ticks() }
        return mailbox.pointee.polls
    }

    /// `mtime` counts at 10 MHz.
    static var ticksPerMillisecond: UInt32 { 10_000 }

    static func readTicks() -> UInt32 { Register32(0x0200_BFF8).load() }
    func ticks() -> UInt32 { Self.readTicks() }

    func readBMS() -> UInt8? { bms.read() }
    func writeBMS(_ byte: UInt8) -> Bool { bms.write(byte) }
    func readConsole() -> UInt8? { console.read() }
    func writeConsole(_ byte: UInt8) -> Bool { console.write(byte) }

    var stackUsed: UInt32 { rt_stack_used() }

    /// This machine has none; the decision when to feed is tested on the host.
    func feedWatchdog() {}
    func setLED(_ isOn: Bool) {}

    func takeResetReport() -> ResetReport {
        var stop = rt_stop()
        if rt_take_stop(&stop) == 0 { return ResetReport(.powerOn) }
        if stop.kind == RT_PLANNED { return ResetReport(.restart) }
        return ResetReport(.trap, trapCause: stop.cause, trapAddress: stop.address)
    }

    func restart() {
        rt_restart()
    }
}

/// The PCI cards of the machine.
struct Cards {
    let bms: NS16550
    let can: SJA1000<SJA1000ByteRegisters>

    /// Nil when one is missing.
    init?() {
        guard let serial = PCI.find(0x0002_1B36), let card = PCI.find(0xC302_13FE) else { return nil }
        serial.enable()
        card.enable()
        bms = NS16550(base: serial.mapIO(region: 0, at: 0x1000))
        can = SJA1000(
            SJA1000ByteRegisters(base: card.mapIO(region: 0, at: 0x2000), stride: 4), setup: .sja1000At500k)
    }
}

@main
struct FirmwareVirt {
    static func main() {
        guard let cards = Cards() else {
            let console = NS16550(base: 0x1000_0000)
            while true { _ = console.write(UInt8(ascii: "!")) }
        }
        var mailbox = VirtBoard.Mailbox(
            cards.can.registers, ticksPerMillisecond: VirtBoard.ticksPerMillisecond)
        withUnsafeMutablePointer(to: &mailbox) { mailbox in
            var board = VirtBoard(cards, mailbox)
            rt_with_room(UInt32(MemoryLayout<BridgeLoop<VirtBoard>>.size), run, &board)
        }
    }

    /// For ever, in the room that is given.
    private static let run: @convention(c) (UnsafeMutableRawPointer?, UnsafeMutableRawPointer?) -> Void = { room, board in
        let board = board!.assumingMemoryBound(to: VirtBoard.self).pointee
        let loop = BridgeLoop.make(board, in: room!)
        board.startTicking()
        while true {
            loop.pointee.turn()
            // QEMU works hard for each register that is read, and little for this.
            rt_pause()
        }
    }
}
