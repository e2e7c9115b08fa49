import Glibc
import LinuxIO
import NIOCore
import NIOPosix

/// Where snapshots come from: the socket of the control process, or the serial port of a firmware.
public enum LinkSource: Equatable, Sendable, CustomStringConvertible {
    case socket(String)
    case serial(String)

    /// A path under `/dev` is a serial port, anything else a socket. `socket:` or `tty:` in front says it outright.
    public init(_ text: String) {
        if text.hasPrefix("socket:") {
            self = .socket(String(text.dropFirst(7)))
        } else if text.hasPrefix("tty:") {
            self = .serial(String(text.dropFirst(4)))
        } else {
            self = text.hasPrefix("/dev/") ? .serial(text) : .socket(text)
        }
    }

    public var description: String {
        switch self {
        case .socket(let path), .serial(let path): path
        }
    }

    /// Opens the source as a channel with `handler` at its end.
    func connect(on group: any EventLoopGroup, handler: any ChannelInboundHandler & Sendable) async throws -> any Channel {
        switch self {
        case .socket(let path):
            return try await ClientBootstrap(group: group)
                .channelInitializer { channel in channel.pipeline.addHandler(handler) }
                .connectTimeout(.seconds(5))
                .connect(unixDomainSocketPath: path).get()
        case .serial(let path):
            let port = SerialPort(path: path)
            try port.open()
            // The channel closes its descriptor itself, and so does the port.
            let descriptor = dup(port.descriptor)
            return try await NIOPipeBootstrap(group: group)
                .channelInitializer { channel in channel.pipeline.addHandler(handler) }
                .takingOwnershipOfDescriptor(inputOutput: descriptor).get()
        }
    }

    /// What to do when it cannot be opened.
    func advice(for error: any Error) -> String {
        switch self {
        case .socket(let path):
            let code = (error as? IOError)?.errnoCode
            let why =
                switch code {
                case ENOENT: "there is no such socket: is `packbridge control` running, with this path as files.link?"
                case ECONNREFUSED: "nobody listens on it: the control process is not running"
                case EACCES: "permission denied: run as the user of the control process, or join its group"
                default: "\(error)"
                }
            return "\(path): \(why)"
        case .serial:
            return "\(error)"
        }
    }
}
