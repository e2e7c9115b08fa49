import Battery

/// The JK BMS's own CAN protocol, 250 kbit/s, little-endian, sent by the BMS without being asked (jk-can.md). V1 has 11-bit
/// identifiers, V2 adds 29-bit ones. The unit's DIP address is added to the identifier.
///
/// Frames may be shorter than their description: then the fields that are not there are nil.
public enum JKCAN {
    public enum Message: Equatable, Sendable {
        /// 2F4: pack voltage, current, SoC.
        case battery
        /// 4F4: highest and lowest cell.
        case cells
        /// 5F4: temperatures.
        case temperatures
        /// 7F4: 15 alarms of 2 bits, sent only while there is one.
        case alarms
        /// 18F128F4: capacities and cycles.
        case capacity
        /// 18F228F4: each probe.
        case probes
        /// 18F328F4 and 18F428F4: no layout is confirmed.
        case faults
        case information
        /// 18F528F4: MOSFETs and balancer.
        case switches
        /// 18E028F4...18E628F4: four cells each, `first` counts from 1.
        case cellVoltages(first: UInt8)
        /// 1806E5F4: charge request. Its byte order is not verified.
        case chargeRequest
    }

    /// Identifiers of address 0. The step between cell frames is 0x10000.
    private static let standard: [4 of (id: UInt32, message: Message)] = [
        (0x2F4, .battery), (0x4F4, .cells), (0x5F4, .temperatures), (0x7F4, .alarms),
    ]
    private static let extended: [6 of (id: UInt32, message: Message)] = [
        (0x18F1_28F4, .capacity), (0x18F2_28F4, .probes), (0x18F3_28F4, .faults), (0x18F4_28F4, .information),
        (0x18F5_28F4, .switches), (0x1806_E5F4, .chargeRequest),
    ]

    /// What an identifier means, and the DIP address of the sender, 0...15: what is added to the base identifier, with
    /// carry. Nil for foreign identifiers, which are normal on a shared bus.
    public static func identify(id: UInt32, isExtended: Bool) -> (message: Message, address: UInt8)? {
        if isExtended {
            for i in 0..<6 {
                if let address = address(id, base: extended[i].id) { return (extended[i].message, address) }
            }
            for n in UInt8(0)..<7 {
                if let address = address(id, base: 0x18E0_28F4 + UInt32(n) * 0x1_0000) {
                    return (.cellVoltages(first: 4 * n + 1), address)
                }
            }
            return nil
        }
        for i in 0..<4 {
            if let address = address(id, base: standard[i].id) { return (standard[i].message, address) }
        }
        return nil
    }

    private static func address(_ id: UInt32, base: UInt32) -> UInt8? {
        id >= base && id <= base + 15 ? UInt8(id - base) : nil
    }

    // MARK: Fields

    static func u16(_ data: Span<UInt8>, _ at: Int) -> UInt16? {
        at + 2 <= data.count ? UInt16(data[at]) | UInt16(data[at + 1]) << 8 : nil
    }

    static func u8(_ data: Span<UInt8>, _ at: Int) -> UInt8? {
        at < data.count ? data[at] : nil
    }

    /// 0.1 V on the wire.
    public static func packVoltage(_ data: Span<UInt8>) -> Millivolts? {
        u16(data, 0).map { Millivolts($0) * 100 }
    }

    /// The current as the formula `raw × 0.1 − 400 A` gives it. Vendor text and public software disagree about what its sign means.
    public static func rawSignCurrent(_ data: Span<UInt8>) -> Milliamps? {
        u16(data, 2).map { (Milliamps($0) - 4000) * 100 }
    }

    /// A temperature byte: value − 50 °C.
    public static func temperature(_ data: Span<UInt8>, _ at: Int) -> Decidegrees? {
        u8(data, at).map { (Decidegrees($0) - 50) * 10 }
    }

    /// The alarm levels of 7F4: 0 none, 1 serious, 2 important, 3 general. 30 bits, two for each, lowest first.
    public static func alarmWord(_ data: Span<UInt8>) -> UInt32? {
        guard let low = u16(data, 0), let high = u16(data, 2) else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    /// In the order of the 2-bit levels; temperature difference, insulation, interlock and external communication have no word of their
    /// own. A serious, important and general level count alike: each is an alarm of the BMS.
    private static let alarmOrder: InlineArray<15, Alarms> = [
        .cellOverVoltage, .cellUnderVoltage, .packOverVoltage, .packUnderVoltage, .cellImbalance,
        .dischargeOverCurrent, .chargeOverCurrent, .cellOverTemperature, .cellUnderTemperature, .other,
        .lowStateOfCharge, .other, .other, .other, .bmsInternal,
    ]

    public static func alarms(_ word: UInt32) -> Alarms {
        var alarms: Alarms = []
        for i in 0..<15 where word >> UInt32(2 * i) & 3 != 0 { alarms.formUnion(alarmOrder[i]) }
        return alarms
    }
}
