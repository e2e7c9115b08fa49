import Battery

extension JK4E57 {
    /// Checks one complete frame and decodes it into `report`, whose former content is gone also when it throws.
    ///
    /// Accepts on framing, checksum and structure only; whether the values make sense is for the control logic to judge
    /// (amendment 29). Requests and echoes decode too: `report.transport` tells.
    ///
    /// - Throws: `truncated` (shorter than it says), `badLength`, `badEndMark`, `badChecksum`, `noise` (no `4E 57`),
    ///   `badStructure` (cell block of no whole number of cells, 0 or more than 32 cells, cells not numbered 1, 2, 3 …, another
    ///   number of cells than 0x8A says, a value cut off by the end of the information).
    public static func decode(_ frame: Span<UInt8>, into report: inout Report) throws(FrameRejection) {
        report.removeAll()
        try validate(frame)
        report.terminal = bigEndian32(frame, 4)
        report.command = frame[8]
        report.source = frame[9]
        report.transport = frame[10]
        let end = informationOffset + frame.count - overhead
        report.record = bigEndian32(frame, end)
        try walk(frame, end: end, into: &report)
    }

    /// Framing and checksum (§2, §7.3).
    static func validate(_ frame: Span<UInt8>) throws(FrameRejection) {
        if frame.count < 4 { throw .truncated }
        if frame[0] != start.0 || frame[1] != start.1 { throw .noise }
        let length = Int(frame[2]) << 8 | Int(frame[3])
        if !lengthRange.contains(length) { throw .badLength }
        if frame.count < length + 2 { throw .truncated }
        if frame.count > length + 2 { throw .badLength }
        if frame[frame.count - 5] != endMark { throw .badEndMark }
        let sum = UInt16(frame[frame.count - 2]) << 8 | UInt16(frame[frame.count - 1])
        if checksum(frame.extracting(0..<frame.count - 4)) != sum { throw .badChecksum }
    }

    /// SUM16: all bytes from 4E up to and including 68. The two bytes of the unused CRC are not in it.
    static func checksum(_ bytes: Span<UInt8>) -> UInt16 {
        var sum: UInt32 = 0
        for i in bytes.indices { sum &+= UInt32(bytes[unchecked: i]) }
        return UInt16(truncatingIfNeeded: sum)
    }

    /// Walks `id value id value …` by the width table.
    ///
    /// Indices are `unchecked` where a comparison with `end` stands above them. `end` lies 9 bytes before the end of the frame, so
    /// four bytes can always be loaded where a value starts.
    private static func walk(_ frame: Span<UInt8>, end: Int, into report: inout Report) throws(FrameRejection) {
        // An id alone: a read request, or the acknowledgement of a write. An id 00 asks for the whole table.
        if end - informationOffset <= 1 { return }
        var at = informationOffset
        while at < end {
            let code = frame[unchecked: at]
            at &+= 1
            let layout = layout(of: code)
            if layout.measure == .unknown {
                report.isPartial = true
                break
            }
            if layout.measure == .cells {
                at = try decodeCells(frame, at: at, end: end, into: &report)
                continue
            }
            let width = Int(layout.width)
            if at &+ width > end {
                // Requests are explained as far as they go: syssi sends a password request with a one-byte value.
                if report.transport == Transport.request.rawValue {
                    report.isPartial = true
                    break
                }
                throw .badStructure
            }
            // One branch for each width instead of arithmetic with it: the processor predicts branches, but it would have to wait
            // for the table before it knew where the next identifier is.
            let word: UInt32
            switch width {
            case 1:
                word = UInt32(frame[unchecked: at])
                at &+= 1
            case 2:
                word = UInt32(frame[unchecked: at]) << 8 | UInt32(frame[unchecked: at &+ 1])
                at &+= 2
            case 4 where layout.measure != .text:
                word = bigEndian32(frame, at)
                at &+= 4
            default:
                let offset = textOffset(code)
                for i in 0..<width { report.texts[unchecked: offset &+ i] = frame[unchecked: at &+ i] }
                report.present |= bit(code)
                at &+= width
                continue
            }
            if code == Identifier.protocolVersion.rawValue {
                report.version = UInt8(truncatingIfNeeded: word)
                report.hasVersion = true
            } else {
                report.words[Int(code & 0x3F)] = word
                report.present |= bit(code)
            }
        }
        if let count = report.raw(.cellCount), !report.cells.isEmpty, Int(count) != report.cells.count {
            throw .badStructure
        }
    }

    /// The block `LL (index mvHi mvLo) × LL/3`. In a single-id reply the vendor table has no LL: then the byte after 79 is the
    /// index 1, which is no multiple of three.
    /// - Returns: where the next identifier is.
    private static func decodeCells(
        _ frame: Span<UInt8>, at start: Int, end: Int, into report: inout Report
    ) throws(FrameRejection) -> Int {
        if start >= end { throw .badStructure }
        var at = start
        var length = Int(frame[unchecked: at])
        if length == 1 && report.command == Command.read.rawValue && at == informationOffset + 1 {
            length = end - at
        } else {
            at += 1
        }
        let count = length / 3
        if length % 3 != 0 || count == 0 || count > maximumCells || at + length > end { throw .badStructure }
        report.cells.removeAll()
        for i in 0..<count {
            if Int(frame[unchecked: at]) != i &+ 1 { throw .badStructure }
            report.cells.append(UInt16(frame[unchecked: at &+ 1]) << 8 | UInt16(frame[unchecked: at &+ 2]))
            at &+= 3
        }
        return at
    }

    @inline(__always)
    static func bigEndian32(_ frame: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(bigEndian: frame.bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: at, as: UInt32.self))
    }
}
