import Battery
import BridgeEngine
import FirmwareHAL
import InverterDialects

/// The engine's way out on a board: rings towards the UARTs, the CAN controller, the flash.
public struct BoardPorts<B: Board>: EnginePorts {
    public var board: B
    /// Longer than any request; a half-full ring means that the line is stuck, and then a lost request is repeated.
    var bmsOut = ByteRing<64>()
    /// One second of Link at 115200 baud and more. Whole messages are dropped when nobody reads.
    var consoleOut = ByteRing<2560>()
    var records: FlashLog<B.Flash>
    var now: Instant
    /// Asked to open the BMS line again: nothing to open here, but what is left of an old request is dropped.
    var reopens: UInt32 = 0

    init(_ board: B) {
        self.board = board
        records = FlashLog(
            board.flash, firstSector: board.recordSectors.lowerBound, sectorCount: board.recordSectors.count)
        now = self.board.now()
    }

    public mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        bmsOut.push(bytes)
    }

    public mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        board.can.send(frame, at: now)
    }

    public mutating func restartBus(inverterPort port: Int) {
        board.can.join()
    }

    public mutating func reopen(bmsPort port: Int) {
        reopens &+= 1
        bmsOut = ByteRing()
    }

    public mutating func publish(_ message: Span<UInt8>) {
        consoleOut.push(message)
    }

    public mutating func persist(_ image: Span<UInt8>) {
        _ = records.append(image)
    }

    /// Moves bytes from the rings into the FIFOs, as many as they take now.
    mutating func drain() {
        while bmsOut.count > 0, board.writeBMS(bmsOut.first) { bmsOut.drop() }
        while consoleOut.count > 0, board.writeConsole(consoleOut.first) { consoleOut.drop() }
    }
}

/// Text for the person at the console goes through the same ring as Link.
extension BoardPorts: TextSink {
    public mutating func write(_ byte: UInt8) {
        consoleOut.push(byte)
    }
}
