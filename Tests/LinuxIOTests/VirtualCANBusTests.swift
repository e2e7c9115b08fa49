import Battery
import BridgeEngine
import InverterDialects
import LinuxIO
import Synchronization
import Testing

@Suite struct VirtualCANBusTests {
    @Test func `every port hears the others and not itself`() {
        let bus = VirtualCANBus()
        let ports = [bus.attach(), bus.attach(), bus.attach()]
        for port in ports { port.open(at: .at(0)) }
        let frame = CANFrame(0x351, [1, 2])
        #expect(ports[0].transmit(frame, at: .at(0)) == .queued)
        #expect(frames(ports[0]) == [])
        #expect(frames(ports[1]) == [frame])
        #expect(frames(ports[2]) == [frame])
        #expect(frames(ports[2]) == [])
    }

    @Test func `the same name is the same bus`() {
        let (a, b) = (VirtualCANBus.named("demo").attach(), VirtualCANBus.named("demo").attach())
        let stranger = VirtualCANBus.named("other").attach()
        for port in [a, b, stranger] { port.open(at: .at(0)) }
        _ = a.transmit(CANFrame(0x305, []), at: .at(0))
        #expect(frames(b).count == 1)
        #expect(frames(stranger).count == 0)
    }

    @Test func `a frame wakes the event loop`() throws {
        let bus = VirtualCANBus()
        let (a, b) = (bus.attach(), bus.attach())
        a.open(at: .at(0))
        b.open(at: .at(0))
        let loop = try EventLoop()
        loop.watch(b.descriptor, token: 1)
        _ = a.transmit(CANFrame(0x305, []), at: .at(0))
        var heard = 0
        loop.wait(until: .now + 10_000) { _ in b.receive(at: .at(0)) { _ in heard += 1 } }
        #expect(heard == 1)
    }

    @Test func `a port that nobody reads overflows and counts, a closed one takes nothing`() {
        let bus = VirtualCANBus()
        let (a, b) = (bus.attach(), bus.attach())
        a.open(at: .at(0))
        b.open(at: .at(0))
        for _ in 0..<300 { _ = a.transmit(CANFrame(0x305, []), at: .at(0)) }
        #expect(frames(b).count == 256)
        #expect(b.counters.overruns == 44)
        a.close()
        #expect(a.transmit(CANFrame(0x305, []), at: .at(0)) == .down)
    }

    /// The thread sanitizer watches this one (`scripts/sanitize thread`).
    @Test func `ports in different threads hear everything`() async {
        let bus = VirtualCANBus()
        let (opened, finished) = (Meeting(of: 4), Meeting(of: 4))
        let heard = await withTaskGroup(of: Int.self, returning: [Int].self) { group in
            for number in 0..<4 {
                group.addTask {
                    let port = bus.attach()
                    port.open(at: .at(0))
                    await opened.all()
                    for _ in 0..<80 { _ = port.transmit(CANFrame(UInt32(number), []), at: .at(0)) }
                    await finished.all()
                    var count = 0
                    port.receive(at: .at(0)) { _ in count += 1 }
                    return count
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(heard == [240, 240, 240, 240])
    }

    private func frames(_ port: VirtualCANPort) -> [CANFrame] {
        var frames: [CANFrame] = []
        port.receive(at: .at(0)) { frames.append($0) }
        return frames
    }
}

/// Where tasks wait for each other.
private final class Meeting: Sendable {
    private let present = Mutex(0)
    private let expected: Int

    init(of expected: Int) { self.expected = expected }

    func all() async {
        present.withLock { $0 += 1 }
        while present.withLock({ $0 }) < expected { await Task.yield() }
    }
}
