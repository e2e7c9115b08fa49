import Foundation
import Glibc
import LinuxIO

/// The program `packbridge-control`, found beside this one: how it is given its configuration and started.
struct ControlProcess {
    let pid: pid_t

    /// Starts it as a child with `configuration`.
    init(starting configuration: GatewayConfiguration) throws {
        let (path, arguments, descriptor) = try Self.invocation(of: configuration)
        defer { close(descriptor) }
        var pid: pid_t = 0
        let code = withCStrings(arguments) { posix_spawn(&pid, path, nil, nil, $0, environ) }
        guard code == 0 else { throw Failure("\(path): cannot be started: \(String(cString: strerror(code)))") }
        self.pid = pid
    }

    /// Becomes it: returns only by throwing.
    static func become(with configuration: GatewayConfiguration) throws -> Never {
        let (path, arguments, _) = try invocation(of: configuration)
        _ = withCStrings(arguments) { execv(path, $0) }
        throw Failure("\(path): cannot be started: \(String(cString: strerror(errno)))")
    }

    /// How it ended; nil while it runs.
    func ending() -> Ending? {
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        return status & 0x7F == 0 ? .exit(code: (status >> 8) & 0xFF) : .signal(status & 0x7F)
    }

    enum Ending: Equatable {
        case exit(code: Int32)
        case signal(Int32)
    }

    /// Path, arguments and the descriptor behind which the compact configuration waits.
    private static func invocation(of configuration: GatewayConfiguration) throws -> (String, [String], Int32) {
        let path = try siblingProgram("packbridge-control")
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure("no pipe: \(String(cString: strerror(errno)))") }
        defer { close(ends[1]) }
        // A pipe holds 64 KB, far more than a configuration has, so nobody has to read yet.
        let bytes = configuration.encoded()
        guard write(ends[1], bytes, bytes.count) == bytes.count else {
            throw Failure("the configuration cannot be handed over: \(String(cString: strerror(errno)))")
        }
        return (path, [path, "--config-fd", "\(ends[0])"], ends[0])
    }
}

/// The path of a program that is installed beside this one.
func siblingProgram(_ name: String) throws -> String {
    guard let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
        throw Failure("/proc/self/exe cannot be read; is /proc mounted?")
    }
    let path = URL(filePath: own).deletingLastPathComponent().appending(path: name).path
    guard FileManager.default.isExecutableFile(atPath: path) else {
        throw Failure("\(path) is missing; it belongs beside packbridge")
    }
    return path
}

/// `body` with the strings as a C array that ends with a null pointer.
private func withCStrings<R>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> R
) -> R {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}
