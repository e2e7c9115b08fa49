import Battery
import CLinux
import Glibc
import LinuxIO

/// Notices that a child hangs. The child is started like a service of systemd with a watchdog: it sends `WATCHDOG=1` to a socket as
/// long as it works (sd_notify(3)).
final class Watchdog {
    /// This long a child may be silent.
    static let limit: Milliseconds = 20_000

    private let path: String
    private let mailbox: Int32
    private var lastSign = Instant.now
    private var lastLook = Instant.now
    /// A child that never speaks, because it is older than this, is left in peace.
    private var hasSpoken = false

    /// Nil where there can be no socket; then nobody is watched.
    init?(path: String) {
        self.path = path
        mailbox = clinux_unix_mailbox(path)
        if mailbox < 0 { return nil }
    }

    deinit {
        close(mailbox)
        unlink(path)
    }

    /// What the child is told. It sends twice as often as the time that is named.
    var variables: [String: String] {
        ["NOTIFY_SOCKET": path, "WATCHDOG_USEC": "\(Self.limit / 2 * 1000)", "WATCHDOG_PID": ""]
    }

    /// A new child begins.
    func begin(at now: Instant) {
        listen(at: now)
        (lastSign, lastLook, hasSpoken) = (now, now, false)
    }

    /// True when a child that has spoken is silent for too long.
    func isOverdue(at now: Instant) -> Bool {
        listen(at: now)
        // After a sleep of the whole machine, or of this process, the child gets its time anew.
        if now.since(lastLook) > Self.limit / 4 { lastSign = now }
        lastLook = now
        return hasSpoken && now.since(lastSign) > Self.limit
    }

    private func listen(at now: Instant) {
        var buffer = [UInt8](repeating: 0, count: 64)
        while recv(mailbox, &buffer, buffer.count, 0) >= 0 { (lastSign, hasSpoken) = (now, true) }
    }
}
