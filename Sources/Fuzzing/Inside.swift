import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import LinkClient

@testable import LinuxIO

/// Bytes of a Link connection. As they are, and once more as the payload of a right message whose kind is the first byte.
func fuzzLink(_ bytes: [UInt8]) {
    var feed = LinkFeed()
    feed.receive(bytes) { _ in }
    guard let kind = bytes.first else { return }
    for message in [linkMessage(kind: 1, []), linkMessage(kind: kind % 20, Array(bytes.dropFirst().prefix(2048)))] {
        feed.receive(message) { _ in }
    }
}

/// Images of a configuration: the engine's, and the file that is handed to the control process. What is accepted can be written
/// again and says the same.
func fuzzConfiguration(_ bytes: [UInt8]) {
    for image in [bytes, withChecksum([1, 0] + bytes)] {
        guard let configuration = try? BridgeConfiguration(image: image.span) else { continue }
        let again = configuration.image().withBytes { span in span.indices.map { span[$0] } }
        guard let second = try? BridgeConfiguration(image: again.span) else { fatalError("own image refused") }
        precondition(second == configuration)
    }
    for file in [bytes, withChecksum(Array("PBC".utf8) + [1] + bytes)] {
        guard let configuration = try? GatewayConfiguration(decoding: file) else { continue }
        guard let second = try? GatewayConfiguration(decoding: configuration.encoded()) else {
            fatalError("own file refused")
        }
        precondition(second == configuration)
    }
}

/// Everything that can happen to an engine, in any order: kind (1 byte), time (1), length (1), content.
func fuzzEngine(_ bytes: [UInt8]) {
    var ports = SilentPorts()
    var now = Instant(milliseconds: 0)
    var engine = Engine(configuration: bridge(), record: nil, at: now)
    engine.bmsPort(0, isOpen: true, at: now, ports: &ports)
    engine.inverterPort(0, state: .active, at: now, ports: &ports)
    var rest = bytes[...]
    while rest.count >= 3 {
        let (kind, time, length) = (rest.removeFirst(), rest.removeFirst(), Int(rest.removeFirst()))
        let content = Array(rest.prefix(length))
        rest = rest.dropFirst(content.count)
        now = now + Milliseconds(time) * 8
        switch kind % 6 {
        case 0: engine.received(content.span, onBMSPort: 0, at: now, ports: &ports)
        case 1 where content.count >= 13:
            engine.received(canFrame(content[..<13]), onInverterPort: 0, at: now, ports: &ports)
        case 2: engine.receivedLink(content.span, at: now, ports: &ports)
        case 3: engine.bmsPort(0, isOpen: length % 2 == 0, at: now, ports: &ports)
        case 4: engine.inverterPort(0, state: CANBusState.allCases[length % 5], at: now, ports: &ports)
        case 5: ports.result = [.queued, .busy, .down][length % 3]
        default: break
        }
        let next = engine.wake(at: now, ports: &ports)
        precondition(next > now, "a deadline that is not in the future would make the loop spin")
    }
}

private struct SilentPorts: EnginePorts {
    var result = CANSendResult.queued

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) { precondition(bytes.count > 0) }
    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        precondition(frame.id != 0x305, "never transmitted")
        return result
    }
    mutating func restartBus(inverterPort port: Int) {}
    mutating func reopen(bmsPort port: Int) {}
    mutating func publish(_ message: Span<UInt8>) { precondition(message.count >= 14) }
    mutating func persist(_ image: Span<UInt8>) {}
}

/// A complete Link message.
private func linkMessage(kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
    let header: [UInt8] = [1, kind, UInt8(payload.count & 0xFF), UInt8(payload.count >> 8), 1, 0, 0, 0]
    return [0x50, 0x42] + withChecksum(header + payload)
}

private func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
    var crc = CRC32()
    for byte in bytes { crc.update(byte) }
    return bytes + (0..<4).map { UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * $0)) }
}
