import Battery
import BridgeEngine
import CLinux
import Glibc
import Testing

@testable import LinuxIO

@Suite struct LinkServerTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.file("link") }

    /// A message of `length` bytes that all carry its number.
    private func message(_ number: Int, length: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: length)
    }

    private func connect() -> Int32 {
        let fd = clinux_unix_connect(path)
        _ = fcntl(fd, F_SETFL, O_NONBLOCK)
        return fd
    }

    private func read(_ fd: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = Glibc.read(fd, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return bytes
    }

    @Test func `every reader gets every message, and what a reader says is handed on`() throws {
        let server = try LinkServer(path: path)
        let readers = [connect(), connect()]
        defer { for fd in readers { close(fd) } }
        server.accept()
        server.publish(message(1, length: 10).span)
        server.publish(message(2, length: 10).span)
        for reader in readers { #expect(read(reader) == message(1, length: 10) + message(2, length: 10)) }
        #expect(server.readerCount == 2)

        let order = command(identity: 5)
        _ = write(readers[1], order, order.count)
        var said: [UInt32] = []
        server.receive(fromReader: 1, at: .now) { said.append(identity($0)) }
        #expect(said == [5])
    }

    private func command(identity: UInt32) -> [UInt8] {
        LinkCommand(identity: identity, order: .pauseCharge, timeToLive: 60_000).message(sequence: 1)
            .withBytes { bytes in bytes.indices.map { bytes[$0] } }
    }

    private func identity(_ message: LinkMessage) -> UInt32 {
        var command = LinkCommand()
        var payload = message.payload
        command.visitFields(&payload)
        return command.identity
    }

    @Test func `commands of two readers that come in pieces, one between the other, both arrive whole`() throws {
        let server = try LinkServer(path: path)
        let readers = [connect(), connect()]
        defer { for fd in readers { close(fd) } }
        server.accept()
        let orders = [command(identity: 1), command(identity: 2)]
        var said: [UInt32] = []
        for start in stride(from: 0, to: orders[0].count, by: 7) {
            for index in 0..<2 {
                let piece = Array(orders[index][start..<min(start + 7, orders[index].count)])
                _ = write(readers[index], piece, piece.count)
                server.receive(fromReader: index, at: .now) { said.append(identity($0)) }
            }
        }
        #expect(said == [1, 2])
    }

    @Test func `a flood of orders is read in small pieces with pauses, and nothing of it is lost`() throws {
        let server = try LinkServer(path: path)
        let reader = connect()
        defer { close(reader) }
        server.accept()
        let flood = Array((0..<100).map { command(identity: $0) }.joined())
        _ = write(reader, flood, flood.count)
        var said: [UInt32] = []
        var now = Instant(milliseconds: 0)
        var forgotten = 0
        var most = 0
        while said.count < 100 && now < Instant(milliseconds: 10_000) {
            let before = said.count
            server.receive(fromReader: 0, at: now) { said.append(identity($0)) }
            server.receive(fromReader: 0, at: now) { said.append(identity($0)) }
            most = max(most, said.count - before)
            server.updateWatching(at: now, forget: { _ in forgotten += 1 }) { _, _, _ in }
            now = server.nextResumption ?? now + 1
            server.updateWatching(at: now, forget: { _ in }) { _, _, _ in }
        }
        #expect(said == Array(0..<100))
        #expect(most <= 5)
        #expect(forgotten > 0 && now > Instant(milliseconds: 400))
    }

    @Test func `half a command of a reader that left is not finished by its successor`() throws {
        let server = try LinkServer(path: path)
        let order = command(identity: 3)
        var reader = connect()
        server.accept()
        _ = write(reader, order, 20)
        server.receive(fromReader: 0, at: .now) { _ in Issue.record("half a command is none") }
        close(reader)
        server.receive(fromReader: 0, at: .now) { _ in Issue.record("half a command is none") }
        reader = connect()
        defer { close(reader) }
        server.accept()
        let rest = Array(order[20...])
        _ = write(reader, rest, rest.count)
        server.receive(fromReader: 0, at: .now) { _ in Issue.record("two halves of two readers are no command") }
        #expect(server.readerCount == 1)
    }

    @Test func `a reader that sleeps loses old messages as a whole, gets the newest and never stops the others`() throws {
        let server = try LinkServer(path: path)
        let sleeper = connect()
        let awake = connect()
        defer { for fd in [sleeper, awake] { close(fd) } }
        server.accept()
        let (count, length) = (200, 1000)
        for number in 0..<count {
            server.publish(message(number, length: length).span)
            #expect(read(awake) == message(number, length: length))
        }
        #expect(server.droppedMessages > 100)

        var got: [UInt8] = []
        while case let more = read(sleeper), !more.isEmpty {
            got += more
            server.flush(reader: 0)
        }
        #expect(got.count % length == 0)
        let numbers = stride(from: 0, to: got.count, by: length).map { got[$0] }
        for (index, number) in numbers.enumerated() {
            let whole = Array(got[(index * length)..<((index + 1) * length)])
            #expect(whole == message(Int(number), length: length))
        }
        #expect(numbers.last == UInt8(count - 1))
        #expect(numbers.count + Int(server.droppedMessages) == count)
        #expect(numbers == numbers.sorted())
    }

    @Test func `a reader that leaves makes room for another, and the ninth is turned away`() throws {
        let server = try LinkServer(path: path)
        var readers = (0..<LinkServer.maximumReaders).map { _ in connect() }
        server.accept()
        let ninth = connect()
        server.accept()
        #expect(server.readerCount == LinkServer.maximumReaders)
        var byte: UInt8 = 0
        #expect(Glibc.read(ninth, &byte, 1) == 0)
        close(ninth)

        close(readers.removeFirst())
        server.receive(fromReader: 0, at: .now) { _ in Issue.record("nothing was said") }
        #expect(server.readerCount == LinkServer.maximumReaders - 1)
        readers.append(connect())
        server.accept()
        #expect(server.readerCount == LinkServer.maximumReaders)
        for fd in readers { close(fd) }
        server.publish(message(1, length: 10).span)
        server.publish(message(2, length: 10).span)
        #expect(server.readerCount == 0)
    }

    @Test func `a living server keeps its socket, a dead one leaves it to its successor`() throws {
        var first: LinkServer? = try LinkServer(path: path)
        #expect(throws: PortFailure(path, .busy)) { try LinkServer(path: path) }
        _ = first
        first = nil
        #expect(folder.entries == [])

        // A server that was killed leaves the file behind.
        let corpse = clinux_unix_listen(path)
        close(corpse)
        #expect(folder.entries == ["link"])
        let successor = try LinkServer(path: path)
        #expect(successor.readerCount == 0)
    }

    @Test func `only owner and group may connect`() throws {
        let server = try LinkServer(path: path)
        var entry = stat()
        stat(server.path, &entry)
        #expect(entry.st_mode & 0o777 == 0o660)
    }
}

@Suite struct MessageQueueTests {
    @Test func `a message that is partly sent is finished before anything newer`() {
        var queue = MessageQueue(capacity: 64)
        defer { queue.deallocate() }
        #expect(queue.append([20 of UInt8](repeating: 1).span) == 0)
        #expect(queue.append([20 of UInt8](repeating: 2).span) == 0)
        queue.removeFirst(5)
        #expect(queue.append([30 of UInt8](repeating: 3).span) == 1)
        #expect(queue.withFirst { Array($0) } == [UInt8](repeating: 1, count: 15))
        queue.removeFirst(15)
        #expect(queue.withFirst { Array($0) } == [UInt8](repeating: 3, count: 30))
        queue.removeFirst(30)
        #expect(queue.isEmpty)
    }

    @Test func `a message that can never fit is lost alone`() {
        var queue = MessageQueue(capacity: 16)
        defer { queue.deallocate() }
        #expect(queue.append([8 of UInt8](repeating: 1).span) == 0)
        #expect(queue.append([15 of UInt8](repeating: 2).span) == 1)
        #expect(queue.withFirst { Array($0) } == [UInt8](repeating: 1, count: 8))
    }
}
