import Battery
import JKBMS
import Testing

@Suite struct JKCANTests {
    /// Sends frames to a listener for address 0.
    private struct Bus {
        var listener = JKCANListener(address: 0)
        var line = RecordingLine()

        mutating func send(_ id: UInt32, _ hex: String, extended: Bool = false, at now: Milliseconds) {
            listener.receive(
                id: id, isExtended: extended, data: bytes(hex).span, at: Instant(milliseconds: now), on: &line)
        }

        var last: PackReading? { line.readings.last?.reading }
    }

    @Test func `identifiers carry the address, also across the nibble`() {
        func identify(_ id: UInt32, _ extended: Bool) -> (JKCAN.Message, UInt8)? {
            JKCAN.identify(id: id, isExtended: extended).map { ($0.message, $0.address) }
        }
        #expect(identify(0x2F4, false)! == (.battery, 0))
        #expect(identify(0x2F5, false)! == (.battery, 1))
        #expect(identify(0x303, false)! == (.battery, 15))
        #expect(identify(0x304, false) == nil)
        #expect(identify(0x7F4, false)! == (.alarms, 0))
        #expect(identify(0x18F1_28F4, true)! == (.capacity, 0))
        #expect(identify(0x18E0_28F4, true)! == (.cellVoltages(first: 1), 0))
        #expect(identify(0x18E6_28F6, true)! == (.cellVoltages(first: 25), 2))
        #expect(identify(0x18E7_28F4, true) == nil)
        #expect(identify(0x01F2_1400, true) == nil, "foreign frame of the dump")
        #expect(identify(0x2F4, true) == nil)
    }

    @Test func `the captured battery frame is 53.1 V, 1.8 A, 81 %`() throws {
        var bus = Bus()
        bus.send(0x2F4, "1302b20f51000000", at: 0)
        let reading = try #require(bus.last)
        #expect(reading.packVoltage == 53_100)
        #expect(reading.current == 1800)
        #expect(reading.soc == 8100)
        #expect(reading.alarms == [], "no alarm frame, no alarm")
        #expect(reading.cells.isEmpty)
        #expect(reading.chargeSwitch == nil)
        #expect(reading.remaining == nil)
    }

    @Test func `the sign of the current is a setting`() {
        var bus = Bus()
        bus.listener = JKCANListener(address: 0, chargeIsPositive: false)
        bus.send(0x2F4, "1302b20f51000000", at: 0)
        #expect(bus.last?.current == -1800)
    }

    @Test func `a snapshot has the cells, probes, switches and capacity of V2`() throws {
        var bus = Bus()
        bus.send(0x18E0_28F4, "e50ce60ce70ce80c", extended: true, at: 0)
        bus.send(0x18E1_28F4, "e90c000000000000", extended: true, at: 0)
        bus.send(0x18F1_28F4, "e108f00a00000b00", extended: true, at: 0)
        bus.send(0x18F2_28F4, "0747464b00000000", extended: true, at: 0)
        bus.send(0x18F5_28F4, "0500000000000000", extended: true, at: 0)
        bus.send(0x2F4, "1302b20f51000000", at: 10)
        let reading = try #require(bus.last)
        #expect(list(reading.cells) == [3301, 3302, 3303, 3304, 3305])
        #expect(reading.remaining == 227_300)
        #expect(reading.full == 280_000)
        #expect(reading.cycles == 11)
        #expect(reading.cellTemperatures[0] == .value(210))
        #expect(reading.cellTemperatures[1] == .value(200))
        #expect(reading.cellTemperatures[2] == .absent)
        #expect(reading.mosfetTemperature == .value(250))
        #expect(reading.chargeSwitch == true)
        #expect(reading.dischargeSwitch == false)
        #expect(reading.balancing == true)
    }

    @Test func `parts that are older than two periods are not used any more`() {
        var bus = Bus()
        bus.send(0x18E0_28F4, "e50ce60ce70ce80c", extended: true, at: 0)
        bus.send(0x18E1_28F4, "e90cea0c00000000", extended: true, at: 0)
        bus.send(0x18F5_28F4, "0700000000000000", extended: true, at: 0)
        bus.send(0x18E0_28F4, "e50ce60ce70ce80c", extended: true, at: 1500)
        bus.send(0x2F4, "1302b20f51000000", at: 2000)
        #expect(bus.last?.cells.count == 4)
        #expect(bus.last?.chargeSwitch == nil)
    }

    @Test func `alarms end when their frame stops`() {
        var bus = Bus()
        bus.send(0x7F4, "0f000000", at: 0)
        bus.send(0x2F4, "1302b20f51000000", at: 20)
        #expect(bus.last?.alarms == [.cellOverVoltage, .cellUnderVoltage])
        bus.send(0x2F4, "1302b20f51000000", at: 1020)
        #expect(bus.last?.alarms == [])
    }

    @Test func `each alarm has its two bits, and every level counts`() {
        let order: [Alarms] = [
            .cellOverVoltage, .cellUnderVoltage, .packOverVoltage, .packUnderVoltage, .cellImbalance,
            .dischargeOverCurrent, .chargeOverCurrent, .cellOverTemperature, .cellUnderTemperature, .other,
            .lowStateOfCharge, .other, .other, .other, .bmsInternal,
        ]
        for (i, alarm) in order.enumerated() {
            for level in UInt32(1)...3 { #expect(JKCAN.alarms(level << UInt32(2 * i)) == alarm) }
        }
        #expect(JKCAN.alarms(0) == [])
    }

    @Test func `what nobody has verified is used only where the owner says so`() {
        for uses in [false, true] {
            var bus = Bus()
            bus.listener = JKCANListener(address: 0, usesUnconfirmed: uses)
            bus.send(0x1806_E5F4, "4802f40100000000", extended: true, at: 0)
            bus.send(0x2F4, "1302b20f51000000", at: 10)
            #expect(bus.last?.dynamicChargeVoltage == (uses ? 58_400 : nil))
            #expect(bus.last?.dynamicChargeLimit == (uses ? 50_000 : nil))
        }
    }

    @Test func `snapshots keep their distance, and other units are ignored`() {
        var bus = Bus()
        for now in stride(from: Milliseconds(0), to: 3000, by: 20) {
            bus.send(0x2F4, "1302b20f51000000", at: now)
            bus.send(0x2F5, "0000000000000000", at: now)
        }
        #expect(bus.line.readings.map(\.at) == [0, 1000, 2000])
        #expect(bus.line.readings.allSatisfy { $0.reading.packVoltage == 53_100 })
    }

    @Test func `five seconds of silence are reported`() {
        var bus = Bus()
        bus.send(0x2F4, "1302b20f51000000", at: 0)
        var now: Milliseconds = 0
        while now < 12_000 { now = bus.listener.wake(at: Instant(milliseconds: now), on: &bus.line).milliseconds }
        #expect(bus.line.timeouts == [0, 0])
    }

    @Test func `frames of any length and content do not trap`() {
        var numbers = SeededNumbers(seed: 8)
        var bus = Bus()
        let ids: [UInt32] = [0x18E0_28F4, 0x18E6_28F4, 0x18F1_28F4, 0x18F2_28F4, 0x18F3_28F4, 0x18F5_28F4, 0x1806_E5F4]
        for now in 0..<5000 {
            let data = (0..<Int.random(in: 0...8, using: &numbers)).map { _ in
                UInt8.random(in: 0...255, using: &numbers)
            }
            let extended = Bool.random(using: &numbers)
            let id =
                extended
                ? ids.randomElement(using: &numbers)! : [0x2F4, 0x4F4, 0x5F4, 0x7F4].randomElement(using: &numbers)!
            bus.send(id, hex(data), extended: extended, at: Milliseconds(now))
        }
        #expect(bus.line.readings.count >= 4)
    }
}
