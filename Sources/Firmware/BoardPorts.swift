import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects
import JKBMS

/// The engine's way out on a board: rings towards the UARTs, the CAN controller, the flash.
public struct BoardPorts<B: Board>: EnginePorts {
    public var board: B
    var clock: TickClock
    /// Longer than any request; a half-full ring means that the line is stuck, and then a lost request is repeated.
    private var bmsOut = ByteRing<64>()
    /// More than a snapshot of one pack and the answer to `?`. Whole messages are dropped when nobody reads.
    private(set) var consoleOut = ByteRing<2048>()
    private var records: FlashLog<B.Flash>
    private var configurations: FlashLog<B.Flash>
    /// The longest time that the engine took to poll, evaluate and publish, in ticks.
    var longestWake: UInt32 = 0
    /// While a person reads the console, Link is silent.
    private(set) var quietUntil: Instant?

    /// A configuration was stored.
    private(set) var isRestartWanted = false

    /// How long after a question.
    static var quietTime: Milliseconds { 15_000 }

    init(_ board: B) {
        self.board = board
        clock = TickClock(ticksPerMillisecond: B.ticksPerMillisecond, ticks: board.ticks())
        records = FlashLog(
            board.flash, firstSector: board.recordSectors.lowerBound, sectorCount: board.recordSectors.count)
        configurations = FlashLog(
            board.flash, firstSector: board.configurationSectors.lowerBound,
            sectorCount: board.configurationSectors.count)
    }

    var now: Instant { clock.now }

    // MARK: CAN

    public mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        return board.can.send(frame, at: now)
    }

    public mutating func restartBus(inverterPort port: Int) {
        board.can.join()
    }

    // MARK: BMS

    public mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        bmsOut.push(bytes)
    }

    /// Nothing to open here, but what is left of an old request is dropped.
    public mutating func reopen(bmsPort port: Int) {
        bmsOut = ByteRing()
    }

    // MARK: console

    public var hasReader: Bool { quietUntil == nil }

    public mutating func publish(_ message: Span<UInt8>) {
        consoleOut.push(message)
    }

    mutating func beQuiet() {
        quietUntil = now + Self.quietTime
    }

    /// Moves some bytes from the rings into the FIFOs, as many as they take now.
    mutating func drain() {
        var left = 32
        while left > 0, bmsOut.count > 0, board.writeBMS(bmsOut.first) {
            bmsOut.drop()
            left -= 1
        }
        while left > 0, consoleOut.count > 0, board.writeConsole(consoleOut.first) {
            consoleOut.drop()
            left -= 1
        }
        if let end = quietUntil, now >= end { quietUntil = nil }
    }

    // MARK: flash

    public mutating func persist(_ image: Span<UInt8>) {
        _ = records.append(image)
    }

    @inline(never)
    public mutating func configure(_ image: Span<UInt8>) -> CommandRefusal? {
        do throws(BridgeConfiguration.ImageProblem) {
            let new = try BridgeConfiguration(image: image)
            if !new.control.problems().isEmpty { return .badConfiguration }
            if !Self.canServe(new) { return .notSupported }
        } catch {
            return switch error {
            case .noRoom, .tooLong: .noRoom
            case .notInThisBuild: .protocolAbsent
            // An image that the receiver had no room for comes without a byte.
            case .checksum: image.isEmpty ? .noRoom : .badConfiguration
            case .layout, .content: .badConfiguration
            }
        }
        if !configurations.append(image) { return .notStored }
        isRestartWanted = true
        return nil
    }

    /// A board has one serial line for all packs and one CAN bus for the inverter. Numbers that no reader of a configuration file
    /// lets through would make the engine stop, after each restart anew.
    private static func canServe(_ configuration: BridgeConfiguration) -> Bool {
        if configuration.bmsPorts.count != 1 || configuration.inverterPorts.count != 1 { return false }
        let (line, bus) = (configuration.bmsPorts[0], configuration.inverterPorts[0])
        return line.bmsProtocol != .jkCAN && line.firstPack == 0
            && line.addresses.count == configuration.control.packs.count && line.pace.interval >= 100
            && bus.rs485 == nil && bus.cycle >= 100 && bus.cycle <= 1200 && bus.sharePerMille >= 0
            && bus.sharePerMille <= 1000
    }

    var flashFailures: UInt32 { records.failures &+ configurations.failures }

    // `mutating`, so that the compiler does not copy the rings.

    @inline(never)
    mutating func storedConfiguration() -> BridgeConfiguration? {
        if configurations.isEmpty || configurations.length > LinkFraming.maximumPayload { return nil }
        var image = LinkBytes(repeating: 0)
        for i in 0..<configurations.length { image[i] = configurations.byte(i) }
        do throws(BridgeConfiguration.ImageProblem) {
            return try BridgeConfiguration(image: image.span.extracting(0..<configurations.length))
        } catch {
            return nil
        }
    }

    @inline(never)
    mutating func storedRecord() -> PersistedRecord? {
        if records.isEmpty || records.length > PersistedRecord.capacity { return nil }
        var image = InlineArray<192, UInt8>(repeating: 0)
        for i in 0..<records.length { image[i] = records.byte(i) }
        return PersistedRecord(image: image.span.extracting(0..<records.length))
    }
}

/// Text for the person at the console goes through the same ring as Link.
extension BoardPorts: TextSink {
    public mutating func write(_ byte: UInt8) {
        consoleOut.push(byte)
    }
}
