import Battery
import CLinux
import Glibc

extension Instant {
    /// The present on CLOCK_BOOTTIME, which goes on while the machine sleeps (see wait.c).
    public static var now: Instant { Instant(milliseconds: clinux_milliseconds()) }
}

/// Waits for descriptors, for a deadline and for the signals that end the process, in one thread.
///
/// Allocates only when it is created.
public final class EventLoop {
    /// What happened on one descriptor. `hungUp` comes with `isReadable` while bytes are left.
    public struct Event {
        public var token: UInt64
        public var isReadable: Bool
        public var isWritable: Bool
        public var hungUp: Bool
    }

    private static let timerToken = UInt64.max
    private static let signalToken = UInt64.max - 1
    private static let capacity = 32

    private let epoll: Int32
    private let timer: Int32
    private let signals: Int32
    private let ready = UnsafeMutablePointer<clinux_ready>.allocate(capacity: EventLoop.capacity)
    /// When the timer will fire; nil when it has fired.
    private var armed: Instant?
    /// How often a signal came that ends: SIGTERM, SIGINT, and SIGHUP where it does not mean a reload.
    public private(set) var stopRequests = 0
    public var stopRequested: Bool { stopRequests > 0 }
    private var reloadRequested = false
    private let reloads: Bool

    /// - Parameters:
    ///   - handlesSignals: takes the ending signals over. They must be blocked before the first other thread starts.
    ///   - reloads: SIGHUP asks for a reload instead of the end.
    public init(handlesSignals: Bool = false, reloads: Bool = false) throws(PortFailure) {
        self.reloads = reloads
        epoll = clinux_epoll_open()
        timer = clinux_timer_open()
        signals = handlesSignals ? clinux_signals_open() : -1
        if epoll < 0 || timer < 0 || (handlesSignals && signals < 0) {
            throw PortFailure("event loop", .system(call: "epoll, timerfd or signalfd", code: errno))
        }
        // Every expiry is reported once and setting the timer anew clears it, so that nobody has to read it.
        let result = clinux_epoll_watch_timer(epoll, timer, Self.timerToken)
        precondition(result == 0, "a descriptor of our own cannot be watched")
        if handlesSignals { watch(signals, token: Self.signalToken) }
    }

    deinit {
        for fd in [epoll, timer, signals] where fd >= 0 { close(fd) }
        ready.deallocate()
    }

    /// Reports what happens on `fd` under `token`; again with other arguments to change that. Closing `fd` ends it.
    public func watch(_ fd: Int32, token: UInt64, writable: Bool = false) {
        let result = clinux_epoll_watch(epoll, fd, token, writable ? 1 : 0)
        precondition(result == 0, "a descriptor of our own cannot be watched")
    }

    /// Reports nothing of `fd` until it is watched again.
    public func forget(_ fd: Int32) {
        _ = clinux_epoll_forget(epoll, fd)
    }

    private func takeSignals() {
        while true {
            switch clinux_signal_take(signals) {
            case 0: return
            case SIGHUP where reloads: reloadRequested = true
            default: stopRequests += 1
            }
        }
    }

    /// True once for each SIGHUP.
    public func takeReload() -> Bool {
        defer { reloadRequested = false }
        return reloadRequested
    }

    /// Waits until something happens, at the latest until `deadline`, and hands every event to `body`.
    public func wait(until deadline: Instant, _ body: (Event) -> Void) {
        if deadline != armed {
            _ = clinux_timer_set(timer, deadline.milliseconds)
            armed = deadline
        }
        let count = clinux_epoll_wait(epoll, ready, Int32(Self.capacity))
        for index in 0..<max(0, Int(count)) {
            let event = ready[index]
            switch event.token {
            case Self.timerToken: armed = nil
            case Self.signalToken:
                takeSignals()
            default:
                body(
                    Event(
                        token: event.token, isReadable: event.readable != 0, isWritable: event.writable != 0,
                        hungUp: event.hung_up != 0))
            }
        }
    }
}
