import HTTPTypes
import Hummingbird

/// Reads the query of a request: known names, once each, right types, within their range. Everything else is refused by name.
struct QueryReader {
    private let values: [String: String]

    init(_ request: Request, allowed: Set<String>) throws(Refusal) {
        var values: [String: String] = [:]
        for (name, value) in request.uri.queryParameters {
            let (name, value) = (String(name), String(value))
            if !allowed.contains(name) { throw Refusal(.badRequest, "there is no parameter '\(name.prefix(40))' here") }
            if values.updateValue(value, forKey: name) != nil { throw Refusal(.badRequest, "\(name) is given twice") }
        }
        self.values = values
    }

    func text(_ name: String) -> String? { values[name] }

    func number(_ name: String, in range: ClosedRange<Int64>) throws(Refusal) -> Int64? {
        guard let text = values[name] else { return nil }
        guard let value = Int64(text), range.contains(value), !text.hasPrefix("+") else {
            throw Refusal(.badRequest, "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func choice<T: RawRepresentable & CaseIterable>(_ name: String, _ type: T.Type) throws(Refusal) -> T?
    where T.RawValue == String {
        guard let text = values[name] else { return nil }
        guard let value = T(rawValue: text) else {
            throw Refusal(.badRequest, "\(name) must be one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return value
    }

    /// Wall clock, to the end of the century.
    static let times: ClosedRange<Int64> = 0...4_102_444_800_000

    func time(_ name: String) throws(Refusal) -> Int64? { try number(name, in: Self.times) }

    func neededTime(_ name: String) throws(Refusal) -> Int64 {
        guard let value = try time(name) else { throw Refusal(.badRequest, "\(name) is missing") }
        return value
    }

    /// Names of series.
    func series(maximum: Int = 64) throws(Refusal) -> [String] {
        guard let text = values["series"], !text.isEmpty else { throw Refusal(.badRequest, "series is missing") }
        if text.utf8.count > 2000 { throw Refusal(.badRequest, "series is too long") }
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for name in names where name.isEmpty || !name.utf8.allSatisfy(Self.isNameByte) {
            throw Refusal(.badRequest, "'\(name.prefix(40))' is no name of a series")
        }
        if names.count > maximum { throw Refusal(.badRequest, "at most \(maximum) series at a time") }
        if Set(names).count < names.count { throw Refusal(.badRequest, "a series is given twice") }
        return names
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
}
