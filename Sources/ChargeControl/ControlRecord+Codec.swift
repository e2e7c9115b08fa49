import Battery

/// The bytes of the persisted record: fixed length, little-endian, magic, version, CRC-32 (failsafe.md §5.8–§5.9).
///
///     0  4  "PBCR"            32  1  grade                64  4  charge
///     4  1  version           33  1  prevents: pack       68  4  learned capacity
///     5  1  phase             34  1  prevents: cell       72 16  losses per pack
///     6  2  length            35  1  is full              88  8  energy charged
///     8  4  sequence          36  4  float voltage        96  8  energy discharged
///    12  4  generation        40  8  since nearly full   104  4  CRC-32 of bytes 0...103
///    16  8  absorb time       48  4  soc
///    24  8  since full        52  4  soc offset
///                             56  4  raw at full, 60 4 reserved 0
extension ControlRecord {
    public static let byteCount = 108
    private static let magic: UInt32 = 0x5243_4250
    private static let version: UInt8 = 1

    /// The image to store.
    public var bytes: InlineArray<108, UInt8> {
        var w = RecordWriter()
        w.put(Self.magic)
        w.put(Self.version)
        w.put(phase.rawValue)
        w.put(UInt16(Self.byteCount))
        w.put(sequence)
        w.put(generation)
        w.put(UInt64(bitPattern: absorbTime))
        w.put(UInt64(bitPattern: sinceFull))
        w.put(grade.rawValue)
        w.put(preventsFull.pack)
        w.put(preventsFull.cell)
        w.put(UInt8(isFull ? 1 : 0))
        w.put(UInt32(bitPattern: floatVoltage))
        w.put(UInt64(bitPattern: sinceNearlyFull))
        w.put(UInt32(bitPattern: soc))
        w.put(UInt32(bitPattern: socOffset))
        w.put(UInt32(bitPattern: rawAtFull))
        w.put(UInt32(0))
        w.put(UInt32(bitPattern: charge))
        w.put(UInt32(bitPattern: learnedCapacity))
        for i in 0..<maximumPacks { w.put(flaps[i]) }
        w.put(UInt64(bitPattern: energyCharged))
        w.put(UInt64(bitPattern: energyDischarged))
        w.put(crc32(w.bytes.span, count: Self.byteCount - 4))
        return w.bytes
    }

    /// The record in `bytes`; nil when anything about it is wrong. A record is valid or ignored, never half used (P18).
    public init?(bytes: Span<UInt8>) {
        self.init()
        if bytes.count < Self.byteCount { return nil }
        var r = RecordReader()
        if r.uint32(bytes) != Self.magic || r.uint8(bytes) != Self.version { return nil }
        guard let phase = Phase(rawValue: r.uint8(bytes)) else { return nil }
        if r.uint16(bytes) != UInt16(Self.byteCount) { return nil }
        sequence = r.uint32(bytes)
        generation = r.uint32(bytes)
        self.phase = phase
        absorbTime = Int64(bitPattern: r.uint64(bytes))
        sinceFull = Int64(bitPattern: r.uint64(bytes))
        guard let grade = ChargeGrade(rawValue: r.uint8(bytes)) else { return nil }
        self.grade = grade
        let pack = r.uint8(bytes)
        preventsFull = CellPlace(pack: pack, cell: r.uint8(bytes))
        isFull = r.uint8(bytes) == 1
        floatVoltage = Int32(bitPattern: r.uint32(bytes))
        sinceNearlyFull = Int64(bitPattern: r.uint64(bytes))
        soc = Int32(bitPattern: r.uint32(bytes))
        socOffset = Int32(bitPattern: r.uint32(bytes))
        rawAtFull = Int32(bitPattern: r.uint32(bytes))
        _ = r.uint32(bytes)
        charge = Int32(bitPattern: r.uint32(bytes))
        learnedCapacity = Int32(bitPattern: r.uint32(bytes))
        for i in 0..<maximumPacks { flaps[i] = r.uint8(bytes) }
        energyCharged = Int64(bitPattern: r.uint64(bytes))
        energyDischarged = Int64(bitPattern: r.uint64(bytes))
        if r.uint32(bytes) != crc32(bytes, count: Self.byteCount - 4) || !isPlausible { return nil }
    }

    /// A good checksum over nonsense is still nonsense: what goes into arithmetic is in range.
    private var isPlausible: Bool {
        let year: Milliseconds = 400 * 86_400_000
        return (0...year).contains(absorbTime) && (0...year).contains(sinceFull) && (0...year).contains(sinceNearlyFull)
            && (0...200_000).contains(floatVoltage) && (-1...10_000).contains(soc) && (-10_000...10_000).contains(socOffset)
            && (0...10_000).contains(rawAtFull) && charge >= -1 && learnedCapacity >= 0 && energyCharged >= 0
            && energyDischarged >= 0 && energyCharged < 1 << 50 && energyDischarged < 1 << 50
    }

    /// Of two slots the newer valid one; nil when both are damaged.
    public static func newer(_ a: ControlRecord?, _ b: ControlRecord?) -> ControlRecord? {
        guard let a else { return b }
        guard let b else { return a }
        // The difference in 32 bits, so that the counter may wrap.
        return Int32(bitPattern: a.sequence &- b.sequence) >= 0 ? a : b
    }
}

/// CRC-32 (IEEE 802.3) of the first `count` bytes.
func crc32(_ bytes: Span<UInt8>, count: Int) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for i in 0..<count {
        crc ^= UInt32(bytes[i])
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
}

private struct RecordWriter {
    var bytes = InlineArray<108, UInt8>(repeating: 0)
    private var at = 0

    mutating func put(_ value: some FixedWidthInteger) {
        for i in 0..<value.bitWidth / 8 {
            bytes[at] = UInt8(truncatingIfNeeded: value >> (8 * i))
            at += 1
        }
    }
}

private struct RecordReader {
    private var at = 0

    mutating func uint8(_ bytes: Span<UInt8>) -> UInt8 {
        at += 1
        return bytes[at - 1]
    }

    mutating func uint16(_ bytes: Span<UInt8>) -> UInt16 {
        let low = UInt16(uint8(bytes))
        return low | UInt16(uint8(bytes)) << 8
    }

    mutating func uint32(_ bytes: Span<UInt8>) -> UInt32 {
        let low = UInt32(uint16(bytes))
        return low | UInt32(uint16(bytes)) << 16
    }

    mutating func uint64(_ bytes: Span<UInt8>) -> UInt64 {
        let low = UInt64(uint32(bytes))
        return low | UInt64(uint32(bytes)) << 32
    }
}
