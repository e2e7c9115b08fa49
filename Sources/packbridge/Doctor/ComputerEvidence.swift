import CLinux
import Foundation
import Glibc

/// The configuration file as it lies there.
struct FileEvidence: Equatable {
    var path: String
    var exists = true
    /// The permission bits.
    var mode: UInt16 = 0o640
    /// It holds what others must not read: hashes of passwords, or a secret itself.
    var isSecret = false

    init(path: String, exists: Bool = true, mode: UInt16 = 0o640, isSecret: Bool = false) {
        (self.path, self.exists, self.mode, self.isSecret) = (path, exists, mode, isSecret)
    }

    init(at path: String, isSecret: Bool) {
        var status = stat()
        let exists = stat(path, &status) == 0
        self.init(path: path, exists: exists, mode: UInt16(status.st_mode & 0o7777), isSecret: isSecret)
    }

    func check(_ area: String, _ name: String) -> Check {
        let bits = String(mode & 0o777, radix: 8)
        if !exists {
            return .warning(area, name, "\(path) is not there", fix: "Make it, or take its key out of the configuration.")
        }
        if mode & 0o002 != 0 {
            return .fault(area, name, "everybody may write \(path) (\(bits))", fix: "chmod o-w \(path)")
        }
        if isSecret && mode & 0o004 != 0 {
            return .warning(area, name, "everybody may read \(path), which holds secrets (\(bits))", fix: "chmod o-r \(path)")
        }
        return .ok(area, name, "\(path) (\(bits))")
    }
}

/// What is seen of the computer itself.
struct ComputerEvidence {
    static let area = "This computer"

    struct Disk {
        var path: String
        /// Nil: the folder is not there, or cannot be looked at.
        var freeMegabytes: Int?
        var isWritable: Bool
    }

    var disks: [Disk] = []
    /// Nil: the kernel does not say.
    var isClockSynchronised: Bool?
    var year = 2026
    /// Of the services that are installed: name and what systemd calls their state.
    var services: [(unit: String, state: String)] = []

    var checks: [Check] {
        disks.map(check) + [clock] + services.map(check)
    }

    private func check(_ disk: Disk) -> Check {
        let name = "space"
        guard let free = disk.freeMegabytes else {
            return .warning(
                Self.area, name, "\(disk.path) is not there, so nothing survives a restart",
                fix: "sudo mkdir -p \(disk.path), or name another folder in files.state. The installed service makes it by itself.")
        }
        if free < 10 {
            return .fault(
                Self.area, name, "\(disk.path) is full (\(free) MB free)",
                fix: "Make room: the record and the history cannot be written.")
        }
        if free < 200 {
            return .warning(Self.area, name, "only \(free) MB free at \(disk.path)", fix: "Make room, or lower history.at_most.")
        }
        let size = free < 10_000 ? "\(free) MB" : "\(free / 1000) GB"
        return .ok(Self.area, name, "\(size) free at \(disk.path)" + (disk.isWritable ? "" : " (not writable for this user)"))
    }

    private var clock: Check {
        if year < 2025 {
            return .warning(
                Self.area, "clock", "it says the year \(year)",
                fix: "Set it, for example by NTP. The limits do not need a clock; history and events do.")
        }
        switch isClockSynchronised {
        case true?: return .ok(Self.area, "clock", "set by a time server")
        case false?:
            return .warning(
                Self.area, "clock", "not set by a time server",
                fix: "sudo timedatectl set-ntp true. The limits do not need a clock; history and events do.")
        case nil: return .notChecked(Self.area, "clock", because: "the kernel does not say whether a time server sets it")
        }
    }

    private func check(_ service: (unit: String, state: String)) -> Check {
        switch service.state {
        case "active": .ok(Self.area, "service", "\(service.unit) is active")
        case "failed":
            .fault(Self.area, "service", "\(service.unit) has failed", fix: "journalctl -u \(service.unit) -e says why.")
        default:
            .warning(
                Self.area, "service", "\(service.unit) is \(service.state.isEmpty ? "in an unknown state" : service.state)",
                fix: "sudo systemctl enable --now \(service.unit)")
        }
    }
}

extension ComputerEvidence {
    /// Looks at this computer.
    init(folders: [String], service: SystemdService?) {
        disks = folders.map { folder in
            var space = statvfs()
            guard statvfs(folder, &space) == 0 else { return Disk(path: folder, freeMegabytes: nil, isWritable: false) }
            let free = UInt64(space.f_bavail) * UInt64(space.f_frsize) / 1_000_000
            return Disk(path: folder, freeMegabytes: Int(clamping: free), isWritable: access(folder, W_OK) == 0)
        }
        // A container may be forbidden to ask.
        let answer = clinux_clock_is_synchronised()
        isClockSynchronised = answer < 0 ? nil : answer == 1
        year = Calendar(identifier: .gregorian).component(.year, from: .now)
        services = ["packbridge-control.service", "packbridge-serve.service"].compactMap { unit in
            service?.state(of: unit).map { (unit, $0) }
        }
    }
}

/// Whether the page answers.
struct PageEvidence: Equatable {
    enum Answer: Equatable {
        case answered
        case refused
        case silent
    }

    var address: String
    var answer: Answer
    /// The bridge runs, so the page should be there.
    var isExpected: Bool

    var check: Check {
        let area = "Page"
        switch answer {
        case .answered: return .ok(area, "reachable", "\(address) answers")
        case .refused:
            guard isExpected else { return .notChecked(area, "reachable", because: "PackBridge does not run") }
            return .warning(
                area, "reachable", "nothing listens on \(address)",
                fix: "The bus is not affected. Is packbridge-serve running? systemctl status packbridge-serve")
        case .silent:
            return .warning(
                area, "reachable", "something listens on \(address), but it does not answer like PackBridge",
                fix: "Another program may use the port: change web.port. The bus is not affected.")
        }
    }
}

extension PageEvidence {
    /// Asks for the page, and only for that.
    init(_ web: WebEntry, isExpected: Bool) {
        let host = web.bind == "0.0.0.0" || web.bind == "localhost" ? "127.0.0.1" : web.bind == "::" ? "::1" : web.bind
        let isTLS = web.certificate != nil
        let name = host.contains(":") ? "[\(host)]" : host
        address = "\(isTLS ? "https" : "http")://\(name):\(web.port)"
        self.isExpected = isExpected
        answer = Self.ask(host, web.port, isTLS: isTLS)
    }

    /// Behind TLS an open port is all that is looked for: what certificate there is is the owner's business.
    private static func ask(_ host: String, _ port: UInt16, isTLS: Bool) -> Answer {
        var hints = addrinfo()
        (hints.ai_socktype, hints.ai_flags) = (Int32(SOCK_STREAM.rawValue), AI_NUMERICHOST)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &found) == 0, let place = found else { return .refused }
        defer { freeaddrinfo(found) }
        let socket = Glibc.socket(place.pointee.ai_family, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return .refused }
        defer { close(socket) }
        var patience = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        guard connect(socket, place.pointee.ai_addr, place.pointee.ai_addrlen) == 0 else { return .refused }
        if isTLS { return .answered }
        let request = Array("GET / HTTP/1.0\r\nHost: \(host):\(port)\r\n\r\n".utf8)
        guard write(socket, request, request.count) == request.count else { return .silent }
        var bytes = [UInt8](repeating: 0, count: 4096)
        var text = ""
        while text.utf8.count < 8192 {
            let count = Glibc.read(socket, &bytes, bytes.count)
            if count <= 0 { break }
            text += String(decoding: bytes[..<count], as: UTF8.self)
        }
        return text.hasPrefix("HTTP/1.") && text.contains("PackBridge") ? .answered : .silent
    }
}
