import Battery
import CLinux
import Glibc

/// The persisted record on disk: two slots, `record.0` and `record.1`, written in turn and synchronously, so that a power cut at
/// any byte of a write leaves the other slot as it was (failsafe.md §5.8 and §5.9).
///
/// A slot is `PBRS`, a sequence number, the length, the image and a CRC-32 of all that. What the image means is the engine's business.
public struct StateFile {
    public static let longestImage = 4096
    private static let start: [UInt8] = Array("PBRS".utf8)
    private static let overhead = 16

    private let paths: [String]
    private var sequence: UInt32 = 0
    /// The slot for the next image: the one that does not hold the newest valid record.
    private var nextSlot = 0
    private var bytes: [UInt8] = []
    /// The image that was valid and newest when the file was opened; nil when there was none.
    public let image: [UInt8]?

    /// Reads both slots. Creates the folder when it is missing (its parent must exist).
    public init(directory: String) throws(PortFailure) {
        if mkdir(directory, 0o750) < 0 && errno != EEXIST { throw .opening(directory) }
        if access(directory, W_OK | X_OK) < 0 { throw .opening(directory) }
        paths = ["\(directory)/record.0", "\(directory)/record.1"]
        var newest: (sequence: UInt32, image: [UInt8])?
        for (slot, path) in paths.enumerated() {
            // A slot that is missing, unreadable or damaged counts as empty: the other one stands in for it.
            guard let content = try? readFile(path, atMost: Self.longestImage + Self.overhead),
                let record = Self.record(in: content)
            else { continue }
            // A difference, so that the number may wrap.
            if let newest, Int32(bitPattern: record.sequence &- newest.sequence) <= 0 { continue }
            newest = record
            nextSlot = 1 - slot
        }
        sequence = newest?.sequence ?? 0
        image = newest?.image
        bytes.reserveCapacity(Self.longestImage + Self.overhead)
    }

    private static func record(in content: [UInt8]) -> (sequence: UInt32, image: [UInt8])? {
        func word(_ position: Int) -> UInt32 {
            (0..<4).reduce(UInt32(0)) { $0 | UInt32(content[position + $1]) << UInt32(8 * $1) }
        }
        guard content.count >= overhead, content.starts(with: start) else { return nil }
        let length = Int(word(8))
        guard length <= longestImage, content.count >= overhead + length else { return nil }
        var crc = CRC32()
        for byte in content[..<(12 + length)] { crc.update(byte) }
        guard crc.value == word(12 + length) else { return nil }
        return (word(4), Array(content[12..<12 + length]))
    }

    /// Writes an image over the older slot and waits for the disk.
    public mutating func write(_ image: Span<UInt8>) throws(PortFailure) {
        precondition(image.count <= Self.longestImage)
        bytes.removeAll(keepingCapacity: true)
        bytes += Self.start
        append(sequence &+ 1)
        append(UInt32(image.count))
        for index in image.indices { bytes.append(image[index]) }
        var crc = CRC32()
        for byte in bytes { crc.update(byte) }
        append(crc.value)

        let path = paths[nextSlot]
        let fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_DSYNC, 0o640)
        if fd < 0 { throw .opening(path) }
        defer { close(fd) }
        // Over the old content, not truncated first: the space is there even when the disk is full.
        guard pwrite(fd, bytes, bytes.count, 0) == bytes.count else {
            throw PortFailure(path, .system(call: "write", code: errno))
        }
        sequence &+= 1
        nextSlot = 1 - nextSlot
    }

    private mutating func append(_ word: UInt32) {
        for shift in stride(from: UInt32(0), to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
}
