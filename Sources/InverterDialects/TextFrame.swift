import Battery

/// A frame of eight characters, one signal for each.
enum TextFrame {
    /// The first eight characters of `text`, filled up with `padding`, first letter in the lowest byte.
    @inline(__always)
    static func word(_ text: StaticString, padding: UInt8 = UInt8(ascii: " ")) -> UInt64 {
        var word: UInt64 = 0
        for index in 0..<8 {
            let byte = index < text.utf8CodeUnitCount ? text.utf8Start[index] : padding
            word |= UInt64(byte) << UInt64(index &* 8)
        }
        return word
    }

    /// `P2C14`, filled up with zeros; all zeros when the place is unknown.
    static func word(_ place: CellPlace, _ letter: Unicode.Scalar) -> UInt64 {
        if place.pack == 0 || place.cell == 0 { return 0 }
        var text = TextWord()
        text.append(UInt8(ascii: "P"))
        text.append(decimal: place.pack)
        text.append(UInt8(ascii: letter))
        text.append(decimal: place.cell)
        return text.word
    }

    /// The number of the pack alone.
    static func word(pack: UInt8) -> UInt64 {
        if pack == 0 { return 0 }
        var text = TextWord()
        text.append(decimal: pack)
        return text.word
    }

    static func signals(_ frame: UInt32, _ name: StaticString, _ visit: (Signal) -> Void) {
        for part in 0..<8 as Range<UInt8> {
            visit(Signal(frame, name, part: Int8(part), at: part * 8, 8))
        }
    }
}

/// Eight bytes of text under construction.
private struct TextWord {
    var word: UInt64 = 0
    var shift: UInt64 = 0

    mutating func append(_ byte: UInt8) {
        word |= UInt64(byte) << shift
        shift &+= 8
    }

    mutating func append(decimal value: UInt8) {
        if value >= 100 { append(UInt8(ascii: "0") &+ value / 100) }
        if value >= 10 { append(UInt8(ascii: "0") &+ value / 10 % 10) }
        append(UInt8(ascii: "0") &+ value % 10)
    }
}
