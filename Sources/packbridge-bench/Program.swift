import Foundation

/// Another program, run to its end.
struct Program {
    let name: String
    let arguments: [String]

    init(_ name: String, _ arguments: [String]) {
        self.name = name
        self.arguments = arguments
    }

    /// What it printed; nil when it could not be started or failed.
    func output() -> (standard: String, error: String)? {
        let process = Process()
        let standard = Pipe(), error = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardOutput = standard
        process.standardError = error
        guard (try? process.run()) != nil else { return nil }
        let first = standard.fileHandleForReading.readDataToEndOfFile()
        let second = error.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { return nil }
        return (String(decoding: first, as: UTF8.self), String(decoding: second, as: UTF8.self))
    }
}
