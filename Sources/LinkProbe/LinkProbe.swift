import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import ProbeBoard

/// The whole engine behind one entry point, linked for riscv32 without an allocator (`make embedded-check`).
///
/// It is never run. Everything that the engine can do is reachable from here, so an allocation anywhere in the core leaves
/// `posix_memalign` undefined and the link fails.
@main
struct LinkProbe {
    static func main() {
        var ports = ProbePorts()
        var now = Instant(milliseconds: Milliseconds(probe_read()))
        var engine = Engine(configuration: configuration(), record: record(), at: now)
        while true {
            now = now + Milliseconds(probe_read())
            let port = Int(probe_read() & 1)
            var bytes = InlineArray<64, UInt8>(repeating: 0)
            for i in 0..<64 { bytes[i] = UInt8(truncatingIfNeeded: probe_read()) }
            switch probe_read() {
            case 0: engine.received(bytes.span, onBMSPort: port, at: now, ports: &ports)
            case 1: engine.received(frame(), onInverterPort: port, at: now, ports: &ports)
            case 2: engine.bmsPort(port, isOpen: probe_read() == 0, at: now, ports: &ports)
            case 3:
                guard let state = CANBusState(rawValue: UInt8(truncatingIfNeeded: probe_read())) else { continue }
                engine.inverterPort(port, state: state, at: now, ports: &ports)
            case 4: engine.receivedLink(bytes.span, at: now, ports: &ports)
            case 5: dialects()
            case 6: engine.received(frame(), onBMSPort: port, at: now, ports: &ports)
            case 7: engine.received(bytes.span, onInverterPort: port, at: now, ports: &ports)
            default: probe_write(UInt32(truncatingIfNeeded: engine.wake(at: now, ports: &ports).since(now)))
            }
        }
    }

    /// What the engine does not reach: the decoder of the dialects and the RS485 answers.
    private static func dialects() {
        let frame = frame()
        DialectName(rawValue: UInt8(truncatingIfNeeded: probe_read()))?.signals { signal in
            var text = ProbeText()
            if let raw = signal.raw(in: frame) { signal.writeValue(raw, to: &text) }
        }
        var responder = PylontechRS485Responder()
        var line = ProbeText()
        for _ in 0..<64 {
            guard let request = responder.feed(UInt8(truncatingIfNeeded: probe_read())) else { continue }
            responder.answer(request, BankReport(), ProbePacks(), to: &line)
        }
    }

    private static func configuration() -> BridgeConfiguration {
        let chemistry = Chemistry(rawValue: UInt8(truncatingIfNeeded: probe_read())) ?? .lfp
        var control = ControlConfiguration(chemistry: chemistry)
        for _ in 0..<(probe_read() & 15) { control.packs.append(PackConfiguration()) }
        var bridge = BridgeConfiguration(control: control)
        for _ in 0..<(probe_read() & 15) {
            var port = BMSPortConfiguration()
            port.bmsProtocol = BMSProtocolName(rawValue: UInt8(truncatingIfNeeded: probe_read())) ?? .jk4E57
            bridge.bmsPorts.append(port)
        }
        for _ in 0..<(probe_read() & 1) {
            var port = InverterPortConfiguration()
            if probe_read() == 0 { port.rs485 = PylontechRS485Settings() }
            port.dialect = DialectName(rawValue: UInt8(truncatingIfNeeded: probe_read())) ?? .pylontech
            bridge.inverterPorts.append(port)
        }
        return bridge
    }

    private static func record() -> PersistedRecord? {
        var image = InlineArray<64, UInt8>(repeating: 0)
        for i in 0..<64 { image[i] = UInt8(truncatingIfNeeded: probe_read()) }
        return PersistedRecord(image: image.span)
    }

    private static func frame() -> CANFrame {
        CANFrame(id: probe_read(), length: UInt8(probe_read() & 7), word: UInt64(probe_read()))
    }
}

/// Ports that write everything to the probe's one register.
struct ProbePorts: EnginePorts {
    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) { write(bytes) }

    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        probe_write(frame.id)
        probe_write(UInt32(truncatingIfNeeded: frame.word))
        return CANSendResult(rawValue: UInt8(truncatingIfNeeded: probe_read())) ?? .down
    }

    mutating func restartBus(inverterPort port: Int) { probe_write(UInt32(port)) }
    mutating func reopen(bmsPort port: Int) { probe_write(UInt32(port)) }
    mutating func publish(_ message: Span<UInt8>) { write(message) }
    mutating func persist(_ image: Span<UInt8>) { write(image) }

    private func write(_ bytes: Span<UInt8>) {
        for i in 0..<bytes.count { probe_write(UInt32(bytes[i])) }
    }
}

struct ProbeText: TextSink {
    mutating func write(_ byte: UInt8) { probe_write(UInt32(byte)) }
}

struct ProbePacks: PackReadings {
    var packCount: Int { Int(probe_read() & 15) }

    func reading(ofPack index: Int) -> PackReading? {
        var reading = PackReading()
        for _ in 0..<(probe_read() & 31) { reading.cells.append(UInt16(truncatingIfNeeded: probe_read())) }
        return reading
    }
}
