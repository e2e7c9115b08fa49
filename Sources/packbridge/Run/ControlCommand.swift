import ArgumentParser

/// `packbridge control`: checks the configuration and becomes the control process.
struct ControlCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "control",
        abstract: "Runs the control process alone: serial lines and CAN, no network.",
        discussion: """
            Reads the configuration and replaces itself by packbridge-control, which knows no YAML. Watch it with
            `packbridge status`. SIGTERM and SIGINT end it after the limits have come down, which takes up to 15 s; a second one
            ends it at once.

            With --image the checked configuration is kept in that file, and SIGHUP makes the control process read the file again,
            without a gap on the bus. `packbridge check --image` renews it.

            Example: packbridge control --config /etc/packbridge.yaml

            Exit codes: 0 ended by a signal, 1 something failed, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The configuration file.")
    var config = "packbridge.yaml"

    @Option(help: "Where to keep the checked configuration, so that SIGHUP reads it again.")
    var image: String?

    func run() throws {
        let configuration = try loadConfiguration(at: config).configuration
        guard let image else { try ControlProcess.become(configuration) }
        try ControlProcess.write(configuration, to: image)
        try ControlProcess.become(file: image)
    }
}
