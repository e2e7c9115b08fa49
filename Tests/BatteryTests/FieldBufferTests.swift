import Battery
import Testing

@Suite struct FieldBufferTests {
    @Test func `CRC-32 of the standard check string`() {
        var crc = CRC32()
        for byte in "123456789".utf8 { crc.update(byte) }
        #expect(crc.value == 0xCBF4_3926)
    }

    @Test func `what was written is read back, absent values included`() {
        var writer = FieldBuffer<64>()
        var a: Int32 = -140_000
        var b: UInt16? = nil
        var c: Int64? = 1 << 40
        var d: Bool? = false
        var chemistry = Chemistry.lto
        func visit<let room: Int>(_ coder: inout FieldBuffer<room>) {
            coder.field(&a)
            coder.field(&b)
            coder.field(&c)
            coder.field(&d)
            coder.field(choice: &chemistry)
        }
        visit(&writer)
        (a, b, c, d, chemistry) = (0, 7, nil, nil, .lfp)
        var reader = FieldBuffer(reading: writer.bytes, from: 0, to: writer.count)
        visit(&reader)
        #expect(reader.isValid)
        #expect(a == -140_000)
        #expect(b == nil)
        #expect(c == 1 << 40)
        #expect(d == false)
        #expect(chemistry == .lto)
        #expect(reader.position == writer.count)
    }

    @Test func `a cut at any byte and an unknown choice are noticed`() {
        var writer = FieldBuffer<64>()
        var value: Int64 = 5
        writer.field(&value)
        for end in 0..<8 {
            var reader = FieldBuffer(reading: writer.bytes, from: 0, to: end)
            reader.field(&value)
            #expect(!reader.isValid)
        }
        var unknown = FieldBuffer<4>()
        unknown.append(9)
        var chemistry = Chemistry.lfp
        var reader = FieldBuffer(reading: unknown.bytes, from: 0, to: 1)
        reader.field(choice: &chemistry)
        #expect(!reader.isValid)
    }

    @Test func `a writer that is full says so`() {
        var writer = FieldBuffer<3>()
        var value: UInt32 = 1
        writer.field(&value)
        #expect(writer.overflowed)
    }
}
