import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects
import JKBMS

/// The whole firmware above the board: one loop that never waits.
///
/// `turn()` is called for ever. It empties the CAN FIFO first (five frames deep), then the UARTs, lets the engine work when it is
/// due, and feeds the watchdog only while the control logic is evaluated in time.
public struct BridgeLoop<B: Board> {
    var engine: Engine
    var ports: BoardPorts<B>
    private var configurations: FlashLog<B.Flash>
    private var wakeAt: Instant
    private var lastTurn: Instant
    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var console = ConsoleInput()
    /// Turns that came more than a millisecond after the one before: the CAN FIFO may have overflowed.
    private(set) var latePolls: UInt32 = 0
    private(set) var longestTurn: Milliseconds = 0
    let resetCause: ResetCause

    /// An evaluation that is this late means that the loop is not healthy (failsafe.md §7).
    static var latestTick: Milliseconds { 1500 }

    /// Reads configuration and record from flash. Without a good configuration the factory state holds: limits 0 A.
    public init(_ board: B) {
        ports = BoardPorts(board)
        resetCause = ports.board.takeResetCause()
        configurations = FlashLog(
            board.flash, firstSector: board.configurationSectors.lowerBound,
            sectorCount: board.configurationSectors.count)
        let now = ports.now
        let configuration = Self.storedConfiguration(configurations) ?? Self.factory
        engine = Engine(configuration: configuration, record: Self.storedRecord(ports.records), at: now)
        wakeAt = now
        lastTurn = now
        let line = ports.board.can.start()
        engine.inverterPort(0, state: line ? .active : .closed, at: now, ports: &ports)
        engine.bmsPort(0, isOpen: true, at: now, ports: &ports)
    }

    /// The factory state: one JK pack on one line, Pylontech, and nothing allowed until somebody configures it (design §7).
    static var factory: BridgeConfiguration {
        var control = ControlConfiguration(chemistry: .lfp)
        control.packs.append(PackConfiguration())
        var configuration = BridgeConfiguration(control: control)
        var line = BMSPortConfiguration()
        line.addresses.append(0)
        configuration.bmsPorts.append(line)
        configuration.inverterPorts.append(InverterPortConfiguration())
        return configuration
    }

    public mutating func turn() {
        let now = ports.board.now()
        ports.now = now
        noteTurn(at: now)
        var isDue = now >= wakeAt
        while let frame = ports.board.can.receive() {
            engine.received(frame, onInverterPort: 0, at: now, ports: &ports)
            isDue = true
        }
        engine.inverterPort(0, state: ports.board.can.state(), at: now, ports: &ports)
        if readBMS(at: now) { isDue = true }
        if readConsole(at: now) { isDue = true }
        if isDue { wakeAt = engine.wake(at: now, ports: &ports) }
        ports.drain()
        ports.board.setLED(StatusLED.isOn(status, at: now))
        if now.since(engine.lastEvaluation) < Self.latestTick { ports.board.feedWatchdog() }
    }

    private mutating func noteTurn(at now: Instant) {
        let gap = now.since(lastTurn)
        if gap > 1 { latePolls &+= 1 }
        longestTurn = max(longestTurn, gap)
        lastTurn = now
    }

    private mutating func readBMS(at now: Instant) -> Bool {
        var count = 0
        while count < 64, let byte = ports.board.readBMS() {
            bytes[count] = byte
            count += 1
        }
        if count == 0 { return false }
        engine.received(bytes.span.extracting(0..<count), onBMSPort: 0, at: now, ports: &ports)
        return true
    }

    private mutating func readConsole(at now: Instant) -> Bool {
        var count = 0
        while count < 64, let byte = ports.board.readConsole() {
            bytes[count] = byte
            count += 1
            if console.isQuestion(byte) { StatusPage.write(self, to: &ports) }
        }
        if count == 0 { return false }
        engine.receivedLink(bytes.span.extracting(0..<count), at: now, ports: &ports)
        return true
    }

    var status: StatusLED.Code {
        let output = engine.controller.output
        if engine.busState(0) == .busOff || engine.busState(0) == .closed { return .busFault }
        if !output.mayTransmit { return .waiting }
        if output.stage == .lost { return .batteryLost }
        if engine.configuration.control.userCharge == 0 && engine.configuration.control.userDischarge == 0 {
            return .factory
        }
        return engine.isHeartbeatFresh(0, at: ports.now) ? .good : .inverterSilent
    }

    // MARK: flash

    private static func storedConfiguration(_ log: FlashLog<B.Flash>) -> BridgeConfiguration? {
        if log.isEmpty || log.length > 2048 { return nil }
        var image = InlineArray<2048, UInt8>(repeating: 0)
        for i in 0..<log.length { image[i] = log.byte(i) }
        do throws(BridgeConfiguration.ImageProblem) {
            return try BridgeConfiguration(image: image.span.extracting(0..<log.length))
        } catch {
            return nil
        }
    }

    private static func storedRecord(_ log: FlashLog<B.Flash>) -> PersistedRecord? {
        if log.isEmpty || log.length > PersistedRecord.capacity { return nil }
        var image = InlineArray<192, UInt8>(repeating: 0)
        for i in 0..<log.length { image[i] = log.byte(i) }
        return PersistedRecord(image: image.span.extracting(0..<log.length))
    }
}

/// Finds the person's question in a stream that also carries Link: `?` and Enter.
struct ConsoleInput {
    private var previous: UInt8 = 0

    mutating func isQuestion(_ byte: UInt8) -> Bool {
        let isEnter = byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
        defer { previous = byte }
        return isEnter && previous == UInt8(ascii: "?")
    }
}

/// What the one LED says: a pattern of eight steps in a second.
enum StatusLED {
    enum Code: UInt8 {
        /// Lit: battery and inverter are heard.
        case good = 0b1111_1111
        /// Half and half: frames go out, the inverter says nothing.
        case inverterSilent = 0b1111_0000
        /// Two short flashes: the BMS is lost, limits are 0.
        case batteryLost = 0b1010_0000
        /// One short flash: waiting for the first good snapshots.
        case waiting = 0b1000_0000
        /// Two longer flashes: not configured yet, limits are 0 A.
        case factory = 0b1100_1100
        /// Fast: CAN controller bus-off or missing.
        case busFault = 0b1010_1010
    }

    static func isOn(_ code: Code, at now: Instant) -> Bool {
        code.rawValue & (0x80 >> UInt8(truncatingIfNeeded: now.milliseconds / 125 % 8)) != 0
    }
}
