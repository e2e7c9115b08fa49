import BridgeEngine
import Testing

@testable import Services

@Suite struct EventOrderTests {
    private var order = EventOrder()

    private mutating func take(_ number: UInt32) -> [UInt32] {
        var event = EngineEvent()
        event.number = number
        return order.take(event).map(\.number)
    }

    private mutating func snapshot() -> [UInt32] { order.snapshot().due.map(\.number) }

    @Test mutating func `an event that overtakes those that are told again waits for them`() {
        let five = take(5)
        #expect(five == [])
        let before = snapshot()
        #expect(before == [])
        var told: [UInt32] = []
        for number: UInt32 in 1...5 { told += take(number) }
        #expect(told == [1, 2, 3, 4, 5])
        let again = take(5)
        #expect(again == [])
    }

    @Test mutating func `what the engine does not keep any more is counted as lost with the second snapshot`() {
        for number: UInt32 in [101, 100, 103] { _ = take(number) }
        let first = order.snapshot()
        #expect(first.lost == 0 && first.due.isEmpty)
        let second = order.snapshot()
        #expect(second.lost == 99 && second.due.map(\.number) == [100, 101])
        let live = take(102)
        #expect(live == [102, 103])
        let nothing = snapshot()
        #expect(nothing == [])
    }

    @Test mutating func `the largest number does not trap`() {
        _ = take(.max)
        _ = snapshot()
        let last = snapshot()
        #expect(last == [.max])
    }
}
