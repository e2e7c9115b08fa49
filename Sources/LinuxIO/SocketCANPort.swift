import Battery
import BridgeEngine
import CLinux
import Glibc
import InverterDialects

/// A CAN interface of the kernel (`can0`), with its error frames.
///
/// The bit rate is the kernel's business (`ip link set can0 up type can bitrate 500000`). Bus-off is left on `restart`, by taking
/// the link down and up: it works with every driver (slcan refuses `restart`), with or without `restart-ms`, and drops frames with
/// old limits from the queue. Without CAP_NET_ADMIN only the kernel's own `restart-ms` helps.
public final class SocketCANPort: CANPort {
    public let interface: String
    public private(set) var descriptor: Int32 = -1
    public private(set) var state = CANBusState.closed
    public private(set) var counters = CANPortCounters()
    private var overrunsSinceOpen: UInt32 = 0
    private var nextLinkCheck = noDeadline

    /// How often the link itself is asked. Error frames tell changes at once, but a socket opened during bus-off gets none.
    private static let linkCheckInterval: Milliseconds = 1000
    private static let framesAtOnce = 256

    public init(interface: String) {
        self.interface = interface
    }

    deinit { close() }

    public func open(at now: Instant) throws(PortFailure) {
        close()
        let fd = clinux_can_open(interface)
        if fd < 0 {
            let reason: PortFailure.Reason =
                switch errno {
                case ENODEV, ENXIO: if_nametoindex(interface) == 0 ? .noSuchInterface : .notACANInterface
                case EAFNOSUPPORT, EPROTONOSUPPORT: .noCANInKernel
                default: .system(call: "socket(PF_CAN)", code: errno)
                }
            throw PortFailure(interface, reason)
        }
        let link = clinux_can_link(fd, interface)
        if link <= 0 {
            _ = Glibc.close(fd)
            throw PortFailure(interface, link == 0 ? .interfaceDown : .noSuchInterface)
        }
        descriptor = fd
        state = link == 1 ? .active : .busOff
        overrunsSinceOpen = 0
        counters.opened += 1
        nextLinkCheck = now + Self.linkCheckInterval
    }

    public func close() {
        if descriptor >= 0 { _ = Glibc.close(descriptor) }
        descriptor = -1
        state = .closed
        nextLinkCheck = noDeadline
    }

    public func receive(at now: Instant, _ body: (CANFrame) -> Void) {
        var raw = can_frame()
        var overruns = overrunsSinceOpen
        // Bounded, so that somebody who floods the bus does not stop everything else.
        for _ in 0..<Self.framesAtOnce where descriptor >= 0 {
            switch clinux_can_receive(descriptor, &raw, &overruns) {
            case 1: break
            case 0: return
            default:
                // ENETDOWN: the link was taken down. ENODEV: the adapter was pulled out.
                close()
                return
            }
            counters.overruns += UInt64(overruns &- overrunsSinceOpen)
            overrunsSinceOpen = overruns
            if raw.can_id & UInt32(CAN_ERR_FLAG) != 0 {
                note(error: raw)
            } else if raw.can_id & UInt32(CAN_RTR_FLAG) != 0 {
                counters.remote += 1
            } else if raw.len > 8 {
                counters.garbage += 1
            } else {
                counters.received += 1
                body(CANFrame(raw))
            }
        }
    }

    /// An error frame says what became of the controller (linux/can/error.h).
    private func note(error raw: can_frame) {
        if raw.can_id & UInt32(CAN_ERR_BUSOFF) != 0 {
            if state != .busOff { counters.busOffs += 1 }
            state = .busOff
            return
        }
        if raw.can_id & UInt32(CAN_ERR_RESTARTED) != 0 {
            state = .active
            return
        }
        counters.busErrors += 1
        guard raw.can_id & UInt32(CAN_ERR_CRTL) != 0 else { return }
        let controller = Int32(raw.data.1)
        if controller & (CAN_ERR_CRTL_RX_OVERFLOW | CAN_ERR_CRTL_TX_OVERFLOW) != 0 { counters.overruns += 1 }
        if controller & (CAN_ERR_CRTL_RX_PASSIVE | CAN_ERR_CRTL_TX_PASSIVE) != 0 {
            state = .passive
        } else if controller & (CAN_ERR_CRTL_RX_WARNING | CAN_ERR_CRTL_TX_WARNING) != 0 {
            state = .warning
        } else if controller & CAN_ERR_CRTL_ACTIVE != 0 {
            state = .active
        }
    }

    public func transmit(_ frame: CANFrame, at now: Instant) -> CANSendResult {
        // In bus-off the kernel takes frames and drops them without a word.
        if descriptor < 0 || state == .busOff { return .down }
        var raw = can_frame(frame)
        if write(descriptor, &raw, MemoryLayout<can_frame>.size) == MemoryLayout<can_frame>.size {
            counters.sent += 1
            return .queued
        }
        switch errno {
        case ENOBUFS, EAGAIN, EINTR:
            counters.busy += 1
            return .busy
        default:
            close()
            return .down
        }
    }

    public func restart(at now: Instant) {
        if descriptor < 0 { return }
        // Taking the link down makes the next read or write fail with ENETDOWN; the owner then opens a new socket.
        if clinux_can_restart(descriptor, interface) == 0 { close() }
    }

    public func wake(at now: Instant) -> Instant {
        if now >= nextLinkCheck {
            nextLinkCheck = now + Self.linkCheckInterval
            switch clinux_can_link(descriptor, interface) {
            case 1: if state == .busOff { state = .active }
            case 2:
                if state != .busOff { counters.busOffs += 1 }
                state = .busOff
            default: close()
            }
        }
        return nextLinkCheck
    }
}

extension CANFrame {
    /// A data frame of the kernel, at most 8 bytes long.
    init(_ raw: can_frame) {
        let isExtended = raw.can_id & UInt32(CAN_EFF_FLAG) != 0
        let word = withUnsafeBytes(of: raw.data) { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        self.init(
            id: raw.can_id & UInt32(isExtended ? CAN_EFF_MASK : CAN_SFF_MASK), isExtended: isExtended, length: raw.len,
            word: word)
    }
}

extension can_frame {
    init(_ frame: CANFrame) {
        self.init()
        can_id = frame.isExtended ? frame.id | UInt32(CAN_EFF_FLAG) : frame.id
        len = frame.length
        withUnsafeMutableBytes(of: &data) { $0.storeBytes(of: frame.word.littleEndian, as: UInt64.self) }
    }
}
