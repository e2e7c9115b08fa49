import ArgumentParser
import Battery
import BridgeEngine
import Foundation
import Glibc
import LinkClient
import LinuxIO

/// `packbridge run`: the control process as a child, and what it says on the terminal.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs the bridge and shows what it does.",
        discussion: """
            On a terminal the page is renewed every second; elsewhere events are printed as they happen, and a line about the
            state every minute. The control process is a child of its own; it is started again when it crashes. SIGTERM and
            SIGINT end both.

            Example: packbridge run --config packbridge.yaml

            Exit codes: 0 ended by a signal, 1 something failed, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The configuration file.")
    var config = "packbridge.yaml"

    func run() throws {
        var configuration = try loadConfiguration(at: config)
        let privateFolder = try provideLink(for: &configuration)
        defer { if let privateFolder { try? FileManager.default.removeItem(atPath: privateFolder) } }
        // Before any other thread: the loop takes over the signals that end us.
        let loop = try EventLoop(handlesSignals: true)
        var supervisor = Supervisor(configuration: configuration, loop: loop)
        try supervisor.run()
    }

    /// The terminal listens to the control process, so a Link socket is needed even where none is configured or where the
    /// configured folder is not ours. - Returns: a folder to remove at the end.
    private func provideLink(for configuration: inout GatewayConfiguration) throws -> String? {
        if let path = configuration.linkSocket {
            let folder = URL(filePath: path).deletingLastPathComponent().path
            try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            if access(folder, W_OK) == 0 { return nil }
            printError("\(folder) cannot be used; other commands find this bridge only through the socket named below")
        }
        var template = Array("/tmp/packbridge-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no folder in /tmp: \(String(cString: strerror(errno)))") }
        let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        configuration.linkSocket = folder + "/link"
        printError("link: \(folder)/link")
        return folder
    }
}

/// Keeps the control process alive and shows what it says.
private struct Supervisor {
    let configuration: GatewayConfiguration
    let loop: EventLoop
    var control: ControlProcess?
    var link: LinkSocket?
    var nextStart = Instant.now
    var nextLine = Instant.now
    let isTerminal = isatty(STDOUT_FILENO) == 1
    let page: StatusText
    /// The last events, shown below the page.
    var events: [String] = []

    /// A crashed control process is started again after this time; the inverter sees a short gap.
    static let restartDelay: Milliseconds = 1000
    /// How often the child and the socket are looked at.
    static let rhythm: Milliseconds = 200

    init(configuration: GatewayConfiguration, loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
        page = StatusText(
            bmsDevices: configuration.bmsLines.map { "\($0)" },
            inverterDevices: configuration.inverterBuses.map { "\($0)" },
            usesColour: isatty(STDOUT_FILENO) == 1)
    }

    mutating func run() throws {
        while !loop.stopRequested {
            let now = Instant.now
            try superviseChild(at: now)
            if control != nil && link == nil { connect() }
            var readable = false
            loop.wait(until: now + Self.rhythm) { event in readable = readable || event.isReadable || event.hungUp }
            if readable { listen() }
        }
        try stop()
    }

    private mutating func superviseChild(at now: Instant) throws {
        guard let child = control else {
            if now >= nextStart { control = try ControlProcess(starting: configuration) }
            return
        }
        guard let ending = child.ending() else { return }
        control = nil
        link = nil
        switch ending {
        case .exit(let code):
            // It refused to work: trying again changes nothing.
            throw code == 0 ? Failure("the control process ended") : ExitCode(code)
        case .signal(let number):
            nextStart = now + Self.restartDelay
            printError("the control process was killed by signal \(number); starting it again")
        }
    }

    /// The child needs a moment until it listens; until then there is nothing to report.
    private mutating func connect() {
        guard let path = configuration.linkSocket, let socket = try? LinkSocket(path: path) else { return }
        link = socket
        socket.requestReplay()
        loop.watch(socket.descriptor, token: 1)
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
        for event in happened { show(event) }
        if let latest = snapshots.last { show(latest) }
        if !isOpen { self.link = nil }
    }

    private mutating func show(_ event: EngineEvent) {
        let line = "\(Date.now.formatted(.iso8601))  \(event.sentence)"
        if isTerminal {
            events = Array((events + [line]).suffix(8))
        } else {
            writeOut(Array((line + "\n").utf8))
        }
    }

    private mutating func show(_ snapshot: BridgeSnapshot) {
        if isTerminal {
            let text = clearScreen + page.page(snapshot) + "\n" + events.joined(separator: "\n") + "\n"
            writeOut(Array(text.utf8))
        } else if Instant.now >= nextLine {
            nextLine = Instant.now + 60_000
            writeOut(Array((page.line(snapshot) + "\n").utf8))
        }
    }

    /// Ends the child, which closes its devices and writes its record first.
    private mutating func stop() throws {
        guard let child = control else { return }
        kill(child.pid, SIGTERM)
        for _ in 0..<100 {
            if child.ending() != nil { return }
            usleep(50_000)
        }
        kill(child.pid, SIGKILL)
        throw Failure("the control process did not end within 5 s and was killed")
    }
}
