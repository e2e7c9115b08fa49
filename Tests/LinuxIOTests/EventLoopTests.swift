import Battery
import CLinux
import Glibc
import LinuxIO
import Testing

@Suite struct EventLoopTests {
    @Test func `the loop comes back at the deadline and not before`() throws {
        let loop = try EventLoop()
        loop.wait(until: Instant(milliseconds: 0)) { _ in Issue.record("nothing was watched") }
        for delay in [20, 1, 0, -5] as [Milliseconds] {
            let deadline = Instant.now + delay
            loop.wait(until: deadline) { _ in Issue.record("nothing was watched") }
            #expect(Instant.now >= deadline)
        }
    }

    @Test func `an earlier deadline takes the place of a later one`() throws {
        let loop = try EventLoop()
        let event = clinux_event_open()
        defer { close(event) }
        loop.watch(event, token: 1)
        clinux_event_raise(event)
        loop.wait(until: .now + 3_600_000) { _ in clinux_drain(event) }
        let deadline = Instant.now + 5
        loop.wait(until: deadline) { _ in Issue.record("nothing happened") }
        #expect(Instant.now >= deadline)
    }

    @Test
    func `what happens on a descriptor is told under its token, and only once asked for also that it can be written`()
        throws
    {
        let loop = try EventLoop()
        let peer = try Peer()
        let port = SerialPort(path: peer.path)
        try port.open()
        loop.watch(port.descriptor, token: 7)
        peer.send("x")
        var seen: [(token: UInt64, readable: Bool, writable: Bool)] = []
        loop.wait(until: .now + 10_000) { seen.append(($0.token, $0.isReadable, $0.isWritable)) }
        #expect(seen.count == 1)
        #expect(seen.first?.token == 7 && seen.first?.readable == true && seen.first?.writable == false)

        loop.watch(port.descriptor, token: 8, writable: true)
        seen = []
        loop.wait(until: .now + 10_000) { seen.append(($0.token, $0.isReadable, $0.isWritable)) }
        #expect(seen.first?.token == 8 && seen.first?.writable == true)
    }
}
