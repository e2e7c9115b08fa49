import ArgumentParser
import Battery
import BridgeEngine
import Glibc
import LinkClient

/// `packbridge feed`: takes the readings of a battery that PackBridge does not know from another program.
struct FeedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "feed",
        abstract: "Feeds the readings of a battery that PackBridge itself does not know, one JSON object per line.",
        discussion: """
            Each line holds packs as `packbridge explain` takes them; "id" is the number of the pack, whose protocol in the configuration
            must be `link`. A reading is as old as the moment at which its line comes: print a line when something was measured, and
            nothing when nothing was. Silence is treated like that of any BMS.

            Example: my-battery | packbridge feed
            A line:  {"packs":[{"id":1,"cells_mV":[3330,3331,…],"pack_mV":53280,"current_mA":20000,"temps_dC":[250],…}]}

            Exit codes: 0 the input ended, 1 a line was refused or the control process cannot be reached, 2 usage, 78 the configuration
            is refused.
            """)

    @Option(help: "The Link socket of the control process.")
    var link: String?

    @Option(help: "Take the socket from this configuration file.")
    var config: String?

    func run() throws {
        let socket = try LinkSocket(path: try linkSocketPath(link: link, config: config))
        var sequence: UInt32 = 0
        while let line = readLine() {
            if line.allSatisfy(\.isWhitespace) { continue }
            for pack in try readings(in: line) {
                sequence += 1
                let message = LinkReading(identity: sequence, pack: pack.number, reading: pack.reading)
                    .message(sequence: sequence)
                try message.withBytes { bytes in try socket.send(bytes) }
            }
            try hearRefusals(of: socket)
        }
        // The answer to the last line may be on its way.
        usleep(200_000)
        try hearRefusals(of: socket)
    }

    private func readings(in line: String) throws -> [(number: UInt8, reading: PackReading)] {
        let input: ExplainInput
        do throws(JSONReader.Problem) { input = try ExplainInput(Array(line.utf8)) } catch {
            throw Failure("column \(error.column): \(error.message)")
        }
        if input.configuration != nil || input.time != nil {
            throw Failure("config and t_ms have no meaning here: the configuration is that of the control process")
        }
        return try input.packs.map { pack in
            if pack.age != 0 { throw Failure("age_ms has no meaning here: a reading is as old as its line") }
            return (UInt8(pack.id), pack.reading)
        }
    }

    /// Takes what has come from the control process without waiting for more.
    private func hearRefusals(of socket: LinkSocket) throws {
        var isRefused = false
        var poll = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        while Glibc.poll(&poll, 1, 0) > 0 {
            let isOpen = socket.receive { news in
                if case .commandReply(let reply) = news, reply.refusal != nil { isRefused = true }
            }
            if !isOpen { throw Failure("the control process has gone") }
        }
        if isRefused { throw Failure("refused: this pack is not one whose protocol is `link`") }
    }
}

/// Where the control process of a configuration listens.
func linkSocketPath(link: String?, config: String?) throws -> String {
    if let link { return link }
    guard let config else { return FileEntry().link ?? "" }
    guard let path = try loadConfiguration(at: config).configuration.linkSocket else {
        throw Failure("\(config): files.link is none, so there is nothing to listen to")
    }
    return path
}
