import Foundation
import Logging
import NIOConcurrencyHelpers

/// The log: lines on standard error, and the last ones in memory for the support bundle.
public struct RecentLog: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel = Logger.Level.info
    private let kept: NIOLockedValueBox<[String]>

    static let capacity = 300

    private let echo: Bool

    /// - Parameter echo: on standard error too.
    public init(echo: Bool = true) {
        self.echo = echo
        kept = NIOLockedValueBox([])
    }

    public var lines: [String] { kept.withLockedValue { $0 } }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        // systemd adds the time by itself; a support bundle has no systemd.
        let line = "\(event.level): \(event.message)"
        kept.withLockedValue { lines in
            if lines.count >= Self.capacity { lines.removeFirst() }
            lines.append("\(CurveText.timestamp(systemClock())) \(line)")
        }
        if echo { FileHandle.standardError.write(Data("packbridge-serve: \(line)\n".utf8)) }
    }
}
