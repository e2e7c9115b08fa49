import Battery

/// Sentences for people. The host and the firmware write the same ones, through `TextSink`.
extension Reason {
    /// For example "pack 2 cell 7 at 3.512 V: charge taper by cell voltage".
    public func write(to sink: inout some TextSink) {
        if place.pack != 0 {
            sink.write("pack ")
            sink.write(decimal: Int64(place.pack))
            if place.cell != 0 {
                sink.write(rule.placeIsSensor ? " sensor " : " cell ")
                sink.write(decimal: Int64(place.cell))
            }
            if rule.inputUnit != .none { sink.write(" at ") } else { sink.write(": ") }
        } else if rule.inputUnit != .none {
            sink.write("at ")
        }
        if rule.inputUnit != .none {
            rule.inputUnit.write(input, to: &sink)
            sink.write(": ")
        }
        sink.write(rule.sentence)
    }
}

/// The unit of `Reason.input`.
enum InputUnit {
    case none, volts, celsius, amps, seconds, percent, ampHours, count

    func write(_ value: Int32, to sink: inout some TextSink) {
        let v = Int64(value)
        switch self {
        case .none: break
        case .volts:
            sink.write(fixed: v, decimals: 3)
            sink.write(" V")
        case .celsius:
            sink.write(fixed: v, decimals: 1)
            sink.write(" °C")
        case .amps:
            sink.write(fixed: v / 100, decimals: 1)
            sink.write(" A")
        case .seconds:
            sink.write(decimal: (v + 999) / 1000)
            sink.write(" s")
        case .percent:
            sink.write(fixed: v / 10, decimals: 1)
            sink.write(" %")
        case .ampHours:
            sink.write(decimal: v / 1000)
            sink.write(" Ah")
        case .count: sink.write(decimal: v)
        }
    }
}

extension LimitRule {
    var placeIsSensor: Bool {
        switch self {
        case .cold, .coldLatch, .hot: true
        default: false
        }
    }

    var inputUnit: InputUnit {
        switch self {
        case .userVoltage, .bmsVoltage, .absoluteVoltage, .runnerCell, .blockedVoltage, .floorVoltage, .cellHigh,
            .cellLow, .topLatch,
            .emptyLatch, .dischargeVoltage:
            .volts
        case .cold, .coldLatch, .hot, .mosfetHot: .celsius
        case .userCurrent, .packUserCurrent, .bmsMargin, .bmsDynamic, .measuredShare, .obedience, .obedienceVoltage,
            .ramp:
            .amps
        case .stale, .extendedHold, .holdAfterCut: .seconds
        case .socCeiling, .socTaper, .socReserve: .percent
        case .cRate: .ampHours
        case .degraded, .bootLoop: .count
        case .none, .phaseVoltage, .lostVoltage, .noTemperature, .mosfetLost, .switchOff, .alarm, .share, .phaseCurrent,
            .unknownOverCurrentLimit, .cellUnknown, .joining, .equalising, .fault, .notReady, .command, .noPackConducts,
            .enableDelay, .plannedStop:
            .none
        }
    }

    /// The limiter in words, for the web page, MQTT and the log.
    public var sentence: StaticString {
        switch self {
        case .none: "nothing reduces this limit"
        case .userVoltage: "bulk voltage of the configuration"
        case .bmsVoltage: "charge voltage published by the BMS"
        case .absoluteVoltage: "cap 50 mV below the over-voltage setting of the BMS"
        case .phaseVoltage: "target of the charge phase"
        case .runnerCell: "leading cell, charge voltage lowered for it"
        case .socCeiling: "SoC ceiling reached"
        case .degraded: "packs cannot be heard, charge voltage at float"
        case .blockedVoltage: "charge blocked, voltage lowered for this inverter"
        case .obedienceVoltage: "inverter ignores the charge limit, voltage lowered"
        case .lostVoltage: "no pack can be heard, charge voltage at float"
        case .floorVoltage: "never below the rebulk voltage"
        case .userCurrent: "bank limit of the configuration"
        case .packUserCurrent: "pack limit of the configuration"
        case .bmsMargin: "margin below the over-current setting of the BMS"
        case .bmsDynamic: "limit published by the BMS"
        case .cellHigh: "charge taper by cell voltage"
        case .cellLow: "discharge taper by cell voltage"
        case .topLatch: "was full, waits for the cell to fall back"
        case .emptyLatch: "was empty, waits for the cell to recover"
        case .cold: "limit by temperature, cold"
        case .coldLatch: "was too cold to charge, waits for warmth"
        case .hot: "limit by temperature, hot"
        case .noTemperature: "a configured temperature sensor gives no value"
        case .mosfetHot: "MOSFET temperature"
        case .mosfetLost: "the MOSFET sensor gives no value any more"
        case .switchOff: "the BMS has switched this direction off"
        case .alarm: "the BMS reports a protection"
        case .stale: "data of this pack are old"
        case .share: "sum of the packs' limits"
        case .measuredShare: "this pack carries more than its limit"
        case .socTaper: "taper by SoC"
        case .socReserve: "reserve for outages reached"
        case .phaseCurrent: "charge finished, resting"
        case .obedience: "inverter ignores the limit"
        case .cRate: "highest C-rate of the configuration"
        case .unknownOverCurrentLimit: "over-current setting of the BMS unknown"
        case .cellUnknown: "snapshot not believed"
        case .joining: "pack is joining"
        case .equalising: "packs equalise their voltages"
        case .fault: "severe fault"
        case .notReady: "not ready yet"
        case .holdAfterCut: "limits rise 30 s after a cut"
        case .ramp: "on the way to its bound"
        case .command: "ordered by the owner"
        case .dischargeVoltage: "bank voltage below the discharge limit"
        case .noPackConducts: "no pack conducts in this direction"
        case .bootLoop: "several restarts within minutes"
        case .enableDelay: "permission returns after 10 s"
        case .extendedHold: "data of this pack are old, reduced limit held"
        case .plannedStop: "the bridge is about to stop or restart"
        }
    }
}

extension Waiting {
    /// What the phase waits for, with the missing amount: "charge current to fall by 2.4 A".
    public func write(amount: Int32, to sink: inout some TextSink) {
        sink.write(sentence)
        switch unit {
        case .none: break
        default:
            sink.write(" ")
            unit.write(amount, to: &sink)
        }
    }

    private var unit: InputUnit {
        switch self {
        case .cellVoltage, .floatRamp: .volts
        case .tailCurrent, .inverterObeys: .amps
        case .otherPacks, .calm, .absorbTime, .balancing, .rebulkVoltage: .seconds
        case .rebulkSoC: .percent
        case .temperature: .celsius
        case .nothing, .firstSnapshot, .agreeingSnapshots, .fullChargeDay, .switchOn, .alarmClear, .freshData,
            .userResume:
            .none
        }
    }

    private var sentence: StaticString {
        switch self {
        case .nothing: "nothing"
        case .firstSnapshot: "the first complete data of a BMS"
        case .agreeingSnapshots: "agreeing data of a BMS"
        case .otherPacks: "the other packs, for at most"
        case .cellVoltage: "the highest cell to rise by"
        case .tailCurrent: "the charge current to fall by"
        case .calm: "calm near full, for another"
        case .absorbTime: "the absorption time, at most another"
        case .balancing: "the balancer, at most another"
        case .floatRamp: "the charge voltage to come down by"
        case .rebulkVoltage: "a low cell voltage to last, not before"
        case .rebulkSoC: "the SoC to fall by"
        case .fullChargeDay: "the day of the next full charge"
        case .temperature: "a temperature that allows charging, now"
        case .switchOn: "the BMS to switch charging on"
        case .alarmClear: "the alarm of the BMS to clear"
        case .freshData: "fresh data"
        case .userResume: "the owner: charging is paused or its limit is 0"
        case .inverterObeys: "the inverter to obey, it charges with"
        }
    }
}

extension Phase {
    public var sentence: StaticString {
        switch self {
        case .initial: "starting"
        case .bulk: "bulk"
        case .absorb: "absorption"
        case .float: "float"
        case .rest: "rest"
        case .hold: "hold"
        }
    }
}

extension PackState {
    public var sentence: StaticString {
        switch self {
        case .absent: "not heard since start"
        case .joining: "joining"
        case .active: "active"
        case .chargeOff: "charge switch off"
        case .dischargeOff: "discharge switch off"
        case .isolated: "isolated"
        case .suspect: "data doubtful"
        case .lost: "lost"
        case .excluded: "excluded by the owner"
        case .fault: "fault"
        }
    }
}
