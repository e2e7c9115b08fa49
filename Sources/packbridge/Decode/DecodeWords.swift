import JKBMS

extension FrameRejection {
    /// For a person, without the figures that only the protocol knows.
    var words: String {
        switch self {
        case .noise: "this is not the start of a frame"
        case .badLength: "the length does not fit"
        case .badEndMark: "the end mark is missing"
        case .badChecksum: "the checksum is wrong"
        case .truncated: "the frame is cut off"
        case .badStructure: "the content contradicts itself"
        case .unexpected: "a valid frame that nobody asked for"
        case .echo: "the host's own request, echoed"
        }
    }
}

/// A text field of a BMS as printable ASCII: padding at the end dropped, zeros inside shown as blanks (the manufacturer field holds
/// two texts), everything else that is not printable dropped.
func printableText(_ bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    for byte in bytes {
        if byte == 0 {
            text.append(UInt8(ascii: " "))
        } else if byte >= 0x20 && byte < 0x7F {
            text.append(byte)
        }
    }
    while text.last == UInt8(ascii: " ") { text.removeLast() }
    return String(decoding: text, as: UTF8.self)
}

/// A secret on the screen: its length says nothing either.
let maskedSecret = "***"

/// One line of a byte-by-byte explanation.
func explanationRow(_ offset: Int, _ bytes: some Collection<UInt8>, _ meaning: String, _ value: String) -> String {
    explanationRow(offset, bytes.map { hexText([$0]) }.joined(separator: " "), meaning, value)
}

func explanationRow(_ offset: Int, _ bytes: String, _ meaning: String, _ value: String) -> String {
    var row =
        pad(String(offset), to: 5, right: true) + "  " + pad(bytes, to: 25) + " " + pad(meaning, to: 38) + " " + value
    while row.last == " " { row.removeLast() }
    return row + "\n"
}

/// Fills up with blanks to a width in characters.
func pad(_ text: String, to width: Int, right: Bool = false) -> String {
    let blanks = String(repeating: " ", count: max(0, width - text.count))
    return right ? blanks + text : text + blanks
}
