import FirmwareHAL
import Testing

/// NOR flash in memory, with power cuts and worn sectors.
struct FakeFlash: FlashMemory {
    let sectorSize = 256
    var cells: [UInt8]
    var erases: [Int]
    /// Bytes (written or erased) until the power fails; nil = never.
    var budget: Int?
    var worn: Set<Int> = []

    init(sectors: Int) {
        cells = Array(repeating: 0x00, count: sectors * 256)
        erases = Array(repeating: 0, count: sectors)
    }

    func read(at address: Int) -> UInt8 { cells[address] }

    mutating func spend() -> Bool {
        guard let left = budget else { return true }
        if left == 0 { return false }
        budget = left - 1
        return true
    }

    mutating func erase(sector: Int) -> Bool {
        if worn.contains(sector) { return false }
        erases[sector] += 1
        for i in sector * 256..<(sector + 1) * 256 {
            if !spend() { return true }
            cells[i] = 0xFF
        }
        return true
    }

    mutating func write(_ bytes: Span<UInt8>, at address: Int) -> Bool {
        if worn.contains(address / 256) { return false }
        for i in 0..<bytes.count {
            if !spend() { return true }
            cells[address + i] &= bytes[i]
        }
        return true
    }
}

@Suite struct FlashLogTests {
    func content(_ log: FlashLog<FakeFlash>) -> [UInt8] {
        (0..<log.length).map { log.byte($0) }
    }

    func image(_ n: Int) -> [UInt8] {
        (0..<40).map { UInt8(truncatingIfNeeded: n &* 31 &+ $0) }
    }

    @Test func `flash of unknown content holds no image`() {
        let log = FlashLog(FakeFlash(sectors: 4), firstSector: 0, sectorCount: 4)
        #expect(log.isEmpty)
    }

    @Test func `the newest image is found again, whatever the number of images before it`() {
        var log = FlashLog(FakeFlash(sectors: 4), firstSector: 1, sectorCount: 3)
        for n in 0..<100 {
            let bytes = image(n)
            let written = log.append(bytes.span)
            #expect(written)
            let again = FlashLog(log.flash, firstSector: 1, sectorCount: 3)
            #expect(content(again) == bytes)
            log = again
        }
        #expect(log.flash.erases[0] == 0)
        let rounds = log.flash.erases[1...]
        #expect(rounds.max()! - rounds.min()! <= 1)
        // 4 entries of 64 bytes in a sector.
        #expect(rounds.reduce(0, +) == 25)
    }

    @Test func `a power cut after any byte leaves the image before or the new one`() {
        var log = FlashLog(FakeFlash(sectors: 2), firstSector: 0, sectorCount: 2)
        for n in 0..<9 {
            let (before, after) = (image(n - 1), image(n))
            for budget in 0..<360 {
                var cut = log
                cut.flash.budget = budget
                _ = cut.append(after.span)
                cut.flash.budget = nil
                let restarted = FlashLog(cut.flash, firstSector: 0, sectorCount: 2)
                let found = content(restarted)
                #expect(found == after || (n == 0 ? restarted.isEmpty : found == before))
                // And it can be written again after the restart.
                var continued = restarted
                let written = continued.append(after.span)
                #expect(written)
                #expect(content(FlashLog(continued.flash, firstSector: 0, sectorCount: 2)) == after)
            }
            _ = log.append(after.span)
        }
    }

    @Test func `any flipped bit in the newest image falls back to the one before it`() {
        var log = FlashLog(FakeFlash(sectors: 2), firstSector: 0, sectorCount: 2)
        let (old, new) = (image(1), image(2))
        _ = log.append(old.span)
        let start = log.flash.cells.count - 256 + 64
        _ = log.append(new.span)
        let place = (0..<2).map { $0 * 256 + 64 }.first { log.flash.cells[$0] == 0x50 } ?? start
        for offset in 0..<52 {
            for bit in 0..<8 {
                var damaged = log.flash
                damaged.cells[place + offset] ^= 1 << bit
                let found = content(FlashLog(damaged, firstSector: 0, sectorCount: 2))
                #expect(found == old)
            }
        }
    }

    @Test func `a worn sector is passed over, and with no good sector the old image stays`() {
        var log = FlashLog(FakeFlash(sectors: 3), firstSector: 0, sectorCount: 3)
        for n in 0..<4 { _ = log.append(image(n).span) }
        let home = log.flash.erases.firstIndex(of: 1)!
        log.flash.worn = [(home + 1) % 3]
        let next = image(5)
        let written = log.append(next.span)
        #expect(written)
        #expect(content(FlashLog(log.flash, firstSector: 0, sectorCount: 3)) == next)
        log.flash.worn = [0, 1, 2]
        let lost = log.append(image(6).span)
        #expect(!lost)
        #expect(log.failures > 0)
        #expect(content(FlashLog(log.flash, firstSector: 0, sectorCount: 3)) == next)
    }
}
