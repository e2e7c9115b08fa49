import Foundation
import LinuxIO

/// How the control process is given its configuration and started.
enum ControlProcess {
    private static let program = "packbridge-control"

    /// As a child. It never waits for somebody to read what it says: a terminal that is held with Ctrl-S must not stop frames.
    /// - Parameter file: holds the compact configuration, which the process reads again on SIGHUP (`write`).
    static func start(_ configuration: GatewayConfiguration, file: String) throws -> ChildProcess {
        try write(configuration, to: file)
        return try ChildProcess(program, ["--config", file], neverWaits: true)
    }

    /// The whole file at once: nobody reads half of it.
    static func write(_ configuration: GatewayConfiguration, to file: String) throws {
        do { try Data(configuration.encoded()).write(to: URL(filePath: file), options: .atomic) } catch {
            throw Failure("\(file): the configuration cannot be handed over: \(error)")
        }
    }

    /// Returns only by throwing.
    static func become(_ configuration: GatewayConfiguration) throws -> Never {
        try packbridge.become(program, ["--config-fd"], input: configuration.encoded())
    }

    /// Returns only by throwing.
    /// - Parameter file: as `write` left it; read again on SIGHUP.
    static func become(file: String) throws -> Never {
        try packbridge.become(program, ["--config", file])
    }
}
