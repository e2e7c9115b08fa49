import Battery
import CLinux
import ChargeControl
import Glibc
import InverterDialects
import LinuxIO
import Testing

@testable import BridgeEngine

/// The whole control process in a test: a BMS and an SLCAN adapter behind pseudo-terminals, real time.
private final class Bench {
    let bms: FakeBMS
    let adapter: Peer
    let folder: TemporaryFolder
    let gateway: Gateway
    let configuration: GatewayConfiguration
    private(set) var complaints: [String] = []
    private(set) var lines: [String] = []
    private var unfinished = ""

    init(bmsPath: String? = nil, log: String? = nil, folder: TemporaryFolder = TemporaryFolder()) throws {
        self.folder = folder
        bms = try FakeBMS()
        adapter = try Peer()
        var bridge = BridgeConfiguration(control: ControlConfiguration(chemistry: .lfp))
        bridge.control.userCharge = 80_000
        bridge.control.userDischarge = 100_000
        bridge.control.packs.append(PackConfiguration())
        var line = BMSPortConfiguration()
        line.addresses.append(0)
        line.pace.interval = 100
        line.pace.gap = 0
        bridge.bmsPorts.append(line)
        bridge.inverterPorts.append(InverterPortConfiguration())
        var complaints: [String] = []
        configuration = GatewayConfiguration(
            bmsLines: [.serial(SerialLineConfiguration(path: bmsPath ?? bms.path))],
            inverterBuses: [.can(log.map { .candump(path: $0) } ?? .slcan(path: adapter.path))],
            stateDirectory: folder.path,
            linkSocket: folder.file("link"), bridge: bridge)
        gateway = try Gateway(configuration) { complaints.append($0) }
        self.complaints = complaints
    }

    deinit { gateway.finish() }

    /// Turns the loop until `condition` holds.
    func turn(within limit: Milliseconds = 20_000, until condition: () -> Bool) -> Bool {
        let end = Instant.now + limit
        while Instant.now < end {
            gateway.turn()
            listen()
            if condition() { return true }
        }
        return false
    }

    /// What the adapter was told, line by line.
    func listen() {
        unfinished += String(decoding: adapter.terminal.receive(), as: UTF8.self)
        var parts = unfinished.split(separator: "\r", omittingEmptySubsequences: false).map(String.init)
        unfinished = parts.removeLast()
        lines += parts
        for part in parts where !part.isEmpty && "CSO".contains(part.first!) { adapter.send("\r") }
    }

    func forget() { lines = [] }

    var ids: Set<String> { Set(lines.filter { $0.hasPrefix("t") }.map { String($0.prefix(4)) }) }
}

@Suite(.serialized) struct GatewayTests {
    @Test func `what the BMS says goes out to the inverter, again and again`() throws {
        let bench = try Bench()
        #expect(bench.complaints == [])
        let isComplete = bench.turn { ["t351", "t355", "t356", "t359", "t35C", "t35E"].allSatisfy(bench.ids.contains) }
        #expect(isComplete)
        // 52.81 V of the BMS, in hundredths and little-endian.
        let voltage = bench.lines.first { $0.hasPrefix("t356") }
        #expect(voltage?.dropFirst(5).prefix(4) == "A114")
        #expect(bench.bms.answers >= 3)
        bench.forget()
        let again = bench.turn(within: 3000) { bench.ids.contains("t351") }
        #expect(again)
    }

    @Test func `a BMS line that is pulled out is opened again when it is back`() throws {
        let folder = TemporaryFolder()
        let device = folder.file("ttyUSB0")
        let before = try FakeBMS()
        symlink(before.path, device)
        let bench = try Bench(bmsPath: device)
        var answered = bench.turn { before.answers > 0 }
        #expect(answered)
        before.unplug()
        unlink(device)
        _ = bench.turn(within: 600) { false }
        let after = try FakeBMS()
        symlink(after.path, device)
        answered = bench.turn { after.answers > 0 }
        #expect(answered)
    }

    @Test func `a device that is missing at the start is named, and everything else works`() throws {
        let bench = try Bench(bmsPath: "/dev/ttyUSB99")
        #expect(bench.complaints.count == 1)
        #expect(bench.complaints.first?.hasPrefix("/dev/ttyUSB99: no such device") == true)
        let isSetUp = bench.turn(within: 3000) { bench.lines.contains("O") }
        #expect(isSetUp)
        // Nothing is known of the battery, so nothing is said to the inverter.
        _ = bench.turn(within: 1500) { false }
        #expect(bench.ids == [])
    }

    @Test func `what is to survive is on disk when the process ends, and no socket is left`() throws {
        let folder = TemporaryFolder()
        var bench: Bench? = try Bench(folder: folder)
        let answered = bench?.turn { bench?.bms.answers ?? 0 > 0 }
        #expect(answered == true)
        bench = nil
        let image = try #require(StateFile(directory: folder.path).image)
        let record = PersistedRecord(image: image.span)
        // An orderly end does not count as a crash.
        #expect(record?.boots == 0)
        #expect(!folder.entries.contains("link"))
    }

    @Test func `whoever listens on Link gets snapshots, and a log is replayed like a bus`() throws {
        let folder = TemporaryFolder()
        let log = folder.write("(1.0) can0 305#00\n(1.2) can0 305#00\n(1.4) can0 123#00\n", to: "bus.log")
        let bench = try Bench(log: log)
        let reader = clinux_unix_connect(bench.folder.file("link"))
        defer { close(reader) }
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
        var receiver = LinkReceiver()
        var port = InverterPortPayload()
        let heard = bench.turn(within: 10_000) {
            var buffer = [UInt8](repeating: 0, count: 1024)
            let count = max(0, read(reader, &buffer, buffer.count))
            for byte in buffer[..<count] {
                receiver.push(byte)
                while let message = receiver.next() {
                    guard message.kind == .inverterPort else { continue }
                    var payload = message.payload
                    port.visitFields(&payload)
                }
            }
            return port.counters.received == 3
        }
        #expect(heard)
        #expect(port.counters.heartbeats == 2)
        #expect(port.state == .active)
        #expect(receiver.discarded == 0)
    }

    /// DCL in 0x351, tenths of an ampere; -1 before the first one.
    private func dischargeLimit(_ bench: Bench) -> Int {
        guard let line = bench.lines.last(where: { $0.hasPrefix("t3518") }) else { return -1 }
        let digits = Array(line.dropFirst(5))
        return Int(String(digits[10...11]) + String(digits[8...9]), radix: 16) ?? -1
    }

    @Test
    func
        `a changed configuration comes into force at once, one with other devices is refused; a stop waits for the limits, a second one does not`()
        throws
    {
        let bench = try Bench()
        let isUp = bench.turn(within: 30_000) { dischargeLimit(bench) == 1_000 }
        #expect(isUp)
        var other = bench.configuration
        other.bmsLines[0] = .serial(SerialLineConfiguration(path: "/dev/ttyUSB7"))
        other.bridge.control.userDischarge = 50_000
        #expect(throws: GatewayFailure.needsRestart) { try bench.gateway.apply(other, at: .now) }
        var changed = bench.configuration
        changed.bridge.control.userDischarge = 60_000
        try bench.gateway.apply(changed, at: .now)
        let isLower = bench.turn(within: 1_000) { dischargeLimit(bench) == 600 }
        #expect(isLower)

        bench.gateway.requestStop(at: .now)
        _ = bench.turn(within: 1_100) { false }
        #expect(!bench.gateway.isStopped(at: .now))
        #expect(dischargeLimit(bench) < 600 && dischargeLimit(bench) > 0, "on the way down")
        bench.gateway.requestStop(at: .now)
        #expect(bench.gateway.isStopped(at: .now))
    }
}
