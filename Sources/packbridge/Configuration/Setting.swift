import Battery
import ChargeControl

/// What the battery is; read first, because it decides the presets and the ranges of other settings.
struct BatteryKind {
    var chemistry = Chemistry.lfp
    var cells: Int64 = 16
}

/// One key of the configuration file: its name, what it means, what it may hold and where it goes.
///
/// The tables in `ConfigurationKeys.swift` are the only place that knows a key; reading, checking and suggestions walk them.
struct Setting<Target> {
    let name: String
    /// One sentence for the owner.
    let meaning: String
    /// The allowed values, as text. What is allowed can depend on what has been read before, for example on the chemistry.
    let allowed: (Target) -> String
    /// Puts the text into the target. Throws what is wrong with it.
    let read: (String, inout Target) throws(Quantity.Refusal) -> Void
    /// Whose business the range is, when it is the control logic's: it judges the complete configuration.
    var judge: (key: ConfigurationKey, text: (Int64) -> String)?
    /// What stands there must not be repeated in a message.
    var isSecret = false

    /// A number with a unit.
    /// - Parameter unit: that of a plain number, also used in messages.
    /// - Parameter per: base units of `quantity` in one unit of the field, when they differ.
    static func quantity<Value: FixedWidthInteger>(
        _ name: String, _ quantity: Quantity, _ unit: String, per step: Int64 = 1, _ range: ClosedRange<Int64>,
        _ field: WritableKeyPath<Target, Value>, _ meaning: String
    ) -> Setting {
        number(name, quantity, unit, step, range, meaning) { value, target in target[keyPath: field] = Value(value) }
    }

    /// A number with a unit that may be left out.
    static func quantity<Value: FixedWidthInteger>(
        _ name: String, _ quantity: Quantity, _ unit: String, _ range: ClosedRange<Int64>,
        _ field: WritableKeyPath<Target, Value?>, _ meaning: String
    ) -> Setting {
        number(name, quantity, unit, 1, range, meaning) { value, target in target[keyPath: field] = Value(value) }
    }

    private static func number(
        _ name: String, _ quantity: Quantity, _ unit: String, _ step: Int64, _ range: ClosedRange<Int64>,
        _ meaning: String,
        _ store: @escaping (Int64, inout Target) -> Void
    ) -> Setting {
        func text(_ value: Int64) -> String { quantity.text(for: value, in: unit) }
        return Setting(
            name: name, meaning: meaning, allowed: { _ in "\(text(range.lowerBound)) to \(text(range.upperBound))" },
            read: { written, target throws(Quantity.Refusal) in
                let value = try quantity.read(written, plainUnit: unit)
                if value < range.lowerBound { throw Quantity.Refusal(reason: "is too low") }
                if value > range.upperBound { throw Quantity.Refusal(reason: "is too high") }
                if value % step != 0 { throw Quantity.Refusal(reason: "must be a whole multiple of \(text(step))") }
                store(value / step, &target)
            })
    }

    /// One word out of a list.
    static func choice<Value>(
        _ name: String, _ values: KeyValuePairs<String, Value>, _ field: WritableKeyPath<Target, Value>,
        _ meaning: String
    ) -> Setting {
        choice(name, Array(values), field, meaning)
    }

    static func choice<Value>(
        _ name: String, _ values: [(key: String, value: Value)], _ field: WritableKeyPath<Target, Value>, _ meaning: String
    ) -> Setting {
        let names = values.map(\.key)
        return Setting(
            name: name, meaning: meaning, allowed: { _ in names.joined(separator: ", ") },
            read: { written, target throws(Quantity.Refusal) in
                guard let value = values.first(where: { $0.key == written })?.value else {
                    let suggestion = closest(to: written, among: names).map { "; did you mean \"\($0)\"?" } ?? ""
                    throw Quantity.Refusal(reason: "is not known" + suggestion)
                }
                target[keyPath: field] = value
            })
    }

    static func flag(_ name: String, _ field: WritableKeyPath<Target, Bool>, _ meaning: String) -> Setting {
        choice(name, ["true": true, "false": false], field, meaning)
    }

    /// Free text that `parse` judges.
    static func text(
        _ name: String, allowed: String, _ meaning: String,
        _ parse: @escaping (String, inout Target) throws(Quantity.Refusal) -> Void
    ) -> Setting {
        Setting(name: name, meaning: meaning, allowed: { _ in allowed }, read: parse)
    }
}

extension Setting where Target == ControlConfiguration {
    /// A number whose range belongs to the control logic (`ControlConfiguration.problems()`): here it is only read.
    /// - Parameter per: base units of `quantity` in one unit of the field, when they differ.
    static func judged<Value: FixedWidthInteger>(
        _ name: String, _ key: ConfigurationKey, _ quantity: Quantity, _ unit: String, per step: Int64 = 1,
        _ field: WritableKeyPath<Target, Value>, _ meaning: String
    ) -> Setting {
        judged(name, key, quantity, unit, step, meaning) { value, target in
            target[keyPath: field] = Value(clamping: value)
        }
    }

    /// The same for a number that may be left out.
    static func judged<Value: FixedWidthInteger>(
        _ name: String, _ key: ConfigurationKey, _ quantity: Quantity, _ unit: String,
        _ field: WritableKeyPath<Target, Value?>, _ meaning: String
    ) -> Setting {
        judged(name, key, quantity, unit, 1, meaning) { value, target in target[keyPath: field] = Value(clamping: value)
        }
    }

    private static func judged(
        _ name: String, _ key: ConfigurationKey, _ quantity: Quantity, _ unit: String, _ step: Int64, _ meaning: String,
        _ store: @escaping (Int64, inout Target) -> Void
    ) -> Setting {
        func text(_ value: Int64) -> String { quantity.text(for: value * step, in: unit) }
        return Setting(
            name: name, meaning: meaning,
            allowed: { target in
                // An impossible value makes the control logic name the range.
                var impossible = target
                store(Int64(Int32.min), &impossible)
                let problems = impossible.problems()
                for i in 0..<problems.count where problems[i].key == key {
                    return "\(text(problems[i].low)) to \(text(problems[i].high))"
                }
                return quantity.name
            },
            read: { written, target throws(Quantity.Refusal) in
                let value = try quantity.read(written, plainUnit: unit)
                if value % step != 0 { throw Quantity.Refusal(reason: "must be a whole multiple of \(text(1))") }
                store(value / step, &target)
            },
            judge: (key, text))
    }
}
