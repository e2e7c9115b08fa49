import ArgumentParser
import Foundation
import Glibc

/// `packbridge password`: the line that belongs into the configuration.
struct PasswordCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "password",
        abstract: "Makes the line that protects the page with a password.",
        discussion: """
            Asks for the password twice, or reads one line when standard input is no terminal. Prints the line to put below
            `web:` in packbridge.yaml. The password itself is stored nowhere.

            Example: packbridge password
            Example: pwgen -s 16 1 | tee secret | packbridge password --reader

            Exit codes: 0 good, 1 refused or failed, 2 usage.
            """)

    @Flag(help: "For those who may look but send no orders.")
    var reader = false

    func run() throws {
        let password = isatty(STDIN_FILENO) == 1 ? try askTwice() : readLine() ?? ""
        let hash = try answer(["hash"], input: password + "\n")
        guard let line = hash.first else { throw Failure("packbridge-serve made no hash") }
        print("  \(reader ? "reader_password_hash" : "password_hash"): \(line)")
        if isatty(STDOUT_FILENO) == 1 { printError("Put this line below `web:` in packbridge.yaml, then restart packbridge.") }
    }

    private func askTwice() throws -> String {
        let first = try HiddenLine.ask("Password: ")
        guard try HiddenLine.ask("Again: ") == first else { throw Failure("the two are not the same") }
        return first
    }
}

/// `packbridge token`: a secret for a program, and the line for the configuration.
struct TokenCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Makes a token with which a program may use the REST interface.",
        discussion: """
            Prints the token, which is shown only once and stored nowhere, and the line to put below `tokens:` of `web:` in
            packbridge.yaml.

            Example: packbridge token grafana

            Exit codes: 0 good, 1 refused or failed, 2 usage.
            """)

    @Argument(help: "Which program it is: letters, digits and dashes.")
    var name: String

    @Flag(help: "It may send orders too.")
    var owner = false

    func run() throws {
        let lines = try answer(["token", name], input: "")
        guard lines.count == 2 else { throw Failure("packbridge-serve made no token") }
        print("token: \(lines[0])")
        print("    - {name: \(name), hash: \(lines[1]), role: \(owner ? "owner" : "reader")}")
        if isatty(STDOUT_FILENO) == 1 {
            printError("The program sends `Authorization: Bearer TOKEN`. Put the second line below `web:`, `tokens:`.")
        }
    }
}

/// What packbridge-serve, which makes hashes as it checks them, answers on standard output. Its refusals are passed on.
private func answer(_ arguments: [String], input: String) throws -> [String] {
    let serve = Process()
    serve.executableURL = URL(filePath: try siblingProgram(ServeProcess.program))
    serve.arguments = arguments
    let (standardInput, standardOutput) = (Pipe(), Pipe())
    (serve.standardInput, serve.standardOutput) = (standardInput, standardOutput)
    try serve.run()
    standardInput.fileHandleForWriting.write(Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    let text = try standardOutput.fileHandleForReading.readToEnd() ?? Data()
    serve.waitUntilExit()
    guard serve.terminationStatus == 0 else { throw ExitCode(serve.terminationStatus) }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
}

/// One line from the terminal that is not shown.
enum HiddenLine {
    static func ask(_ prompt: String) throws -> String {
        var before = termios()
        guard tcgetattr(STDIN_FILENO, &before) == 0 else { throw Failure("the terminal cannot be asked") }
        var hidden = before
        // Keys arrive one by one and Ctrl-C as a byte, so that the terminal is never left without its echo.
        hidden.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden)
        defer {
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &before)
            printError("")
        }
        FileHandle.standardError.write(Data(prompt.utf8))
        var bytes: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            guard read(STDIN_FILENO, &byte, 1) == 1, byte != 3, byte != 4 else { throw Failure("nothing was changed") }
            switch byte {
            case 10, 13: return String(decoding: bytes, as: UTF8.self)
            case 8, 127: removeCharacter(from: &bytes)
            case 21: bytes = []  // Ctrl-U
            default: bytes.append(byte)
            }
        }
    }

    /// The last character, which may have several bytes.
    static func removeCharacter(from bytes: inout [UInt8]) {
        while let last = bytes.popLast(), last & 0xC0 == 0x80 {}
    }
}
