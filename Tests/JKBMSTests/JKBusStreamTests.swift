import Battery
import Testing

@testable import JKBMS

@Suite struct JKBusStreamTests {
    private let exchange = trigger(3, 0x20) + status32() + acknowledgement(3, 0x20)

    private let expected: [JKBusStream.Element] = [
        .write(address: 3, register: 0x1620), .record, .acknowledgement(address: 3, register: 0x1620),
    ]

    @Test func `an exchange is three elements in pieces of any size`() {
        for chunk in [1, 2, 3, 7, 8, 11, 100, 299, 300, 301, 319] {
            #expect(elements(exchange, chunk: chunk) == expected, "pieces of \(chunk)")
        }
    }

    @Test func `Modbus telegrams are told apart`() {
        let traffic =
            withCRC([1, 3, 0x12, 0, 0, 120]) + withCRC([1, 3, 4, 0x11, 0x22, 0x33, 0x44]) + withCRC([1, 3, 2, 0x32, 0])
            + withCRC([1, 0x83, 2]) + withCRC([1, 0x10, 0x10, 4, 0, 2, 4, 0, 0, 10, 140])
            + withCRC([1, 0x10, 0x10, 4, 0, 2])
        #expect(
            elements(traffic) == [
                .readRequest(address: 1, register: 0x1200, count: 120), .readReply(address: 1, byteCount: 4),
                .readReply(address: 1, byteCount: 2), .exception(address: 1, function: 3, code: 2),
                .write(address: 1, register: 0x1004), .acknowledgement(address: 1, register: 0x1004),
            ])
    }

    @Test func `a damaged record is junk and what follows is found`() {
        var damaged = exchange
        damaged[100] ^= 4
        let found = elements(damaged)
        #expect(found.first == expected[0])
        #expect(found.last == expected[2])
        #expect(!found.contains(.record))
        #expect(found.dropFirst().dropLast().allSatisfy { $0 == .junk })
    }

    @Test func `a lost byte costs one element`() {
        var short = exchange
        short.remove(at: 150)
        let found = elements(short + exchange)
        #expect(Array(found.suffix(3)) == expected)
        #expect(found.filter { $0 == .record }.count == 1)
    }

    @Test func `joining in the middle of a record finds the next element`() {
        let found = elements(Array(exchange.dropFirst(140)) + exchange)
        #expect(found.filter { $0 != .junk } == [expected[2]] + expected)
    }

    @Test func `a telegram whose end never comes is given up after 50 ms`() {
        var bus = JKBusStream()
        let half = Array(status32().prefix(200))
        _ = bus.take(half.span, at: Instant(milliseconds: 0))
        let waiting = bus.next(at: Instant(milliseconds: 49)) == nil
        #expect(waiting)
        #expect(bus.deadline == Instant(milliseconds: 50))
        let late = bus.next(at: Instant(milliseconds: 50))
        #expect(late?.element == .junk)
    }

    @Test func `random bytes neither trap nor hide what follows`() {
        var numbers = SeededNumbers(seed: 55)
        for round in 0..<200 {
            let noise = (0..<Int.random(in: 0...900, using: &numbers)).map { i in
                // Many beginnings of everything.
                i % 5 == 0
                    ? [0x55, 0x01, 0x03, 0x10, 0xAA].randomElement(using: &numbers)!
                    : UInt8.random(in: 0...255, using: &numbers)
            }
            var bus = JKBusStream()
            var records = 0
            for (at, piece) in [(Milliseconds(0), noise), (200, exchange)] {
                var taken = 0
                repeat {
                    taken += bus.take(piece.span.extracting(taken..<piece.count), at: Instant(milliseconds: at))
                    while let (element, _, _) = bus.next(at: Instant(milliseconds: at)) {
                        if element == .record { records += 1 }
                    }
                } while taken < piece.count
                while let (element, _, _) = bus.next(at: Instant(milliseconds: at + 100)) {
                    if element == .record { records += 1 }
                }
            }
            #expect(records == 1, "round \(round)")
        }
    }
}
