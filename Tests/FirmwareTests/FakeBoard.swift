import Battery
import BridgeEngine
import Firmware
import FirmwareHAL
import InverterDialects
import JKBMS

/// The CAN controller as far as the loop needs it.
final class FakeController: SJA1000Registers {
    var mode: UInt8 = 1
    var status: UInt8 = 0x0C
    var buffer = [UInt8](repeating: 0, count: 13)
    var sent: [(id: UInt32, data: [UInt8])] = []
    /// How often the controller was taken out of reset.
    var joins = 0

    func load(_ index: UInt32) -> UInt8 {
        switch index {
        case 0: mode
        case 2: status
        case 16..<29: buffer[Int(index - 16)]
        default: 0
        }
    }

    func store(_ index: UInt32, _ value: UInt32) {
        switch index {
        case 0:
            if value == 0 && mode == 1 { joins += 1 }
            mode = UInt8(value)
        case 1 where value & 1 != 0:
            let id = UInt32(buffer[1]) << 3 | UInt32(buffer[2]) >> 5
            sent.append((id, Array(buffer[3..<(3 + Int(buffer[0] & 15))])))
        case 16..<29: buffer[Int(index - 16)] = UInt8(truncatingIfNeeded: value)
        default: break
        }
    }
}

/// Flash that stays when the board restarts, with a power cut after any number of bytes.
final class FakeFlash: FlashMemory {
    let sectorSize = 4096
    var cells = [UInt8](repeating: 0xFF, count: 6 * 4096)
    /// Bytes written or erased until the power fails; nil = never.
    var budget: Int?
    /// The chip takes nothing any more.
    var isWorn = false

    func read(at address: Int) -> UInt8 { cells[address] }

    private func change(_ address: Int, to value: UInt8) {
        if let left = budget {
            if left == 0 { return }
            budget = left - 1
        }
        cells[address] = value
    }

    func erase(sector: Int) -> Bool {
        if isWorn { return false }
        for i in sector * sectorSize..<(sector + 1) * sectorSize where cells[i] != 0xFF { change(i, to: 0xFF) }
        return true
    }

    func write(_ bytes: Span<UInt8>, at address: Int) -> Bool {
        if isWorn { return false }
        for i in bytes.indices { change(address + i, to: cells[address + i] & bytes[i]) }
        return true
    }
}

/// What hangs on the wires; shared by everybody who holds the board.
final class Wires {
    var ticks: UInt32 = 0xFFFF_0000
    let controller = FakeController()
    var flash = FakeFlash()
    var toBoard: [UInt8] = []
    var fromBoard: [UInt8] = []
    var consoleIn: [UInt8] = []
    var consoleOut: [UInt8] = []
    var consoleTakes = true
    var frames: [CANFrame] = []
    var feeds = 0
    var led: [Bool] = []
    var restarts = 0
    var reset = ResetReport(.powerOn)
}

struct FakeBoard: Board {
    let wires: Wires
    static var name: StaticString { "test" }
    static var ticksPerMillisecond: UInt32 { 1000 }
    var can: SJA1000<FakeController>
    var flash: FakeFlash { wires.flash }
    var configurationSectors: Range<Int> { 0..<2 }
    var recordSectors: Range<Int> { 2..<6 }
    var polls: PollRecord { PollRecord() }

    init(_ wires: Wires) {
        self.wires = wires
        can = SJA1000(wires.controller, setup: .twaiAt500k)
    }

    func ticks() -> UInt32 { wires.ticks }
    func receiveFrame() -> CANFrame? { wires.frames.isEmpty ? nil : wires.frames.removeFirst() }
    func readBMS() -> UInt8? { wires.toBoard.isEmpty ? nil : wires.toBoard.removeFirst() }

    func writeBMS(_ byte: UInt8) -> Bool {
        wires.fromBoard.append(byte)
        return true
    }

    func readConsole() -> UInt8? { wires.consoleIn.isEmpty ? nil : wires.consoleIn.removeFirst() }

    func writeConsole(_ byte: UInt8) -> Bool {
        if wires.consoleTakes { wires.consoleOut.append(byte) }
        return wires.consoleTakes
    }

    var stackUsed: UInt32 { 0 }
    func feedWatchdog() { wires.feeds += 1 }
    func setLED(_ isOn: Bool) { wires.led.append(isOn) }
    func takeResetReport() -> ResetReport { wires.reset }
    func restart() { wires.restarts += 1 }
}
