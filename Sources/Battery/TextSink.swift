/// A place where text goes, byte by byte. The core has no `String`: interpolation costs 26 KB on the microcontroller
/// (specs: platform/firmware.md §1).
public protocol TextSink {
    mutating func write(_ byte: UInt8)
}

extension TextSink {
    public mutating func write(_ text: StaticString) {
        var p = text.utf8Start
        for _ in 0..<text.utf8CodeUnitCount {
            write(p.pointee)
            p += 1
        }
    }

    /// Decimal digits with a leading minus when negative.
    public mutating func write(decimal value: Int64) {
        if value < 0 { write(UInt8(ascii: "-")) }
        var rest = value.magnitude
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var count = 0
        repeat {
            digits[count] = UInt8(truncatingIfNeeded: rest % 10) &+ UInt8(ascii: "0")
            rest /= 10
            count += 1
        } while rest != 0
        while count > 0 {
            count -= 1
            write(digits[count])
        }
    }

    /// A fixed-point number: `write(fixed: 3451, decimals: 3)` writes `3.451`.
    public mutating func write(fixed value: Int64, decimals: Int) {
        var divisor: UInt64 = 1
        for _ in 0..<decimals { divisor *= 10 }
        let magnitude = value.magnitude
        if value < 0 { write(UInt8(ascii: "-")) }
        write(decimal: Int64(magnitude / divisor))
        if decimals == 0 { return }
        write(UInt8(ascii: "."))
        var rest = magnitude % divisor
        while divisor > 1 {
            divisor /= 10
            write(UInt8(truncatingIfNeeded: rest / divisor) &+ UInt8(ascii: "0"))
            rest %= divisor
        }
    }
}
