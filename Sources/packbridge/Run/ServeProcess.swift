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

    /// As a child that is kept alive.
    /// - Parameter folder: a private one, for the socket on which it tells that it is alive.
    static func supervisor(
        in folder: PrivateFolder, say: @escaping (String) -> Void,
        start: @escaping ([String: String]) throws -> ChildProcess
    ) -> ProcessSupervisor {
        ProcessSupervisor(
            program, loss: "the bridge works without its page", watchdog: Watchdog(path: folder.path + "/alive"), say: say,
            start: start)
    }

    /// Returns only by throwing.
    static func become(_ settings: ServeSettings, link: String) throws -> Never {
        try packbridge.become(program, arguments(link), input: Array(settings.json().utf8))
    }

    private static func arguments(_ link: String) -> [String] { ["--from", link, "--config-fd"] }
}
