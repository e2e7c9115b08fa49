import Glibc
import Testing

@testable import LinuxIO

@Suite struct StateFileTests {
    private let folder = TemporaryFolder()

    private func write(_ image: [UInt8]) throws {
        var file = try StateFile(directory: folder.path)
        try file.write(image.span)
    }

    @Test func `the newest image is found again, however often it was written`() throws {
        #expect(try StateFile(directory: folder.path).image == nil)
        for round in 0..<5 as Range<UInt8> {
            try write([round, 1, 2, 3])
            #expect(try StateFile(directory: folder.path).image == [round, 1, 2, 3])
        }
        #expect(folder.entries.sorted() == ["record.0", "record.1"])
    }

    @Test func `a cut at any byte of a write leaves the image before it`() throws {
        let old = [UInt8](repeating: 0x11, count: 60)
        let new = (0..<60).map { UInt8($0) }
        try write([UInt8](repeating: 0x99, count: 60))
        try write(old)
        let victim = folder.read("record.0")
        try write(new)
        let written = folder.read("record.0")
        try #require(written != victim)
        for cut in 0...written.count {
            // The disk has taken the first `cut` bytes; behind them lies what was there before.
            folder.write(Array(written[..<cut]) + Array(victim[cut...]), to: "record.0")
            let image = try StateFile(directory: folder.path).image
            #expect(image == (cut == written.count ? new : old), "cut after \(cut) bytes")
        }
    }

    @Test func `a file that was only begun leaves the image before it`() throws {
        try write([1, 2, 3])
        try write([4, 5, 6])
        let written = folder.read("record.1")
        for length in 0..<written.count {
            folder.write(Array(written[..<length]), to: "record.1")
            #expect(try StateFile(directory: folder.path).image == [1, 2, 3], "\(length) bytes")
        }
    }

    @Test func `one flipped bit anywhere makes a slot worth nothing`() throws {
        try write([1, 2, 3])
        let written = folder.read("record.0")
        for bit in 0..<(written.count * 8) {
            var damaged = written
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            folder.write(damaged, to: "record.0")
            #expect(try StateFile(directory: folder.path).image == nil, "bit \(bit)")
        }
    }

    @Test func `after a cut the next write goes over the damaged slot`() throws {
        try write([1])
        try write([2])
        folder.write([], to: "record.0")
        try write([3])
        #expect(try StateFile(directory: folder.path).image == [3])
        folder.write([], to: "record.0")
        #expect(try StateFile(directory: folder.path).image == [2])
    }

    @Test func `a shorter image over a longer one is read alone`() throws {
        try write([UInt8](repeating: 7, count: 100))
        try write([1])
        try write([2])
        #expect(try StateFile(directory: folder.path).image == [2])
    }

    @Test func `a folder that cannot be used is named`() {
        let path = "/proc/no/such/folder"
        #expect(throws: PortFailure(path, .notFound)) { try StateFile(directory: path) }
    }

    @Test func `the writer has everything on disk when it finishes`() throws {
        let writer = try RecordWriter(StateFile(directory: folder.path))
        for round in 1...20 as ClosedRange<UInt8> { writer.write([3 of UInt8](repeating: round).span) }
        writer.finish()
        #expect(try StateFile(directory: folder.path).image == [20, 20, 20])
    }
}
