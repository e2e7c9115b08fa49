import ArgumentParser
import Foundation
import Glibc
import LinuxIO

/// `packbridge check`: judges a configuration file.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks a configuration file and names every error at once.",
        discussion: """
            Each error says the file and line, the key, the value, what is wrong and what is allowed. With --image a good file is
            also written there as the control process reads it, for a SIGHUP to `packbridge control --image`.

            Example: packbridge check packbridge.yaml

            Exit codes: 0 the file is good, 1 it cannot be read, 2 usage, 78 it is refused.
            """)

    @Argument(help: "The configuration file.")
    var file = "packbridge.yaml"

    @Flag(help: "One JSON object: ok, problems, hints.")
    var json = false

    @Option(help: "Where to write a good configuration for a running control process.")
    var image: String?

    func run() throws {
        do {
            let read = try ConfigurationReader.read(try configurationText(at: file))
            if let image { try ControlProcess.write(read.configuration, to: image) }
            report(problems: [], hints: read.hints + read.serve.missingFiles())
        } catch let refused as ConfigurationRefused {
            report(problems: refused.problems, hints: [])
            throw ExitCode(configurationRefused)
        }
    }

    private func report(problems: [ConfigurationFileProblem], hints: [String]) {
        if json {
            var text = JSONText()
            text.object {
                $0.field("ok", problems.isEmpty)
                $0.field("file", file)
                $0.field("problems", array: { for problem in problems { problem.write(to: &$0) } })
                $0.field("hints", array: { for hint in hints { $0.string(hint) } })
            }
            print(text.string)
        } else if problems.isEmpty {
            print("\(file): good")
            for hint in hints { print("hint: \(hint)") }
        } else {
            printProblems(problems, file: file)
        }
    }
}

/// EX_CONFIG of sysexits.h.
let configurationRefused: Int32 = 78

/// The contents of a configuration file. - Throws: a message that says what to do when it cannot be read.
func configurationText(at path: String) throws -> String {
    guard let contents = FileManager.default.contents(atPath: path) else {
        let exists = FileManager.default.fileExists(atPath: path)
        throw Failure(
            exists
                ? "\(path): cannot be read; check its permissions"
                : "\(path): there is no such file; `packbridge setup` writes one, and packbridge.example.yaml shows every key")
    }
    guard let text = String(bytes: contents, encoding: .utf8) else { throw Failure("\(path): is no UTF-8 text") }
    return text
}

/// The configuration for a command that runs with it. A refused file ends the process with 78.
func loadConfiguration(at path: String) throws -> BridgeFile {
    do {
        return try ConfigurationReader.read(try configurationText(at: path))
    } catch let refused as ConfigurationRefused {
        printProblems(refused.problems, file: path)
        throw ExitCode(configurationRefused)
    }
}

private func printProblems(_ problems: [ConfigurationFileProblem], file: String) {
    for problem in problems { printError(problem.text(file: file)) }
    printError("\(file): refused, \(problems.count) \(problems.count == 1 ? "problem" : "problems")")
}

/// A message for a person on standard error. That nobody can read it ends nothing.
func printError(_ message: String) {
    let line = Array((message + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}

/// Something failed that a person can do something about: exit code 1 with this message.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
