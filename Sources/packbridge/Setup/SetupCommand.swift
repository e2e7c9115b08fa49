import ArgumentParser
import Battery
import BridgeEngine
import Foundation
import Glibc
import LinkClient
import LinuxIO

/// `packbridge setup`: from an adapter and a BMS to a configuration file.
struct SetupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "setup",
        abstract: "Finds the BMS, reads its settings, asks for the inverter, proposes limits and writes the configuration.",
        discussion: """
            Questions are answered by a number, by a text or with Enter, which takes what stands in brackets. ? explains a question, \
            back returns to the one before, Ctrl-C ends. Nothing is written before the last question, nothing is changed in the BMS, \
            and nothing is sent on a CAN bus. The ports must be free, so stop PackBridge first.

            With --answers the answers come from a YAML file, by the names of the configuration's keys; `default` takes what would \
            stand in brackets. What is missing or was not asked for is an error. docs/setup.md has an example.

            Example: packbridge setup
            Example: packbridge setup --answers answers.yaml --output /etc/packbridge/packbridge.yaml

            Exit codes: 0 a configuration was written, 1 none was, 2 usage.
            """)

    @Option(help: ArgumentHelp("The configuration file. (default: that of the installed service, else packbridge.yaml)"))
    var output: String?

    @Option(help: "A YAML file with the answers; nobody is asked.")
    var answers: String?

    @Flag(help: "Replace the file without asking. A copy of the old one is kept.")
    var force = false

    @Option(
        name: .customLong("port"),
        help: "Offer only this port; may be repeated. A serial device, socketcan:…, slcan:… or bluetooth.")
    var ports: [String] = []

    @Option(help: .hidden)
    var root = "/"

    func run() throws {
        let service = SystemdService(root: root)
        let file = output ?? service?.configuration ?? "packbridge.yaml"
        let respondent = try respondent()
        let conversation = Conversation(respondent)
        let interview = Interview(world(hasService: service != nil), conversation)
        do {
            let written = try conversation.lead { _ in try lead(interview, respondent, service, file) }
            if !written {
                say("Nothing was written.")
                throw ExitCode(1)
            }
        } catch is Console.Ended {
            say("\nNothing was written.")
            throw ExitCode(1)
        } catch let refused as Unfit {
            throw Failure(refused.reason)
        }
    }

    /// - Returns: false when the person decided not to write.
    private func lead(
        _ interview: Interview, _ respondent: any Respondent, _ service: SystemdService?, _ file: String
    ) throws -> Bool {
        let conversation = interview.conversation
        conversation.say(
            "This asks for your BMS and your inverter and writes \(file). Enter takes what stands in brackets, ? explains, back goes back, Ctrl-C ends; nothing is written before the end."
        )
        let plan = try interview.run()
        let yaml = plan.yaml(day: Self.today)
        let hints = try checked(yaml)
        conversation.say("\nThe configuration:\n")
        conversation.show(yaml)
        guard try mayWrite(file, conversation) else { return false }
        let startsService = try service.map { _ in
            try conversation.confirm(
                "start_service", "Start the service now, and at every boot?", standard: true,
                "systemd then runs the control process and the page, and starts them again when this computer boots.")
        }
        if let file = respondent as? AnswersFile { try file.checkAllUsed() }
        let backup = try ConfigurationWriter(path: file).write(yaml)
        say("\n\(file) is written and good." + (backup.map { " The old one is \($0)." } ?? ""))
        for hint in hints { say("- \(hint)") }
        try finish(startsService == true ? service : nil, plan, file)
        return true
    }

    private func finish(_ service: SystemdService?, _ plan: SetupPlan, _ file: String) throws {
        if let service {
            if let refusal = service.start(withRadio: plan.hasRadio) { throw Failure("the service did not start: \(refusal)") }
            say("The service runs. packbridge status shows what it does.")
        } else {
            say("Now: packbridge run --config \(file)")
        }
        say("And once it runs: packbridge doctor \(file)")
    }

    // MARK: Parts

    private func respondent() throws -> any Respondent {
        if let answers {
            return try AnswersFile(try configurationText(at: answers), name: answers) { print($0, terminator: "") }
        }
        return Console(
            width: min(Screen().size.columns, 80), read: { readLine() },
            write: { writeOut(Array($0.utf8)) })
    }

    private func say(_ text: String) {
        print(
            text.split(separator: "\n", omittingEmptySubsequences: false).map { wrapped($0, width: 80, rest: "  ") }.joined(
                separator: "\n"))
    }

    private func world(hasService: Bool) -> SetupWorld {
        SetupWorld(
            ports: ports.isEmpty ? PortSurvey(root: root) : PortSurvey(ports: ports),
            detect: { port in
                if port.hasPrefix("/") { return try LineSearch.search(port) }
                return try BusSearch.search(try CANAddress(port)).finding.map { [$0] } ?? []
            },
            read: Self.read, listen: { try BusSearch.search($0) }, searchRadio: RadioSearch.search,
            ownStateFolder: hasService ? nil : Self.ownStateFolder)
    }

    /// One reading of each unit; with its settings, where they come within a few seconds.
    private static func read(_ finding: Finding, on port: String) throws -> [UInt8: PackReading] {
        if finding.protocolName == "jk-ble" { return [0: try RadioSearch.read(port)] }
        let units = finding.addresses.isEmpty ? [0] : finding.addresses
        func isComplete(_ heard: LineReading) -> Bool {
            units.allSatisfy { heard.readings[$0]?.settings != nil && heard.readings[$0]?.starting == false }
        }
        if finding.protocolName == "jk-can" {
            // Everything but the alarms comes at least once a second.
            return try LineReading.listen(to: units, on: try CANAddress(port), for: BusSearch.listening) { _ in false }.readings
        }
        guard let name = finding.speech else { return [:] }
        // A bus with a master is only listened to, and its cycle takes 4.4 s; settings may not be among what it asks for.
        let patience = Milliseconds(finding.isBusy ? 10_000 : 4000 + 1500 * units.count)
        return try LineReading.read(
            name, on: port, baud: finding.baud ?? 115_200, addresses: units, listenOnly: finding.isBusy, for: patience,
            until: isComplete
        ).readings
    }

    /// A folder of this user's, when /var/lib/packbridge is not to be had.
    private static var ownStateFolder: String? {
        guard let usual = FileEntry().state, access(usual, W_OK) != 0, geteuid() != 0 else { return nil }
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_STATE_HOME"] ?? environment["HOME"].map { $0 + "/.local/state" }
        return base.map { $0 + "/packbridge" }
    }

    private static var today: String { String(Date.now.formatted(.iso8601).prefix(10)) }

    /// The same judgement as that of `packbridge check`. - Returns: its hints.
    private func checked(_ yaml: String) throws -> [String] {
        do throws(ConfigurationRefused) { return try ConfigurationReader.read(yaml).hints } catch {
            throw Failure(
                "the answers contradict each other:\n"
                    + error.problems.map { $0.text(file: "the new file") }.joined(separator: "\n"))
        }
    }

    private func mayWrite(_ file: String, _ conversation: Conversation) throws -> Bool {
        if FileManager.default.fileExists(atPath: file) && !force {
            return try conversation.confirm(
                "overwrite", "\(file) exists already. Replace it? A copy is kept", standard: false,
                "The old file is kept beside it with a number at its end.")
        }
        if answers != nil { return true }
        return try conversation.confirm("write", "Write this to \(file)?", standard: true, "Nothing has been written so far.")
    }
}

extension Finding {
    /// For the protocols of a serial line.
    var speech: BMSProtocolName? {
        switch protocolName {
        case "jk-4e57": .jk4E57
        case "jk-modbus": .jkModbus
        case "jk-55aaeb90": .jk55AA
        default: nil
        }
    }
}

/// Puts a configuration in its place: whole or not at all, and never over the only copy of another one.
struct ConfigurationWriter {
    let path: String

    /// - Returns: where the old file is kept, when there was one.
    func write(_ text: String) throws -> String? {
        let url = URL(filePath: path)
        let folder = url.deletingLastPathComponent().path
        let files = FileManager.default
        do { try files.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
            throw Failure("\(folder): cannot be created; run this with sudo, or name another file with --output")
        }
        guard access(folder, W_OK) == 0 else {
            throw Failure("\(folder): cannot be written; run this with sudo, or name another file with --output")
        }
        var backup: String?
        if files.fileExists(atPath: path) {
            let number = (1...).first { !files.fileExists(atPath: "\(path).\($0)") } ?? 1
            backup = "\(path).\(number)"
            do { try files.copyItem(atPath: path, toPath: backup!) } catch {
                throw Failure("\(path).\(number): cannot be written: \(error)")
            }
        }
        // It may get secrets later, so those who could not read the old one cannot read the new one; and who could, the service
        // above all, still can.
        var (before, place) = (stat(), stat())
        let existed = stat(path, &before) == 0
        stat(folder, &place)
        do {
            try Data(text.utf8).write(to: url, options: .atomic)
            try files.setAttributes([.posixPermissions: existed ? Int(before.st_mode & 0o7777) : 0o640], ofItemAtPath: path)
        } catch { throw Failure("\(path): cannot be written: \(error)") }
        // Only root may give a file away; everybody else has written his own.
        _ = existed ? chown(path, before.st_uid, before.st_gid) : chown(path, geteuid(), place.st_gid)
        return backup
    }
}
