import ArgumentParser
import Glibc
import LinkClient

/// `packbridge status`: what a running control process says; on a terminal as a table that lives.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what the running bridge says: limits with their reasons, packs, ports.",
        discussion: """
            On a terminal the table is renewed every second until Ctrl-C; elsewhere it is printed once.

            Example: packbridge status
            Example: packbridge status --json | jq .told

            Exit codes: 0 good, 1 no control process can be reached, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The Link socket of the control process.")
    var link: String?

    @Option(help: "Take the socket from this configuration file.")
    var config: String?

    @Flag(help: "Again every second, until interrupted. This is so on a terminal, but not with --json.")
    var watch = false

    @Flag(help: "Only once, on a terminal too.")
    var once = false

    @Flag(help: "One JSON object per snapshot.")
    var json = false

    func run() throws {
        let socket = try LinkSocket(path: try linkSocketPath(link: link, config: config))
        repeat {
            guard let snapshot = socket.snapshot(within: 5) else { throw Failure("the control process says nothing") }
            show(snapshot)
        } while isLive
    }

    private var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    private var isLive: Bool { !once && (watch || isTerminal && !json) }

    func validate() throws {
        if once && watch { throw ValidationError("--once and --watch exclude each other.") }
    }

    private func show(_ snapshot: BridgeSnapshot) {
        if json {
            var text = JSONText()
            text.write(snapshot)
            writeOut(text.bytes + [UInt8(ascii: "\n")])
        } else {
            let page = StatusText(usesColour: isTerminal).page(snapshot)
            writeOut(Array((isLive && isTerminal ? redrawn(page) : page).utf8))
        }
    }
}

/// A page that takes the place of the one before, without flicker: every line clears its rest, the last one what is below.
func redrawn(_ page: String) -> String {
    "\u{1B}[H" + page.replacing("\n", with: "\u{1B}[K\n") + "\u{1B}[J"
}

/// Moves to the upper left corner and clears the screen.
let clearScreen = "\u{1B}[H\u{1B}[2J"
