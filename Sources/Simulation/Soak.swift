import Battery
import InverterDialects

/// One seed of the proving run: a world drawn from the seed, run for some days, watched by the checker.
public struct SoakRun: Sendable {
    public let seed: UInt64
    public private(set) var world: World

    /// - Parameters:
    ///   - packs: instead of as many as the seed draws.
    ///   - chemistry: instead of the seed's.
    ///   - dialect: instead of the seed's.
    public init(
        seed: UInt64, packs: Int?, faultsPerDay: Double, chemistry: Chemistry? = nil, dialect: DialectName? = nil,
        stopsAtFirst: Bool = true
    ) {
        self.seed = seed
        var random = RandomStream(seed: seed, stream: 7)
        // Half of the worlds have one pack, as most houses do.
        let drawn = random.chance(0.5) ? 1 : 2 + random.below(random.chance(0.2) ? 15 : 3)
        world = World(
            .random(
                seed: seed, packs: packs ?? drawn, faultsPerDay: faultsPerDay, chemistry: chemistry, dialect: dialect))
        world.checker.stopsAtFirst = stopsAtFirst
        world.experimentGap = 1_800_000
    }

    /// Runs `days` of virtual time, or until the first violation.
    public mutating func run(days: Double) {
        world.run(seconds: Int64(days * 86_400))
    }

    /// The fault that began last, in words: the first suspect of a violation that ended the run.
    public var lastFault: String {
        guard let fault = world.faults.last else { return "" }
        let seconds = (fault.from - world.plan.start) / 1000
        return "; last fault: \(fault.kind.rawValue) on pack \(fault.pack + 1) at \(seconds) s"
    }

    /// Runs to `end` (milliseconds since the start) and describes each of the last seconds before it.
    public mutating func replay(until end: Milliseconds, last seconds: Int64, _ line: (String) -> Void) {
        world.run(until: world.plan.start + max(0, end - seconds * 1000))
        while world.now < world.plan.start + end {
            world.run(seconds: 1)
            line(world.line)
            if world.checker.shouldStop { return }
        }
    }

    public var result: SoakResult {
        var result = SoakResult()
        result.add(world)
        return result
    }
}

/// What one or many runs have shown.
public struct SoakResult: Sendable {
    public var worlds = 0
    /// Seconds of virtual time, and the same times the packs that lived through them.
    public var seconds = 0.0
    public var packSeconds = 0.0
    public var faults = 0
    public var frames = 0
    public var checks = 0
    public var experiments = 0
    public var violations = 0
    public var restarts = 0
    /// How often a simulated BMS had to open a switch by itself, and for how many seconds a house was dark.
    public var trips = 0
    public var darkSeconds = 0
    /// One number for all frames of all worlds.
    public var digest: UInt64 = 0

    public init() {}

    public mutating func add(_ world: World) {
        worlds += 1
        seconds += world.seconds
        packSeconds += world.seconds * Double(world.plan.packs.count)
        faults += world.faults.injected
        frames += world.framesSent
        checks += world.checker.checks
        experiments += world.experiments
        violations += Invariant.allCases.reduce(0) { $0 + world.checker.counts[$1.rawValue] }
        restarts += world.restarts
        trips += world.bank.packs.reduce(0) { $0 + $1.protectionTrips }
        darkSeconds += world.inverter.darkSeconds
        digest ^= world.digest &* (2 &* world.plan.seed &+ 1)
    }

    public mutating func add(_ other: SoakResult) {
        worlds += other.worlds
        seconds += other.seconds
        packSeconds += other.packSeconds
        faults += other.faults
        frames += other.frames
        checks += other.checks
        experiments += other.experiments
        violations += other.violations
        restarts += other.restarts
        trips += other.trips
        darkSeconds += other.darkSeconds
        digest ^= other.digest
    }
}
