import InverterDialects

/// A simulated JK unit that tells its state over its own CAN protocol, V1 and V2 frames (jk-can.md §2, §3).
public struct SimulatedJKCAN: Sendable {
    private let address: UInt32
    private var counts = 0

    public init(address: UInt8) {
        self.address = UInt32(address)
    }

    /// Everything that is due in one tenth of a second. The real unit sends 0x2F4 every 20 ms; once is enough here.
    public mutating func frames(_ m: PackMeasurement) -> [CANFrame] {
        defer { counts += 1 }
        var frames = [
            frame(
                0x2F4, [Int(m.packCentivolts) / 10, Int(m.centiamps) / 10 + 4000], bytes: [m.soc]),
            frame(0x4F4, [Int(m.highest)], bytes: [1, UInt8(m.lowest & 0xFF), UInt8(m.lowest >> 8), 2]),
            frame(0x5F4, [], bytes: temperatures(m)),
            frame(
                0x18F1_28F4,
                [
                    Int(m.capacity * 10) * Int(m.soc) / 100, Int(m.capacity * 10), Int(m.throughput) * 10 & 0xFFFF,
                    Int(m.cycles),
                ]),
        ]
        let alarms = alarms(m.warnings)
        if alarms != 0 { frames.append(frame(0x7F4, [alarms & 0xFFFF, alarms >> 16])) }
        if counts % 5 == 0 {
            frames.append(frame(0x18F2_28F4, [], bytes: [0b111] + probes(m) + [0, 0]))
            let switches = (m.chargeSwitch ? 1 : 0) | (m.dischargeSwitch ? 2 : 0) | (m.balancing ? 4 : 0)
            frames.append(frame(0x18F5_28F4, [], bytes: [UInt8(switches)]))
        }
        if counts % 10 == 0 {
            for first in stride(from: 0, to: m.cellCount, by: 4) {
                let cells = (first..<first + 4).map { $0 < m.cellCount ? Int(m.millivolts[$0]) : 0 }
                frames.append(frame(0x18E0_28F4 + UInt32(first / 4) << 16, cells))
            }
        }
        return frames
    }

    private func frame(_ base: UInt32, _ words: [Int], bytes: [UInt8] = []) -> CANFrame {
        let data = words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] } + bytes
        var word: UInt64 = 0
        for (i, byte) in data.enumerated() { word |= UInt64(byte) << UInt64(8 * i) }
        return CANFrame(id: base + address, isExtended: base > 0x7FF, length: UInt8(data.count), word: word)
    }

    /// 50 °C more; a probe that is not there is 0.
    private func probes(_ m: PackMeasurement) -> [UInt8] {
        [m.temperature1, m.temperature2, m.mosfet].map { $0.map { UInt8(clamping: $0 + 50) } ?? 0 }
    }

    private func temperatures(_ m: PackMeasurement) -> [UInt8] {
        let all = [m.temperature1, m.temperature2].compactMap { $0 }
        guard let highest = all.max(), let lowest = all.min() else { return [] }
        return [UInt8(clamping: highest + 50), 1, UInt8(clamping: lowest + 50), 2, UInt8(clamping: (highest + lowest) / 2 + 50)]
    }

    /// Two bits each, lowest first; level 1 is the most serious.
    private func alarms(_ warnings: BMSWarnings) -> Int {
        let order: [BMSWarnings] = [
            .cellOverVoltage, .cellUnderVoltage, .packOverVoltage, .packUnderVoltage, .cellDifference,
            .dischargeOverCurrent, .chargeOverCurrent, .batteryHot, .batteryCold, [], .lowCapacity,
        ]
        var word = 0
        for (i, warning) in order.enumerated() where !warning.isEmpty && warnings.contains(warning) { word |= 1 << (2 * i) }
        return word
    }
}
