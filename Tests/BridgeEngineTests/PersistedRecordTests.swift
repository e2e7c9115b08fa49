import Battery
import ChargeControl
import Testing

@testable import BridgeEngine

@Suite struct PersistedRecordTests {
    static var everyFieldChanged: PersistedRecord {
        var control = ControlRecord()
        control.sequence = 5
        control.generation = 6
        control.phase = .float
        control.absorbTime = 7
        control.sinceFull = 8 << 40
        control.sinceNearlyFull = 9
        control.grade = .limited
        control.preventsFull = CellPlace(pack: 1, cell: 2)
        control.floatVoltage = 53_600
        control.soc = 9000
        control.isFull = true
        control.socOffset = -300
        control.rawAtFull = 9700
        control.charge = 250_000
        control.learnedCapacity = 275_000
        for i in 0..<16 { control.flaps[i] = UInt8(i + 1) }
        control.energyCharged = 1 << 33
        control.energyDischarged = 1 << 34
        return PersistedRecord(control: control, boots: 2)
    }

    func bytes(_ record: PersistedRecord) -> [UInt8] {
        let image = record.image()
        return (0..<image.count).map { image.bytes[$0] }
    }

    @Test func `a record with every field changed is read back the same`() {
        let record = Self.everyFieldChanged
        #expect(PersistedRecord(image: bytes(record).span) == record)
        let preset = ControlRecord()
        let unchanged = zip(Mirror(reflecting: record.control).children, Mirror(reflecting: preset).children).compactMap {
            String(describing: $0.value) == String(describing: $1.value) ? $0.label : nil
        }
        #expect(unchanged == [])
    }

    /// What version 0.1.0 wrote. A change of the layout needs a new number, or an upgrade would read these bytes as something else.
    @Test func `the record of an earlier version is read after an upgrade`() {
        let written: [UInt8] = [
            0x01, 0x00,  // layout
            0x02,  // boots
            0x05, 0x00, 0x00, 0x00,  // sequence
            0x06, 0x00, 0x00, 0x00,  // generation
            0x03,  // phase: float
            0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // time near full
            0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00,  // since full
            0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  // since nearly full
            0x02,  // grade: limited
            0x01, 0x02,  // pack and cell that prevent full
            0x60, 0xD1, 0x00, 0x00,  // float voltage
            0x28, 0x23, 0x00, 0x00,  // SoC
            0x01,  // is full
            0xD4, 0xFE, 0xFF, 0xFF,  // SoC offset
            0xE4, 0x25, 0x00, 0x00,  // SoC at full
            0x90, 0xD0, 0x03, 0x00,  // charge
            0x38, 0x32, 0x04, 0x00,  // capacity
            0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10,  // losses of each pack
            0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,  // energy charged
            0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00,  // energy discharged
            0x00, 0x16, 0x73, 0x78,  // CRC-32
        ]
        #expect(bytes(Self.everyFieldChanged) == written)
        #expect(PersistedRecord(image: written.span) == Self.everyFieldChanged)
    }

    @Test func `F13: a record cut at any byte, or with any bit flipped, is ignored`() {
        let whole = bytes(Self.everyFieldChanged)
        for end in 0..<whole.count {
            let cut = Array(whole[..<end])
            #expect(PersistedRecord(image: cut.span) == nil)
        }
        for i in whole.indices {
            for bit in 0..<8 {
                var damaged = whole
                damaged[i] ^= 1 << bit
                #expect(PersistedRecord(image: damaged.span) == nil)
            }
        }
    }

    @Test func `restarts add up until ten minutes of calm, and an orderly stop is no restart`() {
        let start = Instant(milliseconds: 0)
        var first = RecordKeeper(boots: 2, at: start)
        #expect(first.boots == 3)
        let atOnce = first.isDue(at: start)
        #expect(atOnce)
        let soon = first.isDue(at: start + 299_999)
        #expect(!soon)
        let regular = first.isDue(at: start + 300_000)
        #expect(regular)
        let calm = first.isDue(at: start + 600_000)
        #expect(calm)
        #expect(first.boots == 0)
        var second = RecordKeeper(boots: 2, at: start)
        _ = second.isDue(at: start)
        second.noteOrderlyStop()
        let onStop = second.isDue(at: start + 1)
        #expect(onStop)
        #expect(second.boots == 2)
    }

    @Test func `events in quick succession share one write`() {
        let start = Instant(milliseconds: 0)
        var keeper = RecordKeeper(boots: 0, at: start)
        var writes = 0
        for t in stride(from: Int64(0), to: 60_000, by: 100) {
            keeper.noteUrgent()
            if keeper.isDue(at: start + t) { writes += 1 }
        }
        #expect(writes == 6)
    }
}
