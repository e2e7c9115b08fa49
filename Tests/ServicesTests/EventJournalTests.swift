import Battery
import BridgeEngine
import ChargeControl
import LinkClient
import ServicesTesting
import Testing

@testable import Services

@Suite struct EventJournalTests {
    private func snapshot(_ second: Int64, _ change: (inout BridgeSnapshot) -> Void = { _ in }) -> BridgeSnapshot {
        let fake = FakeSnapshot(second: second)
        var snapshot = BridgeSnapshot(bank: fake.bank)
        snapshot.packs = fake.packs
        change(&snapshot)
        return snapshot
    }

    @Test func `a limit that binds for long is one event with its duration and its cell`() throws {
        var journal = EventJournal()
        var told: [EventDocument] = []
        for second in Int64(0)..<43 * 60 { told += journal.take(snapshot(1), at: second * 1000) }
        told += journal.take(snapshot(1) { $0.bank.chargeReason = Reason(.userCurrent, bound: 1) }, at: 43 * 60_000)
        let ended = try #require(told.last { $0.limit == "charge_current" && $0.until_ms != nil })
        let lasted = Int64(43 * 60_000)
        #expect(ended.milliseconds == lasted)
        #expect(ended.pack == 2 && ended.cell == 7 && ended.name == "cell_high")
        #expect(told.count { $0.id == ended.id } == 2)
    }

    @Test func `a limit that binds for less than five seconds is no event`() {
        var journal = EventJournal()
        var told: [EventDocument] = []
        for second in Int64(0)..<40 {
            let flapping = snapshot(1) {
                let rule: LimitRule = second % 4 < 2 ? .cold : .hot
                $0.bank.chargeReason = Reason(rule, bound: 1)
                $0.bank.voltageReason = Reason(.none, bound: 0)
                $0.bank.dischargeReason = Reason(.none, bound: 0)
            }
            told += journal.take(flapping, at: second * 1000)
        }
        #expect(told.isEmpty)
    }

    @Test(arguments: [LimitRule.userCurrent, .packUserCurrent, .cRate, .none])
    func `what the owner configured limits nothing`(rule: LimitRule) {
        var journal = EventJournal()
        for second in Int64(0)..<20 {
            let told = journal.take(
                snapshot(1) {
                    $0.bank.chargeReason = Reason(rule, bound: 140_000)
                    $0.bank.dischargeReason = Reason(rule, bound: 140_000)
                    $0.bank.voltageReason = Reason(second % 2 == 0 ? .userVoltage : .phaseVoltage, bound: 55_200)
                }, at: second * 10_000)
            #expect(told.isEmpty)
        }
    }

    @Test func `an alarm begins at once, is severe, and ends when it is gone`() throws {
        var journal = EventJournal()
        let begun = journal.take(snapshot(1) { $0.packs[0].status.alarms = .cellOverVoltage }, at: 1000)
        let alarm = try #require(begun.first { $0.kind == "alarm" })
        #expect(alarm.severity == .alarm && alarm.ongoing == true && alarm.pack == 1)
        let ended = try #require(journal.take(snapshot(2), at: 9000).first { $0.kind == "alarm" })
        #expect(ended.id == alarm.id && ended.until_ms == 9000 && ended.ongoing == nil)
    }

    @Test func `what was going on before a restart goes on under its number`() throws {
        var first = EventJournal()
        let alarm = try #require(first.take(snapshot(1) { $0.bank.warnings = .bmsLost }, at: 1000).first { $0.kind == "warning" })
        var second = EventJournal(nextID: 50)
        second.resume([alarm])
        let told = second.take(snapshot(2) { $0.bank.warnings = .bmsLost }, at: 5000)
        #expect(!told.contains { $0.kind == "warning" })
        let ended = try #require(second.take(snapshot(3), at: 7000).first { $0.kind == "warning" })
        #expect(ended.id == alarm.id && ended.milliseconds == 6000)
    }

    @Test func `nothing limits before anything may be sent`() {
        var journal = EventJournal()
        for second in Int64(0)..<20 {
            #expect(journal.take(snapshot(1) { $0.bank.mayTransmit = false }, at: second * 1000).isEmpty)
        }
    }
}
