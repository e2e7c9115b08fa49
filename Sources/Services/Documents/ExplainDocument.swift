import Battery
import BridgeEngine
import ChargeControl
import LinkClient
import NIOCore

/// One line of `packbridge explain`: the configuration in force and what each pack says (docs/explain.md).
///
/// What the BMS did not say is left out, and a sensor without a value is `null`: `explain` tightens as the bridge does.
struct ExplainDocument: Encodable {
    struct Configuration: Encodable {
        var chemistry: String
        var cells: Int32
        var bulk_mV: Int32
        var float_mV: Int32
        var rebulk_mV: Int32
        var user_charge_mA: Int32
        var user_discharge_mA: Int32
        var charge_rate_mC: Int32
        var bms_margin_pct: Int32
        var discharge_zero_mV: Int32
        var user_dvl_mV: Int32
        var rebulk_soc_cpct: Int32
        var soc_cap_pct: Int32
        var soc_ceiling_cpct: Int32?
        var soc_reserve_cpct: Int32?
        var inverter_offset_mV: Int32
        var runner_gain_tenths: Int32
        var cold_zero_dC: Int32
        var cold_reallow_dC: Int32
        var hold_ms: Int64
        var zero_ms: Int64
        var zero_current_mA: Int32
        var taper: String
        var float_mode: String
        var soc_taper: Bool
        var wire_resistance_stops: Bool

        init(_ control: ControlConfiguration) {
            chemistry = stableName(control.chemistry).uppercased()
            cells = control.cellsInSeries
            (bulk_mV, float_mV, rebulk_mV) = (control.bulk, control.float, control.rebulk)
            (user_charge_mA, user_discharge_mA) = (control.userCharge, control.userDischarge)
            (charge_rate_mC, bms_margin_pct) = (control.chargeRateMaximum, control.bmsMarginPercent)
            (discharge_zero_mV, user_dvl_mV) = (control.dischargeZeroFloor, control.userDischargeVoltage)
            (rebulk_soc_cpct, soc_cap_pct) = (control.rebulkSoC, control.socCapBeforeFull)
            (soc_ceiling_cpct, soc_reserve_cpct) = (control.socCeiling, control.socReserve)
            (inverter_offset_mV, runner_gain_tenths) = (control.inverterOffset, control.runnerGainTenths)
            (cold_zero_dC, cold_reallow_dC) = (control.coldZero, control.coldReallow)
            (hold_ms, zero_ms) = (control.hold, control.zero)
            zero_current_mA = control.inverter.zeroCurrent
            (taper, float_mode) = (stableName(control.taper), stableName(control.floatMode))
            (soc_taper, wire_resistance_stops) = (control.socTaper, control.wireResistanceStops)
        }
    }

    struct Settings: Encodable {
        var ovp_mV: Int32?
        var uvp_mV: Int32?
        var charge_ocp_mA: Int32?
        var discharge_ocp_mA: Int32?
        var ovp_release_mV: Int32?
        var uvp_release_mV: Int32?
        var charge_otp_dC: Int32?
        var charge_utp_dC: Int32?
        var discharge_otp_dC: Int32?
        var discharge_utp_dC: Int32?
        var balance_trigger_mV: Int32?

        init(_ settings: PackSettings) {
            (ovp_mV, uvp_mV) = (settings.cellOverVoltage, settings.cellUnderVoltage)
            (charge_ocp_mA, discharge_ocp_mA) = (settings.chargeOverCurrent, settings.dischargeOverCurrent)
            (ovp_release_mV, uvp_release_mV) = (settings.cellOverVoltageRelease, settings.cellUnderVoltageRelease)
            (charge_otp_dC, charge_utp_dC) = (settings.chargeOverTemperature, settings.chargeUnderTemperature)
            (discharge_otp_dC, discharge_utp_dC) = (settings.dischargeOverTemperature, settings.dischargeUnderTemperature)
            balance_trigger_mV = settings.balanceTrigger
        }
    }

    struct Pack: Encodable {
        var id: UInt8
        var capacity_mAh: Int32?
        var cells_mV: [UInt16]
        var pack_mV: Int32?
        var current_mA: Int32?
        var temps_dC: [Int32?]
        var mos_dC: Int32?
        var soc_cpct: Int32?
        var soh_cpct: Int32?
        var remaining_mAh: Int32?
        var cycles: Int32?
        var balancing: Bool?
        var settings: Settings?
        var charge_fet: Bool?
        var discharge_fet: Bool?
        var alarms: [String]?
        var bms_charge_limit_mA: Int32?
        var bms_discharge_limit_mA: Int32?
        var bms_charge_voltage_mV: Int32?
        var user_charge_mA: Int32?
        var user_discharge_mA: Int32?
        var age_ms: Int64

        init(_ pack: PackPayload, _ configured: PackConfiguration?) {
            let reading = pack.reading
            id = pack.number
            capacity_mAh = reading.full ?? reading.rated ?? configured?.capacity
            cells_mV = (0..<reading.cells.count).map { reading.cells[$0] }
            (pack_mV, current_mA) = (reading.packVoltage, reading.current)
            temps_dC = (0..<reading.cellTemperatures.count).compactMap { index in
                let isIgnored = configured.map { $0.disabledSensors & 1 << UInt8(index) != 0 } ?? false
                let sensor = reading.cellTemperatures[index]
                return isIgnored || sensor == .absent ? nil : .some(sensor.temperature)
            }
            mos_dC = reading.mosfetTemperature.temperature
            (soc_cpct, soh_cpct) = (reading.soc, reading.soh)
            (remaining_mAh, cycles, balancing) = (reading.remaining, reading.cycles, reading.balancing)
            settings = reading.settings.map(Settings.init)
            (charge_fet, discharge_fet) = (reading.chargeSwitch, reading.dischargeSwitch)
            alarms = reading.alarms?.names
            (bms_charge_limit_mA, bms_discharge_limit_mA) = (reading.dynamicChargeLimit, reading.dynamicDischargeLimit)
            bms_charge_voltage_mV = reading.dynamicChargeVoltage
            (user_charge_mA, user_discharge_mA) = (configured?.chargeLimit, configured?.dischargeLimit)
            age_ms = pack.readingAge
        }
    }

    var config: Configuration
    var packs: [Pack]

    /// Nil without the configuration in force: a guess would explain another battery.
    init?(_ snapshot: BridgeSnapshot, configurationImage: [UInt8]?) {
        guard let image = configurationImage, let control = try? BridgeConfiguration(image: image.span).control else { return nil }
        config = Configuration(control)
        packs = snapshot.packs.filter { $0.readingAge >= 0 }.map { pack in
            let index = Int(pack.number) - 1
            return Pack(pack, index < control.packs.count ? control.packs[index] : nil)
        }
    }
}

extension Hub {
    /// The present state as `packbridge explain` reads it; nil before the first snapshot.
    func explainLine() -> ByteBuffer? {
        bridgeSnapshot.flatMap { ExplainDocument($0, configurationImage: configurationImage) }.map { encode($0) }
    }
}
