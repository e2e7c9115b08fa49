/// CRC-16/MODBUS: polynomial A001, start FFFF, low byte first on the wire. Four bits at a time, from a table of 32 bytes.
enum CRC16 {
    private static let table: InlineArray<16, UInt16> = [
        0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401,
        0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400,
    ]

    static func of(_ bytes: Span<UInt8>) -> UInt16 {
        var crc: UInt16 = 0xFFFF
        for i in bytes.indices {
            crc ^= UInt16(bytes[i])
            crc = crc >> 4 ^ table[Int(crc & 15)]
            crc = crc >> 4 ^ table[Int(crc & 15)]
        }
        return crc
    }

    /// The last two bytes are the CRC of all before them.
    static func isGood(_ frame: Span<UInt8>) -> Bool {
        if frame.count < 4 { return false }
        let end = frame.count - 2
        return of(frame.extracting(0..<end)) == UInt16(frame[end]) | UInt16(frame[end + 1]) << 8
    }
}
