import InverterDialects

/// One line of the SLCAN protocol in memory of its own.
struct SLCANLine {
    /// `T`, 8 digits of the identifier, the length, 16 digits of data, 8 of a time stamp, CR.
    static let capacity = 40

    private var bytes = InlineArray<40, UInt8>(repeating: 0)
    private var start = 0
    private var end = 0
    /// More bytes came than any line has.
    private(set) var overflowed = false

    var count: Int { end - start }
    var isEmpty: Bool { start == end && !overflowed }

    subscript(index: Int) -> UInt8 { bytes[start + index] }

    mutating func append(_ byte: UInt8) {
        if end == Self.capacity {
            overflowed = true
            return
        }
        bytes[end] = byte
        end += 1
    }

    mutating func removeAll() {
        (start, end, overflowed) = (0, 0, false)
    }

    mutating func removeFirst(_ count: Int) {
        start += count
        if start == end { removeAll() }
    }

    func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R {
        body(bytes.span.extracting(start..<end))
    }

    /// The line that sends `frame`, CR included.
    mutating func set(_ frame: CANFrame) {
        removeAll()
        append(UInt8(ascii: frame.isExtended ? "T" : "t"))
        var shift: UInt32 = frame.isExtended ? 32 : 12
        while shift > 0 {
            shift -= 4
            append(Self.digit(UInt8(truncatingIfNeeded: frame.id >> shift)))
        }
        append(Self.digit(frame.length))
        for index in 0..<Int(frame.length) {
            append(Self.digit(frame[index] >> 4))
            append(Self.digit(frame[index]))
        }
        append(UInt8(ascii: "\r"))
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        let nibble = value & 0xF
        return nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "A") + nibble - 10
    }

    /// The frame of a received line (without CR); for a remote frame without data. nil when the line is not well formed.
    ///
    /// A time stamp of 4 digits (ms, Lawicel's `Z1`) or 8 digits (µs, some newer firmwares) may follow.
    func frame() -> CANFrame? {
        let digits = self[0] == UInt8(ascii: "T") || self[0] == UInt8(ascii: "R") ? 8 : 3
        let isRemote = self[0] | 0x20 == UInt8(ascii: "r")
        guard count >= 2 + digits else { return nil }
        var id: UInt32 = 0
        for index in 1...digits {
            guard let digit = hexDigit(self[index]) else { return nil }
            id = id << 4 | UInt32(digit)
        }
        guard id <= (digits == 8 ? 0x1FFF_FFFF : 0x7FF) else { return nil }
        guard let length = hexDigit(self[1 + digits]), length <= 8 else { return nil }
        let data = 2 + digits
        let dataEnd = isRemote ? data : data + 2 * Int(length)
        guard count == dataEnd || count == dataEnd + 4 || count == dataEnd + 8 else { return nil }
        var word: UInt64 = 0
        for index in data..<count {
            guard let digit = hexDigit(self[index]) else { return nil }
            if index < dataEnd {
                let byte = (index - data) / 2
                word |= UInt64(digit) << UInt64(8 * byte + ((index - data) % 2 == 0 ? 4 : 0))
            }
        }
        return CANFrame(id: id, isExtended: digits == 8, length: isRemote ? 0 : length, word: word)
    }
}
