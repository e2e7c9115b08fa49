import Battery

/// The packs of a bank for protocols that speak of each one. Index 0 is the first pack.
public protocol PackReadings {
    var packCount: Int { get }
    /// The last good snapshot of a pack; nil when there is none that may still be told.
    func reading(ofPack index: Int) -> PackReading?
}

/// What a profile chooses about the RS485 answers.
public struct PylontechRS485Settings: Equatable, Sendable, BitwiseCopyable {
    /// Step of the current limits in the reply to 63. Sources differ by a factor of ten (pylontech-rs485.md §63): compare the
    /// limit that the inverter displays.
    public enum LimitStep: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
        /// Seen with a real Vevor.
        case tenthOfAmpere = 0
        /// Used by other projects with SRNE.
        case hundredthOfAmpere = 1
    }

    /// ADR of the group's master: 2 + 16 × group.
    public var address: UInt8 = 2
    /// SRNE polls several addresses and expects every answer from the master's.
    public var answersEveryAddress = false
    public var limitStep = LimitStep.tenthOfAmpere
    /// The discharge limit of 63 as a negative number. (In 92 and 47 it always is.)
    public var hasNegativeDischargeLimit = false

    public init() {}
}

/// A Pylontech battery on an RS485 line, without the line: bytes go in, requests come out, and an answer is built from the present
/// report when it is due (protocol V3.3, system commands "V3.5"; pylontech-rs485.md).
///
/// Only a complete, checksum-correct telegram with our address gives a request. Whoever owns the responder answers it only
/// while the report may be told: silence is the protocol's sign of a lost battery.
public struct PylontechRS485Responder: Sendable {
    public var settings: PylontechRS485Settings
    public private(set) var requests: UInt32 = 0
    /// Telegrams that were not answered, by `PylontechRefusal`.
    public private(set) var refused = InlineArray<4, UInt32>(repeating: 0)
    private var reader = PylontechTelegramReader()

    public init(_ settings: PylontechRS485Settings = PylontechRS485Settings()) {
        self.settings = settings
    }

    /// Takes one byte from the line. - Returns: a request that asks for an answer.
    public mutating func feed(_ byte: UInt8) -> PylontechRequestTelegram? {
        switch reader.feed(byte) {
        case nil: return nil
        case .refused(let reason):
            count(reason)
            return nil
        case .request(let request):
            guard request.address == settings.address || settings.answersEveryAddress else {
                count(.address)
                return nil
            }
            requests &+= 1
            return request
        }
    }

    private mutating func count(_ reason: PylontechRefusal) {
        refused[Int(reason.rawValue)] &+= 1
    }

    /// Writes the whole answer to `request`, start and end included, as the bank is now.
    public func answer<Line: TextSink>(
        _ request: PylontechRequestTelegram, _ report: borrowing BankReport, _ packs: borrowing some PackReadings,
        to line: inout Line
    ) {
        var information = PylontechInformation()
        let code = PylontechRS485Answer.information(request, settings, report, packs, to: &information)
        let count = code == .good ? information.bytes.count : 0
        var sum: UInt16 = 0
        func digit(_ value: UInt8) {
            let character = value < 10 ? UInt8(ascii: "0") &+ value : UInt8(ascii: "A") &+ value &- 10
            sum &+= UInt16(character)
            line.write(character)
        }
        func digits(_ value: UInt8) {
            digit(value >> 4)
            digit(value & 15)
        }
        func digits(word value: UInt16) {
            digits(UInt8(truncatingIfNeeded: value >> 8))
            digits(UInt8(truncatingIfNeeded: value))
        }

        line.write(UInt8(ascii: "~"))
        // 4F answers with the version of the protocol in this place.
        digits(request.command == 0x4F ? 0x33 : 0x20)
        digits(settings.address)
        digits(PylontechTelegram.cid1)
        digits(code.rawValue)
        digits(word: PylontechTelegram.length(count * 2))
        for index in 0..<count { digits(information.bytes[index]) }
        digits(word: 0 &- sum)
        line.write(0x0D)
    }
}

/// RTN of an answer.
enum PylontechReturnCode: UInt8 {
    case good = 0x00
    case unknownCommand = 0x04
    case badData = 0x06
    /// The pack asked for cannot be heard.
    case internalCommunication = 0x91
}
