import Battery

/// The JK04 layout (jk-ble.md §3, §4): little-endian floats, in volts. The core has no floating point, so they become scaled integers
/// straight from their bits.
extension JK55AA {
    /// Offsets of the status record.
    public enum JK04 {
        public static let cells = 6
        public static let average = 202
        public static let difference = 206
        public static let mask = 214
        public static let balancing = 220
        public static let balanceCurrent = 222
        public static let runtime = 286

        // Settings record
        public static let cellCount = 34
        public static let powerOff = 38
        public static let calibration = 74
        public static let balanceStart = 98
        public static let balanceTrigger = 106
        public static let balanceCurrentLimit = 110
        public static let balancerEnabled = 114
    }

    /// A float of `record` times `scale`, rounded to the nearest integer. Nil for NaN, infinity and what does not fit.
    public static func scaled(_ record: Span<UInt8>, at offset: Int, by scale: Int64) -> Int64? {
        scaled(bits: word(record, offset), by: scale)
    }

    public static func scaled(bits: UInt32, by scale: Int64) -> Int64? {
        let exponent = Int((bits >> 23) & 0xFF)
        if exponent == 0xFF { return nil }
        // Below the smallest normal number everything rounds to zero.
        if exponent == 0 { return 0 }
        let product = Int64(bits & 0x7F_FFFF | 0x80_0000) * scale
        let shift = exponent - 150
        let magnitude: Int64
        if shift >= 0 {
            if shift > 62 || product > Int64.max >> Int64(shift) { return nil }
            magnitude = product << Int64(shift)
        } else if shift < -62 {
            magnitude = 0
        } else {
            magnitude = (product + (1 << Int64(-shift - 1))) >> Int64(-shift)
        }
        return bits >> 31 == 0 ? magnitude : -magnitude
    }

    static func word(_ record: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(record[at]) | UInt32(record[at + 1]) << 8 | UInt32(record[at + 2]) << 16 | UInt32(record[at + 3]) << 24
    }

    static func fitsJK04(_ record: Span<UInt8>) -> Bool {
        var sum: Int64 = 0
        var count: Int64 = 0
        for k in 0..<24 {
            // A cell that is not fitted is exactly zero. In the other layouts these bytes are integers, which make tiny floats.
            if word(record, JK04.cells + 4 * k) == 0 { continue }
            guard let cell = scaled(record, at: JK04.cells + 4 * k, by: 10_000) else { return false }
            if cell < 3000 || cell > 50_000 { return false }
            sum += cell
            count += 1
        }
        guard count > 0, let average = scaled(record, at: JK04.average, by: 10_000) else { return false }
        return (sum - average * count).magnitude <= UInt64(60 * count)
    }

    static func fitsJK04Settings(_ record: Span<UInt8>) -> Bool {
        let cells = word(record, JK04.cellCount)
        guard cells >= 1 && cells <= 24, let start = scaled(record, at: JK04.balanceStart, by: 1000) else {
            return false
        }
        return start >= 500 && start <= 5000
    }

    /// Cells and run time only: these units measure neither pack voltage nor current, and report no MOSFET, charge or temperature.
    static func readJK04Status(_ record: Span<UInt8>, into reading: inout PackReading) throws(FrameRejection) {
        if !fitsJK04(record) { throw .badStructure }
        let mask = word(record, JK04.mask)
        for k in 0..<24 where mask >> UInt32(k) & 1 != 0 {
            if let cell = scaled(record, at: JK04.cells + 4 * k, by: 1000), cell >= 0 && cell <= 5000 {
                reading.cells.append(UInt16(cell))
            }
        }
        reading.balancing = record[JK04.balancing] != 0
        reading.uptime = Milliseconds(word(record, JK04.runtime)) * 1000
        reading.uptimeResolution = 1000
    }

    static func readJK04Settings(_ record: Span<UInt8>, into settings: inout PackSettings) {
        settings.cellCount = Int32(word(record, JK04.cellCount))
        settings.balanceStart = scaled(record, at: JK04.balanceStart, by: 1000).flatMap { Millivolts(exactly: $0) }
        settings.balanceTrigger = scaled(record, at: JK04.balanceTrigger, by: 1000).flatMap { Millivolts(exactly: $0) }
        settings.balancerEnabled = record[JK04.balancerEnabled] != 0
    }
}
