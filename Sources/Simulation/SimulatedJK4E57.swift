import Battery

/// The UART side of a simulated JK BMS: request bytes in, reply bytes out (jk-4e57.md).
///
/// It has its own encoder on purpose. The bridge's codec is what the simulation is to prove; a mistake made twice by the same code
/// would cancel itself out.
public struct SimulatedJK4E57: Sendable {
    /// The last reply, complete with its checksum.
    public private(set) var reply: [UInt8] = []
    /// The read-all reply; its changing fields are written in place, so that answering allocates nothing.
    private var image: [UInt8] = []
    private var at = Offsets()
    private var inbox: [UInt8] = []
    /// A sleeping BMS answers nothing but an activation (command 01).
    public var isAsleep = false
    public private(set) var requestsAnswered = 0

    private struct Offsets {
        var cells = 0, mosfet = 0, temperature1 = 0, temperature2 = 0, voltage = 0, current = 0, soc = 0, cycles = 0
        var throughput = 0, warnings = 0, status = 0, minutes = 0, settings = 0
    }

    /// The ids that carry settings, in the order and width in which they are sent from 0x8E on.
    private static let settingWidths: [(id: UInt8, width: Int)] = [
        (0x8E, 2), (0x8F, 2), (0x90, 2), (0x91, 2), (0x92, 2), (0x93, 2), (0x94, 2), (0x95, 2), (0x96, 2), (0x97, 2),
        (0x98, 2),
        (0x99, 2), (0x9A, 2), (0x9B, 2), (0x9C, 2), (0x9D, 1), (0x9E, 2), (0x9F, 2), (0xA0, 2), (0xA1, 2), (0xA2, 2),
        (0xA3, 2),
        (0xA4, 2), (0xA5, 2), (0xA6, 2), (0xA7, 2), (0xA8, 2), (0xA9, 1), (0xAA, 4), (0xAB, 1), (0xAC, 1),
    ]

    /// - Parameters:
    ///   - capacity: configured and learned capacity in Ah.
    ///   - chemistry: as id AF says it.
    public init(cells: Int, capacity: Int, chemistry: Chemistry, name: String = "SIM-PACK") {
        inbox.reserveCapacity(64)
        image.reserveCapacity(400)
        reply.reserveCapacity(400)
        // Start, length (set below), terminal 0, command, source BMS, transport "reply".
        image = [0x4E, 0x57, 0, 0, 0, 0, 0, 0, 0x06, 0x00, 0x01]
        image += [0x79, UInt8(3 * cells)]
        at.cells = image.count
        for index in 1...cells { image += [UInt8(index), 0, 0] }
        at.mosfet = append(0x80, 0, width: 2)
        at.temperature1 = append(0x81, 0, width: 2)
        at.temperature2 = append(0x82, 0, width: 2)
        at.voltage = append(0x83, 0, width: 2)
        at.current = append(0x84, 0, width: 2)
        at.soc = append(0x85, 0, width: 1)
        append(0x86, 2, width: 1)
        at.cycles = append(0x87, 0, width: 2)
        at.throughput = append(0x89, 0, width: 4)
        append(0x8A, UInt32(cells), width: 2)
        at.warnings = append(0x8B, 0, width: 2)
        at.status = append(0x8C, 0, width: 2)
        at.settings = image.count
        for (id, width) in Self.settingWidths {
            append(id, id == 0xA9 ? UInt32(cells) : id == 0xAA ? UInt32(capacity) : 0, width: width)
        }
        append(0xAD, 1005, width: 2)
        append(0xAE, 1, width: 1)
        append(0xAF, UInt32(chemistry.rawValue), width: 1)
        append(0xB0, 10, width: 2)
        append(0xB1, 5, width: 1)
        append(0xB2, text: "123456", width: 10)
        append(0xB3, 0, width: 1)
        append(0xB4, text: name, width: 8)
        append(0xB5, text: "2601", width: 4)
        at.minutes = append(0xB6, 0, width: 4)
        append(0xB7, text: "11.XW_S11.262H_", width: 15)
        append(0xB8, 0, width: 1)
        append(0xB9, UInt32(capacity), width: 4)
        append(0xBA, text: name, width: 24)
        append(0xC0, 1, width: 1)
        // Record number, end mark, unused CRC, sum.
        image += [0, 0, 0, 0, 0x68, 0, 0, 0, 0]
        image[2] = UInt8(truncatingIfNeeded: (image.count - 2) >> 8)
        image[3] = UInt8(truncatingIfNeeded: image.count - 2)
    }

    /// Length of the read-all reply in bytes.
    public var replyLength: Int { image.count }

    @discardableResult
    private mutating func append(_ id: UInt8, _ value: UInt32, width: Int) -> Int {
        image.append(id)
        let offset = image.count
        for i in 0..<width { image.append(UInt8(truncatingIfNeeded: value >> UInt32(8 * (width - 1 - i)))) }
        return offset
    }

    private mutating func append(_ id: UInt8, text: String, width: Int) {
        image.append(id)
        let bytes = Array(text.utf8.prefix(width))
        image += bytes
        image += Array(repeating: 0, count: width - bytes.count)
    }

    /// Bytes from the bridge. Returns true when they completed a request that `reply` now answers.
    ///
    /// - Parameter measurement: what the BMS measures now; asked for only when a request needs it.
    public mutating func receive(_ bytes: Span<UInt8>, measurement: () -> PackMeasurement) -> Bool {
        for i in bytes.indices {
            if inbox.count >= 64 { inbox.removeAll(keepingCapacity: true) }
            inbox.append(bytes[i])
        }
        var answered = false
        while let command = takeRequest() {
            if isAsleep && command.code != 0x01 { continue }
            switch (command.code, command.id) {
            case (0x01, _):
                isAsleep = false
                compose(command: 0x01, body: [])
            case (0x06, _), (0x03, 0x00):
                write(measurement())
                image[8] = command.code
                seal(&image)
                reply.removeAll(keepingCapacity: true)
                reply.append(contentsOf: image)
            case (0x03, let id):
                write(measurement())
                guard let item = item(id) else { continue }
                compose(command: 0x03, body: Array(item))
            default:
                continue
            }
            requestsAnswered += 1
            answered = true
        }
        return answered
    }

    /// A complete reply for `measurement`, without a request.
    public mutating func encode(_ measurement: PackMeasurement) {
        write(measurement)
        image[8] = 0x06
        seal(&image)
        reply.removeAll(keepingCapacity: true)
        reply.append(contentsOf: image)
    }

    /// Takes the first whole request out of the inbox; drops one byte at a time until something looks like one.
    private mutating func takeRequest() -> (code: UInt8, id: UInt8)? {
        while inbox.count >= 4 {
            let total = Int(inbox[2]) << 8 + Int(inbox[3]) + 2
            if inbox[0] == 0x4E && inbox[1] == 0x57 && total >= 20 && total <= 64 {
                if inbox.count < total { return nil }
                var sum = 0
                for i in 0..<(total - 4) { sum += Int(inbox[i]) }
                let given = Int(inbox[total - 2]) << 8 + Int(inbox[total - 1])
                if sum & 0xFFFF == given && inbox[total - 5] == 0x68 && inbox[10] == 0 {
                    let request = (code: inbox[8], id: total >= 21 ? inbox[11] : 0)
                    inbox.removeFirst(total)
                    return request
                }
            }
            inbox.removeFirst()
        }
        return nil
    }

    private func item(_ id: UInt8) -> ArraySlice<UInt8>? {
        if id == 0x79 { return image[11..<at.mosfet - 1] }
        let known: [(UInt8, Int, Int)] =
            [
                (0x80, at.mosfet, 2), (0x81, at.temperature1, 2), (0x82, at.temperature2, 2), (0x83, at.voltage, 2),
                (0x84, at.current, 2), (0x85, at.soc, 1), (0x8B, at.warnings, 2), (0x8C, at.status, 2),
            ]
        for (candidate, offset, width) in known where candidate == id { return image[(offset - 1)..<(offset + width)] }
        return nil
    }

    private mutating func compose(command: UInt8, body: [UInt8]) {
        reply.removeAll(keepingCapacity: true)
        reply += [0x4E, 0x57, 0, UInt8(18 + body.count), 0, 0, 0, 0, command, 0x00, 0x01]
        reply += body
        reply += [0, 0, 0, 0, 0x68, 0, 0, 0, 0]
        seal(&reply)
    }

    /// Writes the sum of all bytes up to the end mark into the last two.
    private func seal(_ frame: inout [UInt8]) {
        Self.seal(&frame)
    }

    /// Makes the checksum of a frame right again, for example after a fault changed its content.
    public static func seal(_ frame: inout [UInt8]) {
        let end = frame.count - 4
        frame.withUnsafeMutableBufferPointer { bytes in
            var sum: UInt32 = 0
            for i in 0..<end { sum &+= UInt32(bytes[i]) }
            bytes[end + 2] = UInt8(truncatingIfNeeded: sum >> 8)
            bytes[end + 3] = UInt8(truncatingIfNeeded: sum)
        }
    }

    private mutating func write(_ m: PackMeasurement) {
        let at = self.at
        let s = m.settings
        image.withUnsafeMutableBufferPointer { bytes in
            func put16(_ value: Int32, _ offset: Int) {
                bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
                bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
            }
            func put32(_ value: UInt32, _ offset: Int) {
                put16(Int32(value >> 16), offset)
                put16(Int32(value & 0xFFFF), offset + 2)
            }
            for i in 0..<m.cellCount { put16(Int32(m.millivolts[i]), at.cells + 3 * i + 1) }
            put16(Self.code(ofTemperature: m.mosfet), at.mosfet)
            put16(Self.code(ofTemperature: m.temperature1), at.temperature1)
            put16(Self.code(ofTemperature: m.temperature2), at.temperature2)
            put16(Int32(m.packCentivolts), at.voltage)
            put16(m.centiamps >= 0 ? m.centiamps | 0x8000 : -m.centiamps, at.current)
            bytes[at.soc] = m.soc
            put16(Int32(m.cycles), at.cycles)
            put32(m.throughput, at.throughput)
            put16(Int32(m.warnings.rawValue), at.warnings)
            put16((m.chargeSwitch ? 1 : 0) | (m.dischargeSwitch ? 2 : 0) | (m.balancing ? 4 : 0), at.status)
            put32(m.minutes, at.minutes)

            // From 0x8E on, two bytes of value after each id, except where the width is 1 or 4.
            let n = Int32(m.cellCount)
            var offset = at.settings + 1
            func next(_ value: Int32) {
                put16(value, offset)
                offset += 3
            }
            func next(flag: Bool) {
                bytes[offset] = flag ? 1 : 0
                offset += 2
            }
            next(n * s.cellOverVoltage / 10)
            next(n * s.cellUnderVoltage / 10)
            next(s.cellOverVoltage)
            next(s.cellOverVoltageRelease)
            next(s.overVoltageDelay)
            next(s.cellUnderVoltage)
            next(s.cellUnderVoltageRelease)
            next(s.underVoltageDelay)
            next(300)
            next(s.dischargeOverCurrent)
            next(s.dischargeOverCurrentDelay)
            next(s.chargeOverCurrent)
            next(s.chargeOverCurrentDelay)
            next(s.balanceStart)
            next(s.balanceTrigger)
            next(flag: s.balancerEnabled)
            next(s.mosfetOverTemperature)
            next(s.mosfetOverTemperature - 15)
            next(100)
            next(90)
            next(20)
            next(s.chargeOverTemperature)
            next(s.dischargeOverTemperature)
            next(s.chargeUnderTemperature)
            next(s.chargeUnderTemperatureRelease)
            next(s.dischargeUnderTemperature)
            next(s.dischargeUnderTemperature + 5)
            offset += 2 + 5
            next(flag: s.chargeAllowed)
            next(flag: s.dischargeAllowed)
        }
    }

    /// 0...99 as such, below zero counted from 100 (101 = −1), as the vendor writes it (jk-4e57.md §5.1). A broken sensor sends
    /// a code outside 0...140.
    private static func code(ofTemperature degrees: Int32?) -> Int32 {
        guard let degrees else { return 0xFFFF }
        return degrees >= 0 ? min(degrees, 99) : 100 + min(-degrees, 40)
    }
}
