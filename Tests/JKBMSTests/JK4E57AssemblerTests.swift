import Battery
import JKBMS
import Testing

@Suite struct JK4E57AssemblerTests {
    private let reply = frame("79 06 01 0cc6 02 0cbe 83 028c 85 3c 8a 0002 c0 01")

    /// Feeds chunks with their arrival times; the last instant only lets time pass.
    private func steps(_ chunks: [(at: Milliseconds, bytes: [UInt8])], until end: Milliseconds? = nil) -> [JK4E57
        .Assembler.Step]
    {
        var assembler = JK4E57.Assembler()
        var report = JK4E57.Report()
        var steps: [JK4E57.Assembler.Step] = []
        func drain(_ at: Milliseconds) {
            while true {
                let step = assembler.next(into: &report, at: Instant(milliseconds: at))
                if step == .needsBytes { return }
                steps.append(step)
            }
        }
        for chunk in chunks {
            drain(chunk.at)
            var taken = 0
            repeat {
                taken += assembler.take(
                    chunk.bytes.span.extracting(taken..<chunk.bytes.count), at: Instant(milliseconds: chunk.at))
                drain(chunk.at)
            } while taken < chunk.bytes.count
        }
        if let end { drain(end) }
        return steps
    }

    @Test func `a frame may come in pieces of any size`() {
        for size in 1...reply.count {
            let chunks = stride(from: 0, to: reply.count, by: size).map {
                (at: Milliseconds($0), bytes: Array(reply[$0..<min($0 + size, reply.count)]))
            }
            #expect(steps(chunks) == [.frame], "pieces of \(size)")
        }
    }

    @Test func `noise before a frame is counted once and costs nothing`() {
        let noise = bytes("ff 00 4e 00 57 4e 4e 12")
        #expect(steps([(0, noise + reply)]) == [.rejected(.noise), .frame])
    }

    @Test func `a start that is the last byte so far is kept`() {
        #expect(steps([(0, [0x4E]), (5, Array(reply.dropFirst()))]) == [.frame])
    }

    @Test func `bytes that look like a start inside a good frame are not searched`() {
        // A device name that is a complete frame start with a plausible length.
        let named = frame("b4 4e57001300000000 85 3c")
        #expect(steps([(0, named + reply)]) == [.frame, .frame])
    }

    @Test func `a damaged byte costs one frame and not the next`() {
        for index in reply.indices where ![2, 3].contains(index) && index < reply.count - 4 {
            var damaged = reply
            damaged[index] ^= 0x10
            let result = steps([(0, damaged + reply)], until: 500)
            #expect(result.last == .frame && result.filter { $0 == .frame }.count == 1, "byte \(index)")
        }
    }

    /// The frame after the damaged one is already in the buffer, swallowed by a length that is too large.
    @Test func `a damaged length costs one frame and not the next`() {
        for length in 0..<1100 where length != reply.count - 2 {
            var damaged = reply
            damaged[2] = UInt8(length >> 8)
            damaged[3] = UInt8(length & 0xFF)
            let result = steps([(0, damaged + reply)], until: 500)
            #expect(result.filter { $0 == .frame }.count == 1, "LENGTH \(length)")
        }
    }

    @Test func `a length out of bounds is refused at once, without waiting`() {
        #expect(steps([(0, bytes("4e570011"))]) == [.rejected(.badLength)])
        #expect(steps([(0, bytes("4e570401"))]) == [.rejected(.badLength)])
        #expect(steps([(0, bytes("4e570400"))]) == [])
    }

    @Test func `100 ms of silence end an unfinished frame`() {
        let half = Array(reply.prefix(20))
        #expect(steps([(0, half), (99, Array(reply.dropFirst(20)))]) == [.frame])
        #expect(steps([(0, half)], until: 100).first == .rejected(.truncated))
        // The rest that comes too late is noise to the same, already counted frame.
        let late = steps([(0, half), (100, Array(reply.dropFirst(20)) + reply)])
        #expect(late.first == .rejected(.truncated))
        #expect(late.last == .frame)
        #expect(late.filter { $0 == .frame }.count == 1)
    }

    @Test func `a frame that dribbles in takes at most 300 ms`() {
        let slow = reply.enumerated().map { (at: Milliseconds($0.offset * 10), bytes: [$0.element]) }
        #expect(steps(slow).first == .rejected(.truncated))
        let bearable = reply.enumerated().map { (at: Milliseconds($0.offset * 7), bytes: [$0.element]) }
        #expect(steps(bearable) == [.frame])
    }

    @Test func `a frame of the greatest length passes through the buffer`() {
        let unknown = String(repeating: "88", count: 1024 - 18)
        let greatest = frame(unknown)
        #expect(greatest.count == JK4E57.maximumFrame)
        #expect(steps([(0, [1, 2, 3] + greatest + greatest + reply)]) == [.rejected(.noise), .frame, .frame, .frame])
    }

    @Test func `a frame that contradicts itself is dropped as a whole`() {
        let odd = frame("79 06 02 0cc6 01 0cbe b4 4e57001300000000")
        #expect(steps([(0, odd + reply)]) == [.rejected(.badStructure), .frame])
    }

    @Test func `random bytes never make a frame, and a good one after them is found`() {
        var numbers = SeededNumbers(seed: 4657)
        for round in 0..<300 {
            let count = Int.random(in: 0...2000, using: &numbers)
            var noise = (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
            // Many false starts.
            for i in stride(from: 0, to: max(0, count - 1), by: 37) { (noise[i], noise[i + 1]) = (0x4E, 0x57) }
            let result = steps([(0, noise), (400, reply)], until: 800)
            #expect(result.filter { $0 == .frame }.count == 1, "round \(round)")
        }
    }

    @Test func `no bit flipped in a frame is ever believed`() throws {
        let original = try decode(reply)
        for index in reply.indices {
            for bit in 0..<8 {
                var damaged = reply
                damaged[index] ^= UInt8(1 << bit)
                guard rejection(of: damaged) == nil else { continue }
                // Only the unused CRC bytes are outside the sum; then every value is the same.
                #expect(index == reply.count - 4 || index == reply.count - 3)
                let read = try decode(damaged)
                #expect(list(read.cells) == list(original.cells))
                #expect(read.value(of: .packVoltage) == original.value(of: .packVoltage))
                #expect(read.value(of: .soc) == original.value(of: .soc))
            }
        }
    }

    @Test func `truncation at any byte is never believed`() {
        for count in 0..<reply.count { #expect(rejection(of: Array(reply.prefix(count))) != nil) }
    }
}
