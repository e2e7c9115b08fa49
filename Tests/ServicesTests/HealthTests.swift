import BridgeEngine
import LinkClient
import ServicesTesting
import Testing

@testable import Services

@Suite struct HealthTests {
    private func judge(
        age: Int64 = 500, problem: String? = nil, _ change: (inout BridgeSnapshot) -> Void = { _ in }
    ) -> SnapshotDocument.Health {
        let fake = FakeSnapshot(second: 100)
        var snapshot = BridgeSnapshot(bank: fake.bank)
        snapshot.packs = fake.packs
        snapshot.bmsPorts = fake.bmsPorts
        snapshot.inverterPorts = fake.inverterPorts
        change(&snapshot)
        return HealthJudge.judge(snapshot, age: age, linkProblem: problem, history: .ok, historyProblem: nil)
    }

    @Test func `everything in order is ok without problems`() {
        let health = judge()
        #expect(health.overall == .ok)
        #expect(health.problems.isEmpty)
    }

    @Test(arguments: [(Int64(3000), SnapshotDocument.Health.State.ok), (3001, .degraded), (10_001, .lost)])
    func `an old snapshot is not called good`(age: Int64, expected: SnapshotDocument.Health.State) {
        #expect(judge(age: age).link == expected)
    }

    @Test func `what was good before the link was lost is unknown now`() {
        let health = judge(age: 20_000, problem: "gone")
        #expect(health.bms == .unknown && health.can == .unknown && health.heartbeat == .unknown)
        #expect(health.overall == .lost)
        #expect(health.problems.first == "gone")
    }

    @Test func `a lost pack, a closed port, a bus-off and a silent inverter are each told`() {
        #expect(judge { $0.packs[0].status.state = .lost }.problems == ["pack 1: lost"])
        #expect(judge { $0.bmsPorts[1].isOpen = false }.problems == ["BMS port 2 is not open"])
        let bus = judge { $0.inverterPorts[0].state = .busOff }
        #expect(bus.can == .lost && bus.problems.count == 1)
        let silent = judge { $0.inverterPorts[0].heartbeatAge = 11_000 }
        #expect(silent.heartbeat == .lost && silent.overall == .lost)
    }

    @Test func `an inverter that has not answered yet is unknown at first and lost after half a minute`() {
        #expect(judge { $0.inverterPorts[0].heartbeatAge = -1 }.heartbeat == .lost)
        let early = judge {
            $0.inverterPorts[0].heartbeatAge = -1
            $0.bank.started.milliseconds = $0.bank.at.milliseconds - 20_000
        }
        #expect(early.heartbeat == .unknown)
    }

    @Test func `before the first snapshot nothing is known and the reason is told`() {
        let health = HealthJudge.judge(nil, age: nil, linkProblem: "no socket", history: .unknown, historyProblem: nil)
        #expect(health.overall == .lost && health.problems == ["no socket"])
    }
}
