import Battery

/// A request of the inverter on a Pylontech RS485 line, checked and meant for us.
public struct PylontechRequestTelegram: Equatable, Sendable, BitwiseCopyable {
    /// As sent; real packs ignore it.
    public var version: UInt8
    public var address: UInt8
    /// CID2: what is asked.
    public var command: UInt8
    /// The first byte of INFO (COMMAND: a module or 0xFF for the group); nil when INFO is empty.
    public var argument: UInt8?

    public init(version: UInt8, address: UInt8, command: UInt8, argument: UInt8?) {
        self.version = version
        self.address = address
        self.command = command
        self.argument = argument
    }
}

/// Why bytes on the line were not taken as a request. Nothing is answered then: a damaged frame may not be ours.
public enum PylontechRefusal: UInt8, Equatable, Sendable, CaseIterable {
    /// Not hexadecimal in capitals, too short, too long, or not CID1 0x46.
    case format
    /// LENGTH does not agree with itself or with what follows.
    case length
    case checksum
    /// For another battery.
    case address
}

/// Collects the bytes of one telegram: `~`, capital hexadecimal digits, carriage return (pylontech-rs485.md §Frame).
struct PylontechTelegramReader: Sendable {
    /// Digits between start and end. The longest request that the protocol knows (94) has 34.
    private var digits = FixedArray<64, UInt8>(filler: 0)
    private var isInside = false
    private var isTooLong = false

    enum Result: Equatable {
        case request(PylontechRequestTelegram)
        case refused(PylontechRefusal)
    }

    /// Takes one byte. - Returns: non-nil at the end of a telegram.
    mutating func feed(_ byte: UInt8) -> Result? {
        if byte == UInt8(ascii: "~") {
            digits.removeAll()
            isInside = true
            isTooLong = false
            return nil
        }
        if !isInside { return nil }
        if byte == 0x0D {
            isInside = false
            return isTooLong ? .refused(.format) : check()
        }
        if !digits.append(byte) { isTooLong = true }
        return nil
    }

    private func check() -> Result {
        let count = digits.count
        guard count >= 16, count % 2 == 0 else { return .refused(.format) }
        var sum: UInt16 = 0
        for index in 0..<count {
            guard nibble(index) != nil else { return .refused(.format) }
            if index < count - 4 { sum &+= UInt16(digits[index]) }
        }
        guard let length = word(8), let checksum = word(count - 4) else { return .refused(.format) }
        let information = Int(length & 0xFFF)
        guard length == PylontechTelegram.length(information), information == count - 16 else {
            return .refused(.length)
        }
        guard checksum == 0 &- sum else { return .refused(.checksum) }
        guard let version = byte(0), let address = byte(2), byte(4) == PylontechTelegram.cid1, let command = byte(6)
        else {
            return .refused(.format)
        }
        return .request(
            PylontechRequestTelegram(
                version: version, address: address, command: command, argument: information == 0 ? nil : byte(12)))
    }

    private func nibble(_ index: Int) -> UInt8? {
        switch digits[index] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digits[index] - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digits[index] - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private func byte(_ index: Int) -> UInt8? {
        guard let high = nibble(index), let low = nibble(index + 1) else { return nil }
        return high << 4 | low
    }

    private func word(_ index: Int) -> UInt16? {
        guard let high = byte(index), let low = byte(index + 2) else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }
}

/// How a telegram is written.
enum PylontechTelegram {
    static let cid1: UInt8 = 0x46

    /// LENGTH: the number of characters of INFO, and above it a nibble that makes the sum of the four nibbles 0 modulo 16. Two
    /// other projects forget the modulo and print five digits when the sum is 16.
    static func length(_ characters: Int) -> UInt16 {
        let count = UInt16(truncatingIfNeeded: characters) & 0xFFF
        let sum = (count & 15) &+ (count >> 4 & 15) &+ (count >> 8)
        return ((0 &- sum) & 15) << 12 | count
    }
}

/// INFO of one answer, before its length is known. 2047 bytes are the most that LENID can count; 16 packs of 32 cells need 1522.
struct PylontechInformation: TextSink {
    private(set) var bytes = FixedArray<2047, UInt8>(filler: 0)

    mutating func write(_ byte: UInt8) { bytes.append(byte) }
}

extension TextSink {
    /// Most significant byte first.
    mutating func write(word value: UInt16) {
        write(UInt8(truncatingIfNeeded: value >> 8))
        write(UInt8(truncatingIfNeeded: value))
    }

    /// `text` in exactly `width` bytes, zeros behind it.
    mutating func write(_ text: StaticString, width: Int) {
        for index in 0..<width { write(index < text.utf8CodeUnitCount ? text.utf8Start[index] : 0) }
    }
}
