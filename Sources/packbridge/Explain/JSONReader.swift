/// Reads JSON front to back without building a tree: the caller says what it expects next. Numbers are whole numbers only.
struct JSONReader {
    private let bytes: [UInt8]
    private var at = 0
    /// Nesting is bounded, so that no line can exhaust the stack.
    private var depth = 0
    private static let deepest = 16

    /// What is wrong, and where in the line (from 1).
    struct Problem: Error {
        let message: String
        let column: Int
    }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    func problem(_ message: String) -> Problem { Problem(message: message, column: at + 1) }

    // MARK: Structure

    /// Calls `member` with each key; it must read the value. A key that comes twice is a problem.
    mutating func object(_ member: (String, inout JSONReader) throws(Problem) -> Void) throws(Problem) {
        try open(UInt8(ascii: "{"), "an object")
        var seen: [String] = []
        if take(UInt8(ascii: "}")) { return close() }
        repeat {
            let key = try string()
            if seen.contains(key) { throw problem("\"\(key)\" stands twice") }
            seen.append(key)
            try expect(UInt8(ascii: ":"), "a colon")
            try member(key, &self)
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"), "a comma or }")
        close()
    }

    /// Calls `element` for each element; it must read the value.
    mutating func array(_ element: (inout JSONReader) throws(Problem) -> Void) throws(Problem) {
        try open(UInt8(ascii: "["), "a list")
        if take(UInt8(ascii: "]")) { return close() }
        repeat { try element(&self) } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"), "a comma or ]")
        close()
    }

    /// Nothing but blanks may follow.
    mutating func finish() throws(Problem) {
        skipBlanks()
        if at < bytes.count { throw problem("something follows the object") }
    }

    // MARK: Values

    mutating func integer(_ range: ClosedRange<Int64>) throws(Problem) -> Int64 {
        skipBlanks()
        let start = at
        let isNegative = take(UInt8(ascii: "-"), blanks: false)
        var value: Int64 = 0
        var digits = 0
        while at < bytes.count, let digit = decimalDigit(bytes[at]) {
            // 18 digits fit into 64 bits, and nothing that is described here has more.
            if digits == 18 { throw problem("the number is too large") }
            value = value * 10 + Int64(digit)
            digits += 1
            at += 1
        }
        let isFraction =
            at < bytes.count && [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[at])
        if digits == 0 || isFraction || (digits > 1 && bytes[at - digits] == UInt8(ascii: "0")) {
            at = start
            throw problem("a whole number is expected")
        }
        if isNegative { value = -value }
        if !range.contains(value) {
            at = start
            throw problem("\(value) is not within \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    mutating func bool() throws(Problem) -> Bool {
        if takeWord("true") { return true }
        if takeWord("false") { return false }
        throw problem("true or false is expected")
    }

    /// Takes a null when there is one.
    mutating func takeNull() -> Bool { takeWord("null") }

    mutating func string() throws(Problem) -> String {
        try expect(UInt8(ascii: "\""), "a text in quotes")
        let start = at
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\"), bytes[at] >= 0x20 {
            at += 1
        }
        // Every word of this format is plain ASCII, so an escape is a mistake.
        guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
            throw problem("a plain text in quotes is expected")
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        at += 1
        return text
    }

    // MARK: Pieces

    private mutating func open(_ bracket: UInt8, _ name: String) throws(Problem) {
        try expect(bracket, name)
        depth += 1
        if depth > Self.deepest { throw problem("nested too deeply") }
    }

    private mutating func close() { depth -= 1 }

    private mutating func expect(_ byte: UInt8, _ name: String) throws(Problem) {
        if !take(byte) { throw problem("\(name) is expected") }
    }

    private mutating func take(_ byte: UInt8, blanks: Bool = true) -> Bool {
        if blanks { skipBlanks() }
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        skipBlanks()
        let count = word.utf8CodeUnitCount
        guard at + count <= bytes.count else { return false }
        for index in 0..<count where bytes[at + index] != word.utf8Start[index] { return false }
        at += count
        return true
    }

    private mutating func skipBlanks() {
        while at < bytes.count {
            let byte = bytes[at]
            guard byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A else { return }
            at += 1
        }
    }

    private func decimalDigit(_ byte: UInt8) -> UInt8? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? byte - UInt8(ascii: "0") : nil
    }
}
