import ArgumentParser
import Glibc

/// `packbridge serve`: checks the configuration and becomes the process that people see.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Runs the page, history, MQTT and notifications alone, beside a control process or a board.",
        discussion: """
            Reads the configuration and replaces itself by packbridge-serve. It may be stopped and started at any time: the
            control process does not notice. SIGTERM and SIGINT end it.

            Example: packbridge serve --config /etc/packbridge.yaml
            Example: packbridge serve --from /dev/ttyACM0        a board with the firmware

            Exit codes: 0 ended by a signal, 1 something failed, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The Link socket of the control process, or the serial port of a board. Default: files.link.")
    var from: String?

    @Option(help: "The configuration file. Without it packbridge.yaml if there is one, else the defaults.")
    var config: String?

    func run() throws {
        let file = try (config ?? existing("packbridge.yaml")).map(loadConfiguration(at:))
        var settings = file?.serve ?? ServeSettings()
        if file == nil { settings.history.stateFolder = nil }
        guard let link = from ?? (file == nil ? FileEntry().link : file?.configuration.linkSocket) else {
            throw Failure("files.link is none, so there is nothing to listen to; name it with --from")
        }
        try ServeProcess.become(settings, link: link)
    }

    private func existing(_ path: String) -> String? { access(path, F_OK) == 0 ? path : nil }
}
