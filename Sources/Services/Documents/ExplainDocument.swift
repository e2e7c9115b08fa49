import Battery
import BridgeEngine
import ChargeControl
import LinkClient
import NIOCore

/// One line of `packbridge explain`: the configuration in force and what each pack says.
struct ExplainDocument: Encodable {
    struct Configuration: Encodable {
        var chemistry: String
        var cells: Int32
        var bulk_mV: Int32
        var float_mV: Int32
        var rebulk_mV: Int32
        var user_charge_mA: Int32
        var user_discharge_mA: Int32
    }

    struct Settings: Encodable {
        var ovp_mV: Int32?
        var uvp_mV: Int32?
        var charge_ocp_mA: Int32?
        var discharge_ocp_mA: Int32?
    }

    struct Pack: Encodable {
        var id: UInt8
        var capacity_mAh: Int32?
        var cells_mV: [UInt16]
        var pack_mV: Int32?
        var current_mA: Int32?
        var temps_dC: [Int32]
        var mos_dC: Int32?
        var soc_cpct: Int32?
        var settings: Settings?
        var charge_fet: Bool?
        var discharge_fet: Bool?
        var alarms: [String]
        var age_ms: Int64
    }

    var config: Configuration?
    var packs: [Pack]

    init(_ snapshot: BridgeSnapshot, configurationImage: [UInt8]?) {
        if let image = configurationImage, let control = try? BridgeConfiguration(image: image.span).control {
            config = Configuration(
                chemistry: stableName(control.chemistry).uppercased(), cells: control.cellsInSeries, bulk_mV: control.bulk,
                float_mV: control.float, rebulk_mV: control.rebulk, user_charge_mA: control.userCharge,
                user_discharge_mA: control.userDischarge)
        }
        packs = snapshot.packs.compactMap { pack in
            // A pack that was never heard has nothing to explain.
            if pack.readingAge < 0 { return nil }
            let reading = pack.reading
            var cells: [UInt16] = []
            for i in 0..<reading.cells.count { cells.append(reading.cells[i]) }
            var temperatures: [Int32] = []
            for i in 0..<reading.cellTemperatures.count {
                if let value = reading.cellTemperatures[i].temperature { temperatures.append(value) }
            }
            return Pack(
                id: pack.number, capacity_mAh: reading.full ?? reading.rated, cells_mV: cells, pack_mV: reading.packVoltage,
                current_mA: reading.current, temps_dC: temperatures, mos_dC: reading.mosfetTemperature.temperature,
                soc_cpct: reading.soc,
                settings: reading.settings.map {
                    Settings(
                        ovp_mV: $0.cellOverVoltage, uvp_mV: $0.cellUnderVoltage, charge_ocp_mA: $0.chargeOverCurrent,
                        discharge_ocp_mA: $0.dischargeOverCurrent)
                }, charge_fet: reading.chargeSwitch, discharge_fet: reading.dischargeSwitch, alarms: pack.status.alarms.names,
                age_ms: pack.readingAge)
        }
    }
}

extension Hub {
    /// The present state as `packbridge explain` reads it; nil before the first snapshot.
    func explainLine() -> ByteBuffer? {
        bridgeSnapshot.map { encode(ExplainDocument($0, configurationImage: configurationImage)) }
    }
}
