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
            CAN code is that of a real installation; the control process is a child of its own. Sun, house and the charge of the
            cells run in fast-forward, the bridge in real time. Every half minute something goes wrong.

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

    @Flag(help: "One JSON object a second instead of the page.")
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
        var template = Array("/tmp/packbridge-demo-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no folder in /tmp: \(String(cString: strerror(errno)))") }
        let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        defer { try? FileManager.default.removeItem(atPath: folder) }

        let configuration = GatewayConfiguration(
            bmsLines: cabinet.bmsPaths.map { .serial(SerialLineConfiguration(path: $0)) },
            inverterBuses: [.can(.slcan(path: cabinet.canPath))], linkSocket: folder + "/link", bridge: plan.bridge)
        let control = try ControlProcess(starting: configuration)
        defer { end(control) }
        var show = DemoShow(plan: plan, isJSON: json)
        defer { show.close() }
        cabinet.watch(with: loop)
        try watch(cabinet, control, link: folder + "/link", loop, &show)
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
        _ cabinet: DemoCabinet, _ control: ControlProcess, link path: String, _ loop: EventLoop, _ show: inout DemoShow
    ) throws {
        let began = Instant.now
        var link: LinkSocket?
        while !loop.stopRequested {
            let now = Instant.now
            if let seconds, now.since(began) >= Int64(seconds) * 1000 { return }
            if let ending = control.ending() { throw Failure("the control process ended: \(ending)") }
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

    private func end(_ control: ControlProcess) {
        kill(control.pid, SIGTERM)
        for _ in 0..<60 {
            if control.ending() != nil { return }
            usleep(50_000)
        }
        kill(control.pid, SIGKILL)
    }
}

/// Where the demonstration is shown: a page on a terminal, blocks of text elsewhere, or JSON lines.
private struct DemoShow {
    private var screen = Screen()
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let isJSON: Bool
    private var page: DemoPage
    private var snapshot: BridgeSnapshot?
    private var events: [String] = []
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

    mutating func close() {
        screen.close()
    }

    mutating func hear(_ news: LinkNews, _ cabinet: DemoCabinet) {
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

    mutating func draw(_ cabinet: DemoCabinet, at now: Instant) {
        if isJSON || now < nextDraw { return }
        if isTerminal {
            nextDraw = now + 250
            let (columns, rows) = screen.size
            page.panel.columns = columns
            screen.show(page.lines(cabinet, snapshot, events: events, rows: rows))
        } else {
            nextDraw = now + Self.textInterval
            let lines = page.lines(cabinet, snapshot, events: [], rows: 24)
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
