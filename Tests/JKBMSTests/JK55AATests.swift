import Battery
import Foundation
import Testing

@testable import JKBMS

@Suite struct JK55AATests {
    private func reading(_ record: [UInt8], layout: JK55AA.Layout? = nil) throws(FrameRejection) -> PackReading {
        var reading = PackReading()
        var probes = JKProbes()
        try JK55AA.decodeStatus(record.span, layout: layout, probes: &probes, into: &reading)
        return reading
    }

    private func rejection(of record: [UInt8]) -> FrameRejection? {
        do throws(FrameRejection) {
            _ = try reading(record)
            return nil
        } catch {
            return error
        }
    }

    // MARK: Status

    @Test func `each field of a status record has its place, sign and unit`() throws {
        let reading = try reading(status32())
        #expect(list(reading.cells) == [UInt16](repeating: 3320, count: 16))
        #expect(reading.packVoltage == 53_120)
        #expect(reading.current == -12_345)
        #expect(reading.mosfetTemperature == .value(251))
        #expect(reading.cellTemperatures[0] == .value(201))
        #expect(reading.cellTemperatures[1] == .value(-31))
        #expect(reading.soc == 6000)
        #expect(reading.soh == 9800)
        #expect(reading.remaining == 168_000)
        #expect(reading.full == 280_000)
        #expect(reading.cycles == 12)
        #expect(reading.throughput == 3_456_789)
        #expect(reading.uptime == 48_570_884_000)
        #expect(reading.uptimeResolution == 1000)
        #expect(reading.chargeSwitch == true)
        #expect(reading.dischargeSwitch == true)
        #expect(reading.balancing == true)
        #expect(reading.alarms == [])
        #expect(reading.settings == nil)
    }

    @Test func `the MOSFET states are separate bytes`() throws {
        let reading = try reading(status32 { $0[198] = 0 })
        #expect(reading.chargeSwitch == false)
        #expect(reading.dischargeSwitch == true)
    }

    @Test func `a probe that is not connected is absent, one that is not fitted too`() throws {
        let reading = try reading(status32 { $0.put(Int16(-2000), at: 162) })
        #expect(reading.cellTemperatures[0] == .absent)
        #expect(reading.cellTemperatures[1] == .value(-31))
        let oneProbe = try self.reading(status32 { $0[214] = 0b011 })
        #expect(oneProbe.cellTemperatures[1] == .absent)
    }

    @Test func `an MOSFET repeated as third probe and probes that are always zero do not count as cells`() throws {
        let reading = try reading(status32())
        #expect(reading.cellTemperatures.count == 5)
        for i in 2..<5 { #expect(reading.cellTemperatures[i] == .absent) }
    }

    @Test func `a further probe counts from the moment it shows something of its own`() throws {
        var probes = JKProbes()
        var reading = PackReading()
        func decode(_ record: [UInt8]) throws { try JK55AA.decodeStatus(record.span, probes: &probes, into: &reading) }
        try decode(status32 { $0.put(Int16(190), at: 256) })
        #expect(reading.cellTemperatures[3] == .value(190))
        #expect(reading.cellTemperatures[2] == .absent)
        // Now exactly at 0.0 °C: it has been proven to exist, so it must block charging.
        try decode(status32())
        #expect(reading.cellTemperatures[3] == .value(0))
        try decode(status32 { $0.put(Int16(260), at: 254) })
        #expect(reading.cellTemperatures[2] == .value(260))
        try decode(status32())
        #expect(reading.cellTemperatures[2] == .value(251), "equal to the MOSFET by chance, but proven before")
    }

    // MARK: Trust

    @Test func `framing and sum are checked`() {
        let good = status32()
        #expect(rejection(of: good) == nil)
        #expect(rejection(of: Array(good.dropLast())) == .truncated)
        #expect(rejection(of: good + [0]) == .badLength)
        #expect(rejection(of: [0x55, 0xAA, 0xEB]) == .truncated)
        #expect(rejection(of: resummed([0x54] + good.dropFirst())) == .noise)
        #expect(rejection(of: settings32()) == .unexpected)
        for index in good.indices {
            var damaged = good
            damaged[index] ^= 0x20
            #expect(rejection(of: damaged) != nil, "byte \(index)")
        }
    }

    /// One captured record is shifted by half a byte from byte 5 on and has a right sum all the same.
    @Test func `a record shifted by half a byte is rejected although its sum is right`() {
        let good = status32()
        var shifted = good
        for i in 5..<299 { shifted[i] = good[i] << 4 | good[i + 1] >> 4 }
        #expect(rejection(of: resummed(shifted)) == .badStructure)
    }

    @Test(arguments: [
        "mask without its cell", "cell without its bit", "pack off by 3 %", "SoC 101", "more than 1.2 times full",
        "no cells", "asleep: zeros",
    ])
    func `a right sum does not save values that contradict each other`(what: String) {
        let damaged = status32 {
            switch what {
            case "mask without its cell": $0.put(UInt32(0x1FFFF), at: 70)
            case "cell without its bit": $0.put(UInt32(0x7FFF), at: 70)
            case "pack off by 3 %": $0.put(UInt32(53_120 * 103 / 100), at: 150)
            case "SoC 101": $0[173] = 101
            case "more than 1.2 times full": $0.put(Int32(336_001), at: 174)
            case "no cells": for i in 6..<70 { $0[i] = 0 }
            default: for i in 6..<299 { $0[i] = 0 }
            }
        }
        #expect(rejection(of: damaged) == .badStructure)
    }

    @Test func `the bounds of plausibility are not too tight`() {
        #expect(rejection(of: status32 { $0.put(UInt32(54_000), at: 150) }) == nil)
        #expect(rejection(of: status32 { $0.put(Int32(336_000), at: 174) }) == nil)
    }

    @Test func `a layout that is remembered is not guessed again`() throws {
        // 24 cells of 0 V: nothing to classify, but the sum of zero cells cannot be believed either.
        #expect(throws: FrameRejection.badStructure) { try reading(record(2) { _ in }, layout: .cells32) }
        #expect(throws: FrameRejection.badStructure) { try reading(status32(), layout: .cells24) }
    }

    // MARK: Alarms

    @Test func `each alarm bit has its meaning, and two of them are none`() throws {
        let expected: [UInt32: Alarms] = [
            0: .wireResistance, 1: .mosfetOverTemperature, 2: .cellCount, 3: .bmsInternal, 4: .cellOverVoltage,
            5: .packOverVoltage, 6: .chargeOverCurrent, 7: .shortCircuit, 8: .chargeOverTemperature,
            9: .chargeUnderTemperature, 10: .bmsInternal, 11: .cellUnderVoltage, 12: .packUnderVoltage,
            13: .dischargeOverCurrent, 14: .shortCircuit, 15: .dischargeOverTemperature, 16: .chargeSwitchFault,
            17: .dischargeSwitchFault, 18: [], 19: [], 20: .dischargeSwitchFault, 21: .cellOverTemperature,
            22: .temperatureSensor, 23: .other, 24: .shortCircuit, 25: .dischargeOverCurrent, 26: .dischargeOverCurrent,
            27: .dischargeUnderTemperature, 28: .other, 29: .other, 30: .other, 31: .other,
        ]
        for (bit, alarms) in expected {
            let reading = try reading(status32 { $0.put(UInt32(1) << bit, at: 166) })
            #expect(reading.alarms == alarms, "bit \(bit)")
        }
    }

    // MARK: Settings

    @Test func `settings have their place and unit`() throws {
        var settings = PackSettings()
        let capacity = try JK55AA.decodeSettings(settings32().span, into: &settings)
        #expect(capacity == 280_000)
        #expect(settings.cellUnderVoltage == 2700)
        #expect(settings.cellUnderVoltageRelease == 2901)
        #expect(settings.cellOverVoltage == 3650)
        #expect(settings.cellOverVoltageRelease == 3444)
        #expect(settings.balanceTrigger == 5)
        #expect(settings.chargeOverCurrent == 60_000)
        #expect(settings.dischargeOverCurrent == 100_000)
        #expect(settings.chargeOverTemperature == 550)
        #expect(settings.dischargeOverTemperature == 600)
        #expect(settings.chargeUnderTemperature == -50)
        #expect(settings.mosfetOverTemperature == 800)
        #expect(settings.cellCount == 16)
        #expect(settings.chargeEnabled == true)
        #expect(settings.dischargeEnabled == false)
        #expect(settings.balancerEnabled == true)
        #expect(settings.balanceStart == 3440)
        #expect(throws: FrameRejection.unexpected) { try JK55AA.decodeSettings(status32().span, into: &settings) }
        #expect(throws: FrameRejection.badStructure) {
            try JK55AA.decodeSettings(record(1) { _ in }.span, into: &settings)
        }
    }

    // MARK: Floats

    @Test(
        arguments: [
            (0x405D_8ADB, Int64(34_616)),  // 3.4616
            (0x3F80_0000, 10_000), (0xBF80_0000, -10_000), (0xC003_4816, -20_513), (0, 0), (0x8000_0000, 0),
            (0x0000_0001, 0), (0x3851_B718, 1),  // just above 0.00005
        ] as [(UInt32, Int64)])
    func `a float becomes a rounded integer`(bits: UInt32, value: Int64) {
        #expect(JK55AA.scaled(bits: bits, by: 10_000) == value)
        #expect(JK55AA.scaled(bits: bits, by: 10_000) == Int64((Double(Float(bitPattern: bits)) * 10_000).rounded()))
    }

    @Test func `a float that is no number has no value, and the whole range agrees with the machine's`() {
        for bits: UInt32 in [0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0x7F7F_FFFF] {
            #expect(JK55AA.scaled(bits: bits, by: 10_000) == nil)
        }
        var numbers = SeededNumbers(seed: 4)
        for _ in 0..<20_000 {
            let bits = UInt32.random(in: 0...UInt32.max, using: &numbers)
            let exact = Double(Float(bitPattern: bits)) * 10_000
            guard let scaled = JK55AA.scaled(bits: bits, by: 10_000) else {
                #expect(!exact.isFinite || exact.magnitude > 1e18)
                continue
            }
            #expect((Double(scaled) - exact).magnitude <= max(0.5, exact.magnitude * 1e-12))
        }
    }
}

/// What public decoders and our own agree on, for every captured record. All field names are tested with `packbridge decode`.
@Suite(.enabled(if: Captures.arePresent, "no captures folder: set PACKBRIDGE_CAPTURES"))
struct JK55AAConformanceTests {
    @Test func `every status record is accepted, in the layout of its unit, with its values`() throws {
        let records = try Captures.records("jk-55aaeb90").filter { $0.kind == "payload-status" }
        #expect(records.count == 122)
        for capture in records {
            var probes = JKProbes()
            var reading = PackReading()
            let layout = try JK55AA.decodeStatus(capture.frame.span, probes: &probes, into: &reading)
            let note = Comment(rawValue: capture.id)
            let names: [JK55AA.Layout: String] = [.jk04: "JK04", .cells24: "JK02_24S", .cells32: "JK02_32S"]
            #expect(names[layout] == capture.string("layout"), note)
            let cells = (capture.expected["cell_voltages_mV"] as! [NSNumber]).map { UInt16($0.doubleValue.rounded()) }
            guard layout != .jk04 else {
                // The record gives tenths of a millivolt, so that rounding twice may differ by one.
                #expect(reading.cells.count == cells.count, note)
                for (a, b) in zip(list(reading.cells), cells) { #expect(a == b || a + 1 == b, note) }
                #expect(reading.packVoltage == nil && reading.current == nil && reading.soc == nil, note)
                continue
            }
            #expect(list(reading.cells) == cells, note)
            #expect(reading.packVoltage.map(Int64.init) == capture.number("pack_voltage_mV"), note)
            #expect(reading.current.map(Int64.init) == capture.number("current_mA"), note)
            #expect(reading.soc.map { Int64($0 / 100) } == capture.number("soc_pct"), note)
            #expect(reading.remaining.map(Int64.init) == capture.number("remaining_mAh"), note)
            #expect(reading.full.map(Int64.init) == capture.number("full_capacity_mAh"), note)
            #expect(reading.chargeSwitch == capture.expected["charge_mos_on"] as? Bool, note)
            #expect(reading.dischargeSwitch == capture.expected["discharge_mos_on"] as? Bool, note)
            let t1 = (capture.expected["t1_C"] as? NSNumber).map { Decidegrees(($0.doubleValue * 10).rounded()) }
            #expect(reading.cellTemperatures[0].temperature == t1, note)
        }
    }

    @Test func `every settings record gives its limits`() throws {
        for capture in try Captures.records("jk-55aaeb90") where capture.kind == "payload-settings" {
            var settings = PackSettings()
            let capacity = try JK55AA.decodeSettings(capture.frame.span, into: &settings)
            let note = Comment(rawValue: capture.id)
            #expect(settings.cellCount.map(Int64.init) == capture.number("cell_count"), note)
            if capture.string("layout") == "JK04" { continue }
            #expect(capacity.map(Int64.init) == capture.number("capacity_mAh"), note)
            #expect(settings.cellOverVoltage.map(Int64.init) == capture.number("cell_ovp_mV"), note)
            #expect(settings.chargeOverCurrent.map(Int64.init) == capture.number("charge_limit_mA"), note)
            #expect(settings.dischargeOverCurrent.map(Int64.init) == capture.number("discharge_limit_mA"), note)
        }
    }
}
