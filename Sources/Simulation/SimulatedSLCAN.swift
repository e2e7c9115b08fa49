import InverterDialects

/// A serial CAN adapter (CANable with slcan firmware, Lawicel CAN232) as seen from the computer: ASCII lines in, ASCII lines out.
///
/// It has its own parser and printer on purpose, as the simulated BMS has: the adapter must not share a mistake with the port that
/// drives it.
public struct SimulatedSLCAN: Sendable {
    public private(set) var isOpen = false
    /// Bits per second chosen with `S`; nil before.
    public private(set) var bitRate: Int?
    /// Answers and received frames, ready to be written to the line.
    public var output: [UInt8] = []
    private var line: [UInt8] = []
    public private(set) var refusals = 0
    /// The bus is short-circuited: `F` reports bus-off, frames are refused.
    public var isBusOff = false

    private static let bitRates = [10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000]
    private static let bell: UInt8 = 7
    private static let carriageReturn: UInt8 = 13

    public init() {}

    /// Bytes from the computer; each frame that it puts on the bus goes to `heard`.
    public mutating func receive(_ bytes: some Sequence<UInt8>, heard: (CANFrame) -> Void) {
        for byte in bytes {
            if byte != Self.carriageReturn {
                if line.count < 64 { line.append(byte) }
                continue
            }
            if !line.isEmpty { obey(heard) }
            line.removeAll(keepingCapacity: true)
        }
    }

    /// A frame from the bus for the computer; dropped while the channel is closed.
    public mutating func send(_ frame: CANFrame) {
        if !isOpen || isBusOff { return }
        output.append(UInt8(ascii: frame.isExtended ? "T" : "t"))
        put(hex: frame.id, digits: frame.isExtended ? 8 : 3)
        put(hex: UInt32(frame.length), digits: 1)
        for i in 0..<Int(frame.length) { put(hex: UInt32(frame[i]), digits: 2) }
        output.append(Self.carriageReturn)
    }

    private mutating func obey(_ heard: (CANFrame) -> Void) {
        switch line[0] {
        case UInt8(ascii: "S"):
            let index = line.count == 2 ? Int(line[1]) - 48 : -1
            if isOpen || !Self.bitRates.indices.contains(index) { return refuse() }
            bitRate = Self.bitRates[index]
            accept()
        case UInt8(ascii: "O"):
            if isOpen || bitRate == nil { return refuse() }
            isOpen = true
            accept()
        case UInt8(ascii: "C"):
            isOpen = false
            accept()
        case UInt8(ascii: "V"):
            accept("V1013")
        case UInt8(ascii: "N"):
            accept("NSIM1")
        case UInt8(ascii: "F"):
            if !isOpen { return refuse() }
            accept(isBusOff ? "F80" : "F00")
        case UInt8(ascii: "t"), UInt8(ascii: "T"):
            guard isOpen, !isBusOff, let frame = frame() else { return refuse() }
            accept(line[0] == UInt8(ascii: "t") ? "z" : "Z")
            heard(frame)
        case UInt8(ascii: "Z"), UInt8(ascii: "M"), UInt8(ascii: "m"), UInt8(ascii: "W"):
            accept()
        default:
            refuse()
        }
    }

    private func frame() -> CANFrame? {
        let isExtended = line[0] == UInt8(ascii: "T")
        let digits = isExtended ? 8 : 3
        guard line.count > digits + 1, let id = number(1, digits), let length = number(1 + digits, 1), length <= 8
        else { return nil }
        guard line.count == 2 + digits + 2 * Int(length), id <= (isExtended ? 0x1FFF_FFFF : 0x7FF) else { return nil }
        var frame = CANFrame(id: id, isExtended: isExtended, length: UInt8(length))
        for i in 0..<Int(length) {
            guard let byte = number(2 + digits + 2 * i, 2) else { return nil }
            frame[i] = UInt8(byte)
        }
        return frame
    }

    private func number(_ start: Int, _ digits: Int) -> UInt32? {
        var value: UInt32 = 0
        for i in start..<(start + digits) {
            let character = line[i]
            switch character {
            case 48...57: value = value << 4 | UInt32(character - 48)
            case 65...70: value = value << 4 | UInt32(character - 55)
            case 97...102: value = value << 4 | UInt32(character - 87)
            default: return nil
            }
        }
        return value
    }

    private mutating func accept(_ text: StaticString = "") {
        for i in 0..<text.utf8CodeUnitCount { output.append(text.utf8Start[i]) }
        output.append(Self.carriageReturn)
    }

    private mutating func refuse() {
        refusals += 1
        output.append(Self.bell)
    }

    private mutating func put(hex value: UInt32, digits: Int) {
        for i in (0..<digits).reversed() {
            let nibble = UInt8(value >> UInt32(4 * i) & 15)
            output.append(nibble < 10 ? 48 + nibble : 55 + nibble)
        }
    }
}
