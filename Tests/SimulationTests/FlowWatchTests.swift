import Testing

@testable import Simulation

/// When the checker lets the bridge count on measured shares (aggregation.md §5).
@Suite struct FlowWatchTests {
    private var watch = FlowWatch()
    private var packs = [Int](0..<2).map { _ in PackWitness(capacity: 150, cellRange: 1.5...4.0, userAmperes: 100) }

    /// Both packs carry `amperes`; says whether a direction has begun.
    private mutating func hear(_ amperes: Int32, at now: Int64) -> Bool {
        var begins = false
        for i in packs.indices {
            var m = PackMeasurement()
            (m.capacity, m.centiamps, m.soc) = (150, amperes * 100, UInt8(now / 1000 % 100))
            #expect(packs[i].hear(m, at: now) == .accepted)
            begins = watch.hear(packs, at: now) || begins
        }
        return begins
    }

    /// Seed 7044 of the soak: an average that remembered the charge asked for 42 s.
    @Test mutating func `a bank that turns from charge to discharge at 0_1C is measured after 30 s`() {
        for second in 0..<60 { _ = hear(16, at: Int64(second) * 1000) }
        #expect(watch.isMeasured(at: 59_000))
        let turns = hear(-16, at: 60_000)
        #expect(turns)
        for second in 61..<88 { _ = hear(-16, at: Int64(second) * 1000) }
        #expect(!watch.isMeasured(at: 88_000))
        let goesOn = hear(-16, at: 90_000)
        #expect(!goesOn)
        #expect(watch.isMeasured(at: 90_000))
    }

    @Test mutating func `a pause below 0_1C begins the 30 s again`() {
        for second in 0..<40 { _ = hear(16, at: Int64(second) * 1000) }
        _ = hear(10, at: 40_000)
        #expect(!watch.isMeasured(at: 40_000))
        #expect(watch.hasJustChanged(at: 42_000))
        let again = hear(16, at: 41_000)
        #expect(again)
        #expect(!watch.isMeasured(at: 69_000))
        #expect(watch.isMeasured(at: 71_000))
    }
}
