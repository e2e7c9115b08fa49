import Battery
import Glibc
import JKBMS
import LinuxIO

/// One way in which JK units were heard on a port.
struct Finding: Equatable {
    /// As the configuration calls it.
    var protocolName: String
    var baud: UInt32?
    /// Of the units that answered; empty for a protocol without addresses.
    var addresses: [UInt8] = []
    /// Somebody else asks the units, or a unit does: PackBridge must only listen.
    var isBusy = false
    var cells: Int?
    var packVoltage: Millivolts?
}

/// Finds out which JK protocol answers on a serial line. What it sends are reads and the trigger of a status record; nothing of it
/// changes anything in a unit. Where a master or another host is at work it sends nothing at all.
struct LineSearch {
    /// How long the line is only listened to: a master of a bus asks an address every 0.2 s.
    private static let listening: Milliseconds = 1000
    /// The whole cycle of a master takes 4.4 s.
    private static let masterCycle: Milliseconds = 5000

    private let port: SerialPort
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    /// Told while the search goes on, for a person who waits.
    private let report: (String) -> Void

    /// Searches at 115200 baud and, when nothing answers there, at 9600, the other rate that JK units know.
    ///
    /// - Throws: when the device cannot be opened or is taken away.
    static func search(_ path: String, report: @escaping (String) -> Void = { _ in }) throws(PortFailure) -> [Finding] {
        for baud in [UInt32(115_200), 9600] {
            report("\(path) at \(baud) baud")
            let search = LineSearch(port: SerialPort(path: path, baud: baud), report: report)
            defer { search.buffer.deallocate() }
            let found = try search.run()
            if !found.isEmpty { return found }
        }
        return []
    }

    private func run() throws(PortFailure) -> [Finding] {
        try port.open()
        defer { port.close() }
        if let busy = listen() { return [busy] }
        // The GPS connector exists at one rate only.
        if port.baud == 115_200, let gps = askGPS() { return [gps] }
        return [askRecords(), readRegisters()].compactMap { $0 }
    }

    // MARK: Steps

    /// Nil when the line is quiet.
    private func listen() -> Finding? {
        report("  listening")
        var stream = JKBusStream()
        var finding = Finding(protocolName: "jk-55aaeb90", baud: port.baud)
        var end = Instant.now + Self.listening
        while Instant.now < end {
            receive(for: 20) { bytes, now in
                forEachElement(of: &stream, bytes, now) { element, record in
                    switch element {
                    case .write:
                        if !finding.isBusy { end = Instant.now + Self.masterCycle }
                        finding.isBusy = true
                    case .acknowledgement(let address, let register) where register == 0x1620:
                        if !finding.isBusy { end = Instant.now + Self.masterCycle }
                        finding.isBusy = true
                        if !finding.addresses.contains(address) { finding.addresses.append(address) }
                    case .record: note(record, in: &finding)
                    default: break
                    }
                }
            }
        }
        finding.addresses.sort()
        return finding.isBusy ? finding : nil
    }

    private func askGPS() -> Finding? {
        report("  jk-4e57")
        var session = JK4E57Session(pace: PollPace(retries: 0))
        var line = SearchLine(port: port)
        _ = session.wake(at: .now, on: &line)
        let end = Instant.now + 700
        while line.reading == nil && Instant.now < end {
            receive(for: 20) { bytes, now in session.receive(bytes, at: now, on: &line) }
        }
        guard let reading = line.reading else { return nil }
        return Finding(
            protocolName: "jk-4e57", baud: port.baud, cells: reading.cells.count, packVoltage: reading.packVoltage)
    }

    /// Addresses 1 to 15: a unit with address 0 is a master and would have been heard.
    private func askRecords() -> Finding? {
        report("  jk-55aaeb90")
        var finding = Finding(protocolName: "jk-55aaeb90", baud: port.baud)
        for address in UInt8(1)...15 {
            var request = FrameBytes<11>()
            JK55AASession.encodeTrigger(.status, address: address, into: &request)
            request.withSpan { _ = port.transmit($0) }
            var stream = JKBusStream()
            var isThere = false
            // Records begin 35 to 50 ms after their trigger and take 26 ms, twelve times as long at 9600 baud.
            let end = Instant.now + (port.baud < 100_000 ? 600 : 200)
            while !isThere && Instant.now < end {
                receive(for: 10) { bytes, now in
                    forEachElement(of: &stream, bytes, now) { element, record in
                        if case .record = element { note(record, in: &finding) }
                        if element == .acknowledgement(address: address, register: 0x1620) { isThere = true }
                    }
                }
            }
            if isThere { finding.addresses.append(address) }
            // Units send stale bytes when they are asked again at once (jk-modbus.md §3.2).
            if isThere { receive(for: 100) { _, _ in } }
        }
        return finding.addresses.isEmpty ? nil : finding
    }

    /// Reads the cell mask, the average and the largest difference: seven words that every unit has.
    private func readRegisters() -> Finding? {
        report("  jk-modbus")
        var finding = Finding(protocolName: "jk-modbus", baud: port.baud)
        for address in UInt8(0)...15 {
            var request = JKModbus.Request()
            JKModbus.encodeRead(address: address, register: 0x1240, words: 4, into: &request)
            request.withSpan { _ = port.transmit($0) }
            var stream = JKBusStream()
            var isThere = false
            let end = Instant.now + 120
            while !isThere && Instant.now < end {
                receive(for: 10) { bytes, now in
                    forEachElement(of: &stream, bytes, now) { element, reply in
                        guard element == .readReply(address: address, byteCount: 8) else { return }
                        isThere = true
                        let mask = reply[3..<7].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                        if finding.addresses.isEmpty { finding.cells = mask.nonzeroBitCount }
                    }
                }
            }
            if isThere { finding.addresses.append(address) }
        }
        return finding.addresses.isEmpty ? nil : finding
    }

    // MARK: Bytes

    private func note(_ record: [UInt8], in finding: inout Finding) {
        var probes = JKProbes()
        var reading = PackReading()
        do throws(FrameRejection) {
            try JK55AA.decodeStatus(record.span, probes: &probes, into: &reading)
        } catch { return }
        (finding.cells, finding.packVoltage) = (reading.cells.count, reading.packVoltage)
    }

    /// Hands over what comes within `duration`.
    private func receive(for duration: Milliseconds, _ body: (Span<UInt8>, Instant) -> Void) {
        let end = Instant.now + duration
        repeat {
            let count = port.receive(into: buffer)
            if count > 0 {
                body(UnsafeRawBufferPointer(rebasing: buffer[..<count]).bindMemory(to: UInt8.self).span, .now)
            } else {
                usleep(1000)
            }
        } while Instant.now < end && port.isOpen
    }

    private func forEachElement(
        of stream: inout JKBusStream, _ bytes: Span<UInt8>, _ now: Instant, _ body: (JKBusStream.Element, [UInt8]) -> Void
    ) {
        var taken = 0
        repeat {
            taken += stream.take(bytes.extracting(taken..<bytes.count), at: now)
            while let (element, _, _) = stream.next(at: now) {
                body(element, stream.withElement { span in span.indices.map { span[$0] } })
            }
        } while taken < bytes.count
    }
}

/// Keeps the first reading; sends what the session sends.
private struct SearchLine: BMSLine {
    let port: SerialPort
    var reading: PackReading?

    init(port: SerialPort) {
        self.port = port
    }

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { JKPackMemory() }
        set {}
    }

    mutating func transmit(_ bytes: Span<UInt8>) { port.transmit(bytes) }
    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        self.reading = copy reading
    }
    mutating func rejected(_ reason: FrameRejection, at now: Instant) {}
    mutating func timedOut(_ address: UInt8, at now: Instant) {}
}
