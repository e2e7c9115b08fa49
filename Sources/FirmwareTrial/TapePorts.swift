import Battery
import BridgeEngine
import InverterDialects

/// The ports of the engine that plays a tape: whatever it does has to be next on the tape.
struct TapePorts: EnginePorts {
    var reader: TapeReader
    var hasReader = false
    /// Over everything that was done, with the instant that `wake` answered.
    private(set) var checksum = CRC32()
    private(set) var frames: UInt32 = 0
    private(set) var others: UInt32 = 0
    private(set) var difference: TapeDifference?
    /// The frames that differ.
    private(set) var expected = CANFrame(id: 0, length: 0)
    private(set) var found = CANFrame(id: 0, length: 0)

    init(_ tape: UnsafeBufferPointer<UInt8>) {
        reader = TapeReader(tape)
    }

    /// The first one counts.
    mutating func differs(_ what: TapeDifference) {
        if difference == nil { difference = what }
    }

    /// - Returns: true when this is what was done next.
    private mutating func isNext(_ mark: TapeMark) -> Bool {
        if difference != nil { return false }
        if reader.peekMark() != mark {
            differs(.additional)
            return false
        }
        _ = reader.mark()
        checksum.update(mark.rawValue)
        return true
    }

    private mutating func compare(_ bytes: Span<UInt8>, _ mark: TapeMark, _ what: TapeDifference) {
        if !isNext(mark) { return }
        others &+= 1
        var crc = CRC32()
        for i in bytes.indices {
            crc.update(bytes[i])
            checksum.update(bytes[i])
        }
        if reader.uint32() != crc.value { differs(what) }
    }

    mutating func answered(_ due: Instant) {
        if !isNext(.due) { return }
        for shift in stride(from: Int64(0), to: 64, by: 8) {
            checksum.update(UInt8(truncatingIfNeeded: due.milliseconds >> shift))
        }
        if reader.int64() != due.milliseconds { differs(.due) }
    }

    // MARK: EnginePorts

    mutating func transmit(_ bytes: Span<UInt8>, onBMSPort port: Int) { compare(bytes, .request, .request) }
    mutating func publish(_ message: Span<UInt8>) { compare(message, .message, .message) }
    mutating func persist(_ image: Span<UInt8>) { compare(image, .record, .record) }

    mutating func transmit(_ frame: CANFrame, onInverterPort port: Int) -> CANSendResult {
        if !isNext(.sent) { return .down }
        frames &+= 1
        let recorded = reader.frame()
        let result = CANSendResult(rawValue: reader.byte()) ?? .down
        checksum.update(UInt8(truncatingIfNeeded: frame.id))
        checksum.update(UInt8(truncatingIfNeeded: frame.id >> 8))
        for i in 0..<Int(frame.length) { checksum.update(frame[i]) }
        if recorded != frame {
            (expected, found) = (recorded, frame)
            differs(.frame)
        }
        return result
    }

    mutating func restartBus(inverterPort port: Int) {
        if isNext(.restartBus) { others &+= 1 }
    }

    mutating func reopen(bmsPort port: Int) {
        if isNext(.reopen) { others &+= 1 }
    }
}

/// Reads a tape from the front. Behind the end everything is zero.
struct TapeReader {
    private let tape: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ tape: UnsafeBufferPointer<UInt8>) {
        self.tape = tape
    }

    var isAtEnd: Bool { position >= tape.count }

    mutating func byte() -> UInt8 {
        if isAtEnd { return 0 }
        defer { position += 1 }
        return tape[position]
    }

    mutating func uint32() -> UInt32 {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), to: 32, by: 8) { value |= UInt32(byte()) << shift }
        return value
    }

    mutating func int64() -> Int64 {
        let low = UInt64(uint32())
        return Int64(bitPattern: UInt64(uint32()) << 32 | low)
    }

    /// u16 length, then so many bytes.
    mutating func bytes() -> UnsafeBufferPointer<UInt8> {
        let count = Int(byte()) | Int(byte()) << 8
        let end = min(tape.count, position + count)
        defer { position = end }
        return UnsafeBufferPointer(rebasing: tape[position..<end])
    }

    /// u32 id, u8 length, u64 data. No dialect has frames of 29 bits.
    mutating func frame() -> CANFrame {
        let id = uint32()
        let length = min(8, byte())
        return CANFrame(id: id, length: length, word: UInt64(bitPattern: int64()))
    }

    mutating func mark() -> TapeMark? { TapeMark(rawValue: byte()) }

    func peekMark() -> TapeMark? { isAtEnd ? nil : TapeMark(rawValue: tape[position]) }

    /// The instant with which a tape begins.
    func peekClock() -> Int64 {
        var copy = self
        return copy.mark() == .clock ? copy.int64() : 0
    }
}

extension CANFrame {
    /// `351#3802E8037805CD01`, as candump writes it.
    func write(to sink: inout some TextSink) {
        for shift in stride(from: UInt32(8), through: 0, by: -4) {
            sink.write(hexadecimalDigit: UInt8(truncatingIfNeeded: id >> shift) & 15)
        }
        sink.write("#")
        for i in 0..<Int(length) { sink.write(hexadecimal: self[i]) }
    }
}
