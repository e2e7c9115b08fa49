import Battery
import BridgeEngine
import ChargeControl
import JKBMS
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
            json.field("bank", object: { $0.write(totals: bank.report) })
            json.field("prevents_full", object: { $0.write(bank.preventsFull) })
            // Nil from a control process that is too old to tell.
            json.field("orders", array: { for order in snapshot.orders ?? [] { $0.write(order) } })
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

    /// The fields of what the bank has, inside an object.
    private mutating func write(totals report: BankReport) {
        field("packs_online", report.packsOnline)
        field("packs_expected", report.packsExpected)
        field("packs_blocking_charge", report.packsBlockingCharge)
        field("packs_blocking_discharge", report.packsBlockingDischarge)
        field("soc_cpct", report.socFine)
        field("remaining_mAh", report.remaining)
        field("full_mAh", report.full)
        field("energy_charged_Wh", report.energyCharged)
        field("energy_discharged_Wh", report.energyDischarged)
        field("highest_cell_mV", report.highestCell)
        field("highest_cell", object: { $0.write(report.highestCellPlace) })
        field("lowest_cell_mV", report.lowestCell)
        field("lowest_cell", object: { $0.write(report.lowestCellPlace) })
        field("highest_temperature_dC", report.highestTemperature)
        field("lowest_temperature_dC", report.lowestTemperature)
        field("balancing", report.balancing)
    }

    /// 0 = none.
    private mutating func write(_ place: CellPlace) {
        field("pack", place.pack)
        field("cell", place.cell)
    }

    private mutating func write(_ order: OrderInForce) {
        object { json in
            json.field("order", stableName(order.order))
            json.field("value", order.value)
            json.field("remaining_ms", order.remaining)
        }
    }

    private mutating func write(_ sensor: SensorReading) {
        if let temperature = sensor.temperature { integer(temperature) } else { null() }
    }

    private mutating func write(_ pack: PackPayload) {
        let reading = pack.reading
        object { json in
            json.field("number", pack.number)
            json.field("state", stableName(pack.status.state))
            json.field("stage", stableName(pack.status.stage))
            json.field("age_ms", pack.status.age < 0 ? nil : pack.status.age)
            json.field("voltage_mV", pack.status.voltage)
            json.field("current_mA", pack.status.current)
            json.field("soc_cpct", pack.status.soc)
            json.field("charge_limit_mA", pack.status.chargeLimit)
            json.field("charge_reason", object: { $0.write(pack.status.chargeReason) })
            json.field("discharge_limit_mA", pack.status.dischargeLimit)
            json.field("discharge_reason", object: { $0.write(pack.status.dischargeReason) })
            json.field("soh_cpct", reading.soh)
            json.field("remaining_mAh", reading.remaining)
            json.field("full_mAh", reading.full)
            json.field("cycles", reading.cycles)
            json.field("charge_switch", reading.chargeSwitch)
            json.field("discharge_switch", reading.dischargeSwitch)
            json.field("balancing", reading.balancing)
            json.field("cells_mV", array: { for i in 0..<reading.cells.count { $0.integer(reading.cells[i]) } })
            json.field(
                "cell_temperatures_dC",
                array: { for i in 0..<reading.cellTemperatures.count { $0.write(reading.cellTemperatures[i]) } })
            json.key("mosfet_temperature_dC")
            json.write(reading.mosfetTemperature)
            json.field("alarms", names: pack.status.alarms.names)
            json.field("warnings", names: pack.status.warnings.names)
        }
    }

    private mutating func write(_ port: BMSPortPayload) {
        object { json in
            json.field("number", port.number)
            json.field("protocol", stableName(port.bmsProtocol))
            json.field("open", port.isOpen)
            json.field("answers", port.counters.snapshots)
            json.field("rejected", port.rejected)
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
            json.field("frames_sent", port.counters.sent)
            json.field("frames_dropped", port.counters.dropped)
            json.field("frames_received", port.counters.received)
            json.field("heartbeat_age_ms", port.heartbeatAge < 0 ? nil : port.heartbeatAge)
            json.field("bus_offs", port.counters.busOffs)
        }
    }
}

extension BMSPortPayload {
    /// Damaged answers. An echo of our own request is none.
    var rejected: UInt32 {
        (0..<counters.rejections.count).filter { FrameRejection(rawValue: UInt8($0)) != .echo }
            .reduce(0) { $0 + counters.rejections[$1] }
    }
}

extension OrderInForce {
    /// The order as a person reads it.
    var sentence: String {
        let what =
            switch order {
            case .pauseCharge: "charging paused"
            case .pauseDischarge: "discharging paused"
            case .chargeCap: "charge current at most \(amperes(value))"
            case .dischargeCap: "discharge current at most \(amperes(value))"
            case .socCeiling: "charge up to \(percent(value, decimals: 0))"
            case .fullNow: "charge to full now"
            case .resume, .acknowledge: stableName(order)
            }
        return order == .fullNow ? what : "\(what), for another \(duration(remaining))"
    }
}
