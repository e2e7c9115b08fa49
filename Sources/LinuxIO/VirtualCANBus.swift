import Battery
import BridgeEngine
import CLinux
import Glibc
import InverterDialects
import Synchronization

/// A CAN bus inside this process: every port hears what the others send. Ports may live in different threads.
public final class VirtualCANBus: Sendable {
    private static let buses = Mutex<[String: VirtualCANBus]>([:])

    /// The bus of this name; the same for everybody who asks for it.
    public static func named(_ name: String) -> VirtualCANBus {
        buses.withLock { buses in
            if let bus = buses[name] { return bus }
            let bus = VirtualCANBus()
            buses[name] = bus
            return bus
        }
    }

    fileprivate let inboxes = Mutex<[Inbox]>([])

    public init() {}

    /// A new port, still closed.
    public func attach() -> VirtualCANPort {
        VirtualCANPort(on: self)
    }
}

/// What waits for one port. The event descriptor makes it visible to epoll.
private final class Inbox: Sendable {
    static let capacity = 256
    let event = clinux_event_open()
    let frames = Mutex<(waiting: [CANFrame], overruns: UInt64)>(([], 0))

    deinit { Glibc.close(event) }
}

/// One port of a `VirtualCANBus`.
public final class VirtualCANPort: CANPort {
    private let bus: VirtualCANBus
    private let inbox = Inbox()
    public private(set) var state = CANBusState.closed
    public private(set) var counters = CANPortCounters()
    public var descriptor: Int32 { state == .closed ? -1 : inbox.event }

    fileprivate init(on bus: VirtualCANBus) {
        self.bus = bus
        inbox.frames.withLock { $0.waiting.reserveCapacity(Inbox.capacity) }
    }

    deinit { close() }

    public func open(at now: Instant) {
        if state != .closed { return }
        bus.inboxes.withLock { $0.append(inbox) }
        state = .active
        counters.opened += 1
    }

    public func close() {
        bus.inboxes.withLock { $0.removeAll { $0 === inbox } }
        inbox.frames.withLock { $0.waiting.removeAll(keepingCapacity: true) }
        state = .closed
    }

    public func receive(at now: Instant, _ body: (CANFrame) -> Void) {
        if state == .closed { return }
        clinux_drain(inbox.event)
        while let frame = inbox.frames.withLock({ $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }) {
            counters.received += 1
            body(frame)
        }
        counters.overruns = inbox.frames.withLock { $0.overruns }
    }

    public func transmit(_ frame: CANFrame, at now: Instant) -> CANSendResult {
        if state == .closed { return .down }
        bus.inboxes.withLock { inboxes in
            for other in inboxes where other !== inbox {
                other.frames.withLock {
                    if $0.waiting.count < Inbox.capacity { $0.waiting.append(frame) } else { $0.overruns += 1 }
                }
                clinux_event_raise(other.event)
            }
        }
        counters.sent += 1
        return .queued
    }

    public func restart(at now: Instant) {}

    public func wake(at now: Instant) -> Instant { noDeadline }
}
