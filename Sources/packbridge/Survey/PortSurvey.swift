import Foundation
import Glibc

/// A serial device of this computer.
struct SerialDevice: Equatable {
    /// What to write into a configuration: a link in /dev/serial/by-id or /dev/packbridge where there is one, because it survives
    /// replugging.
    var path: String
    /// The device itself, `/dev/ttyUSB0`.
    var device: String
    /// What the adapter calls itself, for example `FT232R USB UART`; empty when it says nothing.
    var product = ""
    /// The kernel's driver, `ftdi_sio`.
    var driver = ""

    /// It calls itself a CAN adapter: those with SLCAN firmware look like any other serial device.
    var isCANAdapter: Bool {
        let name = (product + path).lowercased()
        return ["canable", "slcan", "cantact", "usbtin", "canusb", "canboard"].contains { name.contains($0) }
    }

    /// For a list: product, driver and the short name of the device, as far as they are known.
    var words: String {
        var parts = product.isEmpty ? [] : [product]
        if !driver.isEmpty { parts.append(driver) }
        if path != device { parts.append(device) }
        return parts.joined(separator: ", ")
    }
}

/// A CAN interface of the kernel.
struct CANInterface: Equatable {
    var name: String
    var isUp: Bool
    var driver = ""

    var port: String { "socketcan:\(name)" }
}

/// Which ports this computer has. Nothing is opened.
struct PortSurvey {
    var serial: [SerialDevice] = []
    var can: [CANInterface] = []
    /// A Bluetooth adapter, and the program that uses it.
    var hasRadio = false

    /// - Parameter root: "/" except in tests.
    init(root: String = "/") {
        let base = root.hasSuffix("/") ? String(root.dropLast()) : root
        serial = Self.serialDevices(base)
        can = Self.interfaces(base)
        hasRadio = !Self.names(in: base + "/sys/class/bluetooth").isEmpty && (try? siblingProgram(RadioProcess.program)) != nil
    }

    /// Only these, as the owner names them: paths of serial devices, CAN ports and `bluetooth`.
    init(ports: [String]) {
        for port in ports {
            if port.hasPrefix("/") {
                serial.append(SerialDevice(path: port, device: port))
            } else if port.hasPrefix("socketcan:") {
                can.append(CANInterface(name: String(port.dropFirst(10)), isUp: true))
            } else if port.hasPrefix("slcan:") {
                let path = String(port.dropFirst(6).prefix { $0 != "@" })
                serial.append(SerialDevice(path: path, device: path, product: "SLCAN adapter"))
            } else if port == RadioSearch.port {
                hasRadio = true
            }
        }
    }

    private static func serialDevices(_ base: String) -> [SerialDevice] {
        // The links of our own udev rules name the socket, for adapters without a serial number; those of the adapter win.
        var stable: [String: String] = [:]
        for folder in ["/dev/packbridge", "/dev/serial/by-id"] {
            for link in names(in: base + folder) {
                let target = URL(filePath: base + folder + "/" + link).resolvingSymlinksInPath().lastPathComponent
                stable[target] = "\(folder)/\(link)"
            }
        }
        // ttyAMA and serial0 are the pins of a Raspberry Pi, ttyS those of other boards: only where a driver has found a chip.
        let kinds = ["ttyUSB", "ttyACM", "ttyAMA", "ttyS"]
        return names(in: base + "/dev").filter { name in kinds.contains { name.hasPrefix($0) && name != $0 } }
            .sorted { ($0.count, $0) < ($1.count, $1) }
            .sorted { kinds.rank(of: $0) < kinds.rank(of: $1) }
            .compactMap { name -> SerialDevice? in
                let folder = "\(base)/sys/class/tty/\(name)/device"
                let driver = lastName(of: folder + "/driver")
                if name.hasPrefix("ttyS"), driver.isEmpty || driver == "serial8250" || driver == "port" { return nil }
                return SerialDevice(
                    path: stable[name] ?? "/dev/\(name)", device: "/dev/\(name)", product: product(above: folder), driver: driver)
            }
    }

    /// The first `product` at or above a device of sysfs: that of the USB adapter to which the port belongs.
    private static func product(above folder: String) -> String {
        var url = URL(filePath: folder).resolvingSymlinksInPath()
        for _ in 0..<4 {
            if let text = line(of: url.path + "/product") { return text }
            url.deleteLastPathComponent()
        }
        return ""
    }

    private static func interfaces(_ base: String) -> [CANInterface] {
        let folder = base + "/sys/class/net"
        return names(in: folder).sorted().compactMap { name -> CANInterface? in
            // ARPHRD_CAN
            guard line(of: "\(folder)/\(name)/type") == "280" else { return nil }
            let flags = line(of: "\(folder)/\(name)/flags").flatMap { UInt32($0.dropFirst(2), radix: 16) } ?? 0
            return CANInterface(
                name: name, isUp: flags & UInt32(IFF_UP) != 0, driver: lastName(of: "\(folder)/\(name)/device/driver"))
        }
    }

    private static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private static func lastName(of link: String) -> String {
        guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: link) else { return "" }
        return URL(filePath: target).lastPathComponent
    }

    private static func line(of file: String) -> String? { firstLine(of: file) }
}

extension [String] {
    fileprivate func rank(of name: String) -> Int { firstIndex { name.hasPrefix($0) } ?? count }
}

/// The first line of a small file, without blanks around it; nil when it cannot be read or is empty.
func firstLine(of file: String) -> String? {
    guard let contents = FileManager.default.contents(atPath: file) else { return nil }
    let text = String(decoding: contents.prefix(4096), as: UTF8.self)
    let line = text.prefix { $0 != "\n" }.trimmingCharacters(in: .whitespaces)
    return line.isEmpty ? nil : line
}

/// A program that has a device open.
struct PortHolder: Equatable {
    var pid: Int32
    var name: String

    var words: String { "\(name) (process \(pid))" }
}

/// Who has `device` open, as far as we may look: other users' programs are visible to root only.
func holders(of device: String) -> [PortHolder] {
    let wanted = URL(filePath: device).resolvingSymlinksInPath().path
    var found: [PortHolder] = []
    for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
        guard let pid = Int32(name), pid != getpid(),
            let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(name)/fd")
        else { continue }
        let open = files.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(name)/fd/\($0)") }
        // Whoever plays a pseudo-terminal holds both of its ends.
        let isOtherEnd = wanted.hasPrefix("/dev/pts/") && open.contains { $0.hasSuffix("/ptmx") }
        if open.contains(wanted) && !isOtherEnd {
            found.append(PortHolder(pid: pid, name: firstLine(of: "/proc/\(name)/comm") ?? "?"))
        }
    }
    return found
}
