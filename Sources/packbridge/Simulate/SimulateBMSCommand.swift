import ArgumentParser
import Battery
import BridgeEngine
import LinuxIO
import Simulation

/// `packbridge simulate bms`: a JK BMS with its pack on a pseudo-terminal.
struct SimulateBMSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bms",
        abstract: "A JK BMS with its pack on a pseudo-terminal, speaking 4E57.",
        discussion: """
            Example: packbridge simulate bms --pty /tmp/bms --cells 16 --soc 60 --current 25 --fault unplug@60+30

            A fault acts from the start, or from a second on (KIND@START), or for some seconds (KIND@START+LENGTH).
            Kinds: drop, late, corrupt, truncate, noise, duplicate, unplug, charge-fet-off, discharge-fet-off, lower-ovp,
            bms-reset, sensor-missing, sensor-cold, sensor-hot, cell-zero, cell-max, sum-broken, zero-soc.

            Exit codes: 0 ended by a signal or --seconds, 1 something failed, 2 usage.
            """)

    @Option(help: "Becomes a symbolic link to the pseudo-terminal.")
    var pty: String

    @Option(help: "Cells in series, 1 to 32.")
    var cells = 16

    @Option(help: "Cell chemistry: lfp, nmc or lto.")
    var chemistry = "lfp"

    @Option(help: "Ah.")
    var capacity = 280.0

    @Option(help: "State of charge at the start, percent.")
    var soc = 60.0

    @Option(help: "Amperes through the pack, positive while charging.")
    var current = 0.0

    @Option(help: "Degrees Celsius of cells and room.")
    var temperature = 22.0

    @Option(help: "Charge and discharge over-current limits stored in the BMS, A.")
    var overCurrent: Int32 = 150

    @Option(help: "How much faster the charge moves than real time.")
    var speed = 1.0

    @Option(help: "Which pack is built: unequal cells and noise follow from it.")
    var seed: UInt64 = 1

    @Option(name: .customLong("fault"), help: "A fault, see above; may be repeated.")
    var faults: [FaultPlan] = []

    @Option(help: "End after this many seconds.")
    var seconds: Int?

    @Flag(help: "One JSON object a second about the state of the pack.")
    var json = false

    func validate() throws {
        if !(1...32).contains(cells) { throw ValidationError("--cells must be 1 to 32.") }
        if !(0...100).contains(soc) { throw ValidationError("--soc must be 0 to 100.") }
        if !(1...5000).contains(capacity) { throw ValidationError("--capacity must be 1 to 5000 Ah.") }
        if abs(current) > 1000 { throw ValidationError("--current must be within 1000 A.") }
        if !(-40...80).contains(temperature) { throw ValidationError("--temperature must be -40 to 80 °C.") }
        if !(1...1000).contains(speed) { throw ValidationError("--speed must be 1 to 1000.") }
        _ = try cellChemistry(named: chemistry)
    }

    func run() throws {
        var design = PackDesign(chemistry: try cellChemistry(named: chemistry))
        (design.cells, design.capacity, design.soc, design.temperature) = (cells, capacity, soc / 100, temperature)
        (design.settings.chargeOverCurrent, design.settings.dischargeOverCurrent) = (overCurrent, overCurrent)
        var pack = SimulatedPack(design, seed: seed)
        var line = PackLine(terminal: try NamedTerminal(link: pty), design: design, seed: seed)
        let loop = try eventLoop()
        loop.watch(line.terminal.terminal.descriptor, token: 0)
        if !json { print("A JK BMS answers on \(pty) (\(line.terminal.terminal.path)); end with Ctrl-C.") }

        let began = Instant.now
        var nextStep = began + 1000
        var hasReset = false
        while !loop.stopRequested {
            let now = Instant.now
            let elapsed = now.since(began)
            if let seconds, elapsed >= Int64(seconds) * 1000 { break }
            let active = Set(faults.filter { $0.isActive(at: elapsed) }.map(\.kind))
            var settings = design.settings
            settings.chargeAllowed = !active.contains(.chargeSwitchOff)
            settings.dischargeAllowed = !active.contains(.dischargeSwitchOff)
            if active.contains(.lowerOverVoltage) { settings.cellOverVoltage -= 40 }
            pack.settings = settings
            if active.contains(.bmsReset) != hasReset {
                hasReset.toggle()
                if hasReset { pack.restartBMS() }
            }
            line.serve(&pack, faults: active, at: now)
            while nextStep <= now {
                nextStep = nextStep + 1000
                // An open switch interrupts the current, as in the real pack.
                let blocked = current > 0 ? !pack.chargeSwitch : !pack.dischargeSwitch
                for _ in 0..<Int(speed) { pack.step(current: blocked ? 0 : current, seconds: 1, ambient: temperature) }
                if json { report(pack, line, active) }
            }
            loop.wait(until: min(nextStep, line.next ?? nextStep)) { _ in }
        }
    }

    private func report(_ pack: SimulatedPack, _ line: PackLine, _ faults: Set<FaultKind>) {
        var text = JSONText()
        text.object { o in
            o.field("soc_pct", fixed: Int64(pack.countedSoC * 1000), decimals: 1)
            o.field("pack_mV", Int(pack.voltage * 1000))
            o.field("current_mA", Int(pack.current * 1000))
            o.field("highest_mV", Int(pack.highest * 1000))
            o.field("lowest_mV", Int(pack.lowest * 1000))
            o.field("charge_fet", pack.chargeSwitch)
            o.field("discharge_fet", pack.dischargeSwitch)
            o.field("warnings", pack.warnings.rawValue)
            o.field("requests", line.requests)
            o.field("faults", names: faults.map(\.rawValue).sorted())
        }
        writeOut(text.bytes + [UInt8(ascii: "\n")])
    }
}

/// `KIND`, `KIND@START` or `KIND@START+LENGTH` in seconds.
struct FaultPlan: ExpressibleByArgument {
    let kind: FaultKind
    let from: Int64
    let until: Int64

    init?(argument: String) {
        let parts = argument.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let kind = FaultKind(rawValue: String(parts[0])) else { return nil }
        self.kind = kind
        guard parts.count == 2 else {
            (from, until) = (0, .max)
            return
        }
        let times = parts[1].split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        guard let start = Int64(times[0]), start >= 0, start < 1_000_000 else { return nil }
        from = start * 1000
        guard times.count == 2 else {
            until = .max
            return
        }
        guard let length = Int64(times[1]), length > 0, length < 1_000_000 else { return nil }
        until = from + length * 1000
    }

    func isActive(at elapsed: Int64) -> Bool {
        elapsed >= from && elapsed < until
    }
}

func cellChemistry(named name: String) throws -> Chemistry {
    switch name {
    case "lfp": .lfp
    case "nmc": .nmc
    case "lto": .lto
    default: throw ValidationError("There is no chemistry '\(name)'. Known: lfp, nmc, lto.")
    }
}

/// An event loop that ends with the usual signals.
func eventLoop() throws -> EventLoop {
    do { return try EventLoop(handlesSignals: true) } catch { throw Failure("\(error)") }
}
