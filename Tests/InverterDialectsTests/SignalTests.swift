import InverterDialects
import Testing

@Suite struct SignalTests {
    @Test func `little-endian, signed and unsigned`() {
        let f = frame(0x351, "14 02 74 0E 9C FF 00 80")
        #expect(Signal(0x351, "a", at: 0, 16).raw(in: f) == 0x0214)
        #expect(Signal(0x351, "b", at: 32, 16, signed: true).raw(in: f) == -100)
        #expect(Signal(0x351, "c", at: 32, 16).raw(in: f) == 65436)
        #expect(Signal(0x351, "d", at: 63, 1, signed: true).raw(in: f) == -1)
        #expect(Signal(0x351, "e", at: 5, 5).raw(in: f) == 0b10_000)
    }

    @Test func `big-endian at byte, bit and odd offsets`() {
        let f = frame(0x319, "C0 0D 02 0C FA 05 09 81")
        #expect(Signal(0x319, "a", at: 15, 16, bigEndian: true).raw(in: f) == 3330)
        #expect(Signal(0x319, "b", at: 31, 16, bigEndian: true).raw(in: f) == 3322)
        #expect(Signal(0x319, "c", at: 63, 8, bigEndian: true, signed: true).raw(in: f) == -127)
        #expect(Signal(0x319, "d", at: 7, 2, bigEndian: true).raw(in: f) == 3)
        // Bits 1–0 of byte 4 and bits 7–6 of byte 5.
        #expect(Signal(0x319, "e", at: 33, 4, bigEndian: true).raw(in: f) == 0b10_00)
    }

    @Test func `a frame that ends before the signal has no value`() {
        let short = frame(0x355, "54 00 60 00")
        #expect(Signal(0x355, "SOH", at: 16, 16).raw(in: short) == 96)
        #expect(Signal(0x355, "hi", at: 32, 16).raw(in: short) == nil)
        #expect(Signal(0x355, "half", at: 24, 16).raw(in: short) == nil)
        #expect(Signal(0x355, "big", at: 31, 16, bigEndian: true).raw(in: short) == nil)
        #expect(Signal(0x355, "any", at: 0, 1).raw(in: CANFrame(id: 0x355, length: 0)) == nil)
    }

    @Test func `another identifier, and the same number with 29 bits, carry no signal`() {
        #expect(Signal(0x355, "SOC", at: 0, 16).raw(in: frame(0x356, "5400")) == nil)
        #expect(Signal(0x355, "SOC", at: 0, 16).raw(in: frame(0x355, "5400", extended: true)) == nil)
    }

    @Test func `values are written with the digits of their scale`() {
        func written(_ signal: Signal, _ raw: Int64) -> String {
            var text = Text()
            signal.writeValue(raw, to: &text)
            return text.string
        }
        #expect(written(Signal(1, "a", at: 0, 16, divisor: 10), 532) == "53.2")
        #expect(written(Signal(1, "a", at: 0, 16, signed: true, divisor: 100), -5) == "-0.05")
        #expect(written(Signal(1, "a", at: 0, 6, offset: 2000), 24) == "2024")
        #expect(written(Signal(1, "a", at: 0, 16, offset: -273), 273) == "0")
        #expect(written(Signal(1, "a", at: 0, 64), Int64(bitPattern: 0x8877_6655_4433_2211)) == "9833440827789222417")
    }

    @Test(arguments: DialectName.allCases)
    func `what is inserted is read back and touches nothing else`(dialect: DialectName) {
        var numbers = SeededNumbers(seed: 11)
        for signal in allSignals(dialect) {
            for _ in 0..<20 {
                let before = CANFrame(id: signal.frame, length: 8, word: numbers.next())
                var after = before
                let mask = UInt64.max >> (64 - UInt64(signal.length))
                let bits = numbers.next() & mask
                let raw = signal.isSigned && bits > mask / 2 ? Int64(bits) - Int64(mask) - 1 : Int64(bitPattern: bits)
                let inserted = signal.insert(raw, into: &after)
                #expect(inserted)
                #expect(signal.raw(in: after) == raw, "\(signal.fullName)")
                #expect((before.word ^ after.word).nonzeroBitCount <= Int(signal.length))
                var restored = after
                signal.insert(signal.raw(in: before)!, into: &restored)
                #expect(restored == before)
            }
        }
    }

    @Test(arguments: DialectName.allCases)
    func `no two signals of a frame share a bit or a name`(dialect: DialectName) {
        var taken: [UInt32: UInt64] = [:]
        var names: Set<String> = []
        for signal in allSignals(dialect) {
            var frame = CANFrame(id: signal.frame, length: 8)
            signal.insert(-1, into: &frame)
            #expect(frame.word.nonzeroBitCount == Int(signal.length))
            #expect(taken[signal.frame, default: 0] & frame.word == 0, "\(signal.fullName)")
            taken[signal.frame, default: 0] |= frame.word
            #expect(names.insert("\(signal.frame).\(signal.fullName)").inserted)
        }
    }
}
