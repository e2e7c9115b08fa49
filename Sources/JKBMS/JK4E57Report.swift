import Battery

extension JK4E57 {
    /// A text field without its meaning: up to 24 bytes as they were on the wire.
    public typealias Text = FixedArray<24, UInt8>

    /// What one frame carried, field by field. Nothing is judged and nothing is filled in; `reading` turns it into the shared
    /// vocabulary.
    ///
    /// Values are kept as they are on the wire, one word per identifier, so that decoder and encoder are one short loop each over
    /// the width table.
    public struct Report: Sendable {
        public var command: UInt8 = 0
        public var source: UInt8 = 0
        public var transport: UInt8 = 0
        /// Top byte reserved, lower three bytes a unique id. Zero in all captures.
        public var terminal: UInt32 = 0
        /// Top byte random, lower three bytes a counter. Zero in all captures.
        public var record: UInt32 = 0
        /// An unknown identifier ended the walk: what came before it is good, the rest is unknown.
        public internal(set) var isPartial = false

        /// Empty when the frame carries no cells.
        public var cells = CellVoltages(filler: 0)

        /// Bit `id - 0x80` is set when the identifier is in the frame; 0xC0 has its own flag.
        var present: UInt64 = 0
        var hasVersion = false
        var version: UInt8 = 0
        /// The value of identifier `0x80 + index`, texts excepted.
        var words = InlineArray<64, UInt32>(repeating: 0)
        /// The five texts one behind the other, at `textOffset`.
        var texts = InlineArray<64, UInt8>(repeating: 0)

        public init() {}

        mutating func removeAll() {
            present = 0
            hasVersion = false
            isPartial = false
            cells.removeAll()
        }
    }
}

/// The accessors are inlined because their identifier is almost always a constant: then one is a bit test and a load. An index
/// that is not constant into an `InlineArray` of a borrowed value makes the compiler copy the whole array first.
extension JK4E57.Report {
    @inline(__always)
    public func carries(_ id: JK4E57.Identifier) -> Bool {
        switch id {
        case .cellVoltages: !cells.isEmpty
        case .protocolVersion: hasVersion
        default: present & JK4E57.bit(id.rawValue) != 0
        }
    }

    // MARK: Numbers

    /// The value as it is on the wire, unsigned. Nil for cells and texts and when the frame does not carry it.
    @inline(__always)
    public func raw(_ id: JK4E57.Identifier) -> UInt32? {
        if id == .protocolVersion { return hasVersion ? UInt32(version) : nil }
        if id == .cellVoltages || id.layout.measure == .text || !carries(id) { return nil }
        return words[Int(id.rawValue & 0x3F)]
    }

    /// The value in the unit of its `Measure`: millivolts, milliamps, degrees Celsius, seconds and so on.
    ///
    /// Nil when the frame does not carry it, and for a temperature or a current whose code has no meaning.
    @inline(__always)
    public func value(of id: JK4E57.Identifier) -> Int64? {
        guard let raw = raw(id) else { return nil }
        switch id.layout.measure {
        case .sensor: return sensor(id).temperature.map { Int64($0 / 10) }
        case .current: return current.map { Int64($0) }
        case .tensOfMillivolts: return Int64(raw) * 10
        case .signedCelsius: return Int64(Int16(truncatingIfNeeded: raw))
        default: return Int64(raw)
        }
    }

    public mutating func setRaw(_ id: JK4E57.Identifier, to raw: UInt32) {
        switch id {
        case .cellVoltages: preconditionFailure("cells are set as cells")
        case .protocolVersion:
            version = UInt8(truncatingIfNeeded: raw)
            hasVersion = true
        default:
            precondition(id.layout.measure != .text)
            words[Int(id.rawValue & 0x3F)] = raw
            present |= JK4E57.bit(id.rawValue)
        }
    }

    /// The inverse of `value(of:)`. A current needs the protocol version to be set before.
    /// - Precondition: the value can be encoded: it fits the width, a temperature is in -40...99 °C.
    public mutating func setValue(of id: JK4E57.Identifier, to value: Int64) {
        switch id.layout.measure {
        case .sensor:
            precondition(value >= -40 && value <= 99)
            setRaw(id, to: UInt32(value >= 0 ? value : 100 - value))
        case .current:
            if hasVersion && version == 1 {
                setRaw(id, to: UInt32(value.magnitude / 10) | (value > 0 ? 0x8000 : 0))
            } else {
                setRaw(id, to: UInt32(10_000 - value / 10))
            }
        case .tensOfMillivolts: setRaw(id, to: UInt32(value / 10))
        case .signedCelsius: setRaw(id, to: UInt32(UInt16(bitPattern: Int16(value))))
        default: setRaw(id, to: UInt32(value))
        }
    }

    // MARK: Fields that need care

    /// A temperature sensor by the rule of §5.1. Raw 100 is read as 0 °C: a field test saw 0, 100, 101 while crossing zero.
    @inline(__always)
    public func sensor(_ id: JK4E57.Identifier) -> SensorReading {
        guard let raw = raw(id) else { return .absent }
        if raw < 100 { return .value(Decidegrees(raw) * 10) }
        if raw <= 140 { return .value((100 - Decidegrees(raw)) * 10) }
        return .invalid
    }

    /// The current by the rule of §5.2, in milliamps, positive while charging.
    ///
    /// Nil when the version is unknown: a version above 1, or a walk that ended before it. The wrong guess would be off by 100 A.
    @inline(__always)
    public var current: Milliamps? {
        guard let raw = raw(.current) else { return nil }
        if !hasVersion {
            return isPartial ? nil : (10_000 - Milliamps(raw)) * 10
        }
        switch version {
        case 0: return (10_000 - Milliamps(raw)) * 10
        case 1:
            let magnitude = Milliamps(raw & 0x7FFF) * 10
            return raw & 0x8000 != 0 ? magnitude : -magnitude
        default: return nil
        }
    }

    /// The warning word of §5.3. `Alarms` has its bits 0...13 in the same order; 14 and 15 are reserved and dropped.
    public var alarms: Alarms? {
        raw(.warnings).map { Alarms(rawValue: $0 & 0x3FFF) }
    }

    /// Bit `n` of the status word (§5.4): 0 charge MOSFET on, 1 discharge MOSFET on, 2 balancing. Bit 3 contradicts itself between
    /// the vendor text and captures and is not offered.
    @inline(__always)
    private func statusBit(_ n: UInt32) -> Bool? {
        raw(.status).map { $0 >> n & 1 != 0 }
    }

    public var chargeSwitchOn: Bool? { statusBit(0) }
    public var dischargeSwitchOn: Bool? { statusBit(1) }
    public var balancing: Bool? { statusBit(2) }

    @inline(__always)
    public func flag(_ id: JK4E57.Identifier) -> Bool? {
        raw(id).map { $0 != 0 }
    }

    // MARK: Texts

    /// The bytes of a text field, padding included.
    public func text(_ id: JK4E57.Identifier) -> JK4E57.Text? {
        if id.layout.measure != .text || !carries(id) { return nil }
        var text = JK4E57.Text(filler: 0)
        let offset = JK4E57.textOffset(id.rawValue)
        for i in 0..<Int(id.layout.width) { text.append(texts[offset + i]) }
        return text
    }

    /// Stores a text, padded with zeros or cut to the width of the field.
    public mutating func setText(_ id: JK4E57.Identifier, to text: Span<UInt8>) {
        precondition(id.layout.measure == .text)
        let offset = JK4E57.textOffset(id.rawValue)
        for i in 0..<Int(id.layout.width) { texts[offset + i] = i < text.count ? text[i] : 0 }
        present |= JK4E57.bit(id.rawValue)
    }
}

extension JK4E57 {
    /// The bit of `Report.present` for an identifier in 0x80...0xBF.
    @inline(__always)
    static func bit(_ id: UInt8) -> UInt64 {
        1 << UInt64(id & 0x3F)
    }

    /// Where the text of an identifier lies in `Report.texts`.
    static func textOffset(_ id: UInt8) -> Int {
        switch id {
        case 0xB2: 0
        case 0xB4: 10
        case 0xB5: 18
        case 0xB7: 22
        default: 37
        }
    }
}
