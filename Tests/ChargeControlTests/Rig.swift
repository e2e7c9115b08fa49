import Battery

@testable import ChargeControl

/// A bank on a virtual clock: what the packs say, said once a second to a real controller.
struct Rig {
    var controller: Controller
    var packs: [PackReading]
    /// Packs that answer.
    var answers: [Bool]
    /// The units send a counter that advances.
    var hasCounter = true
    var now: Instant
    /// Everything that was told, one entry per tick.
    private(set) var history: [Told] = []
    private var uptime: Milliseconds = 1_000_000

    struct Told {
        var at: Instant
        var cvl: Millivolts
        var ccl: Milliamps
        var dcl: Milliamps
        var chargeEnabled: Bool
        var dischargeEnabled: Bool
        var mayTransmit: Bool
        var soc: Int32
    }

    init(
        _ configuration: ControlConfiguration = .reference(), packs: [PackReading] = [.reference()],
        record: ControlRecord? = nil,
        recentBoots: Int32 = 0, start: Milliseconds = 0
    ) {
        now = Instant(milliseconds: start)
        var configuration = configuration
        while configuration.packs.count < packs.count { configuration.packs.append(PackConfiguration()) }
        self.packs = packs
        answers = packs.map { _ in true }
        controller = Controller(configuration: configuration, record: record, recentBoots: recentBoots, at: now)
    }

    var output: ControlOutput { controller.output }
    var report: BankReport { controller.output.report }

    /// One second passes and every pack that answers is heard.
    mutating func second() {
        now = now + 1000
        uptime += 1000
        for i in packs.indices where answers[i] {
            packs[i].uptime = hasCounter ? uptime : nil
            packs[i].uptimeResolution = 1000
            controller.accept(packs[i], pack: i, at: now)
        }
        controller.tick(at: now)
        history.append(
            Told(
                at: now, cvl: report.chargeVoltageLimit, ccl: report.chargeCurrentLimit,
                dcl: report.dischargeCurrentLimit,
                chargeEnabled: report.chargeEnabled, dischargeEnabled: report.dischargeEnabled,
                mayTransmit: output.mayTransmit,
                soc: report.soc))
    }

    mutating func run(seconds: Int) {
        for _ in 0..<seconds { second() }
    }

    /// Runs until nothing ramps any more after start: joined, and CCL at its bound.
    mutating func settle() {
        run(seconds: 120)
    }

    /// Runs until `condition` holds.
    /// - Returns: the seconds that took; nil when it did not happen within `limit`.
    mutating func run(until condition: (Rig) -> Bool, limit: Int = 10_000) -> Int? {
        for passed in 0...limit {
            if condition(self) { return passed }
            second()
        }
        return nil
    }
}

extension ControlConfiguration {
    /// LFP 16S 280 Ah, 140 A in both directions (charge-control.md §14).
    static func reference(charge: Milliamps = 140_000, discharge: Milliamps = 140_000, packs: Int = 1)
        -> ControlConfiguration
    {
        var c = ControlConfiguration(chemistry: .lfp)
        c.userCharge = charge
        c.userDischarge = discharge
        for _ in 0..<packs { c.packs.append(PackConfiguration()) }
        return c
    }
}

extension PackReading {
    /// One pack of charge-control.md §14: OCP 150 A, OVP 3.65 V, UVP 2.70 V, 25 °C, idle.
    static func reference(
        highest: Int = 3360, others: Int = 3340, soc: CentiPercent = 6000, current: Milliamps = 0,
        capacity: MilliampHours = 280_000
    ) -> PackReading {
        var r = PackReading()
        for i in 0..<16 { r.cells.append(UInt16(i == 6 ? highest : others)) }
        r.packVoltage = Int32(others * 15 + highest)
        r.current = current
        r.cellTemperatures.append(.value(250))
        r.cellTemperatures.append(.value(250))
        r.mosfetTemperature = .value(300)
        r.soc = soc
        r.rated = capacity
        r.full = capacity
        r.chargeSwitch = true
        r.dischargeSwitch = true
        r.balancing = false
        r.alarms = []
        r.cycles = 12
        var s = PackSettings()
        s.cellOverVoltage = 3650
        s.cellUnderVoltage = 2700
        s.chargeOverCurrent = 150_000
        s.dischargeOverCurrent = 150_000
        r.settings = s
        return r
    }

    /// Sets cell 7 to `mV` and the pack voltage to the sum.
    mutating func setHighest(_ mV: Int) {
        cells[6] = UInt16(mV)
        addUp()
    }

    mutating func setAll(_ mV: Int) {
        for i in 0..<cells.count { cells[i] = UInt16(mV) }
        addUp()
    }

    mutating func addUp() {
        var sum: Int32 = 0
        for i in 0..<cells.count { sum += Int32(cells[i]) }
        packVoltage = sum
    }

    mutating func setTemperature(_ decidegrees: Decidegrees) {
        for i in 0..<cellTemperatures.count { cellTemperatures[i] = .value(decidegrees) }
    }
}
