import LinuxIO

/// How the control process is given its configuration and started.
enum ControlProcess {
    private static let program = "packbridge-control"
    private static let arguments = ["--config-fd"]

    /// As a child. It never waits for somebody to read what it says: a terminal that is held with Ctrl-S must not stop frames.
    static func start(_ configuration: GatewayConfiguration) throws -> ChildProcess {
        try ChildProcess(program, arguments, input: configuration.encoded(), neverWaits: true)
    }

    /// Returns only by throwing.
    static func become(_ configuration: GatewayConfiguration) throws -> Never {
        try packbridge.become(program, arguments, input: configuration.encoded())
    }
}
