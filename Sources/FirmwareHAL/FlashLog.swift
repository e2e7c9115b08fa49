import Battery

/// NOR flash as every board has it: erased in sectors to FF, written by clearing bits.
public protocol FlashMemory {
    /// Bytes of one sector, a multiple of 16.
    var sectorSize: Int { get }
    func read(at address: Int) -> UInt8
    /// - Returns: false when the chip reports a failure.
    mutating func erase(sector: Int) -> Bool
    /// Writes to erased flash; `address` and the count are multiples of 4.
    mutating func write(_ bytes: Span<UInt8>, at address: Int) -> Bool
}

/// The newest of many images in a ring of sectors: the configuration in one ring, the persisted record in another.
///
/// Images are appended, so that a sector is erased only when the ring comes round to it: with four sectors and one record each
/// 5 minutes that is once in hours, decades within the 100 000 cycles of the data sheets. The image before the newest stays
/// untouched until the newest is complete, so a power cut at any byte leaves one of the two.
///
/// Layout of an entry, aligned to 16 bytes: `50 46`, u16 length, u32 sequence, image, CRC-32 over all of it, FF up to the next 16.
public struct FlashLog<Flash: FlashMemory> {
    public var flash: Flash
    let firstSector: Int
    let sectorCount: Int
    /// Address and length of the newest good image; nil when there is none.
    private var newest: (address: Int, length: Int)?
    private var sequence: UInt32 = 0
    /// Where the next entry goes, when it fits into its sector.
    private var next: Int
    /// Writes or erases that the chip refused or that read back wrong.
    public private(set) var failures: UInt32 = 0

    static var headerSize: Int { 8 }

    /// Looks through the ring for the newest good image.
    /// - Precondition: at least two sectors.
    public init(_ flash: Flash, firstSector: Int, sectorCount: Int) {
        precondition(sectorCount >= 2)
        self.flash = flash
        self.firstSector = firstSector
        self.sectorCount = sectorCount
        next = firstSector * flash.sectorSize
        for sector in firstSector..<(firstSector + sectorCount) { search(sector) }
        if let newest {
            next = end(of: newest)
        } else {
            // Unknown content everywhere: start with a fresh sector.
            next = firstSector * flash.sectorSize + flash.sectorSize
        }
    }

    public var isEmpty: Bool { newest == nil }

    /// The length of the newest image.
    public var length: Int { newest?.length ?? 0 }

    /// Byte `index` of the newest image.
    public func byte(_ index: Int) -> UInt8 {
        guard let newest else { return 0xFF }
        precondition(index < newest.length)
        return flash.read(at: newest.address + Self.headerSize + index)
    }

    /// Appends an image.
    /// - Returns: false when it could not be written; the one before it is then still the newest.
    public mutating func append(_ image: Span<UInt8>) -> Bool {
        precondition(image.count > 0 && image.count + 28 <= flash.sectorSize)
        let size = Self.aligned(Self.headerSize + image.count + 4)
        // A sector that is worn or half written is passed over; the one with the newest image is never erased.
        for _ in 0..<(2 * sectorCount) {
            if !isFree(next, size: size), !openNextSector() { continue }
            if writeEntry(image, size: size) { return true }
            failures &+= 1
            next = sectorEnd(of: next)
        }
        return false
    }

    // MARK: reading

    private mutating func search(_ sector: Int) {
        let sectorEnd = (sector + 1) * flash.sectorSize
        var address = sector * flash.sectorSize
        while address + Self.headerSize + 4 <= sectorEnd {
            guard let length = goodEntry(at: address, before: sectorEnd) else {
                address += 16
                continue
            }
            let number = word(at: address + 4)
            // Serial comparison, right across the wrap of the counter.
            if newest == nil || Int32(bitPattern: number &- sequence) > 0 {
                newest = (address, length)
                sequence = number
            }
            address += Self.aligned(Self.headerSize + length + 4)
        }
    }

    /// The length of the image of a complete, undamaged entry.
    private func goodEntry(at address: Int, before limit: Int) -> Int? {
        if flash.read(at: address) != 0x50 || flash.read(at: address + 1) != 0x46 { return nil }
        let length = Int(flash.read(at: address + 2)) | Int(flash.read(at: address + 3)) << 8
        let end = address + Self.headerSize + length
        if length == 0 || end + 4 > limit { return nil }
        var crc = CRC32()
        for i in address..<end { crc.update(flash.read(at: i)) }
        return word(at: end) == crc.value ? length : nil
    }

    private func word(at address: Int) -> UInt32 {
        var word: UInt32 = 0
        for i in 0..<4 { word |= UInt32(flash.read(at: address + i)) << UInt32(8 * i) }
        return word
    }

    // MARK: writing

    private func isFree(_ address: Int, size: Int) -> Bool {
        if address / flash.sectorSize >= firstSector + sectorCount { return false }
        if address % flash.sectorSize + size > flash.sectorSize { return false }
        for i in address..<(address + size) where flash.read(at: i) != 0xFF { return false }
        return true
    }

    /// Erases the sector after the present one.
    private mutating func openNextSector() -> Bool {
        let present = (next - 1) / flash.sectorSize
        let following = firstSector + (present + 1 - firstSector) % sectorCount
        next = (following + 1) * flash.sectorSize
        if let newest, newest.address / flash.sectorSize == following { return false }
        if !flash.erase(sector: following) {
            failures &+= 1
            return false
        }
        next = following * flash.sectorSize
        return true
    }

    private mutating func writeEntry(_ image: Span<UInt8>, size: Int) -> Bool {
        let address = next
        let number = sequence &+ 1
        var crc = CRC32()
        var chunk = InlineArray<16, UInt8>(repeating: 0xFF)
        let used = Self.headerSize + image.count
        for position in 0..<size {
            let byte: UInt8
            switch position {
            case 0: byte = 0x50
            case 1: byte = 0x46
            case 2: byte = UInt8(truncatingIfNeeded: image.count)
            case 3: byte = UInt8(truncatingIfNeeded: image.count >> 8)
            case 4..<8: byte = UInt8(truncatingIfNeeded: number >> UInt32(8 * (position - 4)))
            case 8..<used: byte = image[position - Self.headerSize]
            case used..<(used + 4): byte = UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * (position - used)))
            default: byte = 0xFF
            }
            if position < used { crc.update(byte) }
            chunk[position % 16] = byte
            if position % 16 == 15, !flash.write(chunk.span, at: address + position - 15) { return false }
        }
        // Read back: only what is really there counts.
        guard goodEntry(at: address, before: sectorEnd(of: address)) == image.count else { return false }
        newest = (address, image.count)
        sequence = number
        next = address + size
        return true
    }

    private func sectorEnd(of address: Int) -> Int {
        (address / flash.sectorSize + 1) * flash.sectorSize
    }

    private func end(of entry: (address: Int, length: Int)) -> Int {
        entry.address + Self.aligned(Self.headerSize + entry.length + 4)
    }

    private static func aligned(_ size: Int) -> Int {
        (size + 15) & ~15
    }
}
