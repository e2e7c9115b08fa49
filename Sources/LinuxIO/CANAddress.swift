/// Where a CAN bus is, as the owner writes it: `socketcan:can0`, `slcan:/dev/ttyACM0`, `candump:bus.log`, `virtual:test`.
public enum CANAddress: Equatable, Sendable {
    /// An interface of the kernel, bit rate set there.
    case socketCAN(interface: String)
    /// A serial CAN adapter (CANable and clones). `bitrate` is the bus's, `baud` the serial line's; USB adapters ignore the latter.
    case slcan(path: String, bitrate: UInt32 = 500_000, baud: UInt32 = 115_200)
    /// A log file, replayed in its own time, or as fast as possible (`candump-fast:`).
    case candump(path: String, isTimed: Bool = true)
    /// A bus inside this process.
    case virtual(name: String)

    /// Reads an address.
    public init(_ text: String) throws(CANAddressError) {
        guard let colon = text.firstIndex(of: ":") else { throw .noScheme(text) }
        let scheme = String(text[..<colon])
        let rest = String(text[text.index(after: colon)...])
        guard !rest.isEmpty else { throw .empty(scheme: scheme) }
        switch scheme {
        case "socketcan":
            // The kernel's IFNAMSIZ is 16 with the closing zero; it allows no slash and no space.
            guard rest.utf8.count <= 15, !rest.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "/") }) else {
                throw .badInterface(rest)
            }
            self = .socketCAN(interface: rest)
        case "slcan": self = try Self.slcan(from: rest)
        case "candump": self = .candump(path: rest)
        case "candump-fast": self = .candump(path: rest, isTimed: false)
        case "virtual": self = .virtual(name: rest)
        default: throw .unknownScheme(scheme)
        }
    }

    /// `/dev/ttyACM0[@bitrate[:baud]]`
    private static func slcan(from text: String) throws(CANAddressError) -> CANAddress {
        guard let at = text.lastIndex(of: "@") else { return .slcan(path: text) }
        let path = String(text[..<at])
        guard !path.isEmpty else { throw .empty(scheme: "slcan") }
        let numbers = text[text.index(after: at)...].split(separator: ":", omittingEmptySubsequences: false)
        guard numbers.count <= 2, let bitrate = UInt32(numbers[0]), slcanBitrateCode(bitrate) != nil else {
            throw .badBitrate(String(text[text.index(after: at)...]))
        }
        guard numbers.count == 2 else { return .slcan(path: path, bitrate: bitrate) }
        guard let baud = UInt32(numbers[1]), baud > 0 else { throw .badBaud(String(numbers[1])) }
        return .slcan(path: path, bitrate: bitrate, baud: baud)
    }
}

extension CANAddress: CustomStringConvertible {
    /// The address as it can be read again.
    public var description: String {
        switch self {
        case .socketCAN(let interface): "socketcan:\(interface)"
        case .slcan(let path, let bitrate, 115_200): "slcan:\(path)@\(bitrate)"
        case .slcan(let path, let bitrate, let baud): "slcan:\(path)@\(bitrate):\(baud)"
        case .candump(let path, let isTimed): (isTimed ? "candump:" : "candump-fast:") + path
        case .virtual(let name): "virtual:\(name)"
        }
    }
}

/// Why a text is no CAN address.
public enum CANAddressError: Error, Equatable, CustomStringConvertible {
    case noScheme(String)
    case unknownScheme(String)
    case empty(scheme: String)
    case badInterface(String)
    case badBitrate(String)
    case badBaud(String)

    public var description: String {
        let kinds = "socketcan:can0, slcan:/dev/ttyACM0[@bitrate[:baud]], candump:FILE or virtual:NAME"
        return switch self {
        case .noScheme(let text): "CAN port \"\(text)\" does not say what it is; write \(kinds)"
        case .unknownScheme(let scheme): "CAN port of unknown kind \"\(scheme):\"; write \(kinds)"
        case .empty(let scheme): "CAN port \"\(scheme):\" names nothing after the colon; write \(kinds)"
        case .badInterface(let name):
            "\"\(name)\" cannot be a network interface: at most 15 characters, no space, no slash"
        case .badBitrate(let text):
            "\"\(text)\" is no bit rate of an SLCAN adapter; "
                + "one of 10000, 20000, 50000, 100000, 125000, 250000, 500000, 800000, 1000000"
        case .badBaud(let text): "\"\(text)\" is no baud rate of a serial line; a number above 0 is expected"
        }
    }
}

/// The digit of the command `Sn` that sets `bitrate`; nil when the SLCAN protocol has none for it.
func slcanBitrateCode(_ bitrate: UInt32) -> UInt8? {
    let rates: [9 of UInt32] = [10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000]
    for code in rates.indices where rates[code] == bitrate { return UInt8(ascii: "0") + UInt8(code) }
    return nil
}
