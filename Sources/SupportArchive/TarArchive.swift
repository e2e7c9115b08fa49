/// A tar archive in memory (POSIX ustar), for a handful of small files.
public struct TarArchive: Sendable {
    private var buffer: [UInt8] = []
    /// Seconds since 1970.
    private let time: Int64

    public init(at time: Int64) {
        self.time = time
    }

    public mutating func add(_ name: String, _ content: [UInt8]) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int64, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(String(decoding: name.utf8.prefix(99), as: UTF8.self), at: 0)
        put(octal(0o644, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(Int64(content.count), 11), at: 124)
        put(octal(time, 11), at: 136)
        put(String(repeating: " ", count: 8), at: 148)
        put("0", at: 156)
        put("ustar", at: 257)
        put("00", at: 263)
        put(octal(Int64(header.reduce(0) { $0 + Int($1) }), 6), at: 148)
        header[154] = 0
        buffer += header
        buffer += content
        buffer += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    public func finished() -> [UInt8] { buffer + [UInt8](repeating: 0, count: 1024) }
}

/// Wraps bytes into the gzip format (RFC 1952) without compressing them: a support archive is small, and whoever opens it can read
/// for himself what is in it.
public func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]
    func littleEndian(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    var rest = bytes[...]
    repeat {
        // A stored block (RFC 1951 §3.2.4): last or not, length, its complement, the bytes.
        let block = rest.prefix(0xFFFF)
        rest = rest.dropFirst(block.count)
        let count = UInt16(block.count)
        result += [rest.isEmpty ? 1 : 0, UInt8(count & 0xFF), UInt8(count >> 8), UInt8(~count & 0xFF), UInt8(~count >> 8)]
        result += block
    } while !rest.isEmpty
    return result + littleEndian(crc32(bytes)) + littleEndian(UInt32(truncatingIfNeeded: bytes.count))
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var value = UInt32.max
    for byte in bytes {
        value ^= UInt32(byte)
        for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ 0xEDB8_8320 : value >> 1 }
    }
    return ~value
}
