/// An RS485 bus with simulated JK units on it, which answer both languages that such a bus carries: reads of registers (function 03) and
/// the triggers of records (function 10 to 0x161C, 0x161E, 0x1620; jk-modbus.md §3).
///
/// With a unit of address 0 the bus has a master, which scans the others and tells its own records without being asked.
public struct SimulatedJKBus: Sendable {
    /// Bytes on the wire, and how long after the request they begin.
    public struct Answer: Equatable, Sendable {
        public var delay: Int64
        public var bytes: [UInt8]
    }

    public private(set) var requestsAnswered = 0
    private var units: [(address: UInt8, registers: SimulatedJKRegisters)]
    private var inbox: [UInt8] = []
    private var scan = Scan()

    /// Where the master is in its cycle: addresses 1 to 15, then itself.
    private struct Scan {
        var next: UInt8 = 1
        var asksSettings = false
        var due: Int64 = 0
    }

    /// Records begin 35 ms after their trigger, register replies after a few milliseconds.
    private static let recordDelay: Int64 = 35
    private static let replyDelay: Int64 = 2
    /// How long the master waits for an address that does not answer.
    private static let scanTimeout: Int64 = 220

    public init(addresses: [UInt8]) {
        units = addresses.map { ($0, SimulatedJKRegisters(address: $0)) }
        inbox.reserveCapacity(300)
    }

    public var hasMaster: Bool { units.contains { $0.address == 0 } }

    /// Bytes from the bridge.
    ///
    /// - Parameter measure: what the unit with that index measures now; nil while it is silent.
    public mutating func receive(_ bytes: Span<UInt8>, measure: (Int) -> PackMeasurement?) -> [Answer] {
        for i in bytes.indices { inbox.append(bytes[i]) }
        var answers: [Answer] = []
        while let request = takeRequest() {
            guard let index = units.firstIndex(where: { $0.address == request[0] }), let m = measure(index) else {
                continue
            }
            units[index].registers.update(m)
            requestsAnswered += 1
            answers.append(answer(request, index))
        }
        return answers
    }

    /// The next telegrams of the master; nil when none is due.
    public mutating func masterTraffic(at now: Int64, measure: (Int) -> PackMeasurement?) -> [UInt8]? {
        guard hasMaster, now >= scan.due else { return nil }
        if scan.next > 15 {
            scan.next = 1
            scan.due = now + 200
            guard let index = units.firstIndex(where: { $0.address == 0 }), let m = measure(index) else { return nil }
            units[index].registers.update(m)
            return told(index, 0x20) + told(index, 0x1E)
        }
        let register: UInt8 = scan.asksSettings ? 0x1E : 0x20
        let address = scan.next
        let request = withCRC([address, 0x10, 0x16, register, 0, 1, 2, 0, 0])
        guard let index = units.firstIndex(where: { $0.address == address }), let m = measure(index) else {
            scan = Scan(next: address + 1, due: now + Self.scanTimeout)
            return request
        }
        units[index].registers.update(m)
        scan = Scan(next: scan.asksSettings ? address + 1 : address, asksSettings: !scan.asksSettings, due: now + 150)
        return request + told(index, register)
    }

    private mutating func answer(_ request: [UInt8], _ index: Int) -> Answer {
        let address = units[index].address
        if request[1] == 0x10 {
            return Answer(delay: Self.recordDelay, bytes: told(index, request[3]))
        }
        let count = Int(request[4]) << 8 | Int(request[5])
        guard count <= 125,
            let words = units[index].registers.words(from: UInt16(request[2]) << 8 | UInt16(request[3]), count: count)
        else {
            return Answer(delay: Self.replyDelay, bytes: withCRC([address, 0x83, 0x02]))
        }
        return Answer(delay: Self.replyDelay, bytes: withCRC([address, 0x03, UInt8(2 * count)] + words))
    }

    /// A record and the acknowledgement behind it.
    private mutating func told(_ index: Int, _ register: UInt8) -> [UInt8] {
        let kind: UInt8 = register == 0x1E ? 1 : register == 0x20 ? 2 : 3
        return units[index].registers.record(kind) + withCRC([units[index].address, 0x10, 0x16, register, 0, 1])
    }

    /// The first whole request in the inbox. What begins none is dropped.
    private mutating func takeRequest() -> [UInt8]? {
        while inbox.count >= 8 {
            let length = inbox[1] == 0x10 ? 11 : 8
            if inbox[1] == 0x10 || inbox[1] == 0x03 {
                if inbox.count < length { return nil }
                let request = Array(inbox.prefix(length))
                let isTrigger = request[2] == 0x16 && [0x1C, 0x1E, 0x20].contains(request[3])
                if withCRC(Array(request.dropLast(2))) == request && (request[1] == 0x03 || isTrigger) {
                    inbox.removeFirst(length)
                    return request
                }
            }
            inbox.removeFirst()
        }
        return nil
    }

    private func withCRC(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt16 = 0xFFFF
        for byte in bytes {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        return bytes + [UInt8(crc & 0xFF), UInt8(crc >> 8)]
    }
}
