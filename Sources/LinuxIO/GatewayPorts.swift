import Battery
import BridgeEngine
import InverterDialects

/// When a lost device is tried again: after 0.25, 0.5, 1, 2 s, then every 2 s. Trying costs a few microseconds, and a bus that is healthy
/// again must carry a set within 3 s (amendment 13), so there is no reason to wait longer.
struct ReopenSchedule {
    private var delay: Milliseconds = 250
    private(set) var due = Instant(milliseconds: 0)
    private let longestDelay: Milliseconds

    init(longestDelay: Milliseconds = 2000) {
        self.longestDelay = longestDelay
    }

    mutating func failed(at now: Instant) {
        due = now + delay
        delay = min(longestDelay, delay * 2)
    }

    mutating func succeeded() {
        delay = 250
        due = Instant(milliseconds: 0)
    }
}

/// Whose device it is, and the engine's numbers of the ports behind it.
enum EngineSide {
    case bms, inverter
}

/// A serial line and what the engine was told of it.
final class SerialDevice {
    let serial: SerialPort
    let side: EngineSide
    let enginePort: Int
    var schedule = ReopenSchedule()
    var reportedOpen = false

    init(_ line: SerialLineConfiguration, _ side: EngineSide, port: Int) {
        serial = SerialPort(path: line.path, baud: line.baud)
        self.side = side
        enginePort = port
    }
}

/// A CAN bus and what the engine was told of it. On the bus of a BMS there may be several units, each a port of the engine.
final class CANDevice {
    let address: CANAddress
    let port: any CANPort
    let side: EngineSide
    var enginePorts: [Int]
    var schedule = ReopenSchedule(longestDelay: 1000)
    var reportedState = CANBusState.closed
    var isOpen = false
    var watchesWriting = false

    init(_ address: CANAddress, _ side: EngineSide, port: Int) {
        self.address = address
        self.port = address.makePort()
        self.side = side
        enginePorts = [port]
    }
}

/// Where the engine's actions go. Nothing here calls the engine back; what a device's failure means for it is told afterwards.
final class GatewayPorts: EnginePorts {
    private(set) var serials: [SerialDevice] = []
    private(set) var buses: [CANDevice] = []
    /// By the engine's number of the port: the line or the bus that it is.
    private var bmsLines: [SerialDevice?] = []
    private var bmsBuses: [CANDevice?] = []
    private var inverterLines: [SerialDevice?] = []
    private var inverterBuses: [CANDevice?] = []
    let link: LinkServer?
    let writer: RecordWriter?
    /// The instant that the engine was given.
    var now = Instant(milliseconds: 0)

    init(_ configuration: GatewayConfiguration, link: LinkServer?, writer: RecordWriter?) {
        self.link = link
        self.writer = writer
        for (port, address) in configuration.bmsLines.enumerated() {
            switch address {
            case .link:
                bmsLines.append(nil)
                bmsBuses.append(nil)
            case .serial(let line): add(SerialDevice(line, .bms, port: port), to: &bmsLines, &bmsBuses)
            case .can(let bus):
                if let shared = bmsBuses.first(where: { $0?.address == bus }), let shared {
                    shared.enginePorts.append(port)
                    bmsBuses.append(shared)
                    bmsLines.append(nil)
                } else {
                    add(CANDevice(bus, .bms, port: port), to: &bmsBuses, &bmsLines)
                }
            }
        }
        for (port, address) in configuration.inverterBuses.enumerated() {
            switch address {
            case .can(let bus): add(CANDevice(bus, .inverter, port: port), to: &inverterBuses, &inverterLines)
            case .rs485(let line):
                add(SerialDevice(line, .inverter, port: port), to: &inverterLines, &inverterBuses)
            }
        }
    }

    private func add(_ device: SerialDevice, to lines: inout [SerialDevice?], _ others: inout [CANDevice?]) {
        serials.append(device)
        lines.append(device)
        others.append(nil)
    }

    private func add(_ device: CANDevice, to buses: inout [CANDevice?], _ others: inout [SerialDevice?]) {
        self.buses.append(device)
        buses.append(device)
        others.append(nil)
    }

    func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        bmsLines[port]?.serial.transmit(bytes)
    }

    func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        inverterBuses[port]?.port.transmit(frame, at: now) ?? .down
    }

    func transmit(_ bytes: Span<UInt8>, onInverterPort port: Int) {
        inverterLines[port]?.serial.transmit(bytes)
    }

    func restartBus(inverterPort port: Int) {
        inverterBuses[port]?.port.restart(at: now)
    }

    func reopen(bmsPort port: Int) {
        bmsLines[port]?.serial.close()
        guard let bus = bmsBuses[port]?.port else { return }
        // Opening it again would not end bus-off.
        if bus.state == .busOff { bus.restart(at: now) } else { bus.close() }
    }

    var hasReader: Bool { link.map { $0.readerCount > 0 } ?? false }

    func publish(_ message: Span<UInt8>) {
        link?.publish(message)
    }

    func persist(_ image: Span<UInt8>) {
        writer?.write(image)
    }
}
