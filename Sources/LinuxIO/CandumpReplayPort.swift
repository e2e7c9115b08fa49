import Battery
import BridgeEngine
import Glibc
import InverterDialects

/// Replays a candump log as if it came from a bus. What is transmitted goes nowhere, and is accepted.
public final class CandumpReplayPort: CANPort {
    public let path: String
    /// True: frames come at the distances of the log. False: all at once.
    public let isTimed: Bool
    public var descriptor: Int32 { -1 }
    public private(set) var state = CANBusState.closed
    public private(set) var counters = CANPortCounters()
    /// The last frame was handed out.
    public var isFinished: Bool { next == lines.count }

    private var lines: [CandumpLine] = []
    private var next = 0
    private var started = Instant(milliseconds: 0)

    /// Frames without a time are replayed one in this time.
    private static let untimedInterval: Milliseconds = 100
    /// A log is read as a whole; days of bus traffic do not belong here.
    private static let longestLog = 64 * 1024 * 1024

    public init(path: String, isTimed: Bool = true) {
        self.path = path
        self.isTimed = isTimed
    }

    public func open(at now: Instant) throws(PortFailure) {
        let bytes = try readFile(path, atMost: Self.longestLog)
        lines = []
        var (start, number) = (0, 0)
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            number += 1
            do throws(CandumpLine.Problem) {
                let line = try CandumpLine(bytes[start..<end])
                if line.isRemote { counters.remote += 1 } else { lines.append(line) }
            } catch {
                switch error {
                case .empty: break
                case .errorFrame: counters.busErrors += 1
                case .canFD: counters.garbage += 1
                default: throw PortFailure(path, .badLog(line: number))
                }
            }
            start = end + 1
        }
        next = 0
        started = now
        state = .active
        counters.opened += 1
    }

    public func close() {
        state = .closed
    }

    public func receive(at now: Instant, _ body: (CANFrame) -> Void) {
        while state != .closed, next < lines.count, due(next) <= now {
            counters.received += 1
            body(lines[next].frame)
            next += 1
        }
    }

    /// When line `index` is to be handed out.
    private func due(_ index: Int) -> Instant {
        if !isTimed { return started }
        guard let first = lines[0].microseconds, let time = lines[index].microseconds else {
            return started + Milliseconds(index) * Self.untimedInterval
        }
        return started + max(0, time - first) / 1000
    }

    public func transmit(_ frame: CANFrame, at now: Instant) -> CANSendResult {
        if state == .closed { return .down }
        counters.sent += 1
        return .queued
    }

    public func restart(at now: Instant) {}

    public func wake(at now: Instant) -> Instant {
        state == .closed || isFinished ? noDeadline : due(next)
    }
}

/// The whole content of a file of at most `limit` bytes.
func readFile(_ path: String, atMost limit: Int) throws(PortFailure) -> [UInt8] {
    let fd = open(path, O_RDONLY | O_CLOEXEC)
    if fd < 0 { throw PortFailure(path, .system(call: "open", code: errno)) }
    defer { close(fd) }
    return try readAll(fd, named: path, atMost: limit)
}

func readAll(_ fd: Int32, named name: String, atMost limit: Int) throws(PortFailure) -> [UInt8] {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 * 1024)
    while true {
        let count = read(fd, &buffer, buffer.count)
        if count < 0 {
            if errno == EINTR { continue }
            throw PortFailure(name, .system(call: "read", code: errno))
        }
        if count == 0 { return bytes }
        bytes += buffer[..<count]
        if bytes.count > limit { throw PortFailure(name, .system(call: "read", code: EFBIG)) }
    }
}
