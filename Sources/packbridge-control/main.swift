import Glibc
import LinuxIO

// The control process. It reads the compact configuration that `packbridge control` hands to it, and nothing else.

/// Where the configuration is: a file, read at the start and again on SIGHUP, or a pipe of the parent, read once.
enum ConfigurationSource: Sendable {
    case file(String)
    case descriptor(Int32)

    /// nil: the arguments make no sense.
    init?(_ arguments: [String]) {
        guard arguments.count == 2 else { return nil }
        switch (arguments[0], Int32(arguments[1])) {
        case ("--config", _): self = .file(arguments[1])
        case ("--config-fd", let number?) where number >= 0: self = .descriptor(number)
        default: return nil
        }
    }

    var canBeReadAgain: Bool {
        if case .file = self { true } else { false }
    }

    func read() throws -> GatewayConfiguration {
        switch self {
        case .file(let path): try GatewayConfiguration(decoding: compactConfiguration(file: path))
        case .descriptor(let number): try GatewayConfiguration(decoding: compactConfiguration(descriptor: number))
        }
    }
}

func quit(_ code: Int32, _ text: String) -> Never {
    complain(text)
    exit(code)
}

guard let source = ConfigurationSource(Array(CommandLine.arguments.dropFirst())) else {
    quit(2, "usage: packbridge-control --config FILE.pbc | --config-fd NUMBER")
}
do {
    // On a terminal SIGHUP says that the terminal is gone.
    var reload: (() throws -> GatewayConfiguration)?
    if source.canBeReadAgain && isatty(STDIN_FILENO) != 1 { reload = { try source.read() } }
    let gateway = try Gateway(source.read(), handlesSignals: true, reload: reload) { complain($0) }
    gateway.run()
} catch let error as PortFailure {
    quit(1, "\(error)")
} catch GatewayFailure.port(let error) {
    quit(1, "\(error)")
} catch {
    quit(78, "\(error)")
}
