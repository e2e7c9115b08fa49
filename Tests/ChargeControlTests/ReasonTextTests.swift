import Battery
import Testing

@testable import ChargeControl

private struct Text: TextSink {
    var bytes: [UInt8] = []
    mutating func write(_ byte: UInt8) { bytes.append(byte) }
    var string: String { String(decoding: bytes, as: UTF8.self) }
}

@Suite struct ReasonTextTests {
    func text(_ reason: Reason) -> String {
        var sink = Text()
        reason.write(to: &sink)
        return sink.string
    }

    @Test func `a reason names pack, cell, value and rule`() {
        #expect(
            text(Reason(.cellHigh, bound: 20_250, place: CellPlace(pack: 2, cell: 7), input: 3512))
                == "pack 2 cell 7 at 3.512 V: charge taper by cell voltage")
        #expect(
            text(Reason(.cold, bound: 0, place: CellPlace(pack: 1, cell: 2), input: -20))
                == "pack 1 sensor 2 at -2.0 °C: limit by temperature, cold")
        #expect(
            text(Reason(.switchOff, bound: 0, place: CellPlace(pack: 3, cell: 0)))
                == "pack 3: the BMS has switched this direction off")
        #expect(
            text(Reason(.bmsMargin, bound: 135_000, place: CellPlace(pack: 1, cell: 0), input: 150_000))
                == "pack 1 at 150.0 A: margin below the over-current setting of the BMS")
        #expect(text(Reason(.phaseCurrent, bound: 0)) == "charge finished, resting")
        #expect(text(Reason(.socCeiling, bound: 0, input: 8050)) == "at 80.5 %: SoC ceiling reached")
    }

    @Test func `every rule, wait, phase and state has its own words`() {
        var seen: Set<String> = []
        for rule in LimitRule.allCases { seen.insert(text(Reason(rule, bound: 0))) }
        #expect(seen.count == LimitRule.allCases.count)
        seen = []
        for waiting in Waiting.allCases {
            var sink = Text()
            waiting.write(amount: 0, to: &sink)
            seen.insert(sink.string)
        }
        #expect(seen.count == Waiting.allCases.count)
        #expect(Set(Phase.allCases.map { $0.sentence.description }).count == Phase.allCases.count)
        #expect(Set(PackState.allCases.map { $0.sentence.description }).count == PackState.allCases.count)
    }

    @Test func `what a phase waits for follows the charge`() {
        func waiting(_ rig: Rig) -> String {
            var sink = Text()
            rig.output.waiting.write(amount: rig.output.waitingAmount, to: &sink)
            return sink.string
        }
        var rig = Rig(packs: [.reference(highest: 3350, others: 3340, current: 20_000)])
        #expect(waiting(rig) == "the first complete data of a BMS")
        rig.run(seconds: 20)
        #expect(waiting(rig) == "the highest cell to rise by 0.020 V")
        rig.packs[0].setHighest(3450)
        rig.second()
        #expect(waiting(rig) == "the charge current to fall by 16.0 A")
        rig.packs[0].current = 1000
        rig.packs[0].balancing = true
        rig.run(seconds: 20)
        #expect(waiting(rig).hasPrefix("the balancer, at most another 17"))
        rig.packs[0].balancing = false
        rig.run(seconds: 10)
        #expect(waiting(rig).hasPrefix("calm near full, for another 5"))
        rig.run(seconds: 100)
        #expect(waiting(rig).hasPrefix("the charge voltage to come down by 1."))
        rig.packs[0].setTemperature(180)
        rig.second()
        rig.packs[0].setTemperature(90)
        rig.second()
        rig.packs[0].setTemperature(0)
        rig.second()
        #expect(waiting(rig) == "a temperature that allows charging, now 0.0 °C")
    }
}
