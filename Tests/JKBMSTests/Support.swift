import Battery
import Foundation
import JKBMS

// MARK: Bytes

func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.filter { !$0.isWhitespace })
    precondition(digits.count.isMultiple(of: 2))
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { String(format: "%02x", $0) }.joined()
}

extension FrameBytes {
    var array: [UInt8] { (0..<count).map { self[$0] } }
}

/// A 4E57 frame around the information given in hexadecimal. Framing and sum are computed here, not by the encoder under test.
func frame(_ information: String, command: UInt8 = 6, source: UInt8 = 0, transport: UInt8 = 1) -> [UInt8] {
    let information = bytes(information)
    let length = information.count + 18
    var frame: [UInt8] = [0x4E, 0x57, UInt8(length >> 8), UInt8(length & 0xFF), 0, 0, 0, 0, command, source, transport]
    frame += information
    frame += [0, 0, 0, 0, 0x68]
    return withSum(frame)
}

/// Adds the unused CRC and the sum of all bytes so far.
func withSum(_ frame: [UInt8]) -> [UInt8] {
    let sum = frame.reduce(0) { $0 + Int($1) } & 0xFFFF
    return frame + [0, 0, UInt8(sum >> 8), UInt8(sum & 0xFF)]
}

/// Replaces bytes and makes the sum right again.
func patched(_ frame: [UInt8], _ changes: [Int: UInt8]) -> [UInt8] {
    var frame = frame
    for (index, byte) in changes { frame[index] = byte }
    return withSum(Array(frame.dropLast(4)))
}

func decode(_ frame: [UInt8]) throws(FrameRejection) -> JK4E57.Report {
    var report = JK4E57.Report()
    try JK4E57.decode(frame.span, into: &report)
    return report
}

func rejection(of frame: [UInt8]) -> FrameRejection? {
    do throws(FrameRejection) {
        _ = try decode(frame)
        return nil
    } catch {
        return error
    }
}

func text(_ report: JK4E57.Report, _ id: JK4E57.Identifier) -> String? {
    report.text(id).map { text in String(decoding: (0..<text.count).map { text[$0] }, as: UTF8.self) }
}

func list(_ cells: CellVoltages) -> [UInt16] { (0..<cells.count).map { cells[$0] } }

// MARK: Line

/// Records what a session does to its line.
struct RecordingLine: BMSLine {
    var sent: [[UInt8]] = []
    var readings: [(reading: PackReading, address: UInt8, at: Milliseconds)] = []
    var rejections: [FrameRejection] = []
    var timeouts: [UInt8] = []
    private var memories = InlineArray<16, JKPackMemory>(repeating: JKPackMemory())

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memories[slot] }
        set { memories[slot] = newValue }
    }

    mutating func transmit(_ bytes: Span<UInt8>) { sent.append(bytes.indices.map { bytes[$0] }) }
    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        readings.append((copy reading, address, now.milliseconds))
    }
    mutating func rejected(_ reason: FrameRejection, at now: Instant) { rejections.append(reason) }
    mutating func timedOut(_ address: UInt8, at now: Instant) { timeouts.append(address) }
}

extension BMSProtocol {
    mutating func receive(_ bytes: [UInt8], at now: Milliseconds, on line: inout RecordingLine) {
        receive(bytes.span, at: Instant(milliseconds: now), on: &line)
    }

    /// - Returns: when the session wants to be woken.
    @discardableResult
    mutating func wake(at now: Milliseconds, on line: inout RecordingLine) -> Milliseconds {
        wake(at: Instant(milliseconds: now), on: &line).milliseconds
    }
}

// MARK: Captures

/// Real captures and test vectors, read where they are: `PACKBRIDGE_CAPTURES`, or `../shared/data` beside the package. Without that
/// folder the conformance tests are skipped, visibly.
enum Captures {
    static let folder: URL = {
        if let path = ProcessInfo.processInfo.environment["PACKBRIDGE_CAPTURES"] { return URL(fileURLWithPath: path) }
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.deletingLastPathComponent().appendingPathComponent("shared/data")
    }()

    static let arePresent = FileManager.default.fileExists(
        atPath: folder.appendingPathComponent("jk-captures.jsonl").path)

    static func records(_ name: String) throws -> [Capture] {
        let text = try String(contentsOf: folder.appendingPathComponent("jk-captures.jsonl"), encoding: .utf8)
        return try text.split(separator: "\n").compactMap { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as! [String: Any]
            return object["protocol"] as? String == name ? Capture(fields: object) : nil
        }
    }
}

struct Capture {
    let fields: [String: Any]

    var id: String { fields["id"] as! String }
    var kind: String { fields["kind"] as! String }
    var provenance: String { fields["provenance"] as! String }
    var frame: [UInt8] { bytes(fields["hex"] as! String) }
    var expected: [String: Any] { fields["expected"] as! [String: Any] }
    /// A single complete frame whose checksum is right.
    var isGood: Bool { fields["complete"] as? Bool == true && fields["checksum_ok"] as? Bool == true }

    func number(_ key: String) -> Int64? { (expected[key] as? NSNumber)?.int64Value }
    func string(_ key: String) -> String? { expected[key] as? String }
}

// MARK: Numbers

/// A sequence of numbers that is the same on every run.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
