import Battery
import BridgeEngine
import ChargeControl
import Foundation
import JKBMS
import LinkClient
import Simulation
import Testing

@testable import packbridge

@Suite struct TerminalPageTests {
    private var snapshot: BridgeSnapshot {
        var bank = BankPayload()
        bank.mayTransmit = true
        bank.report.chargeVoltageLimit = 55_200
        bank.report.chargeCurrentLimit = 67_500
        bank.report.dischargeCurrentLimit = 135_000
        (bank.report.chargeEnabled, bank.report.soc) = (true, 87)
        bank.chargeReason = Reason(.cellHigh, bound: 67_500, place: CellPlace(pack: 1, cell: 7), input: 3450)
        var snapshot = BridgeSnapshot(bank: bank)
        var pack = PackPayload()
        pack.number = 1
        (pack.status.age, pack.status.state) = (400, .active)
        (pack.status.lowestCell, pack.status.highestCell) = (3300, 3450)
        for millivolts in [3300, 3350, 3450] as [UInt16] { pack.reading.cells.append(millivolts) }
        snapshot.packs = [pack]
        return snapshot
    }

    private func page(columns: Int, unicode: Bool = true) -> [String] {
        var panel = BridgePanel(columns: columns, usesUnicode: unicode)
        (panel.chargeMaximum, panel.dischargeMaximum) = (135_000, 135_000)
        return panel.lines(snapshot).map { $0.text(columns: columns, colour: false) }
    }

    @Test func `no line is wider than the terminal, and a piece that is cut says so`() {
        for columns in [80, 120] {
            #expect(page(columns: columns).allSatisfy { $0.count <= columns })
        }
        #expect(Line("a long line of text").text(columns: 10, colour: false) == "a long li…")
    }

    @Test func `every limit stands beside its reason, and a permission that is missing is loud`() {
        let text = page(columns: 120).joined(separator: "\n")
        let charge = page(columns: 120).first { $0.contains("charge with") }
        #expect(charge?.contains("67.5 A") == true)
        #expect(charge?.contains("cell 7") == true)
        #expect(text.contains("discharge NO") && text.contains("charge yes"))
        #expect(text.contains("▁▃█"))
    }

    @Test func `a bar has its length in eighths, and needs no Unicode`() {
        let panel = BridgePanel(columns: 80, usesUnicode: true)
        #expect(panel.bar(50, of: 100, width: 4) == "██··")
        #expect(panel.bar(33, of: 100, width: 1) == "▎")
        #expect(panel.bar(500, of: 100, width: 3) == "███")
        #expect(BridgePanel(columns: 80, usesUnicode: false).bar(50, of: 100, width: 4) == "##..")
        #expect(page(columns: 80, unicode: false).joined().unicodeScalars.allSatisfy { $0.value < 0x2500 })
    }

    @Test func `colour appears only where it is asked for`() {
        let line = Line("charge NO", .bad)
        #expect(line.text(columns: 80, colour: false) == "charge NO")
        #expect(line.text(columns: 80, colour: true) == "\u{1B}[1;31mcharge NO\u{1B}[0m")
    }

    @Test func `a fault on the command line has a kind, a start and a length`() throws {
        let plain = try #require(FaultPlan(argument: "corrupt"))
        #expect(plain.kind == .corrupt && plain.isActive(at: 0) && plain.isActive(at: 1_000_000_000))
        let timed = try #require(FaultPlan(argument: "unplug@60+30"))
        #expect(!timed.isActive(at: 59_999) && timed.isActive(at: 60_000) && timed.isActive(at: 89_999))
        #expect(!timed.isActive(at: 90_000))
        for text in ["", "nonsense", "unplug@", "unplug@x", "unplug@-1", "unplug@5+0", "unplug@5+y"] {
            #expect(FaultPlan(argument: text) == nil, "\(text)")
        }
    }
}

@Suite struct StatusTests {
    private var snapshot: BridgeSnapshot {
        var bank = BankPayload()
        bank.mayTransmit = true
        bank.chargeReason = Reason(.cellHigh, bound: 67_500, place: CellPlace(pack: 1, cell: 7), input: 3450)
        (bank.report.remaining, bank.report.highestCell) = (123_456, 3451)
        bank.preventsFull = CellPlace(pack: 1, cell: 3)
        var snapshot = BridgeSnapshot(bank: bank)
        var pack = PackPayload()
        (pack.number, pack.status.age) = (1, 400)
        pack.status.dischargeReason = Reason(.cold, bound: 5000, place: CellPlace(pack: 1, cell: 2), input: -20)
        (pack.reading.cycles, pack.reading.chargeSwitch) = (87, false)
        pack.reading.cellTemperatures.append(.value(-20))
        pack.reading.cellTemperatures.append(.absent)
        pack.reading.mosfetTemperature = .invalid
        snapshot.packs = [pack]
        var port = BMSPortPayload()
        port.number = 1
        for rejection in [FrameRejection.badChecksum, .badChecksum, .echo] {
            port.counters.rejections[Int(rejection.rawValue)] += 1
        }
        snapshot.bmsPorts = [port]
        snapshot.orders = [OrderInForce(.chargeCap, value: 20_000, remaining: 90_000), OrderInForce(.fullNow, remaining: 0)]
        return snapshot
    }

    private func json(_ snapshot: BridgeSnapshot) throws -> [String: Any] {
        var text = JSONText()
        text.write(snapshot)
        return try #require(JSONSerialization.jsonObject(with: Data(text.bytes)) as? [String: Any])
    }

    @Test func `the JSON tells packs with their reasons, orders in force and what is unknown as null`() throws {
        let object = try json(snapshot)
        let pack = try #require((object["packs"] as? [[String: Any]])?.first)
        #expect((pack["discharge_reason"] as? [String: Any])?["rule"] as? String == "cold")
        #expect(pack["cycles"] as? Int == 87 && pack["charge_switch"] as? Bool == false)
        #expect(pack["remaining_mAh"] is NSNull && pack["mosfet_temperature_dC"] is NSNull)
        let temperatures = try #require(pack["cell_temperatures_dC"] as? [Any])
        #expect(temperatures.first as? Int == -20 && temperatures.last is NSNull && temperatures.count == 2)
        let orders = try #require(object["orders"] as? [[String: Any]])
        #expect(orders.map { $0["order"] as? String } == ["charge_cap", "full_now"])
        #expect(orders.first?["value"] as? Int == 20_000 && orders.first?["remaining_ms"] as? Int == 90_000)
        #expect((object["bank"] as? [String: Any])?["remaining_mAh"] as? Int == 123_456)
        #expect((object["prevents_full"] as? [String: Any])?["cell"] as? Int == 3)
        #expect((object["bms_ports"] as? [[String: Any]])?.first?["rejected"] as? Int == 2)
    }

    @Test func `a control process that tells no orders has none in the JSON and none in the table`() throws {
        var old = snapshot
        old.orders = nil
        #expect((try json(old)["orders"] as? [Any])?.isEmpty == true)
        #expect(!StatusText().page(old).contains("order "))
    }

    @Test func `orders in force stand in the table with the time they have left`() {
        let page = StatusText().page(snapshot)
        #expect(page.contains("order              charge current at most 20.0 A, for another 1 min 30 s\n"))
        #expect(page.contains("order              charge to full now\n"))
    }

    @Test func `a page that is drawn again clears what it does not cover`() {
        #expect(redrawn("a\nb\n") == "\u{1B}[Ha\u{1B}[K\nb\u{1B}[K\n\u{1B}[J")
    }
}
