import Battery
import BridgeEngine
import CLinux
import Glibc
import InverterDialects
import LinuxIO
import Synchronization
import Testing

/// These need a kernel with SocketCAN and the right to change interfaces: `make verify` runs them inside `scripts/run-in-vm`.
/// Elsewhere they are skipped.
@Suite(.serialized, .enabled(if: if_nametoindex("vcan1") != 0, "no interface vcan1; `make verify` provides one"))
struct SocketCANPortTests {
    @Test func `frames of both kinds cross the bus, and a port does not hear itself`() throws {
        let (a, b) = (SocketCANPort(interface: "vcan1"), SocketCANPort(interface: "vcan1"))
        try a.open(at: .at(0))
        try b.open(at: .at(0))
        #expect(a.state == .active)
        let frames = [
            CANFrame(0x351, [0x14, 0x02, 0x74, 0x0E, 0x74, 0x0E, 0xCC, 0x01]), CANFrame(0x305, []),
            CANFrame(0x305, [1], extended: true), CANFrame(0x18FF_50E5, [0xCA, 0xFE], extended: true),
        ]
        for frame in frames { #expect(a.transmit(frame, at: .at(0)) == .queued) }
        #expect(received(b) == frames)
        #expect(received(a) == [])
        #expect(a.counters.sent == 4 && b.counters.received == 4)
    }

    @Test func `error frames tell the state of the bus`() throws {
        let (port, driver) = (SocketCANPort(interface: "vcan1"), clinux_can_open("vcan1"))
        defer { close(driver) }
        try port.open(at: .at(0))
        let controller = UInt32(CAN_ERR_CRTL)
        for (id, detail, state) in [
            (controller, CAN_ERR_CRTL_TX_WARNING, CANBusState.warning), (controller, CAN_ERR_CRTL_RX_PASSIVE, .passive),
            (UInt32(CAN_ERR_ACK), 0, .passive), (controller, CAN_ERR_CRTL_ACTIVE, .active),
            (UInt32(CAN_ERR_BUSOFF), 0, .busOff), (UInt32(CAN_ERR_RESTARTED), 0, .active),
        ] {
            var frame = can_frame()
            frame.can_id = UInt32(CAN_ERR_FLAG) | id
            frame.len = 8
            frame.data.1 = UInt8(detail)
            #expect(write(driver, &frame, MemoryLayout<can_frame>.size) == MemoryLayout<can_frame>.size)
            #expect(received(port) == [])
            #expect(port.state == state)
            #expect(port.transmit(CANFrame(0x351, []), at: .at(0)) == (state == .busOff ? .down : .queued))
        }
        #expect(port.counters.busOffs == 1)
        #expect(port.counters.busErrors == 4)
    }

    @Test func `a link that is taken down closes the port, and it opens again when the link is up`() throws {
        run("ip link add dev vcan7 type vcan")
        run("ip link set vcan7 up")
        defer { run("ip link del dev vcan7") }
        let (quiet, talking) = (SocketCANPort(interface: "vcan7"), SocketCANPort(interface: "vcan7"))
        try quiet.open(at: .at(0))
        try talking.open(at: .at(0))
        run("ip link set vcan7 down")
        #expect(received(quiet) == [])
        #expect(quiet.state == .closed)
        #expect(talking.transmit(CANFrame(0x351, []), at: .at(0)) == .down)
        #expect(talking.state == .closed)
        let failure = #expect(throws: PortFailure.self) { try quiet.open(at: .at(0)) }
        #expect(failure == PortFailure("vcan7", .interfaceDown))
        #expect("\(failure!)".contains("sudo ip link set vcan7 up"))
        run("ip link set vcan7 up")
        try quiet.open(at: .at(0))
        #expect(quiet.transmit(CANFrame(0x351, []), at: .at(0)) == .queued)
    }

    @Test func `an adapter that is pulled out closes the port`() throws {
        run("ip link add dev vcan8 type vcan")
        run("ip link set vcan8 up")
        let port = SocketCANPort(interface: "vcan8")
        try port.open(at: .at(0))
        run("ip link del dev vcan8")
        #expect(received(port) == [])
        #expect(port.state == .closed)
        #expect(throws: PortFailure("vcan8", .noSuchInterface)) { try port.open(at: .at(0)) }
        #expect(throws: PortFailure("lo", .notACANInterface)) { try SocketCANPort(interface: "lo").open(at: .at(0)) }
    }

    @Test func `frames that came too fast are counted`() throws {
        let (sender, port) = (SocketCANPort(interface: "vcan1"), SocketCANPort(interface: "vcan1"))
        try sender.open(at: .at(0))
        try port.open(at: .at(0))
        let count = 20_000
        for _ in 0..<count { _ = sender.transmit(CANFrame(0x305, []), at: .at(0)) }
        let first = received(port).count
        #expect(first < count)
        // The kernel tells the number of lost frames with the next one that it can deliver.
        _ = sender.transmit(CANFrame(0x305, []), at: .at(0))
        let second = received(port).count
        #expect(second == 1)
        #expect(first + Int(port.counters.overruns) == count)
    }

    @Test func `a full queue is busy, not lost, and works again when the adapter reads`() throws {
        let adapter = try KernelAdapter(interface: "can7")
        let port = SocketCANPort(interface: "can7")
        try port.open(at: .at(0))
        adapter.isReading = false
        usleep(100_000)
        var queued = 0
        while port.transmit(CANFrame(0x351, [UInt8](repeating: 0x41, count: 8)), at: .at(0)) == .queued {
            queued += 1
            try #require(queued < 5000)
        }
        #expect(port.state == .active)
        #expect(port.counters.busy == 1)
        adapter.isReading = true
        let recovered = eventually { port.transmit(CANFrame(0x351, []), at: .at(0)) == .queued }
        #expect(recovered)
    }

    @Test func `a bus-off of a real driver is seen, also by a port that is opened during it, and ended by a restart`()
        throws
    {
        let adapter = try KernelAdapter(interface: "can7")
        let port = SocketCANPort(interface: "can7")
        try port.open(at: .now)
        adapter.say("sp128130\r")
        #expect(eventually { received(port) == [] && port.state == .passive })
        adapter.say("sb256256\r")
        #expect(eventually { received(port) == [] && port.state == .busOff })
        #expect(port.transmit(CANFrame(0x351, []), at: .now) == .down)

        let late = SocketCANPort(interface: "can7")
        #expect(
            eventually {
                try? late.open(at: .now)
                return late.state == .busOff
            })

        adapter.forget()
        port.restart(at: .now)
        #expect(port.state == .closed)
        try port.open(at: .now)
        #expect(port.state == .active)
        #expect(eventually { adapter.heard.hasSuffix("C\rS6\rO\r") })
        #expect(port.transmit(CANFrame(0x351, [1]), at: .now) == .queued)
        #expect(eventually { adapter.heard.hasSuffix("t351101\r") })

        adapter.unplug()
        #expect(eventually { received(port) == [] && port.state == .closed })
    }

    private func received(_ port: SocketCANPort) -> [CANFrame] {
        var frames: [CANFrame] = []
        var before = -1
        while frames.count > before {
            before = frames.count
            port.receive(at: .now) { frames.append($0) }
        }
        return frames
    }
}

/// A serial CAN adapter below the kernel's own slcan driver: the one way to real error states without hardware.
private final class KernelAdapter {
    private let terminal: PseudoTerminal
    private let line: Int32
    private let thread: pthread_t
    private let shared = Shared()

    private final class Shared: Sendable {
        let heard = Mutex<[UInt8]>([])
        let isReading = Atomic(true)
        let isOver = Atomic(false)
        let master = Atomic<Int32>(-1)
    }

    init(interface: String) throws {
        terminal = try PseudoTerminal()
        line = open(terminal.path, O_RDWR | O_NOCTTY)
        clinux_tty_set_raw(line, 115_200)
        shared.master.store(terminal.descriptor, ordering: .relaxed)
        // The driver waits for the adapter while the link goes up, so somebody must read meanwhile.
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { argument in
                let shared = Unmanaged<Shared>.fromOpaque(argument!).takeRetainedValue()
                var buffer = [UInt8](repeating: 0, count: 4096)
                while !shared.isOver.load(ordering: .relaxed) {
                    let count =
                        shared.isReading.load(ordering: .relaxed)
                        ? read(shared.master.load(ordering: .relaxed), &buffer, buffer.count) : 0
                    if count > 0 { shared.heard.withLock { $0 += buffer[..<count] } } else { usleep(1000) }
                }
                return nil
            }, Unmanaged.passRetained(shared).toOpaque())
        self.thread = thread

        let before = interfaces()
        var slcan: Int32 = 17
        try #require(ioctl(line, UInt(TIOCSETD), &slcan) == 0, "the kernel has no slcan driver")
        let created = try #require(interfaces().subtracting(before).first)
        if created != interface { run("ip link set \(created) name \(interface)") }
        run("ip link set \(interface) txqueuelen 10 type can bitrate 500000")
        run("ip link set \(interface) up")
    }

    deinit { unplug() }

    var isReading: Bool {
        get { shared.isReading.load(ordering: .relaxed) }
        set { shared.isReading.store(newValue, ordering: .relaxed) }
    }

    var heard: String { shared.heard.withLock { String(decoding: $0, as: UTF8.self) } }

    func forget() { shared.heard.withLock { $0 = [] } }

    func say(_ text: String) { terminal.transmit(Array(text.utf8)) }

    func unplug() {
        if shared.isOver.exchange(true, ordering: .relaxed) { return }
        pthread_join(thread, nil)
        close(line)
        terminal.unplug()
    }
}

private func interfaces() -> Set<String> {
    guard let list = if_nameindex() else { return [] }
    defer { if_freenameindex(list) }
    var names: Set<String> = []
    var entry = list
    while entry.pointee.if_index != 0 {
        names.insert(String(cString: entry.pointee.if_name))
        entry += 1
    }
    return names
}

private func run(_ command: String, _ location: SourceLocation = #_sourceLocation) {
    var process = pid_t()
    let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sh"), strdup("-c"), strdup(command), nil]
    defer { for argument in arguments { free(argument) } }
    posix_spawn(&process, "/bin/sh", nil, nil, arguments, environ)
    var status: Int32 = -1
    waitpid(process, &status, 0)
    #expect(status == 0, "\(command)", sourceLocation: location)
}
