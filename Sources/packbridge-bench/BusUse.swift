import Battery
import BridgeEngine
import JKBMS

/// How well 16 packs on one RS485 line of 115200 baud are polled: the part of the time in which bytes are on the wire. The line and its
/// units are played in microseconds; the session sees whole milliseconds, as in the gateway.
enum BusUse {
    static func figures() -> [Figure] {
        let modbus = run()
        return [
            Figure(name: "modbus_16_packs_line_use", value: modbus.use, unit: "%", target: .atLeast(90)),
            Figure(name: "modbus_16_packs_polls", value: modbus.polls, unit: "packs/s", target: .none),
            // What the microcontroller has to keep; it is the same there but for pointers.
            Figure(name: "engine_size", value: Double(MemoryLayout<Engine>.size), unit: "bytes", target: .none),
        ]
    }

    private static func run() -> (use: Double, polls: Double) {
        var addresses = FixedArray<16, UInt8>(filler: 0)
        for address in UInt8(0)..<16 { addresses.append(address) }
        var session = JKModbusSession(addresses: addresses, pace: PollPace(interval: 0))
        var line = Units()
        let end = 60_000_000
        var (clock, busy) = (0, 0)
        while clock < end {
            let next = session.wake(at: Instant(milliseconds: Int64(clock / 1000)), on: &line)
            guard let request = line.request else {
                clock = max(clock + 1, Int(next.milliseconds) * 1000)
                continue
            }
            line.request = nil
            let reply = line.reply(to: request)
            let wire = (request.count + reply.count) * 1_000_000 / 11_520
            // The shortest silence between request and reply that Modbus allows: 3.5 characters.
            clock += wire + 304
            busy += wire
            session.receive(reply.span, at: Instant(milliseconds: Int64(clock / 1000)), on: &line)
        }
        return (Double(busy) * 100 / Double(clock), Double(line.readings) * 1_000_000 / Double(clock))
    }

    /// Units that answer every read with a healthy pack's registers.
    private struct Units: BMSLine {
        var request: [UInt8]?
        var readings = 0
        private var memories = InlineArray<16, JKPackMemory>(repeating: JKPackMemory())

        subscript(memoryOf slot: Int) -> JKPackMemory {
            get { memories[slot] }
            set { memories[slot] = newValue }
        }

        mutating func transmit(_ bytes: Span<UInt8>) { request = bytes.indices.map { bytes[$0] } }
        mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) { readings += 1 }
        mutating func rejected(_ reason: FrameRejection, at now: Instant) { fatalError("rejected: \(reason)") }
        mutating func timedOut(_ address: UInt8, at now: Instant) { fatalError("no answer of \(address)") }

        func reply(to request: [UInt8]) -> [UInt8] {
            let words = Int(request[5])
            var reply = JKModbus.Request()
            JKModbus.encodeReadReply(
                address: request[0], data: [UInt8](repeating: 1, count: 2 * words).span, into: &reply)
            return (0..<reply.count).map { reply[$0] }
        }
    }
}
