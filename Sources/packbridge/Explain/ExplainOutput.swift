import Battery
import ChargeControl
import LinkClient

extension JSONText {
    /// The answer to one line of `packbridge explain` (docs/explain.md). `ids` are the packs' ids in the order of the bank.
    mutating func write(_ output: borrowing ControlOutput, ids: [Int64], rejections: [SnapshotRejection]) {
        let report = output.report
        let reasons = [
            ("cvl", output.voltageReason, output.voltageLimiters), ("ccl", output.chargeReason, output.chargeLimiters),
            ("dcl", output.dischargeReason, output.dischargeLimiters),
        ]
        let requests = Self.names(report.requests)
        let phase = Self.specName(output.phase)
        let (warnings, packs) = (output.warnings, output.packs)
        object { json in
            json.field("cvl_mV", report.chargeVoltageLimit)
            json.field("dvl_mV", report.dischargeVoltageLimit)
            json.field("ccl_mA", report.chargeCurrentLimit)
            json.field("dcl_mA", report.dischargeCurrentLimit)
            json.field("charge_enable", report.chargeEnabled)
            json.field("discharge_enable", report.dischargeEnabled)
            json.field("soc_pct", report.soc)
            json.field("phase", phase)
            json.field(
                "reasons",
                object: {
                    for (name, reason, _) in reasons { $0.field(name, object: { $0.write(reason, ids: ids) }) }
                })
            json.field(
                "limiters",
                array: {
                    for (name, reason, list) in reasons { $0.write(list, limit: name, binding: reason, ids: ids) }
                })
            json.field("requests", names: requests)
            json.field("alarms", names: report.protections.union(report.warnings).names)
            json.field("protections", names: report.protections.names)
            json.field("warnings", names: warnings.names)
            json.field(
                "packs",
                array: {
                    for index in 0..<packs.count {
                        $0.write(packs[index], id: ids[index], rejection: rejections[index], ids: ids)
                    }
                })
        }
    }

    /// Every limiter of one limit; the one that gives the result is marked.
    private mutating func write(_ list: ReasonList, limit: String, binding: Reason, ids: [Int64]) {
        var isMarked = false
        for index in 0..<list.count {
            let isBinding = !isMarked && list[index].rule == binding.rule
            isMarked = isMarked || isBinding
            object { json in
                json.field("limit", limit)
                json.write(list[index], ids: ids)
                json.field("binding", isBinding)
            }
        }
    }

    private mutating func write(_ reason: Reason, ids: [Int64]) {
        field("rule", reason.rule.name)
        field("pack", reason.place.pack == 0 ? nil : ids[Int(reason.place.pack) - 1])
        field("cell", reason.place.cell == 0 ? nil : reason.place.cell)
        field("input", reason.input)
        field("bound", reason.bound)
        field("text", reason.sentence)
    }

    private mutating func write(_ status: PackStatus, id: Int64, rejection: SnapshotRejection, ids: [Int64]) {
        object { json in
            json.field("id", id)
            json.field("state", stableName(status.state))
            json.field("rejected", rejection == .none ? nil : stableName(rejection))
            json.field("ccl_mA", status.chargeLimit)
            json.field("dcl_mA", status.dischargeLimit)
            json.field("ccl_reason", object: { $0.write(status.chargeReason, ids: ids) })
            json.field("dcl_reason", object: { $0.write(status.dischargeReason, ids: ids) })
            json.field("alarms", names: status.alarms.names)
            json.field("warnings", names: status.warnings.names)
        }
    }

    private static func names(_ requests: ChargeRequests) -> [String] {
        let table: [(ChargeRequests, String)] = [
            (.forceCharge1, "force_charge_1"), (.forceCharge2, "force_charge_2"), (.fullCharge, "full_charge"),
        ]
        return table.filter { requests.contains($0.0) }.map(\.1)
    }

    /// INIT, BULK, ABSORB, FLOAT, REST, HOLD, as the specification of the charge control calls them.
    private static func specName(_ phase: Phase) -> String {
        phase == .initial ? "INIT" : stableName(phase).uppercased()
    }
}
