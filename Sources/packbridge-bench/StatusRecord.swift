import Battery
import JKBMS

/// A `55 AA EB 90` status record of a 16-cell pack in the 32-cell layout (jk-modbus.md §4), and the decoding that is measured.
struct StatusRecord {
    private let bytes: [UInt8]

    init() {
        var record = [UInt8](repeating: 0, count: JK55AA.recordLength)
        func put(_ value: UInt32, at offset: Int, width: Int = 4) {
            for i in 0..<width { record[offset + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
        }
        record.replaceSubrange(0..<5, with: [0x55, 0xAA, 0xEB, 0x90, 2])
        for cell in 0..<16 { put(3320, at: 6 + 2 * cell, width: 2) }
        put(0xFFFF, at: 70)
        put(3320, at: 74, width: 2)
        put(251, at: 144, width: 2)
        put(53_120, at: 150)
        put(201, at: 162, width: 2)
        put(203, at: 164, width: 2)
        record[173] = 60
        put(168_000, at: 174)
        put(280_000, at: 178)
        (record[198], record[199], record[214]) = (1, 1, 0xFF)
        record[299] = record[0..<299].reduce(0) { $0 &+ $1 }
        bytes = record
    }

    /// With the search for the layout, as for the first record of a unit.
    @inline(never)
    func decode() {
        var probes = JKProbes()
        var reading = PackReading()
        do throws(FrameRejection) {
            try JK55AA.decodeStatus(bytes.span, probes: &probes, into: &reading)
        } catch {
            fatalError("\(error)")
        }
        keep(reading)
    }
}
