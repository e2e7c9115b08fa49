import Battery
import CLinux
import Glibc

/// Tells systemd that the service is ready, alive or stopping (sd_notify(3), without its library). Does nothing outside systemd.
public struct ServiceNotifier: Sendable {
    private let socket: String?
    /// Half the time after which systemd restarts us; nil when it does not watch.
    private let aliveInterval: Milliseconds?
    private var nextAlive = Instant(milliseconds: 0)

    /// Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    public init(environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }) {
        socket = environment("NOTIFY_SOCKET")
        let microseconds = environment("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
        // WATCHDOG_PID names the process that systemd watches; another one must keep quiet.
        let watched = environment("WATCHDOG_PID").flatMap { pid_t($0) } ?? getpid()
        aliveInterval = microseconds > 0 && watched == getpid() ? max(1, microseconds / 2000) : nil
    }

    public func ready() { say("READY=1") }

    public func stopping() { say("STOPPING=1") }

    /// To be called by a loop that has just proved that it works.
    public mutating func alive(at now: Instant) {
        guard let aliveInterval, now >= nextAlive else { return }
        nextAlive = now + aliveInterval
        say("WATCHDOG=1")
    }

    private func say(_ text: StaticString) {
        guard let socket else { return }
        _ = clinux_unix_datagram(socket, text.utf8Start, text.utf8CodeUnitCount)
    }
}
