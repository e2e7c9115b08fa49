import Battery

extension TextSink {
    /// Eight digits.
    public mutating func write(hexadecimal value: UInt32) {
        for shift in stride(from: UInt32(24), through: 0, by: -8) { write(hexadecimal: UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// Two digits.
    mutating func write(hexadecimal value: UInt8) {
        write(hexadecimalDigit: value >> 4)
        write(hexadecimalDigit: value & 15)
    }

    mutating func write(hexadecimalDigit digit: UInt8) {
        write(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "A"))
    }
}
