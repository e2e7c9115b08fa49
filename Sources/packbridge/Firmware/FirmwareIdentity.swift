/// What every image of the firmware carries, so that a file says what it is: written by Sources/FirmwareStart.
struct FirmwareIdentity: Equatable {
    let board: String
    /// The beginning of the revision's hash in git, or "unknown".
    let revision: String

    private static let mark = Array("PackBridge firmware\0".utf8)

    /// - Parameter image: a whole file, ELF or binary.
    init?(in image: [UInt8]) {
        guard let start = Self.place(in: image) else { return nil }
        let fields = image[(start + Self.mark.count)...].prefix(20)
        guard fields.count == 20 else { return nil }
        let bytes = Array(fields)
        let revision = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) }
        self.revision = revision == 0 ? "unknown" : String(UInt64(revision) | 1 << 32, radix: 16).dropFirst().description
        board = String(decoding: bytes[4...].prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func place(in image: [UInt8]) -> Int? {
        guard image.count > mark.count else { return nil }
        return (0...(image.count - mark.count)).first { start in
            image[start] == mark[0] && mark.indices.allSatisfy { image[start + $0] == mark[$0] }
        }
    }
}
