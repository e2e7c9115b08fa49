import Battery
import BridgeEngine
import CLinux
import Glibc
import LinkClient
import LinuxIO

/// The console of a board: Link and text on the same line.
final class FirmwareConsolePort {
    private let serial: SerialPort
    private var feed = LinkFeed()
    private var buffer = [UInt8](repeating: 0, count: 4096)

    init(_ path: String) throws {
        serial = SerialPort(path: path)
        do { try serial.open() } catch { throw Failure("\(error)") }
    }

    /// Sends a whole message, however slow the line is.
    func send<let capacity: Int>(_ message: FieldBuffer<capacity>) throws {
        let bytes = message.withBytes { span in span.indices.map { span[$0] } }
        try send(bytes)
    }

    private func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let piece = Array(bytes[sent..<min(sent + 64, bytes.count)])
            let taken = serial.transmit(piece.span)
            guard serial.isOpen else { throw Failure("\(serial.path): the line is gone") }
            sent += taken
            if taken < piece.count { usleep(5000) }
        }
    }

    /// The answer to a message with this identity.
    func reply(to identity: UInt32, within seconds: Int) -> LinkCommandReply? {
        var found: LinkCommandReply?
        listen(for: seconds) { news in
            if case .commandReply(let reply) = news, reply.identity == identity { found = reply }
            return found == nil
        }
        return found
    }

    /// Hands over what comes until `deliver` says false, the time is over or the line is gone.
    func listen(for seconds: Int?, _ deliver: (LinkNews) -> Bool) {
        receive(for: seconds) { bytes in
            var goesOn = true
            feed.receive(bytes) { news in if goesOn { goesOn = deliver(news) } }
            return goesOn
        }
    }

    /// Asks `?` and picks the page out of whatever else is on the line.
    func page(within seconds: Int) throws -> String? {
        try send(Array("?\r".utf8))
        var text: [UInt8] = []
        var page: String?
        receive(for: seconds) { bytes in
            text += bytes
            page = Self.page(in: text)
            return page == nil
        }
        return page
    }

    /// From "PackBridge on" to the prompt.
    static func page(in text: [UInt8]) -> String? {
        let (start, end) = (Array("PackBridge on".utf8), Array("\r\n> ".utf8))
        guard let first = text.lastRange(of: start) else { return nil }
        guard let last = text[first...].firstRange(of: end) else { return nil }
        return String(decoding: text[first..<last], as: UTF8.self).replacing("\r\n", with: "\n")
    }

    private func receive(for seconds: Int?, _ take: (ArraySlice<UInt8>) -> Bool) {
        let end = seconds.map { clinux_milliseconds() + Int64($0) * 1000 }
        while serial.isOpen {
            let left = end.map { $0 - clinux_milliseconds() } ?? 1000
            if left <= 0 { return }
            var poll = pollfd(fd: serial.descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, Int32(left)) > 0 else { continue }
            let count = buffer.withUnsafeMutableBytes { serial.receive(into: $0) }
            if count > 0 && !take(buffer[..<count]) { return }
        }
    }
}

extension RandomAccessCollection where Element: Equatable, Index == Int {
    fileprivate func firstRange(of part: [Element]) -> Int? {
        indices.first { start in endIndex - start >= part.count && part.indices.allSatisfy { self[start + $0] == part[$0] } }
    }

    fileprivate func lastRange(of part: [Element]) -> Int? {
        indices.last { start in endIndex - start >= part.count && part.indices.allSatisfy { self[start + $0] == part[$0] } }
    }
}
