import Battery
import Testing

@Suite struct FixedArrayTests {
    @Test func `a full array refuses one more element and keeps what it has`() {
        var array = FixedArray<2, UInt16>(filler: 0)
        array.append(3000)
        array.append(3001)
        let accepted = array.append(3002)
        #expect(!accepted)
        #expect(array.count == 2)
        #expect(array[1] == 3001)
    }
}
