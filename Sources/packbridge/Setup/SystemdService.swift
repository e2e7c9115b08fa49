import Foundation

/// The installed service that runs the bridge, where there is one.
struct SystemdService {
    static let unit = "packbridge-control.service"

    /// The configuration that the unit reads; nil when it does not say.
    var configuration: String?
    private let systemctl: String

    /// Nil unless systemd runs this computer, the unit is installed and `systemctl` is there.
    /// - Parameter root: "/" except in tests.
    init?(root: String = "/") {
        let files = FileManager.default
        func path(_ name: String) -> String { (root.hasSuffix("/") ? String(root.dropLast()) : root) + name }
        let folders = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"]
        guard files.fileExists(atPath: path("/run/systemd/system")),
            let unit = folders.map({ path("\($0)/\(Self.unit)") }).first(where: { files.fileExists(atPath: $0) }),
            let systemctl = program("systemctl")
        else { return nil }
        self.systemctl = systemctl
        let text = files.contents(atPath: unit).map { String(decoding: $0, as: UTF8.self) } ?? ""
        configuration = Self.configuration(in: text)
    }

    /// What follows `--config` in `ExecStart`.
    static func configuration(in unit: String) -> String? {
        guard let line = unit.split(separator: "\n").first(where: { $0.hasPrefix("ExecStart=") }) else { return nil }
        let words = line.split { " =".contains($0) }
        guard let option = words.firstIndex(of: "--config"), words.indices.contains(option + 1) else { return nil }
        return String(words[option + 1])
    }

    /// Starts the service with the new configuration, now and at every boot. - Returns: what systemctl said, when it failed.
    /// - Parameter withRadio: a unit is read over Bluetooth, which a service of its own does.
    func start(withRadio: Bool) -> String? {
        let units = [Self.unit, "packbridge-serve.service"] + (withRadio ? ["packbridge-radio.service"] : [])
        for command in ["enable", "restart"] {
            guard let result = run(systemctl, [command] + units) else {
                return "\(systemctl) cannot be started"
            }
            if result.status != 0 { return result.output.trimmingCharacters(in: .whitespacesAndNewlines) }
        }
        return nil
    }

    /// `active`, `inactive`, `failed`, … of a unit.
    func state(of unit: String) -> String? {
        run(systemctl, ["is-active", unit])?.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// A program on the search path, or where administrators' programs are.
func program(_ name: String) -> String? {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return (path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]).map { "\($0)/\(name)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
}

/// Runs a program to its end. - Returns: its exit status, and what it printed on both outputs; nil when it cannot be started.
func run(_ program: String, _ arguments: [String]) -> (status: Int32, output: String)? {
    let process = Process()
    let pipe = Pipe()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    (process.standardOutput, process.standardError) = (pipe, pipe)
    do { try process.run() } catch { return nil }
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}
