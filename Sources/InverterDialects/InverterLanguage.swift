/// What an inverter is spoken to in: a dialect on a CAN bus, or answers on an RS485 line. The raw values are stored and sent over Link:
/// those of `DialectName`, and numbers from 128 on for RS485.
public enum InverterLanguage: RawRepresentable, Equatable, Sendable, BitwiseCopyable {
    case can(DialectName)
    case pylontechRS485

    public init?(rawValue: UInt8) {
        if rawValue == 128 {
            self = .pylontechRS485
        } else if let dialect = DialectName(rawValue: rawValue) {
            self = .can(dialect)
        } else {
            return nil
        }
    }

    public var rawValue: UInt8 {
        switch self {
        case .can(let dialect): dialect.rawValue
        case .pylontechRS485: 128
        }
    }

    /// The name that the configuration and the command line use.
    public var text: StaticString {
        switch self {
        case .can(let dialect): dialect.text
        case .pylontechRS485: "pylontech-rs485"
        }
    }

    /// Nil on RS485.
    public var dialect: DialectName? {
        if case .can(let dialect) = self { dialect } else { nil }
    }
}
