import Battery

/// How a simulated pack is built.
public struct PackDesign: Sendable {
    public var chemistry = Chemistry.lfp
    /// Cells in series, 1...32.
    public var cells = 16
    /// Ah of an average cell.
    public var capacity = 280.0
    /// Milliohms of an average cell, connections included.
    public var milliohms = 0.35
    /// State of charge at the start, 0...1.
    public var soc = 0.5
    /// Relative spread of the capacities: 0.02 = ±2 %.
    public var capacitySpread = 0.01
    /// Spread of the state of charge between cells: a leading cell is ahead by this much.
    public var socSpread = 0.005
    /// One cell more is ahead by this much (0 = none): the runner cell.
    public var runnerLead = 0.0
    /// Amperes that the active balancer moves.
    public var balancerAmperes = 1.0
    /// Degrees Celsius.
    public var temperature = 22.0
    /// Error of the BMS's current measurement: 0.01 = reads 1 % too much.
    public var currentGain = 0.005
    /// Amperes that the BMS counts too much.
    public var currentOffset = 0.02
    public var cycles = 87
    public var settings: BMSSettings

    public init(chemistry: Chemistry = .lfp) {
        self.chemistry = chemistry
        settings = BMSSettings(chemistry: chemistry)
        (soc, milliohms) = (0.5, chemistry == .lfp ? 0.35 : 0.5)
    }
}

/// One battery pack: its cells, its temperatures, its BMS with protections, switches and its own idea of the state of charge.
///
/// Stepped once per simulated second. Everything here is the truth of the simulated world; what the bridge hears of it is
/// `measure(into:)`, with the noise and the resolution of the real device.
public struct SimulatedPack: Sendable {
    public private(set) var design: PackDesign
    public var settings: BMSSettings
    public private(set) var cells: [Cell]
    private let curve: OpenCircuitCurve
    private var protection = PackProtection()
    private var noise: RandomStream

    /// Degrees Celsius of the two cell sensors and of the MOSFETs.
    public var cellTemperature: Double
    public private(set) var mosfetTemperature: Double
    /// Added to sensor 1 (degrees): the end of the pack at the cold wall.
    public var sensorOffset = -0.8

    /// Amperes, positive while charging.
    public private(set) var current = 0.0
    /// Volts of all cells at the present current.
    public private(set) var voltage = 0.0
    /// Volts behind the fast resistance: what the pack would show if its current stopped now.
    public private(set) var openVoltage = 0.0
    /// Ohms of all cells.
    public private(set) var resistance = 0.0
    public private(set) var highestCell = 0
    public private(set) var lowestCell = 0
    public private(set) var isBalancing = false

    /// What the BMS counts, 0...1.
    public private(set) var countedSoC: Double
    /// Seconds since the BMS started. SoC and cycles read 0 during the first 16 s (jk-4e57.md §5.5).
    public private(set) var secondsUp = 1_000_000.0
    public private(set) var throughput = 0.0
    /// Bits that a fault adds to what the BMS itself reports.
    public var forcedWarnings: BMSWarnings = []
    /// Breaker or cable between the pack and the busbar.
    public var isConnected = true

    /// - Parameter seed: identity of this pack. The same seed gives the same cells and the same noise wherever the pack is plugged in.
    public init(_ design: PackDesign, seed: UInt64) {
        self.design = design
        settings = design.settings
        curve = OpenCircuitCurve(design.chemistry)
        noise = RandomStream(seed: seed, stream: 2)
        var build = RandomStream(seed: seed, stream: 1)
        let runner = build.below(design.cells)
        cells = (0..<design.cells).map { index in
            let capacity = design.capacity * (1 + build.between(-design.capacitySpread, design.capacitySpread))
            var soc = design.soc + build.between(-design.socSpread, 0)
            if index == runner { soc += design.runnerLead }
            return Cell(
                capacity: capacity, charge: capacity * min(soc, 0.999),
                ohms: design.milliohms / 1000 * build.between(0.9, 1.15),
                selfDischarge: capacity * build.between(0.01, 0.03) / (30 * 86_400))
        }
        cellTemperature = design.temperature
        mosfetTemperature = design.temperature
        countedSoC = design.soc
        settle()
        protection.update(
            settings, highest: cells[highestCell].voltage, lowest: cells[lowestCell].voltage, current: 0,
            coldest: cellTemperature,
            hottest: cellTemperature, mosfet: mosfetTemperature, soc: countedSoC, dt: 0)
    }

    public var chargeSwitch: Bool { protection.chargeSwitch && secondsUp >= 2 }
    public var dischargeSwitch: Bool { protection.dischargeSwitch && secondsUp >= 2 }
    public var warnings: BMSWarnings { protection.warnings.union(forcedWarnings) }
    public var protectionTrips: Int { protection.trips }
    public var isStarting: Bool { secondsUp < 16 }
    public var highest: Double { cells[highestCell].voltage }
    public var lowest: Double { cells[lowestCell].voltage }
    /// The true state of charge of the weakest link: what can be taken out, 0...1.
    public var soc: Double {
        var sum = 0.0
        for cell in cells { sum += cell.soc }
        return sum / Double(cells.count)
    }

    /// The BMS restarts: its counters begin at zero and the switches are open for two seconds.
    public mutating func restartBMS() {
        secondsUp = 0
    }

    /// Moves every cell to `soc` (0...1), spread kept: for scenarios that start near an end.
    public mutating func shift(toSoC soc: Double) {
        let delta = soc - self.soc
        for i in cells.indices { cells[i].charge += delta * cells[i].capacity }
        countedSoC = min(max(soc, 0), 1)
        settle()
    }

    /// Puts one cell ahead of the others by `lead` of its capacity.
    public mutating func lead(cell: Int, by lead: Double) {
        cells[cell].charge += lead * cells[cell].capacity
        settle()
    }

    private mutating func settle() {
        step(current: 0, seconds: 0, ambient: cellTemperature)
    }

    /// One step of `dt` seconds at `current` amperes; `ambient` in degrees Celsius.
    public mutating func step(current: Double, seconds dt: Double, ambient: Double) {
        self.current = current
        secondsUp += dt
        let hours = dt / 3600
        let inflow = current * hours * (current > 0 ? 0.998 : 1)
        let settling = dt / (Cell.polarisationSeconds + dt)
        let moved = isBalancing ? design.balancerAmperes * hours : 0
        let (giver, taker) = (highestCell, lowestCell)
        var (sum, open, ohms) = (0.0, 0.0, 0.0)
        var (high, low) = (-1.0, 100.0)
        var (highIndex, lowIndex) = (0, 0)
        let curve = self.curve
        cells.withUnsafeMutableBufferPointer { cells in
            cells[giver].charge -= moved
            cells[taker].charge += moved * 0.9
            for i in 0..<cells.count {
                cells[i].charge += inflow - cells[i].selfDischarge * dt
                let r = cells[i].ohms
                cells[i].polarisation += (current * r * Cell.polarisationRatio - cells[i].polarisation) * settling
                let inner = curve.voltage(at: cells[i].charge / cells[i].capacity) + cells[i].polarisation
                let v = inner + current * r
                cells[i].voltage = v
                open += inner
                ohms += r
                sum += v
                if v > high { (high, highIndex) = (v, i) }
                if v < low { (low, lowIndex) = (v, i) }
            }
        }
        (voltage, openVoltage, resistance) = (sum, open, ohms)
        (highestCell, lowestCell) = (highIndex, lowIndex)
        throughput += max(inflow, 0)

        // The BMS: its counter, its balancer, its protections.
        countedSoC += current * (1 + design.currentGain) * hours / design.capacity
        if dt > 0 { countedSoC += (current == 0 ? 0 : design.currentOffset) * hours / design.capacity }
        if low * 1000 <= Double(settings.cellUnderVoltage) { countedSoC = 0 }
        if high * 1000 >= Double(settings.cellOverVoltage) { countedSoC = 1 }
        countedSoC = min(max(countedSoC, 0), 1)
        isBalancing =
            settings.balancerEnabled && high * 1000 >= Double(settings.balanceStart)
            && (high - low) * 1000 >= (isBalancing ? 4 : Double(settings.balanceTrigger))

        // Heat: 20 J/K for each Ah of a cell, 5 W/K to the room; the MOSFETs are small and quick.
        let heat = current * current * ohms
        cellTemperature += (heat - (cellTemperature - ambient) * 5) * dt / (design.capacity * Double(cells.count) * 20)
        mosfetTemperature += (current * current * 0.0008 - (mosfetTemperature - cellTemperature) * 0.6) * dt / 400

        let sensor1 = cellTemperature + sensorOffset
        if dt > 0 {
            protection.update(
                settings, highest: high, lowest: low, current: current, coldest: min(sensor1, cellTemperature),
                hottest: max(sensor1, cellTemperature), mosfet: mosfetTemperature, soc: countedSoC, dt: dt)
        }
    }

    /// What the BMS measures now, with its noise and its resolution. Each call draws new noise.
    public mutating func measure(into m: inout PackMeasurement) {
        m.cellCount = cells.count
        m.capacity = design.capacity
        var lanes: UInt64 = 0
        var sum: Int32 = 0
        for i in 0..<cells.count {
            if i & 15 == 0 { lanes = noise.next() }
            // −1, 0 or +1 mV, mostly 0.
            let lane = Int32(truncatingIfNeeded: lanes & 15)
            lanes >>= 4
            let error: Int32 = lane < 3 ? -1 : lane > 12 ? 1 : 0
            let millivolts = min(max(Int32((cells[i].voltage * 1000).rounded()) + error, 0), 65_535)
            m.millivolts[i] = UInt16(millivolts)
            sum += millivolts
        }
        m.packCentivolts = UInt16(truncatingIfNeeded: min((sum + 5) / 10, 65_535))
        // The real shunt has steps of about 0.2 A (jk-4e57.md §5.2); small currents read 0.
        let measured = current * (1 + design.currentGain) + (current == 0 ? 0 : noise.between(-0.1, 0.1))
        m.centiamps = Int32((measured / 0.21).rounded()) * 21
        m.soc = isStarting ? 0 : UInt8(min(max((countedSoC * 100).rounded(.down), 0), 100))
        m.cycles = isStarting ? 0 : UInt16(truncatingIfNeeded: design.cycles + Int(throughput / design.capacity))
        m.temperature1 = Int32((cellTemperature + sensorOffset).rounded())
        m.temperature2 = Int32(cellTemperature.rounded())
        m.mosfet = Int32(mosfetTemperature.rounded())
        m.warnings = warnings
        m.chargeSwitch = chargeSwitch
        m.dischargeSwitch = dischargeSwitch
        m.balancing = isBalancing
        m.throughput = UInt32(throughput) + UInt32(design.cycles) * UInt32(design.capacity)
        m.seconds = UInt32(min(secondsUp, 1e9))
        m.minutes = m.seconds / 60
        m.settings = settings
    }
}

/// One measurement of a BMS in the units of its wire.
public struct PackMeasurement: Sendable {
    public var cellCount = 0
    /// Ah, as the BMS says it.
    public var capacity = 280.0
    public var millivolts = InlineArray<32, UInt16>(repeating: 0)
    public var packCentivolts: UInt16 = 0
    /// Positive while charging, 10 mA.
    public var centiamps: Int32 = 0
    public var soc: UInt8 = 0
    public var cycles: UInt16 = 0
    /// Degrees Celsius; nil = the sensor sends a code that is no temperature.
    public var temperature1: Int32? = 20
    public var temperature2: Int32? = 20
    public var mosfet: Int32? = 20
    public var warnings: BMSWarnings = []
    public var chargeSwitch = true
    public var dischargeSwitch = true
    public var balancing = false
    public var throughput: UInt32 = 0
    public var minutes: UInt32 = 0
    public var seconds: UInt32 = 0
    public var settings = BMSSettings(chemistry: .lfp)

    public init() {}

    public var highest: UInt16 {
        var value: UInt16 = 0
        for i in 0..<cellCount { value = max(value, millivolts[i]) }
        return value
    }

    public var lowest: UInt16 {
        var value = UInt16.max
        for i in 0..<cellCount { value = min(value, millivolts[i]) }
        return value
    }
}
