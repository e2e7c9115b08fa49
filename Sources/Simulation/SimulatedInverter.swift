import InverterDialects

/// How a simulated inverter treats what the battery tells it.
public enum InverterModel: String, CaseIterable, Sendable {
    /// Does what it is told, at once.
    case obedient
    /// Acts on what it heard 8 s ago and moves its current by 10 A/s.
    case laggy
    /// Charges with its own maximum whatever CCL says; obeys CVL and the enable flag.
    case ignoresChargeLimit = "ignores-ccl"
    /// Exports the battery to the grid when CVL is below the present voltage (charge-control.md §5.4).
    case dumpsToGrid = "dumps"
    /// Sends no heartbeat.
    case silent
    /// Cuts its output for a minute on a protection bit or after 10 s without frames (Growatt SPF with battery type Li).
    case cutsOutput = "cuts"
}

/// A hybrid inverter at the other end of the bus: hears frames, charges and discharges the bank.
public struct SimulatedInverter: Sendable {
    public var model: InverterModel
    public var dialect: DialectName
    /// Amperes that its charger and its inverter can move at most.
    public var maximumCharge = 100.0
    public var maximumDischarge = 120.0
    /// It takes a limit of exactly 0 for "not told" and stays at the last other one (charge-control.md §7.6).
    public var ignoresZero = false
    private var lastCharge: Int32 = 0
    private var lastDischarge: Int32 = 0

    /// What it last heard.
    public private(set) var heard = HeardFrames()
    /// Milliseconds; −1 = never.
    public private(set) var lastHeard: Int64 = -1
    public private(set) var current = 0.0
    public private(set) var outputIsCut = false
    /// Seconds in which the house had no power although it asked for some.
    public private(set) var darkSeconds = 0
    private var cutUntil: Int64 = 0
    private var past: [HeardFrames]
    private var pastIndex = 0

    public init(model: InverterModel, dialect: DialectName) {
        self.model = model
        self.dialect = dialect
        past = Array(repeating: HeardFrames(), count: 8)
    }

    public mutating func hear(_ frame: CANFrame, at now: Int64) {
        if heard.hear(frame, dialect: dialect) != .limits { return }
        lastHeard = now
        if !ignoresZero { return }
        if heard.chargeLimit == 0 { heard.chargeLimit = lastCharge }
        if heard.dischargeLimit == 0 { heard.dischargeLimit = lastDischarge }
        (lastCharge, lastDischarge) = (heard.chargeLimit, heard.dischargeLimit)
    }

    /// The amperes that it moves in the next second. `source` is the bank as it sees it: volts at zero current and ohms.
    public mutating func step(
        at now: Int64, sun: Double, load: Double, charging: (volts: Double, ohms: Double)?,
        discharging: (volts: Double, ohms: Double)?
    ) -> Double {
        let obeyed: HeardFrames
        if model == .laggy {
            obeyed = past[pastIndex]
            past[pastIndex] = heard
            pastIndex = (pastIndex + 1) & 7
        } else {
            obeyed = heard
        }
        let silentFor = lastHeard < 0 ? Int64.max : now - lastHeard
        if model == .cutsOutput && (heard.protections != 0 || silentFor > 10_000) { cutUntil = now + 60_000 }
        outputIsCut = now < cutUntil || silentFor > 60_000

        var wanted = 0.0
        let surplus = sun - load
        if !outputIsCut && obeyed.hasLimits {
            if surplus > 0, let charging, obeyed.chargeEnabled {
                let limit =
                    model == .ignoresChargeLimit ? maximumCharge : min(maximumCharge, Double(obeyed.chargeLimit) / 10)
                let ceiling = Double(obeyed.chargeVoltage) / 10
                // Constant current until the voltage at this current would pass CVL, then constant voltage.
                let fromVoltage = (ceiling - charging.volts) / charging.ohms
                wanted = max(0, min(surplus / charging.volts, limit, fromVoltage))
            } else if surplus < 0, let discharging, obeyed.dischargeEnabled {
                let limit = min(maximumDischarge, Double(obeyed.dischargeLimit) / 10)
                wanted = -min(-surplus / discharging.volts, limit)
                if obeyed.dischargeVoltage > 0 && discharging.volts < Double(obeyed.dischargeVoltage) / 10 {
                    wanted = 0
                }
            }
            if model == .dumpsToGrid, let discharging, obeyed.dischargeEnabled,
                discharging.volts > Double(obeyed.chargeVoltage) / 10 + 0.2
            {
                wanted = -min(50, Double(obeyed.dischargeLimit) / 10)
            }
        }
        if surplus < 0 && wanted == 0 { darkSeconds += 1 }
        if model == .laggy {
            current += max(-10, min(10, wanted - current))
        } else {
            current = wanted
        }
        return current
    }

    /// The heartbeat it sends once a second; nil for a silent one.
    public var heartbeat: CANFrame? {
        if model == .silent { return nil }
        return dialect == .growatt
            ? CANFrame(id: 0x301, length: 8, word: 0x8877_6655_4433_2211) : CANFrame(id: 0x305, length: 8, word: 0)
    }
}
