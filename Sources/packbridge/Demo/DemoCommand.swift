import ArgumentParser
import Battery
import BridgeEngine
import Foundation
import Glibc
import LinkClient
import LinuxIO
import Simulation

/// `packbridge demo`: the real bridge between simulated packs and a simulated inverter, to watch.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Shows the bridge at work: simulated packs and inverter, nothing to plug in.",
        discussion: """
            The packs answer on pseudo-terminals and the inverter sits behind an SLCAN adapter on another one, so the serial and
            CAN code is that of a real installation; control process and web page are children of their own, as in `packbridge
            run`. Sun, house and the charge of the cells run in fast-forward, the bridge in real time: a day takes about a quarter
            of an hour. Every half minute something goes wrong. The page is at http://127.0.0.1:8080, or at the address that is
            printed where that port is taken.

            Example: packbridge demo --packs 2 --speed 120

            Exit codes: 0 ended by a signal or --seconds, 1 something failed, 2 usage.
            """)

    @Option(help: "How many packs, 1 to 4.")
    var packs = 2

    @Option(help: "Dialect towards the inverter: pylontech or growatt.")
    var dialect = "pylontech"

    @Option(help: "How much faster sun, house and charge run than the clock, 1 to 600.")
    var speed = 120.0

    @Option(help: "Percent of charge at the start.")
    var soc = 72.0

    @Flag(help: "Nothing goes wrong.")
    var peaceful = false

    @Option(help: "End after this many seconds.")
    var seconds: Int?

    @Option(help: "Port of the web page; another one when it is taken.")
    var port: UInt16 = 8080

    @Flag(help: "One JSON object a second instead of the page in the terminal.")
    var json = false

    func validate() throws {
        if !(1...4).contains(packs) { throw ValidationError("--packs must be 1 to 4.") }
        if dialect != "pylontech" && dialect != "growatt" {
            throw ValidationError("--dialect must be pylontech or growatt.")
        }
        if !(1...600).contains(speed) { throw ValidationError("--speed must be 1 to 600.") }
        if !(2...100).contains(soc) { throw ValidationError("--soc must be 2 to 100.") }
        if let seconds, seconds < 1 { throw ValidationError("--seconds must be at least 1.") }
    }

    func run() throws {
        let plan = plan()
        let loop = try eventLoop()
        let cabinet = try DemoCabinet(plan: plan, speed: speed, hasIncidents: !peaceful)
        let folder = try PrivateFolder()
        defer { folder.remove() }
        let link = folder.path + "/link"

        let configuration = GatewayConfiguration(
            bmsLines: cabinet.bmsPaths.map { .serial(SerialLineConfiguration(path: $0)) },
            inverterBuses: [.can(.slcan(path: cabinet.canPath))], linkSocket: link, bridge: plan.bridge)
        let control = try ControlProcess.start(configuration, file: folder.path + "/control.pbc")
        // Nobody's battery depends on it: asking again spares the ramp.
        defer {
            control.end(within: 3000) {
                usleep(20_000)
                return true
            }
        }
        let show = DemoShow(plan: plan, isJSON: json)
        defer { show.close() }
        let settings = pageSettings(history: folder.path, say: show.say)
        var serve = ServeProcess.supervisor(in: folder, say: show.say) { variables in
            try ServeProcess.start(settings, link: link, variables: variables)
        }
        defer { serve.stop() }
        cabinet.watch(with: loop)
        try watch(cabinet, control, &serve, link: link, loop, show)
    }

    /// The page shows itself to this machine alone, and its history ends with the demonstration.
    private func pageSettings(history folder: String, say: (String) -> Void) -> ServeSettings {
        var settings = ServeSettings()
        (settings.site.name, settings.site.packNames) = ("PackBridge demo", DemoScript.packNames)
        settings.history.folder = .at(folder)
        settings.web.port = port
        if !isPortFree(port) {
            say("port \(port) is taken, so the page gets another one")
            settings.web.port = 0
        }
        return settings
    }

    private func plan() -> WorldPlan {
        var design = PackDesign()
        (design.soc, design.runnerLead, design.milliohms) = (soc / 100, 0.006, 0.25)
        var plan = WorldPlan(
            seed: 7, packs: packs, design: design, dialect: dialect == "growatt" ? .growatt : .pylontech)
        for i in plan.packs.indices { plan.packs[i].soc = min(1, design.soc + 0.004 * Double(i)) }
        plan.bridge.control.userCharge = Milliamps(packs) * 100_000
        plan.bridge.control.userDischarge = Milliamps(packs) * 100_000
        plan.peakSun = 5500 * Double(packs)
        plan.inverterCharge = 80 * Double(packs)
        return plan
    }

    /// Until a signal comes, the time is over or the control process ends.
    private func watch(
        _ cabinet: DemoCabinet, _ control: ChildProcess, _ serve: inout ProcessSupervisor, link path: String,
        _ loop: EventLoop, _ show: DemoShow
    ) throws {
        let began = Instant.now
        var link: LinkSocket?
        while !loop.stopRequested {
            let now = Instant.now
            if let seconds, now.since(began) >= Int64(seconds) * 1000 { return }
            let ending = control.ending()
            for line in control.lines() { show.say(line) }
            if let ending { throw Failure("the control process \(ending)") }
            serve.turn(at: now, loop: loop, token: 2)
            show.address = serve.address
            if link == nil, let socket = try? LinkSocket(path: path) {
                link = socket
                socket.requestReplay()
                loop.watch(socket.descriptor, token: 1)
            }
            let next = cabinet.turn(at: now)
            show.draw(cabinet, at: now)
            var hasNews = false
            loop.wait(until: min(next, now + 100)) { event in hasNews = hasNews || event.token == 1 }
            if hasNews, let socket = link, !socket.receive({ show.hear($0, cabinet) }) { link = nil }
        }
    }
}

/// Where the demonstration is shown: a page on a terminal, blocks of text elsewhere, or JSON lines.
private final class DemoShow {
    private var screen = Screen()
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let isJSON: Bool
    private var page: DemoPage
    private var snapshot: BridgeSnapshot?
    private var events: [String] = []
    /// Of the web page; nil while it is not there.
    var address: String?
    private var nextDraw = Instant.now
    private static let textInterval: Milliseconds = 5000

    init(plan: WorldPlan, isJSON: Bool) {
        self.isJSON = isJSON
        var panel = BridgePanel(columns: 100, usesUnicode: screen.usesUnicode)
        panel.chargeMaximum = plan.bridge.control.userCharge
        panel.dischargeMaximum = plan.bridge.control.userDischarge
        page = DemoPage(panel: panel, packs: plan.packs.count)
        if isTerminal && !isJSON { screen.open() }
    }

    func close() {
        screen.close()
    }

    /// What the processes say, and what is done about it.
    func say(_ line: String) {
        // The screen has no room for what is no news; without a terminal it is all there is.
        if !isTerminal || isJSON { return printError(line) }
        if !line.contains(": info: ") { events = Array((events + [line]).suffix(40)) }
    }

    func hear(_ news: LinkNews, _ cabinet: DemoCabinet) {
        switch news {
        case .snapshot(let new):
            snapshot = new
            if isJSON { write(new, cabinet) }
        case .event(let event):
            events = Array((events + [event.sentence]).suffix(40))
            if !isTerminal && !isJSON { writeOut(Array(("* " + event.sentence + "\n").utf8)) }
        case .commandReply, .configuration:
            break
        }
    }

    func draw(_ cabinet: DemoCabinet, at now: Instant) {
        if isJSON || now < nextDraw { return }
        if isTerminal {
            nextDraw = now + 250
            let (columns, rows) = screen.size
            page.panel.columns = columns
            screen.show(page.lines(cabinet, snapshot, address: address, events: events, rows: rows))
        } else {
            nextDraw = now + Self.textInterval
            let lines = page.lines(cabinet, snapshot, address: address, events: [], rows: 24)
            writeOut(Array((lines.map { $0.text(columns: 160, colour: false) }.joined(separator: "\n") + "\n\n").utf8))
        }
    }

    private func write(_ snapshot: BridgeSnapshot, _ cabinet: DemoCabinet) {
        var text = JSONText()
        text.object { o in
            o.field("clock_s", Int(cabinet.clock))
            o.field("speed", Int(cabinet.speed))
            o.field("sun_W", Int(cabinet.house.sun))
            o.field("load_W", Int(cabinet.house.load))
            o.field("bank_current_mA", Int(cabinet.bank.current * 1000))
            o.field("incident", cabinet.incident?.kind.rawValue)
            o.key("bridge")
            o.write(snapshot)
        }
        writeOut(text.bytes + [UInt8(ascii: "\n")])
    }
}

/// True when a server may listen there. Somebody may still be quicker; then `packbridge-serve` says so and tries again.
private func isPortFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    // Like the server itself, which is not held up by the connections of its predecessor.
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                && listen(descriptor, 1) == 0
        }
    }
}
