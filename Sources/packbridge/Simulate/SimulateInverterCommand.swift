import ArgumentParser
import Battery
import InverterDialects
import LinuxIO
import Simulation

/// `packbridge simulate inverter`: an inverter behind an SLCAN adapter on a pseudo-terminal.
struct SimulateInverterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inverter",
        abstract: "An inverter behind an SLCAN adapter on a pseudo-terminal: prints what it is told.",
        discussion: """
            It decodes the frames by itself and sends its heartbeat once a second, as the real one does.

            Example: packbridge simulate inverter --pty /tmp/can --dialect pylontech

            Exit codes: 0 ended by a signal or --seconds, 1 something failed, 2 usage.
            """)

    @Option(help: "Becomes a symbolic link to the pseudo-terminal.")
    var pty: String

    @Option(help: "pylontech or growatt.")
    var dialect = "pylontech"

    @Flag(help: "Send no heartbeat.")
    var silent = false

    @Option(help: "End after this many seconds.")
    var seconds: Int?

    @Flag(help: "One JSON object a second instead of text.")
    var json = false

    func validate() throws {
        if dialect != "pylontech" && dialect != "growatt" {
            throw ValidationError("--dialect must be pylontech or growatt.")
        }
    }

    func run() throws {
        let now = Instant.now
        let inverter = SimulatedInverter(
            model: silent ? .silent : .obedient, dialect: dialect == "growatt" ? .growatt : .pylontech)
        var line = InverterLine(terminal: try NamedTerminal(link: pty), inverter: inverter, at: now)
        let loop = try eventLoop()
        loop.watch(line.terminal.terminal.descriptor, token: 0)
        if !json {
            print("An SLCAN adapter with an inverter is on \(pty) (\(line.terminal.terminal.path)); end with Ctrl-C.")
        }
        var shown = HeardFrames()
        var nextReport = now + 1000
        var elapsed = 0
        while !loop.stopRequested {
            let now = Instant.now
            line.serve(sendsHeartbeat: !silent, at: now)
            if nextReport <= now {
                nextReport = now + 1000
                elapsed += 1
                if json {
                    report(line)
                } else if line.inverter.heard != shown {
                    shown = line.inverter.heard
                    print(sentence(shown))
                }
                if let seconds, elapsed >= seconds { break }
            }
            loop.wait(until: nextReport) { _ in }
        }
    }

    private func sentence(_ h: HeardFrames) -> String {
        if !h.hasLimits { return "nothing heard yet" }
        return "CVL \(tenths(h.chargeVoltage)) V  CCL \(tenths(h.chargeLimit)) A  DCL \(tenths(h.dischargeLimit)) A  "
            + "DVL \(tenths(h.dischargeVoltage)) V  charge \(h.chargeEnabled ? "yes" : "no")  "
            + "discharge \(h.dischargeEnabled ? "yes" : "no")  SoC \(h.soc) %  "
            + "battery \(tenths(h.voltage / 10)) V \(tenths(h.current)) A"
            + (h.protections == 0 ? "" : "  PROTECTION \(String(h.protections, radix: 16))")
            + (h.warnings == 0 ? "" : "  warning \(String(h.warnings, radix: 16))")
    }

    private func tenths(_ value: Int32) -> String {
        (value < 0 ? "-" : "") + "\(value.magnitude / 10).\(value.magnitude % 10)"
    }

    private func report(_ line: InverterLine) {
        let h = line.inverter.heard
        var text = JSONText()
        text.object { o in
            o.field("frames", line.frames)
            o.field("cvl_V", fixed: h.hasLimits ? Int64(h.chargeVoltage) : nil, decimals: 1)
            o.field("ccl_A", fixed: h.hasLimits ? Int64(h.chargeLimit) : nil, decimals: 1)
            o.field("dcl_A", fixed: h.hasLimits ? Int64(h.dischargeLimit) : nil, decimals: 1)
            o.field("charge_enable", h.hasFlags ? h.chargeEnabled : nil)
            o.field("discharge_enable", h.hasFlags ? h.dischargeEnabled : nil)
            o.field("soc_pct", h.soc >= 0 ? h.soc : nil)
            o.field("protections", h.hasAlarms ? Int(h.protections) : nil)
            o.field("warnings", h.hasAlarms ? Int(h.warnings) : nil)
        }
        writeOut(text.bytes + [UInt8(ascii: "\n")])
    }
}
