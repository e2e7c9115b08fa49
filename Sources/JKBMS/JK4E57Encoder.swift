import Battery

/// Builders for frames. The session uses only `encodeReadAll`: nothing in PackBridge writes to a BMS unless the configuration
/// opts in, and no capture of an acknowledged write exists (§6). Replies are for the simulator.
extension JK4E57 {
    /// Asks for the whole table.
    public static func encodeReadAll<let room: Int>(source: Source = .pc, into frame: inout FrameBytes<room>) {
        begin(&frame, .readAll, source, .request)
        frame.append(0)
        finish(&frame)
    }

    /// Asks for one identifier.
    public static func encodeRead(_ id: Identifier, source: Source = .pc, into frame: inout Frame) {
        begin(&frame, .read, source, .request)
        frame.append(id.rawValue)
        finish(&frame)
    }

    /// Wakes a sleeping BMS. Vendor text, never captured.
    public static func encodeActivate(source: Source = .pc, into frame: inout Frame) {
        begin(&frame, .activate, source, .request)
        frame.append(0)
        finish(&frame)
    }

    /// Writes one number, as on the wire, in the identifier's width.
    public static func encodeWrite(_ id: Identifier, raw: UInt32, source: Source = .pc, into frame: inout Frame) {
        precondition(id.layout.measure != .text && id.layout.width > 0)
        begin(&frame, .write, source, .request)
        frame.append(id.rawValue)
        frame.append(bigEndian: raw, width: Int(id.layout.width))
        finish(&frame)
    }

    /// The password that comes before a write: identifier B2 with its text, padded with zeros to 10 bytes. Vendor text; whether the
    /// BMS wants it is not known (§6).
    public static func encodePassword(_ password: Span<UInt8>, source: Source = .pc, into frame: inout Frame) {
        begin(&frame, .password, source, .request)
        frame.append(Identifier.passcode.rawValue)
        for i in 0..<Int(Identifier.passcode.layout.width) { frame.append(i < password.count ? password[i] : 0) }
        finish(&frame)
    }

    /// A reply as a BMS sends it: the header of `report`, then every field it carries in the order of all captured replies: 79, then
    /// 80 to BF ascending, then C0. A complete capture comes out byte for byte.
    public static func encodeReply(_ report: Report, into frame: inout Frame) {
        begin(&frame, report.command, report.source, report.transport, terminal: report.terminal)
        if !report.cells.isEmpty {
            frame.append(Identifier.cellVoltages.rawValue)
            frame.append(UInt8(3 * report.cells.count))
            for i in 0..<report.cells.count {
                frame.append(UInt8(i + 1))
                frame.append(bigEndian: UInt32(report.cells[i]), width: 2)
            }
        }
        for code in Identifier.mosfetTemperature.rawValue..<Identifier.protocolVersion.rawValue {
            guard report.present & bit(code) != 0, let id = Identifier(rawValue: code) else { continue }
            frame.append(code)
            let width = Int(id.layout.width)
            if id.layout.measure == .text {
                let offset = textOffset(code)
                for i in 0..<width { frame.append(report.texts[offset + i]) }
            } else {
                frame.append(bigEndian: report.words[Int(code & 0x3F)], width: width)
            }
        }
        if report.hasVersion {
            frame.append(Identifier.protocolVersion.rawValue)
            frame.append(report.version)
        }
        finish(&frame, record: report.record)
    }

    private static func begin<let room: Int>(
        _ frame: inout FrameBytes<room>, _ command: Command, _ source: Source, _ transport: Transport
    ) {
        begin(&frame, command.rawValue, source.rawValue, transport.rawValue, terminal: 0)
    }

    private static func begin<let room: Int>(
        _ frame: inout FrameBytes<room>, _ command: UInt8, _ source: UInt8, _ transport: UInt8, terminal: UInt32
    ) {
        frame.removeAll()
        frame.append(start.0)
        frame.append(start.1)
        frame.append(bigEndian: 0, width: 2)
        frame.append(bigEndian: terminal, width: 4)
        frame.append(command)
        frame.append(source)
        frame.append(transport)
    }

    /// Adds record number, end mark, unused CRC and sum, and fills in LENGTH.
    private static func finish<let room: Int>(_ frame: inout FrameBytes<room>, record: UInt32 = 0) {
        frame.append(bigEndian: record, width: 4)
        frame.append(endMark)
        let length = frame.count + 4 - 2
        frame[2] = UInt8(truncatingIfNeeded: length >> 8)
        frame[3] = UInt8(truncatingIfNeeded: length)
        let sum = frame.withSpan { checksum($0) }
        frame.append(bigEndian: 0, width: 2)
        frame.append(bigEndian: UInt32(sum), width: 2)
    }
}
