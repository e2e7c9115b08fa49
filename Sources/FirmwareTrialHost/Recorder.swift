import Battery
import BridgeEngine
import FirmwareTrial
import InverterDialects
import Simulation

/// One world of the simulator with one pack, as `packbridge simulate soak --packs 1 --seed SEED` draws it, on a tape.
func record(seed: UInt64, seconds: Int64, faultsPerDay: Double) -> [UInt8] {
    var plan = WorldPlan.random(seed: seed, packs: 1, faultsPerDay: faultsPerDay)
    // Somebody reads Link in half of the worlds.
    plan.hasReader = seed % 2 == 0
    let recorder = Recorder(hasReader: plan.hasReader)
    var world = World(plan) { recorder.take($0) }
    world.run(seconds: seconds)
    precondition(!world.checker.shouldStop, "the world itself is not as it should be")
    return recorder.tape
}

/// Writes what `TapePlayer` reads.
final class Recorder: @unchecked Sendable {
    // Sendable because a world runs on one thread.
    private(set) var tape: [UInt8] = []
    private let hasReader: Bool
    private var clock: Instant?

    init(hasReader: Bool) {
        self.hasReader = hasReader
    }

    func take(_ deed: EngineDeed) {
        switch deed {
        case .at(let now):
            if now != clock { append(.clock, now.milliseconds) }
            clock = now
        case .start(let configuration, let record):
            append(.start, UInt8(hasReader ? 1 : 0))
            append(configuration.image())
            if let record { append(record.image()) } else { append(bytes: []) }
        case .bmsPort(_, let isOpen): append(.bmsPort, UInt8(isOpen ? 1 : 0))
        case .inverterPort(let state): append(.inverterPort, state.rawValue)
        case .reply(let bytes, _):
            append(.reply)
            append(bytes: bytes)
        case .heard(let frame):
            append(.heard)
            append(frame)
        case .link(let bytes):
            append(.link)
            append(bytes: bytes)
        case .wake: append(.wake)
        case .prepareStop: append(.prepareStop)
        case .stop: append(.stop)
        case .reconfigure(let new):
            append(.reconfigure)
            append(new.image())
        case .sent(let frame, let result):
            append(.sent)
            append(frame)
            append(result.rawValue)
        case .request(let bytes): append(.request, checksum(bytes))
        case .message(let bytes): append(.message, checksum(bytes))
        case .record(let bytes): append(.record, checksum(bytes))
        case .restartBus: append(.restartBus)
        case .reopen: append(.reopen)
        case .due(let instant): append(.due, instant.milliseconds)
        }
    }

    private func append(_ mark: TapeMark) { tape.append(mark.rawValue) }

    private func append(_ mark: TapeMark, _ number: some FixedWidthInteger) {
        append(mark)
        append(number)
    }

    private func append<T: FixedWidthInteger>(_ number: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) { tape.append(UInt8(truncatingIfNeeded: number >> T(shift))) }
    }

    private func append(bytes: [UInt8]) {
        append(UInt16(bytes.count))
        tape += bytes
    }

    private func append<let capacity: Int>(_ image: FieldBuffer<capacity>) {
        append(bytes: image.withBytes { span in span.indices.map { span[$0] } })
    }

    private func append(_ frame: CANFrame) {
        append(frame.id)
        append(frame.length)
        append(frame.word)
    }

    private func checksum(_ bytes: [UInt8]) -> UInt32 {
        var crc = CRC32()
        for byte in bytes { crc.update(byte) }
        return crc.value
    }
}
