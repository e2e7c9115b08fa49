import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS

/// A seeded course of the whole engine with faults, written so that it runs on the microcontroller, too: everything that the engine
/// does goes into one checksum. The same seed must give the same checksum on 64 and on 32 bits (`make firmware-test`).
///
/// A JK unit is asked and answers in its own protocol. The battery is no model of a real one: it has to reach every corner, full and empty,
/// cold and hot, and not to be like a house. The simulator proves that the engine is right; this proves that it is the same.
public struct Trial {
    private var random: UInt64
    private var ports = TrialPorts()
    private var engine: Engine
    private var now = Instant(milliseconds: 0)
    private var due = Instant(milliseconds: 0)
    private var report = JK4E57.Report()
    // The battery: 0.0001 %, mA and 0.1 °C.
    private var soc: Int32 = 600_000
    private var current: Int32 = 0
    private var temperature: Int32 = 220
    private var silentUntil = Instant(milliseconds: 0)

    public init(seed: UInt32) {
        random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        engine = Engine(configuration: Self.configuration(seed), record: nil, at: now)
    }

    /// Runs for so many seconds of virtual time. - Returns: the checksum of everything since the start.
    public mutating func run(seconds: Int32) -> UInt32 {
        engine.bmsPort(0, isOpen: true, at: now, ports: &ports)
        engine.inverterPort(0, state: .active, at: now, ports: &ports)
        let end = now + Milliseconds(seconds) * 1000
        var second = now
        while now < end {
            if now >= second {
                second = now + 1000
                everySecond()
            }
            due = engine.wake(at: now, ports: &ports)
            if ports.wantsAnswer { answer() }
            if ports.wantsRestart {
                ports.wantsRestart = false
                ports.isDown = false
                engine.inverterPort(0, state: .active, at: now, ports: &ports)
                due = now
            }
            now = max(now + 1, min(due, second))
        }
        return ports.checksum.value
    }

    /// The longest of so many control ticks, each with news from the pack, in steps of `clock`.
    public mutating func longestTick(of count: Int, _ clock: () -> UInt32) -> UInt32 {
        var controller = engine.controller
        var longest: UInt32 = 0
        for _ in 0..<count {
            now = now + 1000
            measure()
            controller.accept(report.reading(), pack: 0, at: now)
            let began = clock()
            controller.tick(at: now)
            longest = max(longest, clock() &- began)
        }
        return longest
    }

    /// One of the dialects for each seed, one of the chemistries, one of the ways to float.
    private static func configuration(_ seed: UInt32) -> BridgeConfiguration {
        let chemistries = Chemistry.allCases
        var control = ControlConfiguration(chemistry: chemistries[Int(seed / 16) % chemistries.count])
        control.packs.append(PackConfiguration())
        control.userCharge = 100_000
        control.userDischarge = 120_000
        control.floatMode = FloatMode.allCases[Int(seed % 4)]
        control.socTaper = seed & 4 != 0
        control.forceChargeRequests = true
        var configuration = BridgeConfiguration(control: control)
        var line = BMSPortConfiguration()
        line.addresses.append(0)
        configuration.bmsPorts.append(line)
        var bus = InverterPortConfiguration()
        bus.dialect = DialectName(rawValue: UInt8(seed % 13)) ?? .pylontech
        configuration.inverterPorts.append(bus)
        return configuration
    }

    private mutating func below(_ bound: UInt32) -> UInt32 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return UInt32(truncatingIfNeeded: random >> 32) % bound
    }

    private mutating func everySecond() {
        if below(20) == 0 { current = Int32(below(240_001)) - 120_000 }
        soc = min(1_000_000, max(0, soc + current / 50))
        temperature = min(650, max(-250, temperature + Int32(below(5)) - 2))
        if below(3) != 0 {
            engine.received(CANFrame(id: 0x305, length: 8), onInverterPort: 0, at: now, ports: &ports)
        }
        switch below(900) {
        case 0: silentUntil = now + Milliseconds(below(120_000))
        case 1:
            ports.isDown = true
            engine.inverterPort(0, state: .busOff, at: now, ports: &ports)
        case 2: order(.chargeCap, value: Int32(below(120_000)))
        case 3: order(.pauseDischarge, value: 0)
        case 4: order(.socCeiling, value: 5000 + Int32(below(5000)))
        case 5: order(.fullNow, value: 0)
        case 6: order(.resume, value: 0)
        case 7: restart()
        default: break
        }
    }

    private mutating func order(_ order: LinkCommand.Order, value: Int32) {
        let message = LinkCommand(identity: below(1000), order: order, value: value, timeToLive: 60_000)
            .message(sequence: 1)
        message.withBytes { bytes in engine.receivedLink(bytes, at: now, ports: &ports) }
    }

    /// Power off and on: the record is all that is left.
    private mutating func restart() {
        now = now + 3000
        let record = ports.record.withBytes { bytes in PersistedRecord(image: bytes) }
        engine = Engine(configuration: engine.configuration, record: record, at: now)
        engine.bmsPort(0, isOpen: true, at: now, ports: &ports)
        engine.inverterPort(0, state: .active, at: now, ports: &ports)
    }

    /// The unit's answer, 40 to 100 ms after the request; sometimes damaged, sometimes in pieces.
    private mutating func answer() {
        ports.wantsAnswer = false
        now = now + 40 + Milliseconds(below(60))
        if now < silentUntil || below(60) == 0 { return }
        measure()
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        var bytes = InlineArray<512, UInt8>(repeating: 0)
        let count = min(512, frame.count)
        for i in 0..<count { bytes[i] = frame[i] }
        if below(50) == 0 { bytes[Int(below(UInt32(count)))] ^= UInt8(1 << below(8)) }
        let cut = Int(below(UInt32(count)))
        engine.received(bytes.span.extracting(0..<cut), onBMSPort: 0, at: now, ports: &ports)
        now = now + 7
        engine.received(bytes.span.extracting(cut..<count), onBMSPort: 0, at: now, ports: &ports)
    }

    private mutating func measure() {
        report.command = 6
        report.transport = 1
        report.setRaw(.protocolVersion, to: 1)
        report.cells = CellVoltages(filler: 0)
        var sum: Int64 = 0
        // A steep end, a flat middle, and the drop of the current.
        let rest = 2900 + soc / 2500 + (soc > 950_000 ? (soc - 950_000) / 250 : 0) + current / 1000
        for cell in 0..<16 as Range<Int32> {
            let millivolts = UInt16(clamping: max(1500, rest + cell % 5 * 3 + Int32(below(4))))
            report.cells.append(millivolts)
            sum += Int64(millivolts)
        }
        report.setValue(of: .packVoltage, to: sum)
        report.setValue(of: .current, to: Int64(current))
        report.setRaw(.soc, to: UInt32(soc / 10_000))
        let celsius = Int64(min(99, max(-40, temperature / 10)))
        report.setValue(of: .mosfetTemperature, to: min(99, celsius + 8))
        report.setValue(of: .temperature1, to: celsius)
        report.setValue(of: .temperature2, to: celsius - (celsius > -40 ? 1 : 0))
        report.setRaw(.warnings, to: below(200) == 0 ? 1 << below(14) : 0)
        report.setRaw(.status, to: below(300) == 0 ? below(4) : 3)
        report.setRaw(.cellOverVoltage, to: 3650)
        report.setRaw(.cellUnderVoltage, to: 2700)
        report.setRaw(.chargeOverCurrent, to: 150)
        report.setRaw(.dischargeOverCurrent, to: 150)
        report.setRaw(.configuredCellCount, to: 16)
        report.setRaw(.configuredCapacity, to: 280)
    }
}

/// Everything that the engine does, as one checksum.
struct TrialPorts: EnginePorts {
    var checksum = CRC32()
    var record = FieldBuffer<192>()
    var wantsAnswer = false
    var wantsRestart = false
    var isDown = false

    private mutating func take(_ kind: UInt8, _ bytes: Span<UInt8>) {
        checksum.update(kind)
        for i in bytes.indices { checksum.update(bytes[i]) }
    }

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) {
        take(1, bytes)
        wantsAnswer = true
    }

    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        if isDown { return .down }
        checksum.update(2)
        checksum.update(UInt8(truncatingIfNeeded: frame.id))
        checksum.update(UInt8(truncatingIfNeeded: frame.id >> 8))
        for i in 0..<Int(frame.length) { checksum.update(frame[i]) }
        return .queued
    }

    mutating func restartBus(inverterPort port: Int) {
        checksum.update(3)
        wantsRestart = true
    }

    mutating func reopen(bmsPort port: Int) { checksum.update(4) }
    mutating func publish(_ message: Span<UInt8>) { take(5, message) }

    mutating func persist(_ image: Span<UInt8>) {
        take(6, image)
        record.removeAll()
        for i in image.indices { record.append(image[i]) }
    }
}
