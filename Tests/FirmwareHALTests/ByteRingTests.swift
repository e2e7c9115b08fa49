import FirmwareHAL
import Testing

@Suite struct ByteRingTests {
    @Test func `bytes leave in the order in which they came, across the seam`() {
        var ring = ByteRing<4>()
        var seen: [UInt8] = []
        for byte in 0..<20 as Range<UInt8> {
            ring.push(byte)
            if byte % 2 == 0 { continue }
            while ring.count > 0 {
                seen.append(ring.first)
                ring.drop()
            }
        }
        #expect(seen == Array(0..<20))
        #expect(ring.lost == 0)
    }

    @Test func `a message that does not fit is left out whole and counted`() {
        var ring = ByteRing<4>()
        ring.push(1)
        let message: [UInt8] = [2, 3, 4, 5]
        ring.push(message.span)
        #expect(ring.count == 1)
        #expect(ring.lost == 4)
    }
}
