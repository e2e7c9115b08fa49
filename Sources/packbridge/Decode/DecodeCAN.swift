import Battery
import InverterDialects
import LinuxIO

/// One explainer for each dialect, under the dialect's name.
let dialectExplainers: [Explainable] = DialectName.allCases.map { dialect in
    (dialect.name, { _ in DialectExplainer(dialect: dialect) })
}

/// Explains frames between battery and inverter, given as candump or cansend write them. Signals have the names, scales and units
/// of the dialect's DBC file.
struct DialectExplainer: FrameExplainer {
    let dialect: DialectName

    func writeObject(for line: String, to json: inout JSONText) -> Bool {
        do throws(CandumpLine.Problem) {
            let line = try CandumpLine(line)
            if line.isRemote {
                json.rejection("a remote frame carries no data")
                return false
            }
            json.object {
                $0.field("id", line.frame.idText)
                $0.field("signals", object: { $0.signals(of: line.frame, dialect) })
            }
            return true
        } catch {
            json.rejection(error.explanation)
            return false
        }
    }

    func explain(_ line: String, to text: inout String) -> Bool {
        do throws(CandumpLine.Problem) {
            let line = try CandumpLine(line)
            text += "\(line.frame.idText)  \(line.frame.bytesText)\n"
            if line.isRemote {
                text += "  a remote frame carries no data\n"
                return false
            }
            let rows = dialect.rows(of: line.frame)
            if rows.isEmpty && line.frame.length > 0 { text += "  no frame of \(dialect.name)\n" }
            let width = rows.map(\.name.count).max() ?? 0
            for row in rows {
                let padding = String(repeating: " ", count: width - row.name.count)
                text +=
                    "  \(row.name)\(padding)  \(row.value)\(row.unit.isEmpty ? "" : " " + row.unit)  (\(row.place))\n"
            }
            return true
        } catch {
            text += "rejected: \(error.explanation)\n"
            return false
        }
    }
}

extension JSONText {
    /// Every signal of `frame` as a field; call inside an object.
    mutating func signals(of frame: CANFrame, _ dialect: DialectName) {
        for row in dialect.values(of: frame) {
            key(row.name)
            number(row.value)
        }
    }
}

/// One signal of one frame in words.
struct SignalRow {
    var name: String
    var value: String
    var unit: String
    /// Where it stands: `bytes 0–1`.
    var place: String
    /// A single bit, or a pair of 0x35A, of which only "raised" is news.
    var isFlag = false
    var isRaised = false
}

extension DialectName {
    /// The name on the command line and in the configuration, and the file stem of the DBC.
    var name: String { "\(text)" }

    /// Every signal of `frame`, in the order of the table.
    func values(of frame: CANFrame) -> [(name: String, value: String)] {
        var list: [(String, String)] = []
        signals { signal in
            if let raw = signal.raw(in: frame) { list.append((signal.nameText, signal.valueText(raw))) }
        }
        return list
    }

    /// The same for a person: with units and places, and a text field as one row.
    func rows(of frame: CANFrame) -> [SignalRow] {
        var rows: [SignalRow] = []
        var textField = ""
        signals { signal in
            guard let raw = signal.raw(in: frame) else { return }
            let isCharacter = signal.part >= 0 && signal.length == 8
            if isCharacter {
                let character = printable(UInt8(truncatingIfNeeded: raw))
                if textField == "\(signal.name)" {
                    rows[rows.count - 1].value.append(character)
                    rows[rows.count - 1].place = "bytes 0–\(signal.startBit / 8)"
                    return
                }
                textField = "\(signal.name)"
            }
            rows.append(
                SignalRow(
                    name: isCharacter ? textField.trimmedUnderscore : signal.nameText,
                    value: isCharacter ? String(printable(UInt8(truncatingIfNeeded: raw))) : signal.valueText(raw),
                    unit: "\(signal.unit)", place: signal.place, isFlag: signal.length == 1 || signal.frame == 0x35A,
                    isRaised: raw == 1))
        }
        return rows
    }
}

extension Signal {
    var nameText: String {
        var sink = StringSink()
        writeName(to: &sink)
        return sink.text
    }

    func valueText(_ raw: Int64) -> String {
        var sink = StringSink()
        writeValue(raw, to: &sink)
        return sink.text
    }

    var place: String {
        let first = startBit / 8
        // A big-endian signal starts at its highest bit and runs on into the following bytes.
        let last = isBigEndian ? first + (7 - startBit % 8 + length - 1) / 8 : (startBit + length - 1) / 8
        if first != last { return "bytes \(first)–\(last)" }
        if length == 8 { return "byte \(first)" }
        let low = isBigEndian ? startBit % 8 + 1 - length : startBit % 8
        return length == 1 ? "byte \(first) bit \(low)" : "byte \(first) bits \(low)–\(low + length - 1)"
    }
}

/// A `TextSink` that becomes a `String`.
struct StringSink: TextSink {
    private var bytes: [UInt8] = []

    var text: String { String(decoding: bytes, as: UTF8.self) }

    mutating func write(_ byte: UInt8) { bytes.append(byte) }
}

extension CANFrame {
    /// `0x351`, or eight digits for a 29-bit identifier.
    var idText: String {
        let digits = String(id, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: (isExtended ? 8 : 3) - digits.count) + digits
    }

    /// `14 02 74 0E`
    var bytesText: String {
        (0..<Int(length)).map { hexText([self[$0]]).uppercased() }.joined(separator: " ")
    }
}

extension CandumpLine.Problem {
    var explanation: String {
        switch self {
        case .empty: "an empty line"
        case .badTime: "the time in parentheses is not a number of seconds"
        case .noFrame: "no frame like 351#1402740E740ECC01"
        case .badIdentifier: "the identifier has neither 3 hexadecimal digits nor 8 (29 bits), or is too large"
        case .badBytes: "the data are not up to 8 bytes in hexadecimal"
        case .errorFrame: "an error frame of the bus carries no signals"
        case .canFD: "a CAN FD frame; the batteries of this product speak classic CAN"
        }
    }
}

/// A character of a text field; what cannot be printed becomes `.`.
private func printable(_ byte: UInt8) -> Character {
    (0x20...0x7E).contains(byte) ? Character(UnicodeScalar(byte)) : "."
}

extension String {
    /// `SerialA_` without its separator.
    fileprivate var trimmedUnderscore: String { hasSuffix("_") ? String(dropLast()) : self }
}
