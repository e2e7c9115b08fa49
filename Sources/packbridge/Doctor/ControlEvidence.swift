import Battery
import BridgeEngine
import ChargeControl
import LinkClient

/// What the running control process says, over its Link socket.
enum ControlEvidence {
    /// There is no socket to ask.
    case notConfigured
    case notRunning(String)
    /// It is there but may not be asked.
    case forbidden(String)
    /// It was connected to and said nothing in 5 s.
    case silent
    case running(BridgeSnapshot)

    var snapshot: BridgeSnapshot? { if case .running(let snapshot) = self { snapshot } else { nil } }
    /// The process holds its ports, so nobody else may open them.
    var holdsPorts: Bool {
        switch self {
        case .running, .silent: true
        case .notConfigured, .notRunning, .forbidden: false
        }
    }

    private static let area = "Control process"

    var checks: [Check] {
        switch self {
        case .notConfigured: [.notChecked(Self.area, "running", because: "files.link is none, so it cannot be asked")]
        case .notRunning(let why):
            [.notChecked(Self.area, "running", because: "it does not run (\(why)), so the ports are looked at directly")]
        case .forbidden(let why):
            [
                .fault(
                    Self.area, "running", why,
                    fix: "Run packbridge doctor with sudo, or as a member of the group of the control process.")
            ]
        case .silent:
            [
                .fault(
                    Self.area, "running", "it is there but has said nothing for 5 s",
                    fix: "It hangs; systemd's watchdog restarts it. Else end it and start it again, and report this with --bundle.")
            ]
        case .running(let snapshot): Self.checks(snapshot.bank)
        }
    }

    private static func checks(_ bank: BankPayload) -> [Check] {
        var checks = [Check.ok(area, "running", "for \(duration(bank.at.since(bank.started)))")]
        guard bank.mayTransmit else {
            return checks + [
                .warning(
                    area, "sending", "the inverter is told nothing yet",
                    fix: "It waits for three agreeing answers of a BMS; see below.")
            ]
        }
        let report = bank.report
        for (name, value, reason) in [
            ("charge voltage", volts(report.chargeVoltageLimit, decimals: 1), bank.voltageReason),
            ("charge current", amperes(report.chargeCurrentLimit), bank.chargeReason),
            ("discharge current", amperes(report.dischargeCurrentLimit), bank.dischargeReason),
        ] {
            checks.append(.ok(area, name, "\(value): \(reason.sentence)"))
        }
        // That the inverter does not answer is said where the inverter is.
        let warnings = bank.warnings.words
        checks += warnings.map { .warning(area, "warning", $0, fix: "") }
        checks += report.protections.words.map { .fault(area, "alarm", $0, fix: "packbridge status says of which pack.") }
        return checks
    }
}

extension BMSPortPayload {
    /// - Parameter packs: those on this line.
    func checks(_ area: String, packs: [PackPayload]) -> [Check] {
        // Over Bluetooth or from another program: there is no line to judge, only what came.
        if bmsProtocol == .link { return packs.map { $0.check(area) } }
        guard isOpen else {
            return [
                .fault(
                    area, "opens", "the control process cannot open it",
                    fix: "Is the adapter plugged in? Is another program using it?")
            ]
        }
        var checks: [Check] = []
        if counters.snapshots == 0 {
            checks.append(
                .fault(
                    area, "answers", "no answer since the start, \(counters.timeouts) missing",
                    fix:
                        "Is the BMS on? RX and TX (or A and B) the right way round? End PackBridge and run packbridge doctor again: it then tries every protocol."
                ))
        } else {
            checks.append(
                .ok(
                    area, "answers",
                    "\(counters.snapshots) as \(stableName(bmsProtocol).replacing("_", with: "-")), \(counters.timeouts) missing"))
        }
        let all = UInt64(counters.snapshots) + UInt64(rejected)
        if rejected == 0 {
            checks.append(.ok(area, "checksums", "no damaged telegram"))
        } else {
            let isBad = UInt64(rejected) * 50 > all
            let evidence = "\(rejected) of \(all) telegrams were damaged"
            checks.append(
                isBad
                    ? .warning(
                        area, "checksums", evidence,
                        fix: "Shorter or twisted wires, GND connected, away from the inverter's cables; an isolated adapter.")
                    : .ok(area, "checksums", evidence))
        }
        if counters.reopens > 0 {
            checks.append(
                .warning(
                    area, "silences", "opened again \(counters.reopens) times after 30 s without a byte",
                    fix: "A loose plug, or an adapter that hangs."))
        }
        for pack in packs { checks.append(pack.check(area)) }
        return checks
    }
}

extension PackPayload {
    fileprivate func check(_ area: String) -> Check {
        let name = "pack \(number)"
        if status.age < 0 { return .fault(area, name, "never heard", fix: "Is it on, and is its address right?") }
        let evidence = "\(status.state.words), \(volts(status.voltage, decimals: 2)), last heard \(duration(status.age)) ago"
        let alarms = status.alarms.words
        if !alarms.isEmpty {
            return .fault(
                area, name, "\(evidence); \(alarms.joined(separator: ", "))", fix: "The JK app shows the same; mend the cause.")
        }
        switch status.stage {
        case .fresh:
            return status.state == .active
                ? .ok(area, name, evidence) : .warning(area, name, evidence, fix: "packbridge status says why.")
        case .keep, .derate: return .warning(area, name, evidence, fix: "The line is disturbed or the BMS is busy.")
        case .lost: return .fault(area, name, evidence, fix: "Is the BMS on? Is its cable plugged in?")
        }
    }
}
