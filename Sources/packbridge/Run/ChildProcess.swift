import Battery
import CLinux
import Foundation
import Glibc
import LinuxIO

/// A program that runs as a child of this one; what it says comes line by line.
///
/// It has a process group of its own, so that Ctrl-C reaches only this process, which ends its children in the right order. When
/// this process is killed, the kernel ends the child with SIGTERM.
final class ChildProcess {
    let name: String
    let pid: pid_t
    let started = Instant.now
    private let output: Int32
    private var unfinished: [UInt8] = []
    private var ended: Ending?

    /// The number of the descriptor behind which a child's input waits.
    static let input = "\(CLINUX_CHILD_INPUT)"

    enum Ending: Equatable, CustomStringConvertible {
        case exit(code: Int32)
        case signal(Int32)

        var description: String {
            switch self {
            case .exit(let code): "ended with code \(code)"
            case .signal(let number): "was killed by signal \(number)"
            }
        }
    }

    /// - Parameters:
    ///   - program: its name; it is installed beside this one.
    ///   - input: what it reads from the descriptor `ChildProcess.input`.
    ///   - neverWaits: a line that nobody fetches in time is lost. Else the child waits with its next line.
    init(
        _ program: String, _ arguments: [String], input: [UInt8] = [], variables: [String: String] = [:], neverWaits: Bool
    ) throws {
        name = program
        let path = try siblingProgram(program)
        let source = try filledPipe(input)
        defer { close(source) }
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure("no pipe: \(String(cString: strerror(errno)))") }
        defer { close(ends[1]) }
        output = ends[0]
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        if neverWaits { _ = fcntl(ends[1], F_SETFL, O_NONBLOCK) }
        let environment = ProcessInfo.processInfo.environment.merging(variables) { $1 }.map { "\($0)=\($1)" }
        let words = [path] + arguments
        pid = withCStrings(words) { words in
            withCStrings(environment) { clinux_spawn(path, words, $0, source, ends[1]) }
        }
        guard pid > 0 else {
            close(output)
            throw Failure("\(path): cannot be started: \(String(cString: strerror(errno)))")
        }
    }

    deinit {
        close(output)
    }

    func watch(with loop: EventLoop, token: UInt64) {
        loop.watch(output, token: token)
    }

    /// The lines that have come since the last call. Does not wait.
    func lines() -> [String] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(output, &buffer, buffer.count)
            if count <= 0 { break }
            unfinished += buffer[..<count]
        }
        var pieces = unfinished.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        let rest = pieces.removeLast()
        // The last words of a dead process need no end of line, and a line has its limit.
        let isComplete = ended != nil || rest.count > 4096
        if isComplete && !rest.isEmpty { pieces.append(rest) }
        unfinished = isComplete ? [] : Array(rest)
        return pieces.map { String(decoding: $0, as: UTF8.self) }
    }

    /// How it ended; nil while it runs.
    func ending() -> Ending? {
        var status: Int32 = 0
        if ended == nil && waitpid(pid, &status, WNOHANG) == pid {
            ended = status & 0x7F == 0 ? .exit(code: (status >> 8) & 0xFF) : .signal(status & 0x7F)
        }
        return ended
    }

    @discardableResult
    func end(within limit: Milliseconds) -> Bool {
        end(within: limit) {
            usleep(20_000)
            return false
        }
    }

    /// Asks it to end and waits; kills it when it has not within `limit`. - Returns: false when it had to be killed.
    ///
    /// - Parameter isUrgent: waits a little; true asks once more.
    @discardableResult
    func end(within limit: Milliseconds, isUrgent: () -> Bool) -> Bool {
        if ending() != nil { return true }
        kill(pid, SIGTERM)
        let latest = Instant.now + limit
        while Instant.now < latest {
            if isUrgent() { kill(pid, SIGTERM) }
            if ending() != nil { return true }
        }
        kill(pid, SIGKILL)
        while ending() == nil { usleep(5000) }
        return false
    }
}

/// The end of a pipe from which `bytes` can be read. A pipe holds 64 KB, far more than a configuration has, so nobody has to read
/// yet.
func filledPipe(_ bytes: [UInt8]) throws -> Int32 {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failure("no pipe: \(String(cString: strerror(errno)))") }
    defer { close(ends[1]) }
    guard bytes.count <= 65_536, write(ends[1], bytes, bytes.count) == bytes.count else {
        close(ends[0])
        throw Failure("a configuration of \(bytes.count) bytes cannot be handed over")
    }
    return ends[0]
}

/// Becomes the program of that name beside this one, with `input` behind the descriptor that is its last argument. Returns only by
/// throwing.
func become(_ program: String, _ arguments: [String], input: [UInt8]) throws -> Never {
    try become(program, arguments + ["\(filledPipe(input))"])
}

/// Becomes the program of that name beside this one. Returns only by throwing.
func become(_ program: String, _ arguments: [String]) throws -> Never {
    let path = try siblingProgram(program)
    _ = withCStrings([path] + arguments) { execv(path, $0) }
    throw Failure("\(path): cannot be started: \(String(cString: strerror(errno)))")
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
