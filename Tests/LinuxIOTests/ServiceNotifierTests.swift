import Glibc
import Testing

@testable import LinuxIO

@Suite struct ServiceNotifierTests {
    /// systemd's end of NOTIFY_SOCKET.
    private final class Supervisor {
        let folder = TemporaryFolder()
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var path: String { folder.file("notify") }

        init() {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            _ = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }

        deinit { close(descriptor) }

        /// What was said since the last time, one message after the other.
        func heard() -> [String] {
            var texts: [String] = []
            var buffer = [UInt8](repeating: 0, count: 256)
            while case let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT)), count > 0 {
                texts.append(String(decoding: buffer[..<count], as: UTF8.self))
            }
            return texts
        }
    }

    @Test func `systemd is told twice per watchdog time that the loop is alive`() {
        let systemd = Supervisor()
        let environment = ["NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "\(getpid())"]
        var notifier = ServiceNotifier { environment[$0] }
        notifier.ready()
        for time in [0, 100, 2499, 2500, 2600, 5000] as [Int64] { notifier.alive(at: .at(time)) }
        notifier.stopping()
        #expect(systemd.heard() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"])
    }

    @Test func `nothing is said without a watchdog, to another process's watchdog, or outside systemd`() {
        let systemd = Supervisor()
        var notifier = ServiceNotifier { ["NOTIFY_SOCKET": systemd.path][$0] }
        notifier.alive(at: .at(0))
        let foreign = ["NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"]
        notifier = ServiceNotifier { foreign[$0] }
        notifier.alive(at: .at(0))
        notifier = ServiceNotifier { _ in nil }
        notifier.ready()
        #expect(systemd.heard() == [])
    }
}
