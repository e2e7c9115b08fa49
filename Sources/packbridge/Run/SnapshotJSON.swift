import Battery
import BridgeEngine
import ChargeControl
import LinkClient

/// A snapshot as one JSON object: `packbridge status --json` (docs/interfaces.md). Numbers carry their unit in the name.
extension JSONText {
    mutating func write(_ snapshot: BridgeSnapshot) {
        let bank = snapshot.bank
        object { json in
            json.field("uptime_ms", bank.at.since(bank.started))
            json.field("transmitting", bank.mayTransmit)
            json.field("phase", stableName(bank.phase))
            json.field("waiting", bank.waiting.words(amount: bank.waitingAmount))
            json.field("told", object: { $0.write(bank.report) })
            json.field(
                "reasons",
                object: {
                    $0.field("cvl", object: { $0.write(bank.voltageReason) })
                    $0.field("ccl", object: { $0.write(bank.chargeReason) })
                    $0.field("dcl", object: { $0.write(bank.dischargeReason) })
                })
            json.field("warnings", names: bank.warnings.names)
            json.field("packs", array: { for pack in snapshot.packs { $0.write(pack) } })
            json.field("bms_ports", array: { for port in snapshot.bmsPorts { $0.write(port) } })
            json.field("inverter_ports", array: { for port in snapshot.inverterPorts { $0.write(port) } })
        }
    }

    mutating func field(_ name: String, names: [String]) {
        field(name, array: { for name in names { $0.string(name) } })
    }

    /// The fields of a reason, inside an object.
    mutating func write(_ reason: Reason) {
        field("rule", reason.rule.name)
        field("pack", reason.place.pack)
        field("cell", reason.place.cell)
        field("input", reason.input)
        field("bound", reason.bound)
        field("text", reason.sentence)
    }

    /// The fields of a report, inside an object.
    private mutating func write(_ report: BankReport) {
        field("cvl_mV", report.chargeVoltageLimit)
        field("dvl_mV", report.dischargeVoltageLimit)
        field("ccl_mA", report.chargeCurrentLimit)
        field("dcl_mA", report.dischargeCurrentLimit)
        field("charge_enable", report.chargeEnabled)
        field("discharge_enable", report.dischargeEnabled)
        field("soc_pct", report.soc)
        field("soh_pct", report.soh)
        field("voltage_mV", report.voltage)
        field("current_mA", report.current)
        field("temperature_dC", report.temperature)
        field("protections", names: report.protections.names)
        field("warnings", names: report.warnings.names)
    }

    private mutating func write(_ pack: PackPayload) {
        object { json in
            json.field("number", pack.number)
            json.field("state", stableName(pack.status.state))
            json.field("stage", stableName(pack.status.stage))
            json.field("age_ms", pack.status.age < 0 ? nil : pack.status.age)
            json.field("voltage_mV", pack.status.voltage)
            json.field("current_mA", pack.status.current)
            json.field("soc_cpct", pack.status.soc)
            json.field("charge_limit_mA", pack.status.chargeLimit)
            json.field("discharge_limit_mA", pack.status.dischargeLimit)
            json.field(
                "cells_mV", array: { for i in 0..<pack.reading.cells.count { $0.integer(pack.reading.cells[i]) } })
            json.field("alarms", names: pack.status.alarms.names)
            json.field("warnings", names: pack.status.warnings.names)
        }
    }

    private mutating func write(_ port: BMSPortPayload) {
        object { json in
            json.field("number", port.number)
            json.field("open", port.isOpen)
            json.field("answers", port.counters.snapshots)
            json.field("missing", port.counters.timeouts)
            json.field("reopened", port.counters.reopens)
        }
    }

    private mutating func write(_ port: InverterPortPayload) {
        object { json in
            json.field("number", port.number)
            json.field("dialect", stableName(port.language))
            json.field("bus", stableName(port.state))
            json.field("sets", port.counters.sets)
            json.field("heartbeat_age_ms", port.heartbeatAge < 0 ? nil : port.heartbeatAge)
            json.field("bus_offs", port.counters.busOffs)
        }
    }
}
