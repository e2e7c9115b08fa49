import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import LinkClient

/// What this process adds to a snapshot from what it saw before.
struct SnapshotContext: Sendable {
    var name = "PackBridge"
    var packNames: [String] = []
    var receivedAt: Int64 = 0
    var averageCurrent: Int64 = 0
    var lostMessages: UInt64 = 0
    var interval: Int64?
    var configuredCharge: Int32?
    var configuredDischarge: Int32?
    /// The packs on each BMS line.
    var packsOfLines: [[UInt8]] = []
    var chargeVoltageSince: Int64?
    var chargeCurrentSince: Int64?
    var dischargeCurrentSince: Int64?
    var phaseSince: Int64?
    var health = SnapshotDocument.Health.unknown
    var commands: [SnapshotDocument.ActiveCommand] = []
}

extension SnapshotDocument {
    init(_ snapshot: BridgeSnapshot, _ context: SnapshotContext) {
        let bank = snapshot.bank
        self.init(
            snapshot: bank.snapshot, time_ms: context.receivedAt, name: context.name, health: context.health,
            control: Control(
                uptime_s: bank.at.since(bank.started) / 1000, generation: bank.generation, may_transmit: bank.mayTransmit,
                lost_messages: context.lostMessages, snapshot_interval_ms: context.interval),
            bank: Bank(bank, averageCurrent: context.averageCurrent),
            limits: Limits(bank, context),
            phase: PhaseState(
                name: stableName(bank.phase), remembered: stableName(bank.rememberedPhase), since_ms: context.phaseSince,
                waiting: Waiting(
                    for: stableName(bank.waiting), text: wording { bank.waiting.write(amount: bank.waitingAmount, to: &$0) },
                    amount: bank.waitingAmount),
                prevented_full_by: bank.preventsFull == .unknown
                    ? nil : Place(pack: bank.preventsFull.pack, cell: bank.preventsFull.cell)),
            warnings: Named.list(bank.warnings),
            packs: snapshot.packs.map { Pack($0, names: context.packNames) },
            bms_ports: snapshot.bmsPorts.map { BMSPort($0, context) },
            inverters: snapshot.inverterPorts.map(Inverter.init),
            commands: context.commands)
    }
}

extension SnapshotDocument.Named {
    static func list(_ warnings: Warnings) -> [Self] {
        Warnings.table.filter { warnings.contains($0.warning) }.map { Self(name: $0.name, text: $0.words) }
    }

    static func list(_ alarms: Alarms) -> [Self] {
        Alarms.table.filter { alarms.contains($0.alarm) }.map { Self(name: $0.name, text: $0.words) }
    }
}

extension SnapshotDocument.Health {
    static let unknown = Self(
        overall: .unknown, link: .unknown, bms: .unknown, can: .unknown, heartbeat: .unknown, history: .unknown, problems: [])
}

extension SnapshotDocument.Bank {
    init(_ bank: BankPayload, averageCurrent: Int64) {
        let report = bank.report
        // Less than 0.5 % of an hour's charge is not a direction, it is noise.
        let noticeable = max(500, Int64(report.full) / 200)
        let missing = Int64(report.full - report.remaining)
        func cell(_ value: Millivolts, _ place: CellPlace) -> SnapshotDocument.CellValue? {
            place.pack == 0 ? nil : .init(mV: value, pack: place.pack, cell: place.cell)
        }
        func sensor(_ value: Decidegrees?, _ place: CellPlace) -> SnapshotDocument.SensorValue? {
            value.map { .init(dC: $0, pack: place.pack, sensor: place.cell) }
        }
        let highest = cell(report.highestCell, report.highestCellPlace)
        let lowest = cell(report.lowestCell, report.lowestCellPlace)
        self.init(
            soc_cpct: report.socFine, soh_pct: report.soh, voltage_mV: report.voltage, current_mA: report.current,
            power_W: power(report.voltage, report.current),
            time_to_full_s: averageCurrent >= noticeable && missing > 0 ? missing * 3600 / averageCurrent : nil,
            time_to_empty_s: averageCurrent <= -noticeable ? Int64(report.remaining) * 3600 / -averageCurrent : nil,
            remaining_mAh: report.remaining, full_mAh: report.full, rated_mAh: report.rated, cycles: report.cycles,
            balancing: report.balancing, chemistry: stableName(report.chemistry), cells_in_series: report.cellsInSeries,
            temperature_dC: report.temperature, highest_cell: highest, lowest_cell: lowest,
            cell_delta_mV: highest != nil && lowest != nil ? report.highestCell - report.lowestCell : nil,
            highest_temperature: sensor(report.highestTemperature, report.highestTemperaturePlace),
            lowest_temperature: sensor(report.lowestTemperature, report.lowestTemperaturePlace),
            packs_online: report.packsOnline, packs_expected: report.packsExpected, packs_offline: report.packsOffline,
            packs_blocking_charge: report.packsBlockingCharge, packs_blocking_discharge: report.packsBlockingDischarge,
            energy_charged_Wh: report.energyCharged, energy_discharged_Wh: report.energyDischarged,
            protections: SnapshotDocument.Named.list(report.protections),
            alarms: SnapshotDocument.Named.list(report.warnings), stage: stableName(bank.stage))
    }
}

/// Watts, rounded towards zero.
private func power(_ voltage: Millivolts, _ current: Milliamps) -> Int32 {
    Int32(clamping: Int64(voltage) * Int64(current) / 1_000_000)
}

extension SnapshotDocument.Limits {
    init(_ bank: BankPayload, _ context: SnapshotContext) {
        let report = bank.report
        let table: [(ChargeRequests, String)] = [
            (.forceCharge1, "force_charge_1"), (.forceCharge2, "force_charge_2"), (.fullCharge, "full_charge"),
        ]
        self.init(
            charge_voltage: .init(
                mV: report.chargeVoltageLimit, reason: .init(bank.voltageReason, since: context.chargeVoltageSince)),
            discharge_voltage: .init(mV: report.dischargeVoltageLimit),
            charge_current: .init(
                mA: report.chargeCurrentLimit, configured_mA: context.configuredCharge, enabled: report.chargeEnabled,
                reason: .init(bank.chargeReason, since: context.chargeCurrentSince)),
            discharge_current: .init(
                mA: report.dischargeCurrentLimit, configured_mA: context.configuredDischarge, enabled: report.dischargeEnabled,
                reason: .init(bank.dischargeReason, since: context.dischargeCurrentSince)),
            requests: table.filter { report.requests.contains($0.0) }.map(\.1))
    }
}

extension SnapshotDocument.LimitReason {
    init(_ reason: Reason, since: Int64? = nil) {
        self.init(
            rule: stableName(reason.rule), text: wording { reason.write(to: &$0) },
            pack: reason.place.pack == 0 ? nil : reason.place.pack,
            cell: reason.place.cell == 0 ? nil : reason.place.cell, input: reason.input, bound: reason.bound, since_ms: since)
    }
}

extension SnapshotDocument.Pack {
    init(_ pack: PackPayload, names: [String]) {
        let status = pack.status
        let reading = pack.reading
        let index = Int(pack.number) - 1
        var cells: [UInt16] = []
        for i in 0..<reading.cells.count { cells.append(reading.cells[i]) }
        var temperatures: [SnapshotDocument.Temperature] = []
        func add(_ sensor: SensorReading, _ place: String, _ number: UInt8) {
            if sensor != .absent { temperatures.append(.init(place: place, sensor: number, dC: sensor.temperature)) }
        }
        for i in 0..<reading.cellTemperatures.count { add(reading.cellTemperatures[i], "cell", UInt8(i + 1)) }
        add(reading.mosfetTemperature, "mosfet", 0)
        let hasCells = status.highestCellNumber > 0 && status.lowestCellNumber > 0
        self.init(
            number: pack.number, name: names.indices.contains(index) ? names[index] : "Pack \(pack.number)",
            state: stableName(status.state), stage: stableName(status.stage), age_ms: status.age < 0 ? nil : status.age,
            voltage_mV: status.voltage, current_mA: status.current, power_W: power(status.voltage, status.current),
            soc_cpct: status.soc, soh_cpct: reading.soh, remaining_mAh: reading.remaining, full_mAh: reading.full,
            rated_mAh: reading.rated, cycles: reading.cycles,
            charge_limit: .init(mA: status.chargeLimit, reason: .init(status.chargeReason)),
            discharge_limit: .init(mA: status.dischargeLimit, reason: .init(status.dischargeReason)),
            charge_switch: reading.chargeSwitch, discharge_switch: reading.dischargeSwitch, balancing: reading.balancing,
            cells_mV: cells,
            highest_cell: hasCells ? .init(mV: status.highestCell, cell: status.highestCellNumber) : nil,
            lowest_cell: hasCells ? .init(mV: status.lowestCell, cell: status.lowestCellNumber) : nil,
            cell_delta_mV: hasCells ? status.highestCell - status.lowestCell : nil, temperatures: temperatures,
            alarms: SnapshotDocument.Named.list(status.alarms), warnings: SnapshotDocument.Named.list(status.warnings),
            uptime_s: reading.uptime.map { $0 / 1000 }, settings: reading.settings.map(SnapshotDocument.Settings.init))
    }
}

extension SnapshotDocument.Settings {
    init(_ settings: PackSettings) {
        self.init(
            cell_over_voltage_mV: settings.cellOverVoltage, cell_over_voltage_release_mV: settings.cellOverVoltageRelease,
            cell_under_voltage_mV: settings.cellUnderVoltage,
            cell_under_voltage_release_mV: settings.cellUnderVoltageRelease,
            pack_over_voltage_mV: settings.packOverVoltage, pack_under_voltage_mV: settings.packUnderVoltage,
            charge_over_current_mA: settings.chargeOverCurrent, discharge_over_current_mA: settings.dischargeOverCurrent,
            charge_over_temperature_dC: settings.chargeOverTemperature,
            charge_under_temperature_dC: settings.chargeUnderTemperature,
            discharge_over_temperature_dC: settings.dischargeOverTemperature,
            discharge_under_temperature_dC: settings.dischargeUnderTemperature,
            mosfet_over_temperature_dC: settings.mosfetOverTemperature,
            box_over_temperature_dC: settings.boxOverTemperature, balance_start_mV: settings.balanceStart,
            balance_trigger_mV: settings.balanceTrigger, cell_count: settings.cellCount,
            charge_enabled: settings.chargeEnabled, discharge_enabled: settings.dischargeEnabled,
            balancer_enabled: settings.balancerEnabled)
    }
}

extension SnapshotDocument.BMSPort {
    init(_ port: BMSPortPayload, _ context: SnapshotContext) {
        let counters = port.counters
        let line = Int(port.number) - 1
        self.init(
            number: port.number, protocol: stableName(port.bmsProtocol),
            packs: context.packsOfLines.indices.contains(line) ? context.packsOfLines[line] : nil, open: port.isOpen,
            bytes: counters.bytes,
            snapshots: UInt64(counters.snapshots), timeouts: UInt64(counters.timeouts), reopens: UInt64(counters.reopens),
            rejections: FrameRejection.allCases.compactMap { cause in
                let count = counters.rejections[Int(cause.rawValue)]
                return count == 0 ? nil : .init(name: stableName(cause), count: UInt64(count))
            })
    }
}

extension SnapshotDocument.Inverter {
    init(_ port: InverterPortPayload) {
        let counters = port.counters
        var frames: [SnapshotDocument.Frame] = []
        for i in 0..<port.frames.count {
            frames.append(SnapshotDocument.Frame(port.frames[i], port.language.dialect.map(SignalTable.of) ?? []))
        }
        self.init(
            number: port.number, dialect: stableName(port.language), state: stableName(port.state),
            heartbeat_age_ms: port.heartbeatAge < 0 ? nil : port.heartbeatAge, sets: UInt64(counters.sets),
            sent: UInt64(counters.sent), busy: UInt64(counters.busy), dropped: UInt64(counters.dropped),
            received: UInt64(counters.received), heartbeats: UInt64(counters.heartbeats), bus_offs: UInt64(counters.busOffs),
            restarts: UInt64(counters.restarts), frames: frames)
    }
}

/// The signals of a dialect, collected once.
private enum SignalTable {
    private static let tables: [[Signal]] = DialectName.allCases.map { dialect in
        var signals: [Signal] = []
        dialect.signals { signals.append($0) }
        return signals
    }

    static func of(_ dialect: DialectName) -> [Signal] {
        DialectName.allCases.firstIndex(of: dialect).map { tables[$0] } ?? []
    }
}

extension SnapshotDocument.Frame {
    init(_ frame: CANFrame, _ signals: [Signal]) {
        let digits = Array("0123456789ABCDEF")
        var data = ""
        for i in 0..<Int(frame.length) {
            data.append(digits[Int(frame[i] >> 4)])
            data.append(digits[Int(frame[i] & 15)])
        }
        var values: [SnapshotDocument.SignalValue] = []
        var text: (name: String, bytes: [UInt8])?
        for signal in signals {
            guard let raw = signal.raw(in: frame) else { continue }
            if signal.part >= 0 {
                // The bytes of a text field follow one another in the table.
                text = ("\(signal.name)", (text?.bytes ?? []) + [UInt8(truncatingIfNeeded: raw)])
            } else {
                values.append(.init(name: "\(signal.name)", value: wording { signal.writeValue(raw, to: &$0) }))
            }
        }
        if let text {
            let printable = text.bytes.map { (32..<127).contains($0) ? Character(UnicodeScalar($0)) : "." }
            values.append(.init(name: text.name, value: String(printable)))
        }
        self.init(id: String(frame.id, radix: 16, uppercase: true), data: data, signals: values)
    }
}

/// What the core writes, as a string.
func wording(_ write: (inout StringSink) -> Void) -> String {
    var sink = StringSink()
    write(&sink)
    return String(decoding: sink.bytes, as: UTF8.self)
}

struct StringSink: TextSink {
    var bytes: [UInt8] = []

    mutating func write(_ byte: UInt8) {
        bytes.append(byte)
    }
}
