import Battery

@testable import JKBMS

/// Little-endian record with the sum of all bytes before it at its end.
func record(_ kind: UInt8, counter: UInt8 = 0, _ fill: (inout [UInt8]) -> Void) -> [UInt8] {
    var record = [UInt8](repeating: 0, count: 300)
    record.replaceSubrange(0..<6, with: [0x55, 0xAA, 0xEB, 0x90, kind, counter])
    fill(&record)
    return resummed(record)
}

func resummed(_ record: [UInt8]) -> [UInt8] {
    var record = record
    record[299] = record[0..<299].reduce(0) { $0 &+ $1 }
    return record
}

extension Array where Element == UInt8 {
    mutating func put(_ value: some FixedWidthInteger, at offset: Int) {
        for i in 0..<value.bitWidth / 8 { self[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
    }
}

/// A healthy 16-cell pack in the 32-cell layout; tests change single fields. Offsets are those of jk-modbus.md §4.
func status32(cells: [UInt16] = [UInt16](repeating: 3320, count: 16), _ change: (inout [UInt8]) -> Void = { _ in })
    -> [UInt8]
{
    record(2) {
        for (k, cell) in cells.enumerated() { $0.put(cell, at: 6 + 2 * k) }
        let fitted = cells.enumerated().filter { $0.element > 0 }
        $0.put(fitted.reduce(UInt32(0)) { $0 | 1 << UInt32($1.offset) }, at: 70)
        let sum = cells.reduce(UInt32(0)) { $0 + UInt32($1) }
        $0.put(UInt16(sum / UInt32(max(1, fitted.count))), at: 74)
        $0.put(Int16(251), at: 144)  // MOSFET 25.1 °C
        $0.put(sum, at: 150)  // pack, mV
        $0.put(Int32(-12_345), at: 158)  // current
        $0.put(Int16(201), at: 162)  // T1
        $0.put(Int16(-31), at: 164)  // T2: -3.1 °C
        $0.put(UInt32(0), at: 166)  // alarms
        $0[172] = 1  // balancing
        $0[173] = 60  // SoC
        $0.put(Int32(168_000), at: 174)  // remaining
        $0.put(UInt32(280_000), at: 178)  // full
        $0.put(UInt32(12), at: 182)  // cycles
        $0.put(UInt32(3_456_789), at: 186)  // throughput
        $0[190] = 98  // SoH
        $0.put(UInt32(48_570_884), at: 194)  // run time
        $0[198] = 1
        $0[199] = 1
        $0[214] = 0xFF
        $0.put(Int16(251), at: 254)  // T3 repeats the MOSFET
        change(&$0)
    }
}

func settings32(_ change: (inout [UInt8]) -> Void = { _ in }) -> [UInt8] {
    record(1) {
        let values: [(Int, UInt32)] = [
            (10, 2700), (14, 2901), (18, 3650), (22, 3444), (26, 5), (50, 60_000), (62, 100_000), (82, 550), (90, 600),
            (98, 20), (106, 800), (114, 16), (118, 1), (122, 0), (126, 1), (130, 280_000), (138, 3440), (270, 3),
        ]
        for (offset, value) in values { $0.put(value, at: offset) }
        $0.put(Int32(-50), at: 98)  // charge under-temperature -5.0 °C
        change(&$0)
    }
}

func withCRC(_ bytes: [UInt8]) -> [UInt8] {
    var crc: UInt16 = 0xFFFF
    for byte in bytes {
        crc ^= UInt16(byte)
        for _ in 0..<8 { crc = crc & 1 != 0 ? crc >> 1 ^ 0xA001 : crc >> 1 }
    }
    return bytes + [UInt8(crc & 0xFF), UInt8(crc >> 8)]
}

func trigger(_ address: UInt8, _ register: UInt8) -> [UInt8] {
    withCRC([address, 0x10, 0x16, register, 0, 1, 2, 0, 0])
}
func acknowledgement(_ address: UInt8, _ register: UInt8) -> [UInt8] { withCRC([address, 0x10, 0x16, register, 0, 1]) }

func addresses(_ list: UInt8...) -> FixedArray<16, UInt8> {
    var array = FixedArray<16, UInt8>(filler: 0)
    for address in list { array.append(address) }
    return array
}

/// Everything that the bus carries, with nothing waited for.
func elements(_ stream: [UInt8], chunk: Int = 1000) -> [JKBusStream.Element] {
    var bus = JKBusStream()
    var found: [JKBusStream.Element] = []
    for start in stride(from: 0, to: stream.count, by: chunk) {
        let piece = Array(stream[start..<min(start + chunk, stream.count)])
        var taken = 0
        repeat {
            taken += bus.take(piece.span.extracting(taken..<piece.count), at: Instant(milliseconds: 0))
            while let (element, _, _) = bus.next(at: Instant(milliseconds: 0)) { found.append(element) }
        } while taken < piece.count
    }
    while let (element, _, _) = bus.next(at: Instant(milliseconds: 1000)) { found.append(element) }
    return found
}
