/// A kind of number that the configuration file may hold, with its units. Everything is counted exactly, in the core's integers;
/// a value that is finer than the core's unit is refused instead of being rounded.
struct Quantity {
    /// For messages: "a current".
    let name: String
    /// Accepted units, each with the number of base units in it. The base unit is the core's: mA, mV, ms, 0.1 °C, 0.01 %, mAh.
    let units: [(symbol: String, factor: Int64)]

    static let current = Quantity(name: "a current", units: [("A", 1000), ("mA", 1)])
    static let voltage = Quantity(name: "a voltage", units: [("V", 1000), ("mV", 1)])
    static let duration = Quantity(
        name: "a duration",
        units: [
            ("s", 1000), ("ms", 1), ("min", 60_000), ("h", 3_600_000), ("days", 86_400_000), ("day", 86_400_000),
        ])
    static let temperature = Quantity(name: "a temperature", units: [("°C", 10), ("C", 10)])
    static let percentage = Quantity(name: "a percentage", units: [("%", 100)])
    static let capacity = Quantity(name: "a capacity", units: [("Ah", 1000), ("mAh", 1)])
    /// Charge rate in thousandths of C; 1 C fills the battery in an hour.
    static let chargeRate = Quantity(name: "a charge rate", units: [("C", 1000)])
    /// A pure number, in tenths.
    static let factor = Quantity(name: "a number", units: [("", 10)])
    static let count = Quantity(name: "a whole number", units: [("", 1)])
    /// Of a file, in megabytes.
    static let size = Quantity(name: "a size", units: [("MB", 1), ("GB", 1000)])

    private static let all = [current, voltage, duration, temperature, percentage, capacity, chargeRate, size]

    /// Why a text is no such number. The text continues the sentence `"140 V" …`.
    struct Refusal: Error {
        let reason: String
    }

    /// Reads `text`: digits with an optional decimal point, then one of the units. A plain number is taken in `plainUnit`.
    /// - Returns: the value in base units.
    func read(_ written: String, plainUnit: String) throws(Refusal) -> Int64 {
        let number = written.prefix { "+-.0123456789".contains($0) }
        let symbol = written.dropFirst(number.count).drop { $0 == " " }
        if symbol.hasPrefix(",") { throw Refusal(reason: "has a decimal comma; write a point") }
        guard let decimal = Decimal(number) else { throw Refusal(reason: "is not \(name)") }
        let unit = symbol.isEmpty ? plainUnit : String(symbol)
        guard let factor = units.first(where: { $0.symbol == unit })?.factor else {
            throw Refusal(reason: reasonAgainst(unit: unit))
        }
        let (scaled, overflow) = decimal.digits.multipliedReportingOverflow(by: factor)
        if overflow { throw Refusal(reason: "is far too large") }
        if scaled % decimal.divisor != 0 {
            throw Refusal(reason: "is finer than \(text(for: 1, in: units.last!.symbol)), the smallest step")
        }
        return scaled / decimal.divisor
    }

    /// A value in base units, as the file would have it.
    func text(for value: Int64, in unit: String) -> String {
        let factor = units.first { $0.symbol == unit }?.factor ?? 1
        var text = String((value / factor).magnitude)
        var rest = (value % factor).magnitude * 10
        if rest > 0 { text += "." }
        while rest > 0 {
            text += String(rest / factor.magnitude)
            rest = rest % factor.magnitude * 10
        }
        return (value < 0 ? "-" : "") + text + (unit.isEmpty ? "" : " " + unit)
    }

    private func reasonAgainst(unit: String) -> String {
        let mine = units.map(\.symbol).filter { !$0.isEmpty }
        let expected = mine.isEmpty ? "a number without a unit" : "\(name) in \(mine.joined(separator: " or "))"
        if let other = Quantity.all.first(where: { $0.units.contains { $0.symbol == unit } }) {
            return "is \(other.name), but \(expected) is expected"
        }
        if let same = mine.first(where: { $0.lowercased() == unit.lowercased() }) {
            return "has the unit \"\(unit)\"; did you mean \"\(same)\"?"
        }
        return "has the unknown unit \"\(unit)\"; \(expected) is expected"
    }

    /// A decimal number as written: `digits / divisor`.
    private struct Decimal {
        var digits: Int64
        var divisor: Int64 = 1

        /// Nil unless the text is an optional sign, digits, and at most one point with digits on both sides.
        init?(_ text: Substring) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            let whole = parts[0].drop { $0 == "-" || $0 == "+" }
            guard parts.count <= 2, parts[0].count - whole.count <= 1, !whole.isEmpty, whole.allSatisfy(\.isNumber),
                parts.count == 1 || !parts[1].isEmpty, parts.last!.count <= 9 || parts.count == 1,
                let digits = Int64(whole + (parts.count == 2 ? parts[1] : ""))
            else { return nil }
            self.digits = parts[0].hasPrefix("-") ? -digits : digits
            if parts.count == 2 { for _ in parts[1] { divisor *= 10 } }
        }
    }
}
