import ArgumentParser
import Glibc
import LinkClient

/// `packbridge status`: what a running control process says, once or again every second.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows what the running bridge says: limits with their reasons, packs, ports.",
        discussion: """
            Example: packbridge status --watch

            Exit codes: 0 good, 1 no control process can be reached, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The Link socket of the control process.")
    var link: String?

    @Option(help: "Take the socket from this configuration file.")
    var config: String?

    @Flag(help: "Again every second, until interrupted.")
    var watch = false

    @Flag(help: "One JSON object per snapshot.")
    var json = false

    func run() throws {
        let socket = try LinkSocket(path: try socketPath())
        repeat {
            guard let snapshot = socket.snapshot(within: 5) else { throw Failure("the control process says nothing") }
            show(snapshot)
        } while watch
    }

    private func socketPath() throws -> String {
        if let link { return link }
        guard let config else { return FileEntry().link ?? "" }
        guard let path = try loadConfiguration(at: config).configuration.linkSocket else {
            throw Failure("\(config): files.link is none, so there is nothing to listen to")
        }
        return path
    }

    private func show(_ snapshot: BridgeSnapshot) {
        if json {
            var text = JSONText()
            text.write(snapshot)
            writeOut(text.bytes + [UInt8(ascii: "\n")])
        } else {
            let isTerminal = isatty(STDOUT_FILENO) == 1
            let page = StatusText(usesColour: isTerminal).page(snapshot)
            writeOut(Array(((watch && isTerminal ? clearScreen : "") + page).utf8))
        }
    }
}

/// Moves to the upper left corner and clears the screen.
let clearScreen = "\u{1B}[H\u{1B}[2J"
