import Battery
import BridgeEngine
import Foundation
import InverterDialects
import LinuxIO

/// Where `packbridge monitor` gets its frames from.
protocol FrameSource {
    /// Waits a moment at most and hands over what came, with the time in seconds since the first frame.
    /// - Returns: false when nothing will come any more.
    mutating func poll(_ body: (CANFrame, Double) -> Void) throws -> Bool
    /// What the person is told about the connection.
    var title: String { get }
    var isLive: Bool { get }
}

/// The text of a candump log, from a file or from standard input as it is written.
struct TextSource: FrameSource {
    let title: String
    let isLive = false
    private(set) var rejected = 0
    private let nextLine: () -> String?
    private var first: Int64?
    private var count = 0

    init(file path: String) throws {
        guard let contents = FileManager.default.contents(atPath: path) else {
            throw Failure("\(path) cannot be read. A bus is written socketcan:can0 or slcan:/dev/ttyACM0")
        }
        var lines = String(decoding: contents, as: UTF8.self).split(whereSeparator: \.isNewline)[...]
        title = path
        nextLine = { lines.popFirst().map(String.init) }
    }

    init(standardInput: Void) {
        title = "standard input"
        nextLine = { readLine() }
    }

    init(title: String, lines: [String]) {
        var rest = lines[...]
        self.title = title
        nextLine = { rest.popFirst() }
    }

    mutating func poll(_ body: (CANFrame, Double) -> Void) -> Bool {
        guard let text = nextLine() else { return false }
        do throws(CandumpLine.Problem) {
            let line = try CandumpLine(text)
            if line.isRemote { return true }
            body(line.frame, time(line))
        } catch .empty {
        } catch {
            rejected += 1
        }
        return true
    }

    /// Lines without a time are counted, one in a tenth of a second.
    private mutating func time(_ line: CandumpLine) -> Double {
        count += 1
        guard let microseconds = line.microseconds else { return Double(count - 1) / 10 }
        let start = first ?? microseconds
        first = start
        return Double(microseconds - start) / 1_000_000
    }
}

/// A live bus. A port that is lost is opened again.
struct PortSource: FrameSource {
    let isLive = true
    private let address: CANAddress
    private let port: any CANPort
    private let loop: EventLoop
    private var first: Instant?
    private var retryAt = Instant.now

    private static let retryInterval: Milliseconds = 1000
    /// The screen is drawn again this often even when nothing comes.
    private static let longestWait: Milliseconds = 250

    init(_ address: CANAddress) throws {
        self.address = address
        port = address.makePort()
        loop = try eventLoop()
        try open()
    }

    var title: String {
        let errors = port.counters.busErrors
        return "\(address)  bus \(port.state)\(errors == 0 ? "" : ", \(errors) errors")"
    }

    private func open() throws(PortFailure) {
        try port.open(at: .now)
        if port.descriptor >= 0 { loop.watch(port.descriptor, token: 0, writable: port.wantsToWrite) }
    }

    mutating func poll(_ body: (CANFrame, Double) -> Void) -> Bool {
        if port.state == .closed, Instant.now >= retryAt {
            retryAt = .now + Self.retryInterval
            try? open()
        }
        loop.wait(until: min(.now + Self.longestWait, port.wake(at: .now))) { event in
            if event.isWritable { port.flush() }
        }
        let now = Instant.now
        _ = port.wake(at: now)
        let start = first ?? now
        var came = false
        port.receive(at: now) { frame in
            came = true
            body(frame, Double(now.since(start)) / 1000)
        }
        if came { first = start }
        return !loop.stopRequested
    }
}
