import Glibc
import JKBMS
import LinuxIO
import Synchronization

/// A JK-BMS behind a pseudo-terminal: 16 cells, answers every "read all" at once. Lives in a thread of its own.
final class FakeBMS {
    let terminal: PseudoTerminal
    private let shared = Shared()
    private var thread = pthread_t()

    private final class Shared: Sendable {
        let master = Atomic<Int32>(-1)
        let isOver = Atomic(false)
        let isSilent = Atomic(false)
        let answers = Atomic(0)
        let reply = Mutex<[UInt8]>([])
    }

    init(cellMillivolts: Int32 = 3300) throws {
        terminal = try PseudoTerminal()
        shared.master.store(terminal.descriptor, ordering: .relaxed)
        set(cellMillivolts: cellMillivolts)
        pthread_create(
            &thread, nil,
            { argument in
                FakeBMS.answer(Unmanaged<Shared>.fromOpaque(argument!).takeRetainedValue())
                return nil
            }, Unmanaged.passRetained(shared).toOpaque())
    }

    deinit { unplug() }

    var path: String { terminal.path }
    var answers: Int { shared.answers.load(ordering: .relaxed) }

    var isSilent: Bool {
        get { shared.isSilent.load(ordering: .relaxed) }
        set { shared.isSilent.store(newValue, ordering: .relaxed) }
    }

    func unplug() {
        if shared.isOver.exchange(true, ordering: .relaxed) { return }
        pthread_join(thread, nil)
        terminal.unplug()
    }

    /// What the BMS says from now on.
    func set(cellMillivolts: Int32) {
        var report = JK4E57.Report()
        (report.command, report.transport) = (6, 1)
        for cell in 0..<16 { report.cells.append(UInt16(cellMillivolts) + UInt16(cell % 3)) }
        let sum = (0..<16).reduce(0) { $0 + Int64(cellMillivolts) + Int64($1 % 3) }
        let fields: [(JK4E57.Identifier, UInt32)] = [
            (.mosfetTemperature, 25), (.temperature1, 22), (.temperature2, 23), (.packVoltage, UInt32(sum / 10)),
            (.current, 0x8000 | 500), (.soc, 55), (.probeCount, 2), (.cycles, 12), (.throughput, 3360),
            (.cellCount, 16),
            (.warnings, 0), (.status, 3), (.packOverVoltage, 5840), (.packUnderVoltage, 4320), (.cellOverVoltage, 3650),
            (.cellOverVoltageRelease, 3550), (.cellOverVoltageDelay, 5), (.cellUnderVoltage, 2700),
            (.cellUnderVoltageRelease, 2850), (.cellUnderVoltageDelay, 5), (.cellDifference, 300),
            (.dischargeOverCurrent, 150), (.dischargeOverCurrentDelay, 30), (.chargeOverCurrent, 100),
            (.chargeOverCurrentDelay, 30), (.balanceStart, 3400), (.balanceTrigger, 10), (.balancerEnabled, 1),
            (.mosfetOverTemperature, 90), (.mosfetOverTemperatureRelease, 80), (.boxOverTemperature, 100),
            (.boxOverTemperatureRelease, 100), (.temperatureDifference, 20), (.chargeOverTemperature, 60),
            (.dischargeOverTemperature, 65), (.chargeUnderTemperature, 0), (.chargeUnderTemperatureRelease, 3),
            (.dischargeUnderTemperature, 0xFFEC), (.dischargeUnderTemperatureRelease, 0xFFF6),
            (.configuredCellCount, 16), (.configuredCapacity, 280), (.chargeEnabled, 1), (.dischargeEnabled, 1),
            (.learnedCapacity, 280), (.protocolVersion, 1),
        ]
        for (id, raw) in fields { report.setRaw(id, to: raw) }
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        shared.reply.withLock { $0 = (0..<frame.count).map { frame[$0] } }
    }

    private static func answer(_ shared: Shared) {
        var heard: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256)
        let master = shared.master.load(ordering: .relaxed)
        while !shared.isOver.load(ordering: .relaxed) {
            let count = read(master, &buffer, buffer.count)
            if count <= 0 {
                usleep(500)
                continue
            }
            heard += buffer[..<count]
            // A "read all" has 21 bytes.
            if heard.count < 21 { continue }
            heard = []
            if shared.isSilent.load(ordering: .relaxed) { continue }
            let reply = shared.reply.withLock { $0 }
            _ = write(master, reply, reply.count)
            shared.answers.add(1, ordering: .relaxed)
        }
    }
}
