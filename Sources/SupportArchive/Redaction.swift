/// What must not leave the house, and how it is taken out: the one rule of everything that is made to be attached to a question.
///
/// Secrets are found where they are known to be (in the configuration); then every text that goes out is searched for them.
public struct Redaction: Sendable {
    /// What stands in the place of a secret.
    public static let removed = "(removed)"

    private var secrets: [String]

    /// - Parameter found: passwords, hashes, tokens, names, hosts, addresses. Very short ones would take texts apart, and what names this
    ///   machine itself is no secret.
    public init(_ found: some Sequence<String> = []) {
        secrets = []
        for secret in found { add(secret) }
    }

    public mutating func add(_ secret: String) {
        let isHarmless = secret.count <= 3 || ["localhost", "127.0.0.1", "0.0.0.0", "PackBridge", "packbridge"].contains(secret)
        if isHarmless || secrets.contains(secret) { return }
        // The longest first: one secret may be a part of another.
        secrets.append(secret)
        secrets.sort { $0.count > $1.count }
    }

    /// The text without the secrets, and without the serial numbers of adapters and Bluetooth addresses.
    public func callAsFunction(_ text: String) -> String {
        withoutSerialNumbers(withoutHardwareAddresses(secrets.reduce(text) { $0.replacing($1, with: Self.removed) }))
    }

    /// `usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0`: what stands before the interface is the adapter's serial number.
    private func withoutSerialNumbers(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.range(of: "usb-") {
            result += rest[..<start.upperBound]
            let name = rest[start.upperBound...].prefix { $0.isLetter || $0.isNumber || "_.:+-".contains($0) }
            rest = rest[name.endIndex...]
            guard let interface = name.lastRange(of: "-if"), let underscore = name[..<interface.lowerBound].lastIndex(of: "_")
            else {
                result += name
                continue
            }
            result += name[...underscore] + Self.removed + name[interface.lowerBound...]
        }
        return result + rest
    }

    /// `C8:47:8C:E0:12:34`
    private func withoutHardwareAddresses(_ text: String) -> String {
        text.replacing(#/\b(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}\b/#, with: Self.removed)
    }
}

extension Substring {
    fileprivate func range(of pattern: String) -> Range<Index>? { firstRange(of: pattern) }

    fileprivate func lastRange(of pattern: String) -> Range<Index>? { ranges(of: pattern).last }
}
