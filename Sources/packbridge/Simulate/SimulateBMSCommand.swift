import ArgumentParser
import Battery
import BridgeEngine
import LinuxIO
import Simulation

/// `packbridge simulate bms`: JK BMS with their packs on a pseudo-terminal.
struct SimulateBMSCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bms",
        abstract: "A JK BMS with its pack on a pseudo-terminal, or several on one line.",
        discussion: """
            Example: packbridge simulate bms --pty /tmp/bms --cells 16 --soc 60 --current 25 --fault unplug@60+30

            Protocols: jk-4e57 (one unit), jk-modbus and jk-55aaeb90 (an RS485 bus; with address 0 among the units it has a master
            that talks by itself), jk-can (behind an SLCAN adapter).
            Example: packbridge simulate bms --pty /tmp/bus --protocol jk-modbus --address 1 --address 2

            A fault acts from the start, or from a second on (KIND@START), or for some seconds (KIND@START+LENGTH).
            Kinds: drop, late, corrupt, truncate, noise, duplicate, unplug, charge-fet-off, discharge-fet-off, lower-ovp,
            bms-reset, sensor-missing, sensor-cold, sensor-hot, cell-zero, cell-max, sum-broken, zero-soc.

            Exit codes: 0 ended by a signal or --seconds, 1 something failed, 2 usage.
            """)

    @Option(help: "Becomes a symbolic link to the pseudo-terminal.")
    var pty: String

    @Option(name: .customLong("protocol"), help: "jk-4e57, jk-modbus, jk-55aaeb90 or jk-can.")
    var protocolName = JKSpeech.gps.rawValue

    @Option(name: .customLong("address"), help: "Address of a unit, 0 to 15; may be repeated. (default: 1)")
    var addresses: [UInt8] = []

    @Option(help: "Cells in series, 1 to 32.")
    var cells = 16

    @Option(help: "Cell chemistry: lfp, nmc or lto.")
    var chemistry = "lfp"

    @Option(help: "Ah.")
    var capacity = 280.0

    @Option(help: "State of charge at the start, percent.")
    var soc = 60.0

    @Option(parsing: .unconditional, help: "Amperes through the pack, positive while charging.")
    var current = 0.0

    @Option(parsing: .unconditional, help: "Degrees Celsius of cells and room.")
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
        guard let speech = JKSpeech(rawValue: protocolName) else {
            throw ValidationError(
                "There is no protocol '\(protocolName)'. Known: \(JKSpeech.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        if addresses.contains(where: { $0 > 15 }) { throw ValidationError("--address must be 0 to 15.") }
        if Set(addresses).count != addresses.count { throw ValidationError("Each --address may be given once.") }
        if speech == .gps && !addresses.isEmpty { throw ValidationError("jk-4e57 has one unit without an address.") }
    }

    func run() throws {
        var design = PackDesign(chemistry: try cellChemistry(named: chemistry))
        (design.cells, design.capacity, design.soc, design.temperature) = (cells, capacity, soc / 100, temperature)
        (design.settings.chargeOverCurrent, design.settings.dischargeOverCurrent) = (overCurrent, overCurrent)
        let units = addresses.isEmpty ? [1] : addresses
        var packs = units.indices.map { SimulatedPack(design, seed: seed + UInt64($0)) }
        var line = JKLine(
            JKSpeech(rawValue: protocolName)!, addresses: units, terminal: try NamedTerminal(link: pty), design: design,
            seed: seed)
        let loop = try eventLoop()
        loop.watch(line.terminal.terminal.descriptor, token: 0)
        if !json {
            print(
                "\(units.count == 1 ? "A JK BMS answers" : "\(units.count) JK BMS answer") on \(pty) (\(line.terminal.terminal.path)); end with Ctrl-C."
            )
        }

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
            let resets = active.contains(.bmsReset) && !hasReset
            hasReset = active.contains(.bmsReset)
            for index in packs.indices {
                packs[index].settings = settings
                if resets { packs[index].restartBMS() }
            }
            line.serve(&packs, faults: active, at: now)
            while nextStep <= now {
                nextStep = nextStep + 1000
                for index in packs.indices { advance(&packs[index]) }
                if json { for (index, pack) in packs.enumerated() { report(pack, units[index], line, active) } }
            }
            loop.wait(until: min(nextStep, line.next ?? nextStep)) { _ in }
        }
    }

    /// An open switch interrupts the current, as in the real pack.
    private func advance(_ pack: inout SimulatedPack) {
        let isBlocked = current > 0 ? !pack.chargeSwitch : !pack.dischargeSwitch
        for _ in 0..<Int(speed) { pack.step(current: isBlocked ? 0 : current, seconds: 1, ambient: temperature) }
    }

    private func report(_ pack: SimulatedPack, _ address: UInt8, _ line: JKLine, _ faults: Set<FaultKind>) {
        var text = JSONText()
        text.object { o in
            o.field("address", Int(address))
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
