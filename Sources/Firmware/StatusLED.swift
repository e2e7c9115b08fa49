import Battery

/// What the one LED says: a pattern of eight steps in a second (docs/firmware.md).
enum StatusLED {
    enum Code: UInt8, CaseIterable {
        /// Lit: battery and inverter are heard.
        case good = 0b1111_1111
        /// Half and half: frames go out, the inverter says nothing.
        case inverterSilent = 0b1111_0000
        /// Two short flashes: the BMS is lost, limits are 0.
        case batteryLost = 0b1010_0000
        /// One short flash: waiting for the first good snapshots.
        case waiting = 0b1000_0000
        /// Two longer flashes: not configured yet, limits are 0 A.
        case factory = 0b1100_1100
        /// Fast: CAN controller bus-off or missing.
        case busFault = 0b1010_1010

        var text: StaticString {
            switch self {
            case .good: "good"
            case .inverterSilent: "inverter silent"
            case .batteryLost: "battery lost"
            case .waiting: "waiting for the battery"
            case .factory: "not configured"
            case .busFault: "CAN bus fault"
            }
        }
    }

    static func isOn(_ code: Code, at now: Instant) -> Bool {
        code.rawValue & (0x80 >> UInt8(truncatingIfNeeded: now.milliseconds / 125 % 8)) != 0
    }
}
