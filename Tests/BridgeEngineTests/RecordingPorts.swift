import BridgeEngine
import InverterDialects

/// Keeps what the engine hands out, and plays a driver whose answers a test chooses.
struct RecordingPorts: EnginePorts {
    struct Sent: Equatable {
        var at: Int64
        var port: Int
        var frame: CANFrame
    }

    /// Set by the test before each call, so that what is recorded has a time.
    var now: Int64 = 0
    var sent: [Sent] = []
    var requests: [(at: Int64, port: Int, bytes: [UInt8])] = []
    var messages: [[UInt8]] = []
    var records: [[UInt8]] = []
    var restarts: [Int64] = []
    var reopened: [Int] = []
    var answer: (CANFrame) -> CANSendResult = { _ in .queued }

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        requests.append((now, port, Array(bytes)))
    }

    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        let result = answer(frame)
        if result == .queued { sent.append(Sent(at: now, port: port, frame: frame)) }
        return result
    }

    mutating func restartBus(inverterPort port: Int) { restarts.append(now) }
    mutating func reopen(bmsPort port: Int) { reopened.append(port) }
    mutating func publish(_ message: Span<UInt8>) { messages.append(Array(message)) }
    mutating func persist(_ image: Span<UInt8>) { records.append(Array(image)) }

    /// Received messages of one kind, decoded by the receiving side.
    func received(_ kind: LinkKind) -> [LinkMessage] {
        var receiver = LinkReceiver()
        var found: [LinkMessage] = []
        for byte in messages.joined() {
            receiver.push(byte)
            while let message = receiver.next() { found.append(message) }
        }
        return found.filter { $0.kind == kind }
    }
}

extension Array where Element == UInt8 {
    init(_ span: Span<UInt8>) {
        self.init()
        for i in 0..<span.count { append(span[i]) }
    }
}
