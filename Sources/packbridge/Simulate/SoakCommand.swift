import ArgumentParser
import Battery
import Dispatch
import Foundation
import InverterDialects
import LinkClient
import Simulation

/// `packbridge simulate soak`: simulated years of the whole bridge, watched by the invariant checker.
struct SoakCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "soak",
        abstract: "Runs the whole bridge in virtual time against simulated packs, inverters and faults.",
        discussion: """
            Every seed is another world: chemistry, cells, imbalance, weather, inverter model, faults. The invariants P1–P25 are
            checked on the frames that are sent. A violation prints its seed and time; --seed replays it bit for bit.

            Example: packbridge simulate soak --days 30 --seeds 50

            Exit codes: 0 nothing found, 1 a violation, 2 usage.
            """)

    @Option(help: "Simulated days in each world.")
    var days = 1.0

    @Option(help: "How many worlds, with the seeds from --first-seed on.")
    var seeds: Int?

    @Option(help: "One world with this seed.")
    var seed: UInt64?

    @Option(help: "The first seed of --seeds.")
    var firstSeed: UInt64 = 1

    @Option(help: "Packs in each world; drawn from the seed when absent.")
    var packs: Int?

    @Option(help: "Chemistry in each world (lfp, nmc, lto); drawn from the seed when absent.")
    var chemistry: String?

    @Option(help: "Dialect in each world (packbridge inverters lists them); drawn from the seed when absent.")
    var dialect: String?

    @Option(help: "Faults a day on average.")
    var faults = 24.0

    @Option(help: "Worlds at the same time.")
    var jobs = 1

    @Flag(help: "Go on after a violation, and count.")
    var keepGoing = false

    @Option(help: "With --seed: after a violation, the last seconds before it once more, line by line.")
    var trace: Int?

    @Flag(help: "Report every world as it ends, on standard error.")
    var progress = false

    @Flag(help: "One JSON object at the end instead of text.")
    var json = false

    func validate() throws {
        if trace != nil && seed == nil { throw ValidationError("--trace needs --seed.") }
        if let trace, !(1...86_400).contains(trace) { throw ValidationError("--trace must be 1 to 86400 seconds.") }
        if seed != nil && seeds != nil { throw ValidationError("--seed and --seeds exclude each other.") }
        if !(days > 0) { throw ValidationError("--days must be above 0.") }
        if let packs, !(1...16).contains(packs) { throw ValidationError("--packs must be 1 to 16.") }
        if !(faults >= 0) { throw ValidationError("--faults must not be negative.") }
        if !(1...64).contains(jobs) { throw ValidationError("--jobs must be 1 to 64.") }
        if let chemistry, pinnedChemistry == nil {
            throw ValidationError("--chemistry \(chemistry): lfp, nmc or lto.")
        }
        if let dialect, pinnedDialect == nil {
            let known = DialectName.allCases.map { "\($0.text)" }.joined(separator: ", ")
            throw ValidationError("--dialect \(dialect): one of \(known).")
        }
        if let seeds, seeds < 1 { throw ValidationError("--seeds must be at least 1.") }
    }

    private var pinnedChemistry: Chemistry? {
        Chemistry.allCases.first { "\($0)" == chemistry?.lowercased() }
    }

    private var pinnedDialect: DialectName? {
        DialectName.allCases.first { "\($0.text)" == dialect?.lowercased() }
    }

    func run() throws {
        let began = DispatchTime.now().uptimeNanoseconds
        let list = seed.map { [$0] } ?? (0..<UInt64(seeds ?? 1)).map { firstSeed + $0 }
        let tally = Tally(total: list.count)
        DispatchQueue.concurrentPerform(iterations: min(jobs, list.count)) { worker in
            for index in stride(from: worker, to: list.count, by: min(jobs, list.count)) {
                var run = world(list[index])
                run.run(days: days)
                tally.add(run, quiet: json, progress: progress)
            }
        }
        if let trace, let seed, let violation = tally.first {
            var run = world(seed)
            run.replay(until: violation.at, last: Int64(trace)) { print($0) }
        }
        let elapsed = Double(DispatchTime.now().uptimeNanoseconds - began) / 1e9
        let result = tally.result
        json ? printJSON(result, elapsed: elapsed) : printSummary(result, elapsed: elapsed)
        if result.violations > 0 { throw ExitCode(1) }
    }

    private func world(_ seed: UInt64) -> SoakRun {
        SoakRun(
            seed: seed, packs: packs, faultsPerDay: faults, chemistry: pinnedChemistry, dialect: pinnedDialect,
            stopsAtFirst: !keepGoing)
    }

    private func printSummary(_ r: SoakResult, elapsed: Double) {
        let years = fixed(r.packSeconds / (365.25 * 86_400), 3)
        print(
            "\(r.worlds) worlds, \(years) battery-years, \(r.faults) faults injected, \(r.restarts) restarts, \(r.frames) frames, "
                + "\(r.experiments) comparisons, \(r.trips) BMS trips, \(r.violations) violations, "
                + "\(fixed(r.seconds / elapsed, 0)) × real time, digest \(String(r.digest, radix: 16))")
    }

    private func printJSON(_ r: SoakResult, elapsed: Double) {
        var text = JSONText()
        text.object { o in
            o.key("worlds")
            o.integer(r.worlds)
            o.key("simulated_s")
            o.integer(Int(r.seconds))
            o.key("battery_years")
            o.fixed(Int64(r.packSeconds / (365.25 * 86_400) * 1000), decimals: 3)
            o.key("faults")
            o.integer(r.faults)
            o.key("frames")
            o.integer(r.frames)
            o.key("comparisons")
            o.integer(r.experiments)
            o.key("bms_trips")
            o.integer(r.trips)
            o.key("violations")
            o.integer(r.violations)
            o.key("times_real_time")
            o.integer(Int(r.seconds / elapsed))
            o.key("digest")
            o.string(String(r.digest, radix: 16))
        }
        print(text.string)
    }
}

/// Adds up the worlds of all workers and prints violations as they come.
private final class Tally: @unchecked Sendable {
    private let lock = NSLock()
    private let total: Int
    private(set) var result = SoakResult()
    private(set) var first: Violation?

    init(total: Int) {
        self.total = total
    }

    func add(_ run: SoakRun, quiet: Bool, progress: Bool) {
        lock.lock()
        defer { lock.unlock() }
        result.add(run.result)
        first = first ?? run.world.checker.violations.first
        for violation in run.world.checker.violations where !quiet {
            print("seed \(run.seed), \(run.world.plan.packs.count) packs: \(violation.text)\(run.lastFault)")
            fflush(nil)
        }
        if progress { printError(line(run)) }
    }

    private func line(_ run: SoakRun) -> String {
        let plan = run.world.plan
        let one = run.result
        return "seed \(run.seed): \(plan.bridge.control.chemistry) \(plan.bridge.control.cellsInSeries)S × "
            + "\(plan.packs.count), \(plan.bridge.inverterPorts[0].dialect.text), \(plan.inverter.rawValue): "
            + "\(fixed(one.seconds / 86_400, 1)) days, \(one.faults) faults, \(one.violations) violations; "
            + "\(result.worlds) of \(total) worlds, \(fixed(result.packSeconds / (365.25 * 86_400), 3)) battery-years"
    }
}

/// A number with a fixed count of decimals.
func fixed(_ value: Double, _ decimals: Int) -> String {
    String(format: "%.\(decimals)f", value)
}
