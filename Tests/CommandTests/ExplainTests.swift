import Foundation
import Testing

@testable import packbridge

/// The reference case of charge-control.md §14: LFP 16S 280 Ah, user 140 A, OCP 150 A, OVP 3.65 V, UVP 2.70 V, one pack.
private func snapshot(cell: Int = 3330, _ change: (String, String)...) -> String {
    var line = """
        {"config":{"chemistry":"LFP","cells":16,"bulk_mV":3450,"user_charge_mA":140000,"user_discharge_mA":140000},\
        "packs":[{"id":7,"capacity_mAh":280000,"cells_mV":[\(cell),\(Array(repeating: "3330", count: 15).joined(separator: ","))],\
        "pack_mV":\(cell + 15 * 3330),"current_mA":20000,"temps_dC":[250,260],"mos_dC":300,"soc_cpct":6300,\
        "settings":{"ovp_mV":3650,"uvp_mV":2700,"charge_ocp_mA":150000,"discharge_ocp_mA":150000},\
        "charge_fet":true,"discharge_fet":true,"alarms":[],"age_ms":0}]}
        """
    for (old, new) in change {
        precondition(line.contains(old))
        line = line.replacing(old, with: new)
    }
    return line
}

private struct Answer: Decodable {
    struct Reason: Decodable {
        var rule: String
        var pack: Int?
        var cell: Int?
        var bound: Int
    }
    struct Limiter: Decodable {
        var limit: String
        var rule: String
        var bound: Int
        var binding: Bool
    }
    var cvl_mV: Int?
    var ccl_mA: Int?
    var dcl_mA: Int?
    var charge_enable: Bool?
    var phase: String?
    var reasons: [String: Reason]?
    var limiters: [Limiter]?
    var alarms: [String]?
    var error: String?
}

private func answer(_ line: String) throws -> Answer {
    var explainer = Explainer(keepsState: false)
    var json = JSONText()
    _ = explainer.answer(Array(line.utf8), to: &json)
    return try JSONDecoder().decode(Answer.self, from: Data(json.bytes))
}

@Suite struct ExplainTests {
    @Test(arguments: [
        (3360, 135_000, "bms_margin"), (3450, 67_500, "cell_high"), (3500, 20_250, "cell_high"), (3605, 0, "cell_high"),
    ])
    func `the charge limit and its reason follow the highest cell`(cell: Int, milliamps: Int, rule: String) throws {
        let result = try answer(snapshot(cell: cell))
        #expect(result.ccl_mA == milliamps)
        #expect(result.reasons?["ccl"]?.rule == rule)
        #expect(result.reasons?["ccl"]?.pack == 7)
    }

    @Test func `exactly one limiter of each limit is binding, and it has the lowest bound`() throws {
        let result = try answer(snapshot(cell: 3450))
        for limit in ["cvl", "ccl", "dcl"] {
            let list = result.limiters?.filter { $0.limit == limit } ?? []
            #expect(list.filter(\.binding).count == 1)
            #expect(list.first(where: \.binding)?.bound == list.map(\.bound).min())
        }
    }

    @Test(arguments: [
        ("\"charge_fet\":true", "\"charge_fet\":false"), ("\"charge_fet\":true,", ""),
        ("\"temps_dC\":[250,260]", "\"temps_dC\":[null,260]"), ("\"temps_dC\":[250,260],", ""),
        ("\"charge_ocp_mA\":150000", "\"charge_ocp_mA\":null"), ("\"temps_dC\":[250,260]", "\"temps_dC\":[0,260]"),
        ("\"alarms\":[]", "\"alarms\":[\"cell_over_voltage\"]"), ("\"age_ms\":0", "\"age_ms\":31000"),
        ("\"user_charge_mA\":140000,", ""),
    ])
    func `without a condition of charging the charge limit is 0 and the reason is named`(old: String, new: String)
        throws
    {
        let result = try answer(snapshot((old, new)))
        #expect(result.ccl_mA == 0)
        #expect(result.reasons?["ccl"]?.rule != "none")
    }

    @Test(arguments: [
        ("\"age_ms\":0", "\"agems\":0"), ("\"age_ms\":0", "\"age_ms\":0,\"age_ms\":1"),
        ("\"age_ms\":0", "\"age_ms\":0.5"),
        ("\"age_ms\":0", "\"age_ms\":-1"), ("\"age_ms\":0", "\"age_ms\":1e3"), ("\"LFP\"", "\"XYZ\""),
        ("\"bulk_mV\":3450", "\"bulk_mV\":3900"), ("\"id\":7", "\"id\":0"),
        ("\"alarms\":[]", "\"alarms\":[\"nonsense\"]"),
        ("]}]}", "]}]} x"), ("\"packs\":", "\"pack\":"),
        ("\"current_mA\":20000", "\"current_mA\":99999999999999999999"),
    ])
    func `a line that is not understood is refused, never answered with a guess`(old: String, new: String) throws {
        let line = old == "]}]}" ? snapshot() + " x" : snapshot((old, new))
        let result = try answer(line)
        #expect(result.error != nil)
        #expect(result.ccl_mA == nil)
    }

    @Test(arguments: [
        "", "{", "[]", "null", "{\"packs\":[]}", "{\"config\":{},\"packs\":[]}", String(repeating: "[", count: 5000),
    ])
    func `what is no snapshot is refused`(line: String) throws {
        #expect(try answer(line).error != nil)
    }

    @Test func `a scenario starts with zero limits and lets them rise`() throws {
        var explainer = Explainer(keepsState: true)
        let line = snapshot()
        let pack = line[line.firstRange(of: "\"packs\"")!.lowerBound...]
        var charge: [Int] = []
        for second in 0..<60 {
            var json = JSONText()
            let start = second == 0 ? line.dropLast() : Substring("{" + pack.dropLast())
            // The current moves a little, as in life: a reading that never changes would count as stuck.
            let moved = start.replacing("\"current_mA\":20000", with: "\"current_mA\":\(20000 + second * 10)")
            let good = explainer.answer(Array((moved + ",\"t_ms\":\(second * 1000)}").utf8), to: &json)
            #expect(good)
            charge.append(try JSONDecoder().decode(Answer.self, from: Data(json.bytes)).ccl_mA ?? -1)
        }
        #expect(charge.first == 0)
        #expect(charge.last == 135_000)
        #expect(zip(charge, charge.dropFirst()).allSatisfy { $1 - $0 <= 5600 }, "2 % of 280 A is the steepest rise")
    }
}
