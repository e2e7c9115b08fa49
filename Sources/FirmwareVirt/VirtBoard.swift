import Battery
import Firmware
import FirmwareHAL
import FirmwareStart

/// QEMU `-M virt` with a `pci-serial` card for the BMS line and a `mioe3680_pci` card for CAN.
struct VirtBoard: Board {
    static var name: StaticString { "QEMU virt" }

    private let console = NS16550(base: 0x1000_0000)
    private let bms: NS16550
    var can: SJA1000<SJA1000ByteRegisters>
    let flash = IntelFlash()
    var configurationSectors: Range<Int> { 0..<2 }
    var recordSectors: Range<Int> { 2..<6 }

    /// Nil when a card is missing.
    init?() {
        guard let serial = PCI.find(0x0002_1B36), let card = PCI.find(0xC302_13FE) else { return nil }
        serial.enable()
        card.enable()
        bms = NS16550(base: serial.mapIO(region: 0, at: 0x1000))
        let registers = SJA1000ByteRegisters(base: card.mapIO(region: 0, at: 0x2000), stride: 4)
        can = SJA1000(registers, setup: .sja1000At500k)
    }

    /// `mtime` counts at 10 MHz and has two halves.
    func now() -> Instant {
        var high = Register32(0x0200_BFFC).load()
        var low = Register32(0x0200_BFF8).load()
        let again = Register32(0x0200_BFFC).load()
        if again != high {
            high = again
            low = Register32(0x0200_BFF8).load()
        }
        return Instant(milliseconds: Int64((UInt64(high) << 32 | UInt64(low)) / 10_000))
    }

    func readBMS() -> UInt8? { bms.read() }
    func writeBMS(_ byte: UInt8) -> Bool { bms.write(byte) }
    func readConsole() -> UInt8? { console.read() }
    func writeConsole(_ byte: UInt8) -> Bool { console.write(byte) }

    /// This machine has none; the decision when to feed is tested on the host.
    func feedWatchdog() {}
    func setLED(_ isOn: Bool) {}

    func takeResetCause() -> ResetCause {
        var trap = rt_trap_record()
        return rt_take_trap(&trap) != 0 ? .trap : .powerOn
    }

    func restart() -> Never {
        rt_reset()
    }
}

@main
struct FirmwareVirt {
    static func main() {
        guard let board = VirtBoard() else {
            let console = NS16550(base: 0x1000_0000)
            while true { _ = console.write(UInt8(ascii: "!")) }
        }
        var loop = BridgeLoop(board)
        while true { loop.turn() }
    }
}
