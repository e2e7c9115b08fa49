import ArgumentParser
import Battery
import BridgeEngine
import Foundation
import Glibc
import LinkClient
import LinuxIO

/// `packbridge run`: the control process, the page and the radios as children, and what they say on the terminal.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs the bridge and its page, and shows what they do.",
        discussion: """
            On a terminal the state is renewed every second; elsewhere events are printed as they happen, and a line about the
            state every minute. packbridge-control and packbridge-serve are children of their own. Whatever happens to serve, the
            frames go on: it is started again after 1 s, then 2 s, 4 s, up to a minute, also when it hangs. So is packbridge-ble, one
            for each unit with `protocol: jk-ble`. A control process that crashes is started again after 1 s. SIGTERM and SIGINT end both, serve first, control after the limits have come
            down (up to 15 s); a second signal ends it at once. SIGHUP reads the configuration again, without a gap on the bus; one
            that is refused changes nothing. From a terminal that is closed it ends both.

            Example: packbridge run --config packbridge.yaml

            Exit codes: 0 ended by a signal, 1 something failed, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The configuration file.")
    var config = "packbridge.yaml"

    func run() throws {
        var file = try loadConfiguration(at: config)
        let folder = try PrivateFolder()
        defer { folder.remove() }
        provideLink(for: &file.configuration, in: folder)
        // Before any other thread: the loop takes over the signals that end us.
        let loop = try EventLoop(handlesSignals: true, reloads: isatty(STDIN_FILENO) != 1)
        var supervisor = Supervisor(file, at: config, folder: folder, loop: loop)
        try supervisor.run()
    }

    /// Terminal and page listen to the control process, so a Link socket is needed even where none is configured or where the
    /// configured folder is not ours.
    private func provideLink(for configuration: inout GatewayConfiguration, in privateFolder: PrivateFolder) {
        if let path = configuration.linkSocket {
            let folder = URL(filePath: path).deletingLastPathComponent().path
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            if access(folder, W_OK) == 0 { return }
            printError("\(folder) cannot be used; other commands find this bridge only through the socket named below")
        }
        configuration.linkSocket = privateFolder.path + "/link"
        printError("link: \(privateFolder.path)/link")
    }
}

/// A folder in /tmp that nobody else may look into.
struct PrivateFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/packbridge-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no folder in /tmp: \(String(cString: strerror(errno)))") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    func remove() {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// Keeps both processes alive and shows what they say.
private struct Supervisor {
    let path: String
    var configuration: GatewayConfiguration
    var settings: ServeSettings
    /// The configuration as the control process reads it.
    let controlFile: String
    let loop: EventLoop
    var control: ChildProcess?
    var serve: ProcessSupervisor
    var radios: [BluetoothPack]
    var radioSupervisors: [ProcessSupervisor]
    var link: LinkSocket?
    var nextStart = Instant.now
    var startedAt = Instant.now
    var nextLine = Instant.now
    var page: StatusText
    let news = News()

    /// A crashed control process is started again at once: a Victron GX stops after 3 s without a frame, and the BMS must be believed
    /// first. One that has not lived for `goodRun` waits for this time, so that it does not keep the computer busy.
    static let restartDelay: Milliseconds = 1000
    static let goodRun: Milliseconds = 10_000
    /// How often the children and the socket are looked at.
    static let rhythm: Milliseconds = 200
    /// It lets the limits come down, closes its devices and writes its record when it ends.
    static let patience: Milliseconds = 20_000

    private enum Token: UInt64 { case link = 1, control, serve, radio }

    init(_ file: BridgeFile, at path: String, folder: PrivateFolder, loop: EventLoop) {
        (configuration, settings, self.path, self.loop) = (file.configuration, file.serve, path, loop)
        controlFile = folder.path + "/control.pbc"
        page = Self.page(of: file.configuration, usesColour: news.isTerminal)
        serve = ServeProcess.supervisor(
            in: folder, say: news.add, start: Self.starter(file.serve, link: file.configuration.linkSocket))
        radios = file.radios
        radioSupervisors = RadioProcess.supervisors(of: file.radios, link: file.configuration.linkSocket, say: news.add)
    }

    private static func page(of configuration: GatewayConfiguration, usesColour: Bool) -> StatusText {
        StatusText(
            bmsDevices: configuration.bmsLines.map { "\($0)" },
            inverterDevices: configuration.inverterBuses.map { "\($0)" }, usesColour: usesColour)
    }

    private static func starter(_ settings: ServeSettings, link: String?) -> ([String: String]) throws -> ChildProcess {
        { try ServeProcess.start(settings, link: link ?? "", variables: $0) }
    }

    mutating func run() throws {
        defer {
            serve.stop()
            stopRadios()
        }
        while !loop.stopRequested {
            let now = Instant.now
            if loop.takeReload() { reload() }
            try superviseControl(at: now)
            serve.turn(at: now, loop: loop, token: Token.serve.rawValue)
            for index in radioSupervisors.indices {
                radioSupervisors[index].turn(at: now, loop: loop, token: Token.radio.rawValue)
            }
            if control != nil && link == nil { connect() }
            var readable = false
            loop.wait(until: now + Self.rhythm) { readable = readable || $0.token == Token.link.rawValue }
            if readable { listen() }
        }
        // Serve reads until its end what control says, and control goes last: the bus is the last thing to fall silent. The radios are
        // read while the limits come down.
        serve.stop()
        try stopControl()
    }

    private mutating func stopRadios() {
        for index in radioSupervisors.indices { radioSupervisors[index].stop() }
    }

    private mutating func superviseControl(at now: Instant) throws {
        guard let child = control else {
            if now >= nextStart {
                control = try ControlProcess.start(configuration, file: controlFile)
                startedAt = now
                control?.watch(with: loop, token: Token.control.rawValue)
            }
            return
        }
        let ending = child.ending()
        for line in child.lines() { news.add(line) }
        guard let ending else { return }
        control = nil
        link = nil
        switch ending {
        case .exit(let code):
            // It refused to work: trying again changes nothing.
            throw code == 0 ? Failure("the control process ended") : ExitCode(code)
        case .signal(let number):
            let pause = now.since(startedAt) < Self.goodRun ? Self.restartDelay : 0
            nextStart = now + pause
            news.add("the control process was killed by signal \(number); it starts again \(pause == 0 ? "at once" : "in 1 s")")
            try superviseControl(at: now)
        }
    }

    /// Reads the file again. The control process takes over what it can without a restart and says what it cannot; serve is
    /// started anew when its part has changed. A file that is refused changes nothing.
    private mutating func reload() {
        do {
            var file = try ConfigurationReader.read(try configurationText(at: path))
            file.configuration.linkSocket = configuration.linkSocket
            try ControlProcess.write(file.configuration, to: controlFile)
            configuration = file.configuration
            page = Self.page(of: configuration, usesColour: news.isTerminal)
            if let control { kill(control.pid, SIGHUP) }
            if file.radios != radios {
                stopRadios()
                radios = file.radios
                radioSupervisors = RadioProcess.supervisors(of: radios, link: configuration.linkSocket, say: news.add)
            }
            guard file.serve != settings else { return }
            settings = file.serve
            serve.restart(Self.starter(settings, link: configuration.linkSocket))
        } catch let refused as ConfigurationRefused {
            for problem in refused.problems { news.add(problem.text(file: path)) }
            news.add("\(path): refused, so everything stays as it was")
        } catch {
            news.add("\(error); everything stays as it was")
        }
    }

    /// The child needs a moment until it listens; until then there is nothing to report.
    private mutating func connect() {
        guard let path = configuration.linkSocket, let socket = try? LinkSocket(path: path) else { return }
        link = socket
        socket.requestReplay()
        loop.watch(socket.descriptor, token: Token.link.rawValue)
    }

    private mutating func listen() {
        guard let link else { return }
        var snapshots: [BridgeSnapshot] = []
        var happened: [EngineEvent] = []
        let isOpen = link.receive { news in
            switch news {
            case .snapshot(let snapshot): snapshots.append(snapshot)
            case .event(let event): happened.append(event)
            case .commandReply, .configuration: break
            }
        }
        for event in happened { news.add(event) }
        if let latest = snapshots.last { show(latest) }
        if !isOpen { self.link = nil }
    }

    private mutating func show(_ snapshot: BridgeSnapshot) {
        if news.isTerminal {
            let address = "Page " + (serve.address ?? "not there") + "\n\n"
            News.write(redrawn(page.page(snapshot) + address + news.latest.joined(separator: "\n") + "\n"))
        } else if Instant.now >= nextLine {
            nextLine = Instant.now + 60_000
            News.write(page.line(snapshot) + "\n")
        }
    }

    private mutating func stopControl() throws {
        guard let child = control else { return }
        let requests = loop.stopRequests
        let ended = child.end(within: Self.patience) {
            loop.wait(until: .now + 20) { _ in }
            if link != nil { listen() }
            return loop.stopRequests > requests
        }
        for line in child.lines() { news.add(line) }
        if !ended { throw Failure("the control process did not end within \(Self.patience / 1000) s and was killed") }
    }
}

/// What happens, line by line: below the page on a terminal, else as it comes.
private final class News {
    let isTerminal = isatty(STDOUT_FILENO) == 1
    private(set) var latest: [String] = []

    /// An event of the bridge, for standard output.
    func add(_ event: EngineEvent) {
        let line = "\(Date.now.formatted(.iso8601))  \(event.sentence)"
        if isTerminal { keep(line) } else { Self.write(line + "\n") }
    }

    /// Something about the processes, for standard error.
    func add(_ text: String) {
        if isTerminal { keep(text) } else { printError(text) }
    }

    /// A full disk or a reader that has gone is no reason to end the bridge.
    static func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
    }

    private func keep(_ line: String) {
        latest = Array((latest + [line]).suffix(8))
    }
}
