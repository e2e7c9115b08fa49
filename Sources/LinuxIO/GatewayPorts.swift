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

/// A serial line and what the engine was told of it.
final class BMSLinePort {
    let serial: SerialPort
    var schedule = ReopenSchedule()
    var reportedOpen = false

    init(_ configuration: SerialLineConfiguration) {
        serial = SerialPort(path: configuration.path, baud: configuration.baud)
    }
}

/// A CAN bus and what the engine was told of it.
final class InverterBusPort {
    let port: any CANPort
    var schedule = ReopenSchedule(longestDelay: 1000)
    var reportedState = CANBusState.closed
    var isOpen = false
    var watchesWriting = false

    init(_ address: CANAddress) {
        port = address.makePort()
    }
}

/// Where the engine's actions go. Nothing here calls the engine back; what a device's failure means for it is told afterwards.
final class GatewayPorts: EnginePorts {
    let lines: [BMSLinePort]
    let buses: [InverterBusPort]
    let link: LinkServer?
    let writer: RecordWriter?
    /// The instant that the engine was given.
    var now = Instant(milliseconds: 0)

    init(lines: [BMSLinePort], buses: [InverterBusPort], link: LinkServer?, writer: RecordWriter?) {
        self.lines = lines
        self.buses = buses
        self.link = link
        self.writer = writer
    }

    func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        lines[port].serial.transmit(bytes)
    }

    func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        buses[port].port.transmit(frame, at: now)
    }

    func restartBus(inverterPort port: Int) {
        buses[port].port.restart(at: now)
    }

    func reopen(bmsPort port: Int) {
        lines[port].serial.close()
    }

    var hasReader: Bool { link.map { $0.readerCount > 0 } ?? false }

    func publish(_ message: Span<UInt8>) {
        link?.publish(message)
    }

    func persist(_ image: Span<UInt8>) {
        writer?.write(image)
    }
}
