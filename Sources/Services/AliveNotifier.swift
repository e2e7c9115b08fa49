import Battery
import LinuxIO
import ServiceLifecycle

/// Tells systemd, or `packbridge run`, that the process is ready and then that it is alive; a process that hangs is killed and
/// started again. Does nothing where nobody asked for it (NOTIFY_SOCKET, WATCHDOG_USEC; sd_notify(3)).
struct AliveNotifier: Service {
    let hub: Hub

    func run() async throws {
        let teller = ServiceNotifier()
        teller.ready()
        await cancelWhenGracefulShutdown {
            var notifier = teller
            while !Task.isCancelled {
                // A hub that answers nobody must not look alive.
                _ = await hub.subscriberCount
                notifier.alive(at: .now)
                try? await Task.sleep(for: .seconds(1))
            }
        }
        teller.stopping()
    }
}
