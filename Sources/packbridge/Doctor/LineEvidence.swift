import Battery
import BridgeEngine
import Foundation
import Glibc
import JKBMS
import LinkClient
import LinuxIO

/// A serial device, seen from outside: is it there, may this user open it, who has it.
struct DeviceEvidence: Equatable {
    var path: String
    var exists = true
    var mayOpen = true
    /// The group that may open it.
    var group = ""
    var holders: [PortHolder] = []
    /// What the adapter calls itself, and its driver.
    var words = ""
    /// A link that survives replugging has been chosen, or there is none.
    var isStable = true

    /// - Returns: the checks; a fault among them means that nothing more can be learned from the device.
    func checks(_ area: String, controlRuns: Bool) -> [Check] {
        guard exists else {
            return [
                .fault(
                    area, "device", "\(path) is not there",
                    fix: "Is the adapter plugged in? `ls -l /dev/serial/by-id` lists those that are; `packbridge setup` finds them."
                )
            ]
        }
        var checks: [Check] = []
        if isStable {
            checks.append(.ok(area, "device", words.isEmpty ? path : "\(path) (\(words))"))
        } else {
            checks.append(
                .warning(
                    area, "device", "\(path) may be called otherwise after the next start",
                    fix: "Use its link in /dev/serial/by-id or /dev/packbridge, which stays the same."))
        }
        if mayOpen {
            checks.append(.ok(area, "permission", "this user may open it"))
        } else {
            let who = group.isEmpty ? "only root" : "only root and the group \(group)"
            checks.append(
                controlRuns
                    ? .notChecked(area, "permission", because: "\(who) may open it, and the control process has")
                    : .fault(
                        area, "permission", "\(who) may open \(path)",
                        fix: group.isEmpty ? "Run this with sudo." : "sudo usermod -aG \(group) $USER, then log in again."))
        }
        let strangers = holders.filter { !$0.name.hasPrefix("packbridge") }
        if !strangers.isEmpty {
            checks.append(
                .fault(
                    area, "free", "also open in \(strangers.map(\.words).joined(separator: ", "))",
                    fix: "End that program: two readers steal each other's bytes."))
        } else if let own = holders.first, !controlRuns {
            checks.append(
                .fault(
                    area, "free", "held by \(own.words), which cannot be asked",
                    fix: "Run packbridge doctor with the configuration of that process, or as its user; or end it."))
        }
        return checks
    }
}

extension DeviceEvidence {
    /// Looks at the device without opening it.
    init(at path: String, _ survey: PortSurvey) {
        self.init(path: path)
        var status = stat()
        exists = stat(path, &status) == 0
        guard exists else { return }
        mayOpen = access(path, R_OK | W_OK) == 0
        // A device whose group may not write is nobody's but its owner's.
        if status.st_mode & 0o020 != 0, let entry = getgrgid(status.st_gid) { group = String(cString: entry.pointee.gr_name) }
        holders = packbridge.holders(of: path)
        let resolved = URL(filePath: path).resolvingSymlinksInPath().path
        if let known = survey.serial.first(where: { [path, resolved].contains($0.device) || $0.path == path }) {
            words = known.words
            isStable = path != known.device || known.path == known.device
        }
    }
}

/// What a line with BMSs says when it is asked, which happens only while nobody else has it.
struct LineEvidence {
    var configured: BMSProtocolName
    var baud: UInt32 = 115_200
    var addresses: [UInt8] = []
    /// Nil: it was opened.
    var failure: PortFailure?
    var heard = LineReading()
    /// What a search found after nobody had answered as configured; nil: none was needed.
    var found: [Finding]?

    func checks(_ area: String) -> [Check] {
        if let failure {
            let parts = "\(failure)".split(separator: ". ", maxSplits: 1)
            return [.fault(area, "opens", String(parts[0]), fix: parts.count > 1 ? String(parts[1]) : "Plug the adapter in again.")]
        }
        return [.ok(area, "opens", "8N1 at \(baud) baud"), answers(area)]
            + [checksums(area), echo(area), found.flatMap { mismatch(area, $0) }]
            .compactMap(\.self)
    }

    private var name: String { stableName(configured).replacing("_", with: "-") }

    private func answers(_ area: String) -> Check {
        let missing = addresses.filter { heard.readings[$0] == nil }
        if heard.readings.isEmpty {
            let isMirror = heard.rejections[.echo, default: 0] > 0
            return .fault(
                area, "answers",
                isMirror
                    ? "what is sent comes back, and nobody answers as \(name)"
                    : heard.bytes == 0 ? "nothing is heard" : "noise, but no answer as \(name)",
                fix: isMirror
                    ? "Are RX and TX connected to each other instead of to the BMS? Is the BMS on?"
                    : heard.bytes == 0
                        ? "Is the BMS on? Swap RX and TX (or A and B). Is GND connected? On the GPS connector use a 3.3 V adapter."
                        : "Check the baud rate, GND and the level of the adapter (3.3 V on the GPS connector).")
        }
        if !missing.isEmpty && addresses.count > 1 {
            return .fault(
                area, "answers", "no answer from address \(missing.map(String.init).joined(separator: ", "))",
                fix: "Do the switches of the units say these addresses? Are these units on, and on this line?")
        }
        return .ok(area, "answers", "\(heard.answers) answers as \(name)")
    }

    private func checksums(_ area: String) -> Check? {
        if heard.answers == 0 && heard.damaged == 0 { return nil }
        let all = heard.answers + heard.damaged
        if heard.damaged == 0 { return .ok(area, "checksums", "none of \(all) telegrams was damaged") }
        let evidence = "\(heard.damaged) of \(all) telegrams were damaged"
        let fix =
            "Shorter or twisted wires, GND connected, away from the inverter's cables; an isolated adapter; 120 Ω at both ends of RS485."
        return heard.damaged * 5 > all
            ? .fault(area, "checksums", evidence, fix: fix) : .warning(area, "checksums", evidence, fix: fix)
    }

    private func echo(_ area: String) -> Check? {
        guard let count = heard.rejections[.echo], count > 0, heard.answers > 0 else { return nil }
        return .ok(area, "echo", "the adapter repeats what is sent, as some RS485 adapters do; that is no harm")
    }

    private func mismatch(_ area: String, _ found: [Finding]) -> Check? {
        guard let first = found.first else {
            return .warning(
                area, "protocol", "no JK protocol answers here, at 115200 or at 9600 baud",
                fix: "So it is the wiring, the adapter or the BMS itself, not the configuration.")
        }
        return .fault(
            area, "protocol",
            "the configuration says \(name) at \(baud) baud, but what answers is \(found.map(\.title).joined(separator: "; "))",
            fix: "Write: bms: \(first.entry(port: "…"))")
    }
}

/// What the settings of a BMS mean for the configuration: limits that would be clamped, and things that cannot be.
struct SettingsEvidence {
    var configuration: BridgeConfiguration
    /// In the order of the packs; nil for one that has not been read.
    var readings: [PackReading?]

    func checks() -> [Check] {
        let area = "Settings"
        let control = configuration.control
        var packs: [SurveyedPack] = []
        for (index, reading) in readings.enumerated() where index < control.packs.count {
            guard let reading else { continue }
            let own = control.packs[index]
            packs.append(
                SurveyedPack(
                    reading: reading, chargeOverCurrent: own.chargeOverCurrent, dischargeOverCurrent: own.dischargeOverCurrent,
                    capacity: own.capacity))
        }
        if packs.isEmpty { return [.notChecked(area, "of the BMS", because: "no BMS has been read")] }
        var checks: [Check] = []
        for (index, pack) in packs.enumerated() where pack.cellCount > 0 && pack.cellCount != Int(control.cellsInSeries) {
            checks.append(
                .fault(
                    area, "cells",
                    "BMS \(index + 1) measures \(pack.cellCount) cells, the configuration says \(control.cellsInSeries)",
                    fix: "Write battery.cells: \(pack.cellCount), or check the balance wires."))
        }
        let found = Contradictions(chemistry: control.chemistry, packs: packs)
        checks += found.refusals.map {
            .fault(area, "of the BMS", $0, fix: "Until then its packs stay at 0 A or below what you expect.")
        }
        checks += found.warnings.map { .warning(area, "of the BMS", $0, fix: "") }
        for pack in packs where pack.chargeProtection == nil || pack.dischargeProtection == nil {
            checks.append(
                .fault(
                    area, "over-current", "a BMS does not tell its over-current protection, so its limits are 0 A",
                    fix: "Write pack.charge_over_current and pack.discharge_over_current as they stand in the JK app."))
        }
        if checks.contains(where: { $0.verdict == .fault }) { return checks }
        checks += limits(area, LimitProposal(chemistry: control.chemistry, packs: packs))
        if packs.count < readings.count {
            checks.append(
                .notChecked(
                    area, "of all packs", because: "\(readings.count - packs.count) of \(readings.count) packs were not read"))
        }
        return checks
    }

    private func limits(_ area: String, _ most: LimitProposal) -> [Check] {
        let control = configuration.control
        var checks: [Check] = []
        for (key, value, refusal, best) in [
            ("charge", control.userCharge, most.refusal(ofCharge: control.userCharge), most.charge),
            ("discharge", control.userDischarge, most.refusal(ofDischarge: control.userDischarge), most.discharge),
        ] {
            if value == 0 {
                checks.append(
                    .warning(
                        area, key, "limits.\(key) is 0 A, the factory setting: nothing is \(key)d",
                        fix: "Set it. At most \(whole(best.value)) makes sense: \(best.reason)."))
            } else if let refusal {
                checks.append(
                    .warning(
                        area, key, refusal,
                        fix: "The smaller value counts. Write limits.\(key): \(whole(best.value)) to see what you get."))
            } else {
                checks.append(.ok(area, key, "\(whole(value)) of at most \(whole(best.value))"))
            }
        }
        if let refusal = most.refusal(ofBulk: control.bulk) {
            checks.append(
                .warning(
                    area, "bulk voltage", refusal,
                    fix: "The lower voltage counts. Change charge.bulk, or the protection in the JK app."))
        } else {
            checks.append(.ok(area, "bulk voltage", "\(volts(control.bulk)) per cell keeps its distance to the BMS's own limit"))
        }
        if let refusal = most.refusal(ofEmptyCell: control.dischargeZeroFloor) {
            checks.append(.ok(area, "empty cell", "\(refusal), so that counts"))
        }
        return checks
    }
}
