import ArgumentParser
import Battery
import BridgeEngine
import Foundation
import Glibc
import LinkClient
import LinuxIO

/// `packbridge doctor`: everything that somebody who helps would ask for.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Looks at everything that can be wrong, and says what to do about it.",
        discussion: """
            Permissions, adapters, baud rate, damaged telegrams, the settings of the BMS, the CAN bus, the inverter's heartbeat, its \
            battery language, other batteries on the bus, the running control process, the page, disk, clock. While the control \
            process runs, it is asked and its ports are not touched. Otherwise a BMS is asked as the control process would, which \
            changes nothing in it. On a CAN bus nothing is ever sent.

            With --bundle the findings, the configuration, the last state and the last events go into an archive to attach to a \
            question. Passwords, hashes, tokens, names, hosts and serial numbers are taken out.

            Example: packbridge doctor
            Example: packbridge doctor /etc/packbridge/packbridge.yaml --bundle packbridge.tar.gz

            Exit codes: 0 all good, 1 at least one warning, 2 at least one fault (or usage).
            """)

    @Argument(help: ArgumentHelp("The configuration file. (default: that of the installed service, else packbridge.yaml)"))
    var file: String?

    @Flag(help: "One JSON object: verdict, checks.")
    var json = false

    @Option(help: "Also write an archive for those who help, .tar.gz or .tar.")
    var bundle: String?

    @Option(help: "The Link socket of the control process, when it is not that of the configuration.")
    var link: String?

    @Option(help: .hidden)
    var root = "/"

    func validate() throws {
        if let bundle, !bundle.hasSuffix(".tar.gz"), !bundle.hasSuffix(".tar") {
            throw ValidationError("--bundle must end with .tar.gz or .tar.")
        }
    }

    func run() throws {
        let service = SystemdService(root: root)
        let path = file ?? service?.configuration ?? "packbridge.yaml"
        let doctor = Doctor(
            path: path, link: link, root: root, service: service,
            report: { step in if isatty(STDERR_FILENO) == 1 { printError(step) } })
        let examination = doctor.examine()
        if json {
            print(examination.json)
        } else {
            let screen = Screen()
            print(examination.text(width: min(screen.size.columns, 100), colour: screen.usesColour), terminator: "")
        }
        if let bundle {
            try doctor.bundle(examination).write(to: bundle)
            printError("\(bundle) is written. Look into it before you attach it.")
        }
        if examination.exitCode != 0 { throw ExitCode(examination.exitCode) }
    }
}

/// Gathers the evidence. Everything that is opened is closed again, and nothing is sent that could change a setting.
final class Doctor {
    private let path: String
    private let root: String
    private let linkOption: String?
    private let service: SystemdService?
    private let report: (String) -> Void
    private let survey: PortSurvey

    private var file: BridgeFile?
    private var text: String?
    private var control = ControlEvidence.notConfigured
    private var events: [EngineEvent] = []

    init(path: String, link: String?, root: String, service: SystemdService?, report: @escaping (String) -> Void) {
        (self.path, linkOption, self.root, self.service, self.report) = (path, link, root, service, report)
        survey = PortSurvey(root: root)
    }

    func examine() -> Examination {
        var examination = Examination(title: "PackBridge \(packBridgeVersion), examined with \(path)")
        examination.checks += configurationChecks()
        let folders = [file == nil ? FileEntry().state : file?.configuration.stateDirectory].compactMap(\.self)
        examination.checks += ComputerEvidence(folders: folders, service: service).checks
        askControl()
        examination.checks += control.checks
        if let file {
            let configuration = file.configuration
            var readings = [PackReading?](repeating: nil, count: configuration.bridge.control.packs.count)
            examination.checks += lineChecks(configuration, &readings)
            examination.checks += SettingsEvidence(configuration: configuration.bridge, readings: readings).checks()
            for index in configuration.inverterBuses.indices { examination.checks += inverterChecks(configuration, index) }
            examination.checks.append(page(file.serve.web))
        } else {
            examination.checks += portChecks()
        }
        return examination
    }

    // MARK: Configuration

    private func configurationChecks() -> [Check] {
        let area = "Configuration"
        do { text = try configurationText(at: path) } catch {
            let isThere = FileManager.default.fileExists(atPath: path)
            return [
                .fault(
                    area, "file", "\(error)",
                    fix: isThere
                        ? "Run packbridge doctor with sudo, or as a member of the group that may read it."
                        : "If yours is elsewhere: packbridge doctor FILE")
            ]
        }
        var checks: [Check] = []
        do throws(ConfigurationRefused) {
            let read = try ConfigurationReader.read(text ?? "")
            file = read
            checks.append(.ok(area, "file", "\(path) is good"))
        } catch {
            checks += error.problems.map {
                .fault(area, "file", $0.text(file: path), fix: "packbridge check \(path) says the same.")
            }
        }
        let isSecret = ["password_hash", "hash:"].contains { (text ?? "").contains($0) }
        checks.append(FileEvidence(at: path, isSecret: isSecret).check(area, "permissions"))
        for secret in file?.serve.secretFiles ?? [] {
            checks.append(FileEvidence(at: secret, isSecret: true).check(area, "secret"))
        }
        return checks
    }

    // MARK: Control

    private func askControl() {
        let configured = file == nil ? FileEntry().link : file?.configuration.linkSocket
        guard let path = linkOption ?? configured else { return }
        report("Asking the control process …")
        let socket: LinkSocket
        do { socket = try LinkSocket(path: path) } catch {
            control = "\(error)".contains("permission") ? .forbidden("\(error)") : .notRunning("nobody listens on \(path)")
            return
        }
        socket.requestReplay()
        var found: BridgeSnapshot?
        let end = Instant.now + 5000
        while found == nil && Instant.now < end {
            var poll = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 1000) > 0 else { continue }
            let isOpen = socket.receive { news in
                switch news {
                case .snapshot(let snapshot): found = snapshot
                case .event(let event): events.append(event)
                case .commandReply, .configuration: break
                }
            }
            if !isOpen { break }
        }
        control = found.map { .running($0) } ?? .silent
    }

    // MARK: BMS lines

    private func lineChecks(_ configuration: GatewayConfiguration, _ readings: inout [PackReading?]) -> [Check] {
        var checks: [Check] = []
        for (index, line) in configuration.bmsLines.enumerated() {
            let port = configuration.bridge.bmsPorts[index]
            let area = configuration.bmsLines.count == 1 ? "BMS" : "BMS line \(index + 1)"
            let slots = Int(port.firstPack)..<Int(port.firstPack) + max(1, port.addresses.count)
            if case .serial(let serial) = line, !serial.path.isEmpty, port.bmsProtocol != .link {
                checks += DeviceEvidence(at: serial.path, survey).checks(area, controlRuns: control.holdsPorts)
            }
            if let snapshot = control.snapshot {
                let packs = snapshot.packs.filter { slots.contains(Int($0.number) - 1) }
                for pack in packs where pack.readingAge >= 0 { readings[Int(pack.number) - 1] = pack.reading }
                if index < snapshot.bmsPorts.count { checks += snapshot.bmsPorts[index].checks(area, packs: packs) }
            } else if control.holdsPorts {
                checks.append(.notChecked(area, "answers", because: "the control process has the port"))
            } else if !checks.contains(where: { $0.area == area && $0.verdict == .fault }) {
                checks += ask(line, port, area, slots, &readings)
            }
        }
        return checks
    }

    private func ask(
        _ line: BMSAddress, _ port: BMSPortConfiguration, _ area: String, _ slots: Range<Int>, _ readings: inout [PackReading?]
    ) -> [Check] {
        let addresses = (0..<port.addresses.count).map { port.addresses[$0] }
        switch line {
        case .link:
            if let unit = file?.radios.first(where: { Int($0.pack) == slots.lowerBound + 1 }) {
                return [askRadio(unit, area, &readings)]
            }
            return [.notChecked(area, "answers", because: "its readings come from another program, over Link")]
        case .can(let address):
            var evidence = BusEvidence(address: address, expectedBitrate: 250_000)
            report("Listening on \(address) …")
            do throws(PortFailure) {
                // Everything but the alarms comes at least once a second.
                let heard = try LineReading.listen(to: addresses, on: address, for: BusSearch.listening) { _ in false }
                for (slot, unit) in zip(slots, addresses) { readings[slot] = heard.readings[unit] }
                let missing = addresses.filter { heard.readings[$0] == nil }
                return missing.isEmpty
                    ? [.ok(area, "answers", "unit \(addresses.map(String.init).joined(separator: ", ")) is heard")]
                    : [
                        .fault(
                            area, "answers", "unit \(missing.map(String.init).joined(separator: ", ")) is not heard",
                            fix: "250 kbit/s? " + BusEvidence.termination)
                    ]
            } catch { evidence.failure = error }
            return evidence.checks(area)
        case .serial(let serial):
            let units = addresses.isEmpty ? [0] : addresses
            var evidence = LineEvidence(configured: port.bmsProtocol, baud: serial.baud, addresses: units)
            report("Asking the BMS on \(serial.path) …")
            let patience = Milliseconds(
                port.listenOnly || addresses.contains(0) && port.bmsProtocol == .jk55AA ? 10_000 : 4000 + 1500 * units.count)
            do throws(PortFailure) {
                // A few answers each, so that damage now and then shows.
                evidence.heard = try LineReading.read(
                    port.bmsProtocol, on: serial.path, baud: serial.baud, addresses: units, listenOnly: port.listenOnly,
                    for: patience
                ) { heard in heard.answers >= 4 * units.count && units.allSatisfy { heard.readings[$0]?.settings != nil } }
                if evidence.heard.readings.isEmpty {
                    report("Nobody answers; trying every protocol …")
                    evidence.found = try LineSearch.search(serial.path)
                }
            } catch { evidence.failure = error }
            for (slot, unit) in zip(slots, units) { readings[slot] = evidence.heard.readings[unit] }
            return evidence.checks(area)
        }
    }

    private func askRadio(_ unit: BluetoothPack, _ area: String, _ readings: inout [PackReading?]) -> Check {
        report("Asking the BMS at \(unit.device) over Bluetooth …")
        do { readings[Int(unit.pack) - 1] = try RadioSearch.read(unit.device) } catch {
            return .fault(
                area, "answers", "\(unit.device) is not heard: \(error)",
                fix: "Is it on, near, and no phone connected to it? packbridge detect bluetooth names who is in reach.")
        }
        return .ok(area, "answers", "\(unit.device) is heard over Bluetooth")
    }

    // MARK: Inverters

    private func inverterChecks(_ configuration: GatewayConfiguration, _ index: Int) -> [Check] {
        let area = configuration.inverterBuses.count == 1 ? "Inverter" : "Inverter \(index + 1)"
        let port = configuration.bridge.inverterPorts[index]
        var checks: [Check] = []
        switch configuration.inverterBuses[index] {
        case .rs485(let line): checks += DeviceEvidence(at: line.path, survey).checks(area, controlRuns: control.holdsPorts)
        case .can(.slcan(let path, _, _)): checks += DeviceEvidence(at: path, survey).checks(area, controlRuns: control.holdsPorts)
        case .can: break
        }
        let payload = control.snapshot.flatMap { index < $0.inverterPorts.count ? $0.inverterPorts[index] : nil }
        if let payload { checks += payload.checks(area) }
        if checks.contains(where: { $0.verdict == .fault && ["device", "permission", "free"].contains($0.name) }) { return checks }
        switch configuration.inverterBuses[index] {
        case .rs485:
            if !control.holdsPorts {
                checks.append(
                    .notChecked(area, "heartbeat", because: "on RS485 the inverter asks; that is seen once PackBridge runs"))
            }
        case .can(let address): checks += busChecks(address, port, area, hasPayload: payload != nil)
        }
        return checks
    }

    /// A bus of the kernel has room for one more listener, even while the control process sends; an adapter has not.
    private func busChecks(_ address: CANAddress, _ port: InverterPortConfiguration, _ area: String, hasPayload: Bool) -> [Check] {
        var evidence = BusEvidence(
            address: address, language: .can(port.dialect), period: Int64(port.cycle), controlSends: control.holdsPorts)
        switch address {
        case .socketCAN(let interface): evidence.link = linkState(of: interface)
        case .slcan where control.holdsPorts: return []
        case .slcan: break
        case .candump, .virtual: return [.notChecked(area, "bus", because: "\(address) is no real bus")]
        }
        report("Listening on \(address) for 3 s …")
        do throws(PortFailure) { evidence.search = try BusSearch.search(address) } catch { evidence.failure = error }
        // What the control process says about the state is the same bus seen longer.
        return evidence.checks(area).filter {
            !hasPayload || !["heartbeat", "bus state"].contains($0.name) || $0.verdict == .fault
        }
    }

    private func linkState(of interface: String) -> CANLink? {
        guard let ip = program("ip"),
            let result = packbridge.run(ip, ["-details", "-statistics", "-json", "link", "show", interface]), result.status == 0
        else { return nil }
        return CANLink(json: result.output)
    }

    // MARK: Page and ports

    private func page(_ web: WebEntry) -> Check {
        if web.port == 0 { return .notChecked("Page", "reachable", because: "web.port is 0, so any free port is taken") }
        report("Asking for the page …")
        return PageEvidence(web, isExpected: control.holdsPorts).check
    }

    /// Without a configuration: what there is to configure.
    private func portChecks() -> [Check] {
        let area = "Ports"
        var checks = survey.serial.flatMap {
            DeviceEvidence(at: $0.path, survey).checks(area, controlRuns: false).prefix { $0.verdict != .notChecked }
        }
        checks += survey.can.map {
            $0.isUp
                ? .ok(area, "CAN", "\($0.name) is up")
                : .warning(
                    area, "CAN", "\($0.name) is down", fix: "sudo ip link set \($0.name) up type can bitrate 500000 restart-ms 100")
        }
        if checks.isEmpty {
            checks = [
                .warning(
                    area, "adapters", "no serial adapter and no CAN interface is there",
                    fix: "Plug them in; `dmesg` says whether the kernel knows them.")
            ]
        }
        return checks
    }

    // MARK: For those who help

    func bundle(_ examination: Examination) -> DoctorBundle {
        DoctorBundle(examination: examination, configuration: text, file: file, snapshot: control.snapshot, events: events)
    }
}

extension ServeSettings {
    /// Files that hold a password, a token or a key.
    var secretFiles: [String] {
        [mqtt?.passwordFile, mqtt?.clientKey, web.key].compactMap(\.self) + webhooks.compactMap(\.tokenFile)
    }
}
