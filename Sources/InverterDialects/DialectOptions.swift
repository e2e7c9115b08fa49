import Battery

/// What an inverter's profile or its owner changes in the frames of a CAN dialect. Nil leaves what the dialect's document says.
public struct DialectOptions: Equatable, Sendable, BitwiseCopyable {
    /// The eight characters of 0x35E, first one in the lowest byte. Deye and others accept only names that they know (deye-can.md).
    public var name: UInt64?
    /// Whether the measured voltage of 0x356 counts in 0.1 V or in 0.01 V. Sources differ for Sol-Ark by a factor of ten
    /// (solark-can.md): compare with the inverter's display.
    public var isVoltageInTenths: Bool?

    public init(name: UInt64? = nil, isVoltageInTenths: Bool? = nil) {
        self.name = name
        self.isVoltageInTenths = isVoltageInTenths
    }

    /// The name in eight bytes with blanks behind it, as Pylontech pads it; nil when it is empty, longer, or not printable ASCII.
    public static func name(_ text: Span<UInt8>) -> UInt64? {
        if text.isEmpty || text.count > 8 { return nil }
        var word: UInt64 = 0
        for i in 0..<8 {
            let character = i < text.count ? text[i] : 0x20
            if character < 0x20 || character > 0x7E { return nil }
            word |= UInt64(character) << UInt64(8 * i)
        }
        return word
    }
}

extension DialectName {
    /// Whether 0x35E is the battery's name in this dialect, as `DialectOptions.name` replaces it.
    public var hasName: Bool {
        switch self {
        case .growatt, .deyePcs, .hybridLi: false
        case .pylontech, .pylontechV2, .sma, .victron, .luxpower, .deye, .solark, .goodwe, .bydLv, .sofar: true
        }
    }

    /// Whether 0x356 begins with the measured voltage, whose step `DialectOptions.isVoltageInTenths` chooses.
    public var hasMeasuredVoltage: Bool { self != .growatt }

    /// Appends the complete set that says `report`, with what `options` change.
    public func encode(_ report: borrowing BankReport, _ options: DialectOptions, into frames: inout FrameSet) {
        let first = frames.count
        encode(report, into: &frames)
        for index in first..<frames.count {
            if let name = options.name, frames[index].id == 0x35E, hasName {
                frames[index] = CANFrame(id: 0x35E, length: 8, word: name)
            }
            if let isVoltageInTenths = options.isVoltageInTenths, frames[index].id == 0x356, hasMeasuredVoltage {
                let voltage = WireValue.measured(report.voltage, step: isVoltageInTenths ? 100 : 10)
                frames[index].word = frames[index].word & ~0xFFFF | UInt64(voltage)
            }
        }
    }
}
