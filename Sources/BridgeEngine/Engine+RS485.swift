import Battery
import ChargeControl
import InverterDialects
import JKBMS

extension Engine {
    /// Bytes from an inverter that asks over RS485. Only the last request among them is answered: the inverter has given up those
    /// before it, and an answer now would collide.
    public mutating func received<Ports: EnginePorts>(
        _ bytes: Span<UInt8>, onInverterPort port: Int, at now: Instant, ports: inout Ports
    ) {
        guard let settings = inverterPorts[port].configuration.rs485 else { return }
        responders[port].settings = settings
        var request: PylontechRequestTelegram?
        for i in bytes.indices {
            if let heard = responders[port].feed(bytes[i]) { request = heard }
        }
        guard let request else { return }
        inverterPorts[port].noteRequest(at: now)
        noteHeartbeat(port, at: now, ports: &ports)
        // After a pause of the process the report may say more than is true by now.
        if isReportOld(at: now) { evaluate(at: now, ports: &ports) }
        if controller.output.mayTransmit { answer(request, port, at: now, ports: &ports) }
    }

    private mutating func answer<Ports: EnginePorts>(
        _ request: PylontechRequestTelegram, _ port: Int, at now: Instant, ports: inout Ports
    ) {
        let report = inverterPorts[port].part(of: controller.output.report)
        let count = configuration.control.packs.count
        let tellable = tellablePacks(at: now)
        inverterPorts[port].noteAnswer()
        let responder = responders[port]
        withUnsafeMutablePointer(to: &readings) { readings in
            withUnsafeMutablePointer(to: &ports) { ports in
                var telegram = TelegramOut(ports: ports, port: port)
                responder.answer(
                    request, report, TellablePacks(packCount: count, mask: tellable, readings: readings), to: &telegram)
                telegram.flush()
            }
        }
    }

    /// The packs whose last reading was accepted and is younger than T_zero, one bit each.
    private func tellablePacks(at now: Instant) -> UInt16 {
        var mask: UInt16 = 0
        for pack in 0..<controller.output.packs.count {
            guard let at = readings[pack].at else { continue }
            let acceptedAge = controller.output.packs[pack].age + now.since(lastEvaluation)
            let isAccepted = controller.output.packs[pack].age >= 0 && now.since(at) >= acceptedAge
            if isAccepted && acceptedAge <= configuration.control.zero { mask |= 1 << UInt16(pack) }
        }
        return mask
    }
}

/// The packs that an answer may speak of. Points into the engine for the time of one answer.
private struct TellablePacks: PackReadings {
    let packCount: Int
    let mask: UInt16
    let readings: UnsafeMutablePointer<PerPack<LastReading>>

    func reading(ofPack index: Int) -> PackReading? {
        mask >> UInt16(index) & 1 != 0 ? readings.pointee[index].reading : nil
    }
}

/// Hands an answer to the port in pieces, so that no telegram of four thousand characters needs a place.
private struct TelegramOut<Ports: EnginePorts>: TextSink {
    let ports: UnsafeMutablePointer<Ports>
    let port: Int
    private var bytes = FrameBytes<128>()

    init(ports: UnsafeMutablePointer<Ports>, port: Int) {
        self.ports = ports
        self.port = port
    }

    mutating func write(_ byte: UInt8) {
        bytes.append(byte)
        if bytes.count == 128 { flush() }
    }

    mutating func flush() {
        if bytes.count == 0 { return }
        bytes.withSpan { ports.pointee.transmit($0, onInverterPort: port) }
        bytes.removeAll()
    }
}
