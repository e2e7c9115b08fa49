/// How the process that people see is given its configuration and started.
enum ServeProcess {
    static let program = "packbridge-serve"

    /// As a child.
    /// - Parameter link: the socket of the control process, or the serial port of a board with the firmware.
    static func start(_ settings: ServeSettings, link: String, variables: [String: String] = [:]) throws -> ChildProcess {
        try ChildProcess(
            program, arguments(link) + [ChildProcess.input], input: Array(settings.json().utf8), variables: variables,
            neverWaits: false)
    }

    /// Returns only by throwing.
    static func become(_ settings: ServeSettings, link: String) throws -> Never {
        try packbridge.become(program, arguments(link), input: Array(settings.json().utf8))
    }

    private static func arguments(_ link: String) -> [String] { ["--from", link, "--config-fd"] }
}
