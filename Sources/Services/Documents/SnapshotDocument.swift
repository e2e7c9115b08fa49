/// The present state of the bank as `/api/v1/snapshot`, the live stream and MQTT give it (docs/openapi.yaml).
///
/// Numbers are integers in the unit that the end of the name says: mV, mA, mAh, W, Wh, dC (0.1 °C), cpct (0.01 %), pct, ms, s.
/// What is unknown is absent. Currents and power are positive while charging. Packs, cells, sensors and ports count from 1.
public struct SnapshotDocument: Codable, Equatable, Sendable {
    /// Counts up with every snapshot of the control process.
    public var snapshot: UInt32
    /// Wall clock when it arrived.
    public var time_ms: Int64
    public var name: String
    public var health: Health
    public var control: Control
    public var bank: Bank
    public var limits: Limits
    public var phase: PhaseState
    public var warnings: [Named]
    public var packs: [Pack]
    public var bms_ports: [BMSPort]
    public var inverters: [Inverter]
    /// Orders that are still in force.
    public var commands: [ActiveCommand]

    /// A thing by its stable name, with the English sentence for a person.
    public struct Named: Codable, Equatable, Sendable {
        public var name: String
        public var text: String
    }

    /// One word for each thing that can break: `ok`, `degraded`, `lost` or `unknown`.
    public struct Health: Codable, Equatable, Sendable {
        public enum State: String, Codable, Sendable, CaseIterable {
            case ok, degraded, lost, unknown
        }
        public var overall: State
        /// Between this process and the control process.
        public var link: State
        public var bms: State
        public var can: State
        /// Whether the inverter answers.
        public var heartbeat: State
        public var history: State
        /// What is wrong, most important first.
        public var problems: [String]
    }

    public struct Control: Codable, Equatable, Sendable {
        public var uptime_s: Int64
        public var generation: UInt32
        /// False until the first complete snapshot of every pack: nothing is sent to the inverter.
        public var may_transmit: Bool
        /// Messages of the control process that did not arrive since this process started.
        public var lost_messages: UInt64
        public var snapshot_interval_ms: Int64?
    }

    public struct Bank: Codable, Equatable, Sendable {
        public var soc_cpct: Int32
        public var soh_pct: Int32
        public var voltage_mV: Int32
        public var current_mA: Int32
        public var power_W: Int32
        /// At the average current of the last minute; absent when it is not charging (discharging).
        public var time_to_full_s: Int64?
        public var time_to_empty_s: Int64?
        public var remaining_mAh: Int32
        public var full_mAh: Int32
        public var rated_mAh: Int32
        public var cycles: Int32
        public var balancing: Bool
        public var chemistry: String
        public var cells_in_series: Int32
        /// The sensor closest to one of its limits.
        public var temperature_dC: Int32?
        public var highest_cell: CellValue?
        public var lowest_cell: CellValue?
        public var cell_delta_mV: Int32?
        public var highest_temperature: SensorValue?
        public var lowest_temperature: SensorValue?
        public var packs_online: Int32
        public var packs_expected: Int32
        public var packs_offline: Int32
        public var packs_blocking_charge: Int32
        public var packs_blocking_discharge: Int32
        public var energy_charged_Wh: Int64
        public var energy_discharged_Wh: Int64
        /// What the inverter is told has tripped, and what it is warned of.
        public var protections: [Named]
        public var alarms: [Named]
        /// `fresh`, `keep`, `derate` or `lost`: how old the worst pack's data are.
        public var stage: String
    }

    public struct CellValue: Codable, Equatable, Sendable {
        public var mV: Int32
        public var pack: UInt8
        public var cell: UInt8
    }

    public struct SensorValue: Codable, Equatable, Sendable {
        public var dC: Int32
        public var pack: UInt8
        public var sensor: UInt8
    }

    /// What the inverter is being told, and why.
    public struct Limits: Codable, Equatable, Sendable {
        public var charge_voltage: VoltageLimit
        public var discharge_voltage: VoltageLimit
        public var charge_current: CurrentLimit
        public var discharge_current: CurrentLimit
        /// `force_charge_1`, `force_charge_2`, `full_charge`.
        public var requests: [String]
    }

    public struct VoltageLimit: Codable, Equatable, Sendable {
        public var mV: Int32
        public var reason: LimitReason?
    }

    public struct CurrentLimit: Codable, Equatable, Sendable {
        public var mA: Int32
        /// What the owner allows; absent until the control process has told its configuration.
        public var configured_mA: Int32?
        public var enabled: Bool
        public var reason: LimitReason
    }

    /// The binding limiter.
    public struct LimitReason: Codable, Equatable, Sendable {
        /// Stable name, for example `cell_high`.
        public var rule: String
        public var text: String
        public var pack: UInt8?
        /// Cell or sensor, as the rule means.
        public var cell: UInt8?
        /// The value that decided, in the unit that the rule looks at.
        public var input: Int32
        /// The bound that the rule gives, mV or mA.
        public var bound: Int32
        /// Since when this reason binds.
        public var since_ms: Int64?
    }

    public struct PhaseState: Codable, Equatable, Sendable {
        /// `initial`, `bulk`, `absorb`, `float`, `rest` or `hold`.
        public var name: String
        /// The phase behind `hold`.
        public var remembered: String
        public var since_ms: Int64?
        public var waiting: Waiting
        /// The cell because of which the last charge ended early.
        public var prevented_full_by: Place?
    }

    public struct Waiting: Codable, Equatable, Sendable {
        /// Stable name, for example `tail_current`.
        public var `for`: String
        public var text: String
        /// ms, mV or mA, as the name means.
        public var amount: Int32
    }

    public struct Place: Codable, Equatable, Sendable {
        public var pack: UInt8
        public var cell: UInt8
    }

    public struct Pack: Codable, Equatable, Sendable {
        public var number: UInt8
        public var name: String
        /// `absent`, `joining`, `active`, `charge_off`, `discharge_off`, `isolated`, `suspect`, `lost`, `excluded` or `fault`.
        public var state: String
        public var stage: String
        /// Since the last accepted snapshot; absent = never.
        public var age_ms: Int64?
        public var voltage_mV: Int32
        public var current_mA: Int32
        public var power_W: Int32
        public var soc_cpct: Int32
        public var soh_cpct: Int32?
        public var remaining_mAh: Int32?
        public var full_mAh: Int32?
        public var rated_mAh: Int32?
        public var cycles: Int32?
        public var charge_limit: CurrentBound
        public var discharge_limit: CurrentBound
        public var charge_switch: Bool?
        public var discharge_switch: Bool?
        public var balancing: Bool?
        /// Cell 1 first; 0 = a broken sense wire.
        public var cells_mV: [UInt16]
        public var highest_cell: CellOfPack?
        public var lowest_cell: CellOfPack?
        public var cell_delta_mV: Int32?
        public var temperatures: [Temperature]
        public var alarms: [Named]
        public var warnings: [Named]
        public var uptime_s: Int64?
        public var settings: Settings?
    }

    public struct CurrentBound: Codable, Equatable, Sendable {
        public var mA: Int32
        public var reason: LimitReason
    }

    public struct CellOfPack: Codable, Equatable, Sendable {
        public var mV: Int32
        public var cell: UInt8
    }

    public struct Temperature: Codable, Equatable, Sendable {
        /// `cell` or `mosfet`.
        public var place: String
        /// From 1; 0 for the MOSFET sensor.
        public var sensor: UInt8
        /// Absent when the sensor is broken.
        public var dC: Int32?
    }

    /// The protection settings stored in the BMS, as far as it told them.
    public struct Settings: Codable, Equatable, Sendable {
        public var cell_over_voltage_mV: Int32?
        public var cell_over_voltage_release_mV: Int32?
        public var cell_under_voltage_mV: Int32?
        public var cell_under_voltage_release_mV: Int32?
        public var pack_over_voltage_mV: Int32?
        public var pack_under_voltage_mV: Int32?
        public var charge_over_current_mA: Int32?
        public var discharge_over_current_mA: Int32?
        public var charge_over_temperature_dC: Int32?
        public var charge_under_temperature_dC: Int32?
        public var discharge_over_temperature_dC: Int32?
        public var discharge_under_temperature_dC: Int32?
        public var mosfet_over_temperature_dC: Int32?
        public var box_over_temperature_dC: Int32?
        public var balance_start_mV: Int32?
        public var balance_trigger_mV: Int32?
        public var cell_count: Int32?
        public var charge_enabled: Bool?
        public var discharge_enabled: Bool?
        public var balancer_enabled: Bool?
    }

    public struct BMSPort: Codable, Equatable, Sendable {
        public var number: UInt8
        public var `protocol`: String
        /// Packs on this line; absent until the control process has told its configuration.
        public var packs: [UInt8]?
        public var open: Bool
        public var bytes: UInt64
        public var snapshots: UInt64
        public var timeouts: UInt64
        public var reopens: UInt64
        /// Rejected replies by cause.
        public var rejections: [Count]
    }

    public struct Count: Codable, Equatable, Sendable {
        public var name: String
        public var count: UInt64
    }

    public struct Inverter: Codable, Equatable, Sendable {
        public var number: UInt8
        public var dialect: String
        /// `closed`, `active`, `warning`, `passive` or `bus_off`.
        public var state: String
        /// Absent = the inverter has never answered.
        public var heartbeat_age_ms: Int64?
        public var sets: UInt64
        public var sent: UInt64
        public var busy: UInt64
        public var dropped: UInt64
        public var received: UInt64
        public var heartbeats: UInt64
        public var bus_offs: UInt64
        public var restarts: UInt64
        /// The present set, as the inverter sees it.
        public var frames: [Frame]
    }

    public struct Frame: Codable, Equatable, Sendable {
        /// `351`, in hex as on the bus.
        public var id: String
        /// Hex, data byte 0 first.
        public var data: String
        public var signals: [SignalValue]
    }

    public struct SignalValue: Codable, Equatable, Sendable {
        public var name: String
        /// A decimal number as text, exact.
        public var value: String
    }

    public struct ActiveCommand: Codable, Equatable, Sendable {
        public var order: String
        /// mA or 0.01 %.
        public var value: Int32?
        public var until_ms: Int64
        /// Who gave it: `web`, `mqtt` or the name of a token; absent when it did not go through this process.
        public var by: String?
    }
}
