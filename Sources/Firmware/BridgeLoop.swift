import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects
import JKBMS

/// The whole firmware above the board: one loop that never waits.
///
/// `turn()` is called for ever. It empties the CAN FIFO and the UARTs, lets the engine work when it is due, and feeds the watchdog
/// only while the control logic is evaluated in time.
public struct BridgeLoop<B: Board> {
    var engine: Engine
    public var ports: BoardPorts<B>
    private var wakeAt: Instant
    private var bytes = InlineArray<64, UInt8>(repeating: 0)
    private var console = ConsoleInput()
    private(set) var status = StatusLED.Code.waiting
    private var reset: ResetReport
    /// The CAN controller answered at the start.
    private var hasBus: Bool

    /// An evaluation that is this late means that the loop is not healthy (failsafe.md §7).
    static var latestTick: Milliseconds { 1500 }

    /// Makes a loop where it is to stay: a value that is handed over would be on the stack twice.
    /// - Parameter room: all zero, which is a value of each part until `begin` replaces it; as large as `MemoryLayout` says.
    public static func make(_ board: B, in room: UnsafeMutableRawPointer) -> UnsafeMutablePointer<BridgeLoop> {
        let loop = room.bindMemory(to: BridgeLoop.self, capacity: 1)
        loop.pointee.begin(board)
        return loop
    }

    /// Reads configuration and record from flash. Without a good configuration the factory state holds: limits 0 A.
    @inline(never)
    private mutating func begin(_ board: B) {
        beginPorts(board)
        bytes = InlineArray(repeating: 0)
        console = ConsoleInput()
        status = .waiting
        reset = ports.board.takeResetReport()
        beginEngine()
        wakeAt = ports.now
        hasBus = ports.board.can.start()
        StatusPage.greet(reset, to: &ports)
        engine.noteReset(reset.cause, address: reset.trapAddress, at: ports.now, ports: &ports)
        engine.inverterPort(0, state: hasBus ? .active : .closed, at: ports.now, ports: &ports)
        engine.bmsPort(0, isOpen: true, at: ports.now, ports: &ports)
    }

    // Each part in a function of its own: together they would ask for their room on the stack at the same time.

    @inline(never)
    private mutating func beginPorts(_ board: B) {
        ports = BoardPorts(board)
    }

    @inline(never)
    private mutating func beginEngine() {
        engine.begin(configuration: configuration(), record: ports.storedRecord(), at: ports.now)
    }

    @inline(never)
    private mutating func configuration() -> BridgeConfiguration {
        ports.storedConfiguration() ?? Self.factory
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

    @inline(never)
    public mutating func turn() {
        ports.clock.advance(to: ports.board.ticks())
        let now = ports.now
        var isDue = now >= wakeAt
        while let frame = ports.board.receiveFrame() {
            engine.received(frame, onInverterPort: 0, at: now, ports: &ports)
            isDue = true
        }
        let bus = hasBus ? ports.board.can.state() : .closed
        engine.inverterPort(0, state: bus, at: now, ports: &ports)
        if readBMS(at: now) { isDue = true }
        if readConsole(at: now) { isDue = true }
        if isDue {
            let began = ports.board.ticks()
            wakeAt = engine.wake(at: now, ports: &ports)
            ports.longestWake = max(ports.longestWake, ports.board.ticks() &- began)
            status = judge(bus)
        }
        if ports.isRestartWanted { restart(at: now) }
        ports.drain()
        ports.board.setLED(StatusLED.isOn(status, at: now))
        if Self.isHealthy(lastEvaluation: engine.lastEvaluation, at: now) { ports.board.feedWatchdog() }
    }

    static func isHealthy(lastEvaluation: Instant, at now: Instant) -> Bool {
        now.since(lastEvaluation) < latestTick
    }

    /// The inverter is told low limits before the frames pause.
    @inline(never)
    private mutating func restart(at now: Instant) {
        engine.prepareStop(at: now, ports: &ports)
        if !engine.isReadyToStop(at: now) { return }
        engine.stop(at: now, ports: &ports)
        ports.board.restart()
    }

    @inline(never)
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

    @inline(never)
    private mutating func readConsole(at now: Instant) -> Bool {
        var count = 0
        while count < 64, let byte = ports.board.readConsole() {
            bytes[count] = byte
            count += 1
            if console.isQuestion(byte) {
                ports.beQuiet()
                StatusPage.write(engine, status, reset, to: &ports)
            }
        }
        if count == 0 { return false }
        engine.receivedLink(bytes.span.extracting(0..<count), at: now, ports: &ports)
        return true
    }

    /// `mutating`, and only stored properties are looked at: otherwise the compiler would copy the engine, which is large.
    private mutating func judge(_ bus: CANBusState) -> StatusLED.Code {
        if bus == .busOff || bus == .closed { return .busFault }
        if !engine.controller.output.mayTransmit { return .waiting }
        if engine.controller.output.stage == .lost { return .batteryLost }
        if engine.configuration.control.userCharge == 0 && engine.configuration.control.userDischarge == 0 {
            return .factory
        }
        return engine.seen.heartbeat[0] ? .good : .inverterSilent
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
