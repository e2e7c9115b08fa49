import InverterDialects

/// One frame of a text log of candump, in any of the forms that people send around:
///
///     (1700000000.123456) can0 351#1402740E740ECC01        candump -l, candump -L
///     351#1402740E740ECC01                                 cansend
///      can0  351   [8]  14 02 74 0E 74 0E CC 01            candump can0
///      (000.001000)  can0  18FF50E5   [2]  CA FE           candump -t d, -t a, -t z
///
/// An identifier of 8 digits is a 29-bit one, as in can-utils.
public struct CandumpLine: Equatable, Sendable {
    public var frame: CANFrame
    /// The time in microseconds, when the line has one.
    public var microseconds: Int64?
    public var isRemote = false

    public enum Problem: Error, Equatable, Sendable {
        case empty, badTime, noFrame, badIdentifier, badBytes, errorFrame, canFD
    }

    /// Reads one line without its end.
    public init(_ line: ArraySlice<UInt8>) throws(Problem) {
        var reader = LineReader(line)
        reader.skipSpaces()
        if reader.isAtEnd { throw .empty }
        microseconds = try reader.time()
        // Either `351#…` comes now, or the name of the interface before it.
        let word = reader.word()
        guard let first = word else { throw .noFrame }
        if reader.contains(UInt8(ascii: "#"), in: first) {
            (frame, isRemote) = try Self.compact(&reader, first)
        } else {
            guard let second = reader.word() else { throw .noFrame }
            if reader.contains(UInt8(ascii: "#"), in: second) {
                (frame, isRemote) = try Self.compact(&reader, second)
            } else {
                (frame, isRemote) = try Self.columns(&reader, identifier: second)
            }
        }
    }

    public init(_ line: String) throws(Problem) {
        try self.init(Array(line.utf8)[...])
    }

    /// `351#1402740E`, `351#R`, `351#14.02.74`
    private static func compact(_ reader: inout LineReader, _ word: Range<Int>) throws(Problem) -> (CANFrame, Bool) {
        var hash = word.lowerBound
        while reader[hash] != UInt8(ascii: "#") { hash += 1 }
        var frame = try identifier(reader, word.lowerBound..<hash)
        var index = hash + 1
        if index < word.upperBound, reader[index] == UInt8(ascii: "#") { throw .canFD }
        if index < word.upperBound, reader[index] | 0x20 == UInt8(ascii: "r") { return (frame, true) }
        var word64: UInt64 = 0
        var count: UInt8 = 0
        while index < word.upperBound {
            // "_9" after eight bytes is a raw length code; nothing else may follow.
            if reader[index] == UInt8(ascii: "_") && count == 8 { break }
            if reader[index] == UInt8(ascii: ".") {
                index += 1
                continue
            }
            guard count < 8, index + 1 < word.upperBound, let high = hexDigit(reader[index]),
                let low = hexDigit(reader[index + 1])
            else { throw .badBytes }
            word64 |= UInt64(high << 4 | low) << (UInt64(count) * 8)
            count += 1
            index += 2
        }
        frame = CANFrame(id: frame.id, isExtended: frame.isExtended, length: count, word: word64)
        return (frame, false)
    }

    /// `351   [8]  14 02 …`
    private static func columns(_ reader: inout LineReader, identifier word: Range<Int>) throws(Problem) -> (
        CANFrame, Bool
    ) {
        let head = try identifier(reader, word)
        // -x prints "RX - -" or "TX B E" between interface and identifier only; not supported there, so it is no identifier.
        guard let length = reader.word(), length.count == 3, reader[length.lowerBound] == UInt8(ascii: "["),
            reader[length.lowerBound + 2] == UInt8(ascii: "]"), let count = hexDigit(reader[length.lowerBound + 1]),
            count <= 8
        else { throw .noFrame }
        var bytes: UInt64 = 0
        for index in 0..<count {
            guard let byte = reader.word() else { throw .badBytes }
            if index == 0, reader[byte.lowerBound] == UInt8(ascii: "r") { return (head, true) }
            guard byte.count == 2, let high = hexDigit(reader[byte.lowerBound]),
                let low = hexDigit(reader[byte.lowerBound + 1])
            else {
                throw .badBytes
            }
            bytes |= UInt64(high << 4 | low) << (UInt64(index) * 8)
        }
        // "remote request" stands in the place of no bytes, too; `-a` appends the text of the bytes.
        if count == 0, let rest = reader.word(), reader[rest.lowerBound] == UInt8(ascii: "r") { return (head, true) }
        return (CANFrame(id: head.id, isExtended: head.isExtended, length: count, word: bytes), false)
    }

    private static func identifier(_ reader: LineReader, _ word: Range<Int>) throws(Problem) -> CANFrame {
        var id: UInt32 = 0
        guard word.count == 3 || word.count == 8 else { throw .badIdentifier }
        for index in word {
            guard let digit = hexDigit(reader[index]) else { throw .badIdentifier }
            id = id << 4 | UInt32(digit)
        }
        if word.count == 8, id & 0x2000_0000 != 0 { throw .errorFrame }
        guard id <= (word.count == 8 ? 0x1FFF_FFFF : 0x7FF) else { throw .badIdentifier }
        return CANFrame(id: id, isExtended: word.count == 8, length: 0)
    }
}

/// Walks through the words of one line.
private struct LineReader {
    let line: ArraySlice<UInt8>
    var position: Int

    init(_ line: ArraySlice<UInt8>) {
        self.line = line
        position = line.startIndex
    }

    subscript(index: Int) -> UInt8 { line[index] }

    var isAtEnd: Bool { position >= line.endIndex }

    mutating func skipSpaces() {
        while position < line.endIndex, line[position] <= 0x20 { position += 1 }
    }

    /// The next word; nil at the end.
    mutating func word() -> Range<Int>? {
        skipSpaces()
        let start = position
        while position < line.endIndex, line[position] > 0x20 { position += 1 }
        return position == start ? nil : start..<position
    }

    func contains(_ byte: UInt8, in range: Range<Int>) -> Bool {
        for index in range where line[index] == byte { return true }
        return false
    }

    /// `(1700000000.123456)`, or nothing. `candump -t A` has a date before the time of day; that is refused.
    mutating func time() throws(CandumpLine.Problem) -> Int64? {
        guard line[position] == UInt8(ascii: "(") else { return nil }
        position += 1
        var value: Int64 = 0
        var decimals = -1
        while true {
            if isAtEnd { throw .badTime }
            let byte = line[position]
            position += 1
            if byte == UInt8(ascii: ")") { break }
            if byte == UInt8(ascii: ".") && decimals < 0 {
                decimals = 0
                continue
            }
            if byte == 0x20 { continue }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), value < 1 << 56, decimals < 6 else {
                throw .badTime
            }
            value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            if decimals >= 0 { decimals += 1 }
        }
        for _ in max(0, decimals)..<6 { value = value &* 10 }
        return value
    }
}

/// The value of a hexadecimal digit in either case.
func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
