import Battery
import Testing

@testable import JKBMS

@Suite struct BusScheduleTests {
    /// Packs that answer after 20 ms, except the silent ones. Gives the times at which each was asked.
    private func run(
        _ slots: Int, silent: Set<Int> = [], _ pace: PollPace, until end: Milliseconds, steps: Int = 1
    ) -> (asked: [[Milliseconds]], gaveUp: [Int]) {
        var schedule = BusSchedule(slots: slots, pace: pace, leastGap: 2, fastGap: 1, spoiltAfter: 50)
        var asked = [[Milliseconds]](repeating: [], count: slots)
        var gaveUp: [Int] = []
        var step = 0
        var now: Milliseconds = 0
        while now < end {
            switch schedule.turn(at: Instant(milliseconds: now), incompleteUntil: nil) {
            case .wait(let until): now = until.milliseconds
            case .gaveUp(let slot):
                gaveUp.append(slot)
                step = 0
            case .ask(let slot):
                asked[slot].append(now)
                schedule.asked(at: Instant(milliseconds: now))
                if silent.contains(slot) { continue }
                now += 20
                schedule.heard(at: Instant(milliseconds: now))
                step = (step + 1) % steps
                schedule.answered(more: step != 0)
            }
        }
        return (asked, gaveUp)
    }

    @Test func `each pack has its own interval, and equals take turns`() {
        let (asked, _) = run(3, PollPace(interval: 1000, gap: 100), until: 5000)
        #expect(asked[0] == [0, 1000, 2000, 3000, 4000])
        #expect(asked[1] == [120, 1120, 2120, 3120, 4120])
        #expect(asked[2] == [240, 1240, 2240, 3240, 4240])
    }

    @Test func `a line that is too full is shared equally`() {
        let (asked, _) = run(16, PollPace(interval: 100, gap: 10), until: 10_000)
        let counts = asked.map(\.count)
        #expect(counts.max()! - counts.min()! <= 1)
        #expect(counts.min()! >= 10_000 / (16 * 30) - 1)
    }

    @Test func `the fast mode wastes a millisecond per packet and no more`() {
        let (asked, _) = run(16, PollPace(interval: 0), until: 10_000)
        #expect(asked.map(\.count).reduce(0, +) >= 10_000 / 21)
    }

    @Test func `a pack that is not there is asked less and less, so that the others keep their time`() {
        let (asked, gaveUp) = run(
            2, silent: [1], PollPace(interval: 100, gap: 10, replyTimeout: 250, retries: 2), until: 30_000)
        #expect(gaveUp.allSatisfy { $0 == 1 })
        #expect(gaveUp.count >= 6)
        let afterPatience = asked[1].filter { $0 > 5000 }
        #expect(zip(afterPatience.dropFirst(), afterPatience).allSatisfy { $0 - $1 >= 5000 })
        #expect(asked[0].filter { $0 > 5000 }.count > 220)
    }

    @Test func `the requests of one poll follow each other`() {
        let (asked, _) = run(2, PollPace(interval: 1000, gap: 100), until: 1000, steps: 2)
        #expect(asked == [[0, 120], [240, 360]])
    }

    @Test func `a line that babbles without end is asked all the same`() {
        var schedule = BusSchedule(
            slots: 1, pace: PollPace(interval: 1000, gap: 100), leastGap: 2, fastGap: 1, spoiltAfter: 50)
        var asked = 0
        var gaveUp = 0
        for now in stride(from: Milliseconds(0), to: 20_000, by: 20) {
            let at = Instant(milliseconds: now)
            schedule.heard(at: at)
            switch schedule.turn(at: at, incompleteUntil: nil) {
            case .ask:
                asked += 1
                schedule.asked(at: at)
            case .gaveUp: gaveUp += 1
            case .wait: break
            }
        }
        #expect(asked >= 6)
        #expect(gaveUp >= 2)
    }

    @Test func `no pack, no traffic`() {
        var schedule = BusSchedule(slots: 0, pace: PollPace(), leastGap: 2, fastGap: 1, spoiltAfter: 50)
        let turn = schedule.turn(at: Instant(milliseconds: 0), incompleteUntil: nil)
        #expect(turn == .wait(until: Instant(milliseconds: 5000)))
    }
}
