import HTTPTypes
import Hummingbird
import NIOCore

/// `/metrics` in the text format of Prometheus, in base units (V, A, W, °C, ratio, seconds), as its conventions ask.
enum Metrics {
    static func response(hub: Hub, status: StatusSource) async -> Response {
        var text = MetricsText()
        write(await status.document(), to: &text)
        // Old values would look alive to whoever draws them.
        if let snapshot = await hub.snapshot, snapshot.health.link != .lost { write(snapshot, to: &text) }
        return bytes(ByteBuffer(string: text.text), type: "text/plain; version=0.0.4; charset=utf-8")
    }

    private static func write(_ status: StatusDocument, to text: inout MetricsText) {
        text.gauge("packbridge_info", "Version of the program.", [(["version": status.version], 1)])
        text.gauge(
            "packbridge_health", "1 = in order, 0.5 = degraded, 0 = lost; absent while unknown.",
            [
                ("overall", status.health.overall), ("link", status.health.link), ("bms", status.health.bms),
                ("can", status.health.can), ("heartbeat", status.health.heartbeat), ("history", status.health.history),
            ].compactMap { part, state in
                switch state {
                case .ok: (["part": part], 1)
                case .degraded: (["part": part], 0.5)
                case .lost: (["part": part], 0)
                case .unknown: nil
                }
            })
        text.gauge("packbridge_link_connected", "1 while the control process can be heard.", status.link.connected ? 1 : 0)
        text.counter(
            "packbridge_link_reconnects_total", "Connections to the control process that were lost.", Int64(status.link.reconnects))
        text.counter(
            "packbridge_link_lost_messages_total", "Messages of the control process that did not arrive.",
            Int64(status.link.lost_messages))
        if let size = status.history.size_bytes {
            text.gauge("packbridge_history_size_bytes", "Size of the history.", Double(size))
        }
        if let lost = status.history.lost_seconds {
            text.counter("packbridge_history_lost_seconds_total", "Seconds that could not be stored.", lost)
        }
        text.gauge("packbridge_serve_resident_bytes", "Memory of this process.", Double(status.process.resident_bytes))
        text.gauge("packbridge_serve_streams", "Live streams that are open.", Double(status.process.streams))
        text.counter("packbridge_serve_requests_total", "Requests answered.", Int64(status.process.requests))
    }

    private static func write(_ snapshot: SnapshotDocument, to text: inout MetricsText) {
        let bank = snapshot.bank
        let limits = snapshot.limits
        text.gauge("packbridge_soc_ratio", "State of charge told to the inverter.", Double(bank.soc_cpct) / 10_000)
        text.gauge("packbridge_soh_ratio", "State of health.", Double(bank.soh_pct) / 100)
        text.gauge("packbridge_voltage_volts", "Voltage of the bank.", milli(bank.voltage_mV))
        text.gauge("packbridge_current_amperes", "Current of the bank, positive while charging.", milli(bank.current_mA))
        text.gauge("packbridge_power_watts", "Power of the bank, positive while charging.", Double(bank.power_W))
        text.gauge("packbridge_packs_online", "Packs that conduct.", Double(bank.packs_online))
        text.gauge("packbridge_packs_expected", "Packs that are configured.", Double(bank.packs_expected))
        text.counter("packbridge_energy_charged_watthours_total", "Energy into the bank.", bank.energy_charged_Wh)
        text.counter("packbridge_energy_discharged_watthours_total", "Energy out of the bank.", bank.energy_discharged_Wh)
        text.gauge("packbridge_may_transmit", "1 while the inverter is told anything.", snapshot.control.may_transmit ? 1 : 0)
        if snapshot.control.may_transmit {
            text.gauge("packbridge_charge_voltage_limit_volts", "CVL.", milli(limits.charge_voltage.mV))
            text.gauge("packbridge_discharge_voltage_limit_volts", "DVL.", milli(limits.discharge_voltage.mV))
            text.gauge("packbridge_charge_current_limit_amperes", "CCL.", milli(limits.charge_current.mA))
            text.gauge("packbridge_discharge_current_limit_amperes", "DCL.", milli(limits.discharge_current.mA))
            text.gauge(
                "packbridge_limit_reason", "1 for the rule that binds each limit.",
                [
                    ("charge_voltage", limits.charge_voltage.reason), ("charge_current", limits.charge_current.reason),
                    ("discharge_current", limits.discharge_current.reason),
                ].compactMap { limit, reason in reason.map { (["limit": limit, "rule": $0.rule], 1) } })
        }
        text.gauge("packbridge_phase", "1 for the present phase of the charge.", [(["phase": snapshot.phase.name], 1)])
        text.gauge(
            "packbridge_warning", "1 for each warning.", snapshot.warnings.map { (["name": $0.name], 1) })
        writePacks(snapshot.packs, to: &text)
        for (name, help, value) in [
            ("packbridge_bms_snapshots_total", "Complete answers of the BMS.", \SnapshotDocument.BMSPort.snapshots),
            ("packbridge_bms_timeouts_total", "Requests without an answer.", \.timeouts),
            ("packbridge_bms_reopens_total", "Times the line was opened again.", \.reopens),
        ] {
            text.counter(name, help, snapshot.bms_ports.map { (["port": "\($0.number)"], Int64(clamping: $0[keyPath: value])) })
        }
        for (name, help, value) in [
            ("packbridge_can_frames_sent_total", "Frames to the inverter.", \SnapshotDocument.Inverter.sent),
            ("packbridge_can_frames_received_total", "Frames from the inverter.", \.received),
            ("packbridge_can_frames_dropped_total", "Frames that could not be sent.", \.dropped),
            ("packbridge_can_bus_offs_total", "Times the controller left the bus.", \.bus_offs),
        ] {
            text.counter(name, help, snapshot.inverters.map { (["port": "\($0.number)"], Int64(clamping: $0[keyPath: value])) })
        }
        text.gauge(
            "packbridge_heartbeat_age_seconds", "Since the inverter last answered.",
            snapshot.inverters.compactMap { port in
                port.heartbeat_age_ms.map { (["port": "\(port.number)"], Double($0) / 1000) }
            })
    }

    private static func writePacks(_ packs: [SnapshotDocument.Pack], to text: inout MetricsText) {
        let heard = packs.filter { $0.age_ms != nil && $0.state != "lost" }
        func each(_ name: String, _ help: String, _ value: (SnapshotDocument.Pack) -> Double?) {
            text.gauge(name, help, heard.compactMap { pack in value(pack).map { (["pack": "\(pack.number)"], $0) } })
        }
        text.gauge(
            "packbridge_pack_state", "1 for the state of each pack.",
            packs.map { (["pack": "\($0.number)", "state": $0.state], 1) })
        each("packbridge_pack_age_seconds", "Since the last accepted snapshot.") { $0.age_ms.map { Double($0) / 1000 } }
        each("packbridge_pack_soc_ratio", "State of charge.") { Double($0.soc_cpct) / 10_000 }
        each("packbridge_pack_voltage_volts", "Voltage.") { milli($0.voltage_mV) }
        each("packbridge_pack_current_amperes", "Current, positive while charging.") { milli($0.current_mA) }
        each("packbridge_pack_cycles", "Full cycles counted by the BMS.") { $0.cycles.map(Double.init) }
        each("packbridge_pack_balancing", "1 while the balancer works.") { $0.balancing.map { $0 ? 1 : 0 } }
        each("packbridge_pack_charge_switch", "1 while the charge switch conducts.") { $0.charge_switch.map { $0 ? 1 : 0 } }
        each("packbridge_pack_discharge_switch", "1 while the discharge switch conducts.") {
            $0.discharge_switch.map { $0 ? 1 : 0 }
        }
        text.gauge(
            "packbridge_cell_voltage_volts", "Voltage of each cell.",
            heard.flatMap { pack in
                pack.cells_mV.enumerated().map { (["pack": "\(pack.number)", "cell": "\($0 + 1)"], Double($1) / 1000) }
            })
        text.gauge(
            "packbridge_temperature_celsius", "Each temperature sensor.",
            heard.flatMap { pack in
                pack.temperatures.compactMap { sensor in
                    sensor.dC.map {
                        (
                            ["pack": "\(pack.number)", "sensor": sensor.place == "mosfet" ? "mosfet" : "\(sensor.sensor)"],
                            Double($0) / 10
                        )
                    }
                }
            })
        text.gauge(
            "packbridge_alarm", "1 for each alarm.",
            packs.flatMap { pack in pack.alarms.map { (["pack": "\(pack.number)", "name": $0.name], 1) } })
    }

    private static func milli(_ value: Int32) -> Double { Double(value) / 1000 }
}

private struct MetricsText {
    private(set) var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: Double) { gauge(name, help, [([:], value)]) }

    mutating func gauge(_ name: String, _ help: String, _ samples: [([String: String], Double)]) {
        write(name, "gauge", help, samples.map { ($0.0, "\($0.1)") })
    }

    mutating func counter(_ name: String, _ help: String, _ value: Int64) { counter(name, help, [([:], value)]) }

    mutating func counter(_ name: String, _ help: String, _ samples: [([String: String], Int64)]) {
        write(name, "counter", help, samples.map { ($0.0, "\($0.1)") })
    }

    private mutating func write(_ name: String, _ type: String, _ help: String, _ samples: [([String: String], String)]) {
        if samples.isEmpty { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for (labels, value) in samples {
            let inner = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }
            text += name + (inner.isEmpty ? "" : "{\(inner.joined(separator: ","))}") + " \(value)\n"
        }
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
