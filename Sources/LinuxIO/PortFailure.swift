import CLinux
import Glibc

/// Why a device cannot be used: which one, why, and what to do about it.
public struct PortFailure: Error, Equatable, Sendable {
    public enum Reason: Equatable, Sendable {
        case notFound
        /// The group that may use it, when the device belongs to one.
        case permission(group: UInt32)
        case busy
        case notATerminal
        /// The driver refused the rate, or silently chose another (`got`).
        case baudRefused(asked: UInt32, got: UInt32?)
        /// Raw 8N1 is not what the driver made of it.
        case settingsRefused
        case noSuchInterface
        case notACANInterface
        case interfaceDown
        case noCANInKernel
        /// An SLCAN adapter answered this command with an error.
        case adapterRefused(command: String)
        case badLog(line: Int)
        case system(call: String, code: Int32)
    }

    public var device: String
    public var reason: Reason

    public init(_ device: String, _ reason: Reason) {
        self.device = device
        self.reason = reason
    }

    /// Names the reason that `errno` gives after opening `device`.
    static func opening(_ device: String, code: Int32 = errno) -> PortFailure {
        switch code {
        case ENOENT, ENXIO, ENODEV, ENOTDIR: PortFailure(device, .notFound)
        case EACCES, EPERM: PortFailure(device, .permission(group: groupOwning(device)))
        case EBUSY: PortFailure(device, .busy)
        default: PortFailure(device, .system(call: "open", code: code))
        }
    }

    private static func groupOwning(_ path: String) -> UInt32 {
        var entry = stat()
        return stat(path, &entry) == 0 ? entry.st_gid : 0
    }
}

extension PortFailure: CustomStringConvertible {
    public var description: String {
        "\(device): \(what)"
    }

    private var what: String {
        switch reason {
        case .notFound:
            return "no such device. Is it plugged in? `ls /dev/serial/by-id` lists serial adapters"
        case .permission(let group):
            guard group != 0, let entry = getgrgid(group) else { return "permission denied. Only root may use it" }
            let name = String(cString: entry.pointee.gr_name)
            return
                "permission denied. The device belongs to the group \(name): `sudo usermod -aG \(name) $USER`, then log in again"
        case .busy:
            return "in use by another program. `sudo fuser -v \(device)` names it (ModemManager is a frequent one)"
        case .notATerminal:
            return "is not a serial device"
        case .baudRefused(let asked, nil):
            return "the driver refuses \(asked) baud. Choose a rate that this adapter can do"
        case .baudRefused(let asked, let got?):
            return "asked for \(asked) baud, but the driver set \(got). Choose a rate that this adapter can do"
        case .settingsRefused:
            return "the driver does not do 8 data bits, no parity, 1 stop bit without flow control"
        case .noSuchInterface:
            return
                "no such network interface. `ip link` lists them; is the CAN adapter plugged in and its driver loaded?"
        case .notACANInterface:
            return "is a network interface, but not one for CAN"
        case .interfaceDown:
            return "the interface is down. `sudo ip link set \(device) up type can bitrate 500000`"
        case .noCANInKernel:
            return "this kernel has no CAN support. `sudo modprobe can_raw`"
        case .adapterRefused(let command):
            return
                "the SLCAN adapter answered the command \(command) with an error. Does it know this bit rate? Unplug it and plug it in again"
        case .badLog(let line):
            return "line \(line) is not one of a candump log"
        case .system(let call, let code):
            return "\(call): \(String(cString: strerror(code)))"
        }
    }
}
