import Battery
import InverterDialects

@testable import LinuxIO

/// Bytes from an RS485 line. Whatever is asked, an answer is one whole telegram of capital hexadecimal digits whose sum is right.
func fuzzRS485(_ bytes: [UInt8]) {
    struct Text: TextSink {
        var bytes: [UInt8] = []
        mutating func write(_ byte: UInt8) { bytes.append(byte) }
    }
    struct Packs: PackReadings {
        let packCount = 3
        func reading(ofPack index: Int) -> PackReading? {
            if index == 1 { return nil }
            var reading = PackReading()
            for cell in 0..<(index == 0 ? 16 : 32) { reading.cells.append(UInt16(3300 + cell)) }
            reading.settings = PackSettings()
            return reading
        }
    }
    var responder = PylontechRS485Responder()
    responder.settings.answersEveryAddress = true
    for byte in bytes {
        guard let request = responder.feed(byte) else { continue }
        var answer = Text()
        responder.answer(request, BankReport(), Packs(), to: &answer)
        let digits = answer.bytes.dropFirst().dropLast()
        precondition(answer.bytes.first == UInt8(ascii: "~") && answer.bytes.last == 0x0D)
        precondition(digits.count >= 16 && digits.count % 2 == 0)
        precondition(digits.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0) })
        let sum = digits.dropLast(4).reduce(UInt16(0)) { $0 &+ UInt16($1) }
        let written = UInt16(String(decoding: digits.suffix(4), as: UTF8.self), radix: 16)
        precondition(written == 0 &- sum)
    }
}

/// Frames of 13 bytes each: identifier (4), length (1), data (8). Every dialect looks at every frame.
func fuzzCAN(_ bytes: [UInt8]) {
    for start in stride(from: 0, to: bytes.count - 12, by: 13) {
        let frame = canFrame(bytes[start..<start + 13])
        for dialect in DialectName.allCases {
            _ = dialect.isHeartbeat(frame)
            dialect.signals { signal in check(signal, in: frame) }
        }
    }
}

/// A value that was read can be written back, and is then read again.
private func check(_ signal: Signal, in frame: CANFrame) {
    guard let raw = signal.raw(in: frame) else { return }
    var copy = frame
    precondition(signal.insert(raw, into: &copy), "a value that was read must fit")
    precondition(signal.raw(in: copy) == raw)
    precondition(copy == frame, "writing what was read must change nothing")
}

/// A frame from 13 bytes.
func canFrame(_ bytes: ArraySlice<UInt8>) -> CANFrame {
    let b = Array(bytes)
    let id = UInt32(b[0]) | UInt32(b[1]) << 8 | UInt32(b[2]) << 16 | UInt32(b[3] & 0x1F) << 24
    let isExtended = b[3] & 0x80 != 0
    let word = (0..<8).reduce(UInt64(0)) { $0 | UInt64(b[5 + $1]) << UInt64(8 * $1) }
    return CANFrame(id: isExtended ? id : id & 0x7FF, isExtended: isExtended, length: b[4] % 9, word: word)
}

/// Lines of an SLCAN adapter. What is taken for a frame must be one, and must survive being written again.
func fuzzSLCAN(_ bytes: [UInt8]) {
    for text in bytes.split(separator: UInt8(ascii: "\r"), omittingEmptySubsequences: false) {
        var line = SLCANLine()
        for byte in text { line.append(byte) }
        if line.isEmpty || line.overflowed { continue }
        guard let frame = line.frame() else { continue }
        precondition(frame.id <= (frame.isExtended ? 0x1FFF_FFFF : 0x7FF) && frame.length <= 8)
        var again = SLCANLine()
        again.set(frame)
        var withoutEnd = SLCANLine()
        for index in 0..<again.count - 1 { withoutEnd.append(again[index]) }
        precondition(withoutEnd.frame() == frame)
    }
}

/// Lines of a candump log.
func fuzzCandump(_ bytes: [UInt8]) {
    for text in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        guard let line = try? CandumpLine(text) else { continue }
        precondition(line.frame.id <= (line.frame.isExtended ? 0x1FFF_FFFF : 0x7FF) && line.frame.length <= 8)
    }
}
