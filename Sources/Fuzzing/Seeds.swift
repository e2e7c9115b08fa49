import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import LinuxIO

/// The seed corpus, written by our own encoders: one good input of each kind, from which the fuzzer goes on (`scripts/fuzz --seeds`).
func seeds() -> [(target: String, name: String, bytes: [UInt8])] {
    let reply = reply()
    let readAll = bytes { JK4E57.encodeReadAll(into: &$0) }
    var session: [UInt8] = []
    for start in stride(from: 0, to: reply.count, by: 100) {
        let piece = reply[start..<min(start + 100, reply.count)]
        session += [UInt8(piece.count)] + piece
    }
    var engine: [UInt8] = []
    for _ in 0..<4 {
        for start in stride(from: 0, to: reply.count, by: 250) {
            let piece = reply[start..<min(start + 250, reply.count)]
            engine += [0, 60, UInt8(piece.count)] + piece
        }
    }
    let command = LinkCommand(identity: 7, order: .chargeCap, value: 20_000, timeToLive: 60_000).message(sequence: 1)
    let order = command.withBytes { span in span.indices.map { span[$0] } }
    let gateway = GatewayConfiguration(
        bmsLines: [.serial(SerialLineConfiguration(path: "/dev/ttyUSB0"))], inverterBuses: [.can(.socketCAN(interface: "can0"))],
        stateDirectory: "/var/lib/packbridge", linkSocket: "/run/packbridge/link", bridge: bridge())
    return [
        ("jk-4e57", "reply", reply), ("jk-4e57", "request", readAll),
        ("jk-4e57-stream", "request-and-reply", [UInt8(readAll.count)] + readAll + session),
        ("jk-55aaeb90", "status", statusRecord()), ("jk-bus", "exchange", busExchange()),
        (
            "pylontech-rs485", "requests",
            Array("~20024661E00201FD33\r~20024663E00201FD31\r~20024642E002FFFD09\r~2002464F0000FD98\r~20024692E00202FD2E\r".utf8)
        ),
        ("jk-can", "unit-1", jkFrames()),
        ("can", "pylontech", sets(.pylontech)), ("can", "growatt", sets(.growatt)),
        (
            "slcan", "frames",
            Array("t3518140274 0E740ECC01\rt35141402740E\rT18FF50E52CAFE\rr3050\rt30580000000000000000\rF04\rz\r".utf8)
        ),
        ("slcan", "answers", Array("V1013\rN1234\r\u{07}\rF00\rZ\rt3518140274 0E\r".utf8)),
        ("candump", "forms", Array(candump.utf8)),
        ("link", "published", published()), ("link", "command", order),
        ("configuration", "engine", bridge().image().withBytes { span in span.indices.map { span[$0] } }),
        ("configuration", "file", gateway.encoded()),
        ("engine", "replies", engine), ("engine", "order", [2, 10, UInt8(order.count)] + order + engine.prefix(600)),
    ]
}

private let candump = """
    (1700000000.123456) can0 351#1402740E740ECC01
    351#14
     can0  351   [8]  14 02 74 0E 74 0E CC 01
     (000.001000)  can0  18FF50E5   [2]  CA FE
    305#R
    """

private func bytes(_ build: (inout JK4E57.Frame) -> Void) -> [UInt8] {
    var frame = JK4E57.Frame()
    build(&frame)
    return frame.withSpan { span in span.indices.map { span[$0] } }
}

/// A status record in the 32-cell layout: 16 cells at rest (jk-modbus.md §4).
private func statusRecord() -> [UInt8] {
    var record = [UInt8](repeating: 0, count: 300)
    func put(_ value: UInt32, at offset: Int, width: Int = 4) {
        for i in 0..<width { record[offset + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
    }
    record.replaceSubrange(0..<5, with: [0x55, 0xAA, 0xEB, 0x90, 2])
    for cell in 0..<16 { put(3320, at: 6 + 2 * cell, width: 2) }
    put(0xFFFF, at: 70)
    put(3320, at: 74, width: 2)
    put(251, at: 144, width: 2)
    put(53_120, at: 150)
    put(201, at: 162, width: 2)
    put(203, at: 164, width: 2)
    record[173] = 60
    put(168_000, at: 174)
    put(280_000, at: 178)
    (record[198], record[199], record[214]) = (1, 1, 0xFF)
    record[299] = record[0..<299].reduce(0) { $0 &+ $1 }
    return record
}

/// Trigger, record and acknowledgement of unit 1, in pieces of 100 bytes.
private func busExchange() -> [UInt8] {
    let traffic =
        [0x01, 0x10, 0x16, 0x20, 0x00, 0x01, 0x02, 0x00, 0x00, 0xD6, 0xF1] + statusRecord()
        + [0x01, 0x10, 0x16, 0x20, 0x00, 0x01, 0x04, 0x4B]
    return stride(from: 0, to: traffic.count, by: 100).flatMap { start in
        let piece = traffic[start..<min(start + 100, traffic.count)]
        return [UInt8(piece.count)] + piece
    }
}

/// A complete reply of a pack with 16 cells at rest.
private func reply() -> [UInt8] {
    var report = JK4E57.Report()
    (report.command, report.transport) = (JK4E57.Command.readAll.rawValue, JK4E57.Transport.reply.rawValue)
    for cell in 0..<16 { report.cells.append(UInt16(3300 + cell)) }
    report.setRaw(.protocolVersion, to: 1)
    for id in JK4E57.Identifier.allCases where id != .cellVoltages && id != .protocolVersion {
        if id.layout.measure == .text {
            report.setText(id, to: Array("PB".utf8).span)
        } else {
            report.setRaw(id, to: id == .cellCount ? 16 : 20)
        }
    }
    return bytes { JK4E57.encodeReply(report, into: &$0) }
}

/// The frames of one set.
private func sets(_ dialect: DialectName) -> [UInt8] {
    var frames = FrameSet(filler: CANFrame(id: 0, length: 0))
    dialect.encode(BankReport(), into: &frames)
    return coded((0..<frames.count).map { frames[$0] })
}

/// One of each kind of a JK unit with address 1.
private func jkFrames() -> [UInt8] {
    coded(
        [0x2F5, 0x4F5, 0x5F5, 0x7F5].map { CANFrame(id: $0, length: 8, word: 0x0102_0304_0506_0708) }
            + [0x18F1_28F5, 0x18F2_28F5, 0x18F5_28F5, 0x18E0_28F5, 0x18E1_28F5, 0x1806_E5F5, 0x2F5].map {
                CANFrame(id: $0, isExtended: $0 > 0x7FF, length: 8, word: 0x0CF8_0CF8_0CF8_0CF8)
            })
}

/// 13 bytes for each frame.
private func coded(_ frames: [CANFrame]) -> [UInt8] {
    var bytes: [UInt8] = []
    for frame in frames {
        for shift in [0, 8, 16] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: frame.id >> shift)) }
        bytes.append(UInt8(frame.id >> 24) | (frame.isExtended ? 0x80 : 0))
        bytes.append(frame.length)
        for byte in 0..<8 { bytes.append(frame[byte]) }
    }
    return bytes
}

func bridge() -> BridgeConfiguration {
    var control = ControlConfiguration(chemistry: .lfp)
    (control.userCharge, control.userDischarge) = (100_000, 100_000)
    control.packs.append(PackConfiguration())
    var bridge = BridgeConfiguration(control: control)
    var port = BMSPortConfiguration()
    port.addresses.append(0)
    bridge.bmsPorts.append(port)
    bridge.inverterPorts.append(InverterPortConfiguration())
    return bridge
}

/// What an engine publishes in its first seconds.
private func published() -> [UInt8] {
    struct Listener: EnginePorts {
        var bytes: [UInt8] = []
        mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {}
        mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult { .queued }
        mutating func restartBus(inverterPort port: Int) {}
        mutating func reopen(bmsPort port: Int) {}
        mutating func publish(_ message: Span<UInt8>) { for i in message.indices { bytes.append(message[i]) } }
        mutating func persist(_ image: Span<UInt8>) {}
    }
    var ports = Listener()
    var engine = Engine(configuration: bridge(), record: nil, at: Instant(milliseconds: 0))
    for second in 0..<2 { _ = engine.wake(at: Instant(milliseconds: Milliseconds(second) * 1000), ports: &ports) }
    return ports.bytes
}
