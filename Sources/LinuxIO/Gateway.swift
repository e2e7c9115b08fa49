import Battery
import BridgeEngine
import CLinux
import Glibc
import InverterDialects

/// The control process: the engine between the serial lines, the CAN buses, the persisted record and the readers of Link.
///
/// One thread, one loop. Bytes of a BMS go into the engine and the frames that follow from them go out in the same turn.
/// Nothing is allocated after the start, and nothing is logged: what happens is told over Link.
public final class Gateway {
    private var engine: Engine
    private var ports: GatewayPorts
    private let loop: EventLoop
    private var notifier = ServiceNotifier()
    private var deadline = Instant(milliseconds: 0)
    private var configuration: GatewayConfiguration
    private let report: (String) -> Void
    /// Reads the configuration again.
    private let reload: (() throws -> GatewayConfiguration)?
    private var stopBegan: Instant?
    private var stopRequestsSeen = 0
    private var stopsAtOnce = false
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)

    /// A turn that begins this much too late says that the loop is not healthy (failsafe.md §7).
    private static let latestTurn: Milliseconds = 1500
    /// A second signal to stop means "at once", but Ctrl-C on a terminal reaches a process and its supervisor, who passes it on.
    private static let sameRequest: Milliseconds = 1000

    private enum Source: UInt64 {
        case serialLine, canBus, linkListener, linkReader

        func token(_ index: Int = 0) -> UInt64 { rawValue << 32 | UInt64(index) }
    }

    /// Opens everything. A device that cannot be opened is reported and tried again for ever; it may be plugged in later. A state
    /// folder or a Link socket that cannot be used is reported, too: the battery matters more than its history.
    ///
    /// - Parameters:
    ///   - reload: reads the configuration again on SIGHUP; nil: SIGHUP ends the process like SIGTERM.
    ///   - report: receives what a person should know.
    /// - Throws: when ports and engine do not fit together, or the kernel refuses the event loop.
    public init(
        _ configuration: GatewayConfiguration, handlesSignals: Bool = false,
        reload: (() throws -> GatewayConfiguration)? = nil, report: @escaping (String) -> Void
    ) throws(GatewayFailure) {
        if let problem = configuration.problem { throw .configuration(problem) }
        self.configuration = configuration
        self.reload = reload
        self.report = report
        do throws(PortFailure) { loop = try EventLoop(handlesSignals: handlesSignals, reloads: reload != nil) } catch {
            throw .port(error)
        }

        var record: PersistedRecord?
        var writer: RecordWriter?
        var link: LinkServer?
        do throws(PortFailure) {
            if let directory = configuration.stateDirectory {
                let file = try StateFile(directory: directory)
                record = file.image.flatMap { PersistedRecord(image: $0.span) }
                writer = try RecordWriter(file)
            }
        } catch { report("nothing is persisted: \(error)") }
        do throws(PortFailure) {
            if let path = configuration.linkSocket { link = try LinkServer(path: path) }
        } catch { report("nobody can watch: \(error)") }

        ports = GatewayPorts(configuration, link: link, writer: writer)
        let now = Instant.now
        engine = Engine(configuration: configuration.bridge, record: record, at: now)
        if let link { loop.watch(link.descriptor, token: Source.linkListener.token()) }
        ports.now = now
        // What comes over Link has no device that could be closed.
        for (port, address) in configuration.bmsLines.enumerated() where address == .link {
            engine.bmsPort(port, isOpen: true, at: now, ports: &ports)
        }
        openPorts(at: now)
    }

    deinit {
        buffer.deallocate()
    }

    /// Works until SIGTERM or SIGINT. Before it ends, limits come down to 0.1C, which takes up to 15 s; a second signal ends it at
    /// once (failsafe.md §5.6). SIGHUP reads the configuration again.
    public func run() {
        notifier.ready()
        while true {
            turn()
            let now = Instant.now
            if loop.takeReload() { reloadConfiguration(at: now) }
            if loop.stopRequests > stopRequestsSeen {
                stopRequestsSeen = loop.stopRequests
                requestStop(at: now)
            }
            if isStopped(at: now) { break }
        }
        finish()
    }

    /// Asks for a planned stop; asked again later, for one at once.
    public func requestStop(at now: Instant) {
        if let began = stopBegan {
            if now.since(began) >= Self.sameRequest { stopsAtOnce = true }
            return
        }
        stopBegan = now
        notifier.stopping()
        ports.now = now
        engine.prepareStop(at: now, ports: &ports)
        deadline = now
    }

    /// The stop that was asked for has come.
    public func isStopped(at now: Instant) -> Bool {
        stopBegan != nil && (stopsAtOnce || engine.isReadyToStop(at: now))
    }

    /// A changed configuration comes into force without a restart when it concerns the same devices and packs (failsafe.md §9). One
    /// that is refused changes nothing.
    private func reloadConfiguration(at now: Instant) {
        guard let reload else { return }
        do {
            let new = try reload()
            if new == configuration { return report("the configuration has not changed") }
            try apply(new, at: now)
            report("the new configuration is in force")
        } catch {
            report("the configuration stays as it was: \(error)")
        }
    }

    /// - Throws: why it cannot come into force while the process runs; then everything stays as it was.
    public func apply(_ new: GatewayConfiguration, at now: Instant) throws(GatewayFailure) {
        if let problem = new.problem { throw .configuration(problem) }
        var sameDevices = new
        sameDevices.bridge = configuration.bridge
        if sameDevices != configuration { throw .needsRestart }
        ports.now = now
        do throws(Engine.Refusal) { try engine.reconfigure(new.bridge, at: now, ports: &ports) } catch {
            switch error {
            case .invalid: throw .configuration("a value is out of its range")
            case .needsRestart: throw .needsRestart
            }
        }
        configuration = new
        deadline = now
    }

    /// Closes everything, the persisted record last.
    public func finish() {
        engine.stop(at: .now, ports: &ports)
        for line in ports.serials { line.serial.close() }
        for bus in ports.buses { bus.port.close() }
        ports.writer?.finish()
    }

    /// One turn of the loop: waits, at the latest until the engine wants to be called, and deals with what happened.
    public func turn() {
        loop.wait(until: deadline) { event in
            ports.now = .now
            handle(event)
        }
        let now = Instant.now
        let isHealthy = now.since(deadline) < Self.latestTurn
        ports.now = now
        reportLosses(at: now)
        openPorts(at: now, isQuiet: true)
        let wake = engine.wake(at: now, ports: &ports)
        deadline = min(wake, portDeadline(at: now))
        if let resumption = ports.link?.nextResumption { deadline = min(deadline, resumption) }
        watchWriting()
        if isHealthy { notifier.alive(at: now) }
    }

    // MARK: Events

    private func handle(_ event: EventLoop.Event) {
        let index = Int(event.token & 0xFFFF_FFFF)
        switch Source(rawValue: event.token >> 32) {
        case .serialLine: receive(serialLine: index)
        case .canBus:
            if event.isWritable { ports.buses[index].port.flush() }
            receive(canBus: index)
        case .linkListener: ports.link?.accept()
        case .linkReader:
            if event.isWritable { ports.link?.flush(reader: index) }
            ports.link?.receive(fromReader: index, at: ports.now) { message in
                engine.receivedLink(message, at: ports.now, ports: &ports)
            }
        case nil: preconditionFailure("a token that nobody gave")
        }
    }

    private func receive(canBus index: Int) {
        let bus = ports.buses[index]
        bus.port.receive(at: ports.now) { frame in
            for port in bus.enginePorts {
                switch bus.side {
                case .bms: engine.received(frame, onBMSPort: port, at: ports.now, ports: &ports)
                case .inverter: engine.received(frame, onInverterPort: port, at: ports.now, ports: &ports)
                }
            }
        }
    }

    private func receive(serialLine index: Int) {
        let line = ports.serials[index]
        // Bounded, so that one noisy line does not starve the others; epoll reports the rest again.
        for _ in 0..<4 {
            let count = line.serial.receive(into: buffer)
            if count == 0 { return }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self)
            switch line.side {
            case .bms: engine.received(bytes.span, onBMSPort: line.enginePort, at: ports.now, ports: &ports)
            case .inverter: engine.received(bytes.span, onInverterPort: line.enginePort, at: ports.now, ports: &ports)
            }
            // A read that does not fill the buffer has emptied the line, or epoll reports the rest.
            if count < buffer.count { return }
        }
    }

    /// Asks the loop to report when a device that holds bytes back takes some, and no longer when none are left.
    private func watchWriting() {
        for (index, bus) in ports.buses.enumerated() where bus.port.wantsToWrite != bus.watchesWriting {
            if bus.port.descriptor < 0 { continue }
            bus.watchesWriting = bus.port.wantsToWrite
            loop.watch(bus.port.descriptor, token: Source.canBus.token(index), writable: bus.watchesWriting)
        }
        ports.link?.updateWatching(at: ports.now, forget: loop.forget) { reader, descriptor, writable in
            loop.watch(descriptor, token: Source.linkReader.token(reader), writable: writable)
        }
    }

    // MARK: Devices that come and go

    /// Tells the engine what has become of the devices.
    private func reportLosses(at now: Instant) {
        for line in ports.serials where line.reportedOpen && !line.serial.isOpen {
            reportState(of: line, isOpen: false, at: now)
        }
        for (index, bus) in ports.buses.enumerated() {
            _ = bus.port.wake(at: now)
            // A log has no descriptor that could become readable: its frames come by time.
            if bus.port.descriptor < 0 { receive(canBus: index) }
            reportState(of: bus, at: now)
        }
    }

    private func reportState(of line: SerialDevice, isOpen: Bool, at now: Instant) {
        line.reportedOpen = isOpen
        switch line.side {
        case .bms: engine.bmsPort(line.enginePort, isOpen: isOpen, at: now, ports: &ports)
        case .inverter:
            engine.inverterPort(line.enginePort, state: isOpen ? .active : .closed, at: now, ports: &ports)
        }
    }

    private func reportState(of bus: CANDevice, at now: Instant) {
        if bus.port.state == bus.reportedState { return }
        bus.reportedState = bus.port.state
        for port in bus.enginePorts {
            switch bus.side {
            case .bms: engine.bmsPort(port, isOpen: bus.port.state != .closed, at: now, ports: &ports)
            case .inverter: engine.inverterPort(port, state: bus.port.state, at: now, ports: &ports)
            }
        }
    }

    /// Opens what is closed and due.
    private func openPorts(at now: Instant, isQuiet: Bool = false) {
        for (index, line) in ports.serials.enumerated() where !line.serial.isOpen && line.schedule.due <= now {
            do throws(PortFailure) {
                try line.serial.open()
                line.schedule.succeeded()
                loop.watch(line.serial.descriptor, token: Source.serialLine.token(index))
                reportState(of: line, isOpen: true, at: now)
            } catch {
                line.schedule.failed(at: now)
                if !isQuiet { report("\(error). Trying again") }
            }
        }
        for (index, bus) in ports.buses.enumerated() {
            if bus.isOpen && !isUsable(bus.port) {
                bus.isOpen = false
                bus.schedule.failed(at: now)
            }
            if bus.isOpen || bus.schedule.due > now { continue }
            do throws(PortFailure) {
                try bus.port.open(at: now)
                bus.isOpen = true
                bus.schedule.succeeded()
                bus.watchesWriting = false
                if bus.port.descriptor >= 0 { loop.watch(bus.port.descriptor, token: Source.canBus.token(index)) }
                reportState(of: bus, at: now)
            } catch {
                bus.schedule.failed(at: now)
                if !isQuiet { report("\(error). Trying again") }
            }
        }
    }

    /// An SLCAN adapter has a descriptor while it is being set up; a log has a state and no descriptor.
    private func isUsable(_ port: any CANPort) -> Bool {
        port.descriptor >= 0 || port.state != .closed
    }

    private func portDeadline(at now: Instant) -> Instant {
        var earliest = noDeadline
        for line in ports.serials {
            if line.reportedOpen != line.serial.isOpen { earliest = now }
            if !line.serial.isOpen { earliest = min(earliest, line.schedule.due) }
        }
        for bus in ports.buses {
            if bus.port.state != bus.reportedState { earliest = now }
            earliest = min(earliest, bus.isOpen ? bus.port.wake(at: now) : bus.schedule.due)
        }
        return max(earliest, now)
    }
}

/// Why the gateway does not start.
public enum GatewayFailure: Error, Equatable, CustomStringConvertible {
    case configuration(String)
    case port(PortFailure)
    /// The change concerns devices, packs or cells.
    case needsRestart

    public var description: String {
        switch self {
        case .configuration(let problem): "the configuration does not fit together: \(problem)"
        case .port(let failure): "\(failure)"
        case .needsRestart: "what has changed needs a restart of the control process"
        }
    }
}
