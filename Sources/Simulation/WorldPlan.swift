import Battery
import BridgeEngine
import ChargeControl
import InverterDialects

/// Everything that determines a simulated world. Two worlds with equal plans run identically.
public struct WorldPlan: Sendable {
    public var seed: UInt64
    public var packs: [PackDesign]
    public var bridge: BridgeConfiguration
    public var inverter = InverterModel.obedient
    /// Average number of faults a day; 0 = none but those planned.
    public var faultsPerDay = 0.0
    public var faultKinds = FaultKind.allCases
    /// The monotonic clock when the bridge starts. Large values prove that nothing wraps (P23).
    public var start: Milliseconds = 1_000
    /// Time of day at the start, seconds after midnight.
    public var secondOfDay: Int64 = 8 * 3600
    /// Degrees Celsius around the packs, mean and half the difference between day and night.
    public var ambient = 20.0
    public var ambientSwing = 4.0
    /// Watts; nil = the house and the sky of `House`. A constant for scenarios.
    public var constantSurplus: Double?
    public var peakSun = 6000.0
    public var inverterCharge = 100.0
    public var inverterDischarge = 120.0
    /// `serve` listens: the bridge describes itself once a second.
    public var hasReader = false
    /// Order in which the packs are wired to the ports; identity unless a test permutes it (P19).
    public var seats: [Int]?

    /// A bank of `packs` equal packs with a configuration that fits it.
    public init(
        seed: UInt64, packs count: Int = 1, design: PackDesign = PackDesign(), dialect: DialectName = .pylontech
    ) {
        self.seed = seed
        packs = Array(repeating: design, count: count)
        var control = ControlConfiguration(chemistry: design.chemistry)
        control.cellsInSeries = Int32(design.cells)
        control.userCharge = Milliamps(count) * 140_000
        control.userDischarge = Milliamps(count) * 140_000
        bridge = BridgeConfiguration(control: control)
        for index in 0..<count {
            bridge.control.packs.append(PackConfiguration())
            var port = BMSPortConfiguration()
            port.firstPack = UInt8(index)
            port.addresses.append(0)
            bridge.bmsPorts.append(port)
        }
        var port = InverterPortConfiguration()
        port.dialect = dialect
        bridge.inverterPorts.append(port)
        inverterCharge = 100.0 * Double(count)
        inverterDischarge = 110.0 * Double(count)
        peakSun = 6000 * Double(count)
    }

    /// A world drawn from `seed`: chemistry, cells, imbalance, inverter, weather, faults.
    ///
    /// - Parameters:
    ///   - pinnedChemistry: instead of the drawn one.
    ///   - pinnedDialect: instead of the drawn one.
    public static func random(
        seed: UInt64, packs count: Int, faultsPerDay: Double, chemistry pinnedChemistry: Chemistry? = nil,
        dialect pinnedDialect: DialectName? = nil
    ) -> WorldPlan {
        var random = RandomStream(seed: seed, stream: 5)
        let drawn: Chemistry = random.chance(0.6) ? .lfp : random.chance(0.6) ? .nmc : .lto
        let chemistry = pinnedChemistry ?? drawn
        var design = PackDesign(chemistry: chemistry)
        design.cells =
            random.chance(0.6) ? 16 : chemistry == .nmc ? 14 : chemistry == .lto ? 22 : random.chance(0.5) ? 15 : 8
        design.capacity = [100.0, 200, 280, 314][random.below(4)]
        design.soc = random.between(0.1, 0.98)
        design.capacitySpread = random.between(0.002, 0.04)
        design.socSpread = random.between(0.001, 0.02)
        design.runnerLead = random.chance(0.4) ? random.between(0.005, 0.04) : 0
        design.balancerAmperes = random.chance(0.2) ? 0 : random.between(0.6, 2)
        design.currentGain = random.between(-0.01, 0.02)
        design.settings.chargeOverCurrent = Int32(random.between(0.4, 0.8) * design.capacity)
        design.settings.dischargeOverCurrent = Int32(random.between(0.5, 1.0) * design.capacity)
        // The two of the reference installation in half of the worlds, the others in the other half.
        let common: DialectName = random.chance(0.5) ? .pylontech : .growatt
        let any = DialectName.allCases[random.below(DialectName.allCases.count)]
        var dialect = pinnedDialect ?? (random.chance(0.5) ? common : any)
        // SMA knows batteries of 41 to 63 V only.
        if dialect == .sma && (design.cells != 16 || chemistry != .lfp) {
            if pinnedDialect == nil {
                dialect = .victron
            } else {
                design.cells = chemistry == .nmc ? 14 : chemistry == .lto ? 22 : 16
            }
        }
        var plan = WorldPlan(seed: seed, packs: count, design: design, dialect: dialect)
        if count > 1 && random.chance(0.3) {
            // One pack of another size: the share rule has to protect it.
            plan.packs[random.below(count)].capacity = 100
        }
        for i in plan.packs.indices {
            plan.packs[i].soc = min(max(design.soc + random.between(-0.03, 0.03), 0.08), 0.985)
            if plan.packs[i].capacity == 100 {
                plan.packs[i].settings.chargeOverCurrent = min(design.settings.chargeOverCurrent, 100)
            }
        }
        let bankAmperes = plan.packs.reduce(0.0) { $0 + Double($1.settings.chargeOverCurrent) }
        let dischargeAmperes = plan.packs.reduce(0.0) { $0 + Double($1.settings.dischargeOverCurrent) }
        plan.bridge.control.userCharge = Milliamps(bankAmperes * random.between(0.5, 1) * 900)
        plan.bridge.control.userDischarge = Milliamps(dischargeAmperes * random.between(0.5, 1) * 900)
        plan.bridge.control.floatMode = FloatMode.allCases[random.below(FloatMode.allCases.count)]
        plan.bridge.control.socTaper = random.chance(0.2)
        plan.bridge.control.forceChargeRequests = random.chance(0.4)
        plan.bridge.control.fullChargeRequest = random.chance(0.4)
        plan.bridge.control.taper = TaperPreset.allCases[random.below(TaperPreset.allCases.count)]
        if chemistry == .lfp && random.chance(0.25) {
            plan.bridge.control.setVoltages(bulk: 3_400 + Int32(random.below(150)), float: nil, rebulk: nil)
        }
        if random.chance(0.25) {
            for i in plan.packs.indices { plan.bridge.control.packs[i].extendedHold = true }
        }
        // What "zero" means: Sofar ignores an exact 0 (charge-control.md §7.6).
        if dialect == .sofar || random.chance(0.15) { plan.bridge.control.inverter.zeroCurrent = 100 }
        plan.bridge.control.inverter.lowersVoltageWhenBlocked = dialect == .victron
        plan.bridge.control.inverter.fullRequestReleasesAt97 = random.chance(0.2)
        plan.bridge.control.inverter.disablesChargeInRest = random.chance(0.2)
        plan.bridge.control.coulombCounter = random.chance(0.2)
        if random.chance(0.15) { plan.bridge.control.socCeiling = 8000 }
        if random.chance(0.15) { plan.bridge.control.socReserve = 2000 }
        if random.chance(0.2) { plan.bridge.control.inverterOffset = 200 }
        plan.bridge.control.inverter.protectionCutsOutput = random.chance(0.5)
        plan.inverter = InverterModel.allCases[random.below(InverterModel.allCases.count)]
        plan.inverterCharge = bankAmperes * random.between(0.5, 1.1)
        plan.inverterDischarge = dischargeAmperes * random.between(0.4, 0.9)
        plan.peakSun = bankAmperes * Double(design.cells) * 3.3 * random.between(0.4, 1.2)
        plan.faultsPerDay = faultsPerDay
        plan.hasReader = random.chance(0.1)
        plan.ambient = random.between(-4, 34)
        plan.ambientSwing = random.between(1, 8)
        plan.secondOfDay = Int64(random.below(86_400))
        let starts: [Milliseconds] = [0, 1_000, 2_147_480_000, 4_294_960_000, 100 * 86_400_000]
        plan.start = starts[random.below(starts.count)]
        return plan
    }
}
