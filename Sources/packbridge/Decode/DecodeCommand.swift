import ArgumentParser
import Foundation

/// A protocol that `packbridge decode` knows.
typealias Explainable = (name: String, make: @Sendable (DecodeOptions) -> any FrameExplainer)

/// The protocols that `packbridge decode` knows. The names are an interface that scripts rely on.
let explainers = serialExplainers + dialectExplainers

private let serialExplainers: [Explainable] = [
    ("jk-4e57", { JK4E57Explainer(options: $0) }),
    ("jk-55aaeb90", { JK55AAExplainer(options: $0) }),
    ("jk-modbus", { JKModbusExplainer(options: $0) }),
    ("jk-can", { JKCANExplainer(options: $0) }),
    ("pylontech-rs485", { PylontechRS485Explainer(options: $0) }),
]

/// `packbridge decode`: explains frames from a hexadecimal argument, a file or standard input.
struct DecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "decode",
        abstract: "Explains a frame of a BMS or an inverter bus byte by byte.",
        discussion: """
            Each input line is one frame: hexadecimal for serial protocols, candump style (351#1402740E740ECC01) for CAN.

            Example: packbridge decode --protocol jk-4e57 4E5700130000000006030000000000006800000129

            Exit codes: 0 all frames accepted, 1 something rejected, 2 usage.
            """)

    @Option(
        name: .customLong("protocol"), help: ArgumentHelp("One of: \(explainers.map(\.name).joined(separator: ", "))."))
    var protocolName = "jk-4e57"

    @Flag(help: "One JSON object for each input line.")
    var json = false

    @Flag(help: "Each line is a piece of a byte stream: find the frames in it and list the accepted replies.")
    var stream = false

    @Flag(help: "Show passcodes instead of masking them.")
    var showSecrets = false

    @Argument(help: "A frame, a file with one frame per line, or - for standard input.")
    var input = "-"

    func validate() throws {
        if !explainers.contains(where: { $0.name == protocolName }) {
            let known = explainers.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no protocol '\(protocolName)'. Known: \(known).")
        }
    }

    func run() throws {
        let make = explainers.first { $0.name == protocolName }!.make
        var explainer = make(DecodeOptions(showSecrets: showSecrets, stream: stream))
        var allAccepted = true
        var json = JSONText()
        try forEachLine { line in
            if self.json {
                json.removeAll()
                if !explainer.writeObject(for: line, to: &json) { allAccepted = false }
                writeOut(json.bytes + [UInt8(ascii: "\n")])
            } else {
                var text = ""
                if !explainer.explain(line, to: &text) { allAccepted = false }
                writeOut(Array(text.utf8))
            }
        }
        if !allAccepted { throw ExitCode(1) }
    }

    /// Every input line, an empty one included, so that the n-th output line always belongs to the n-th input line.
    private func forEachLine(_ body: (String) -> Void) throws {
        if input == "-" {
            while let line = readLine() { body(line) }
        } else if FileManager.default.fileExists(atPath: input) {
            guard let contents = FileManager.default.contents(atPath: input) else {
                throw ValidationError("'\(input)' cannot be read. Check its permissions.")
            }
            var lines = String(decoding: contents, as: UTF8.self).split(
                separator: "\n", omittingEmptySubsequences: false)
            if lines.last == "" { lines.removeLast() }
            for line in lines { body(String(line)) }
        } else if input.contains("/") {
            throw ValidationError("There is no file '\(input)'.")
        } else {
            body(input)
        }
    }
}

/// Writes at once, line by line, so that a program at the other end of a pipe never waits for a buffer to fill.
func writeOut(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
        if count >= 0 {
            rest = rest.dropFirst(count)
        } else if errno == EPIPE {
            // Nobody reads any more (`| head`): the work is done.
            exit(0)
        } else if errno != EINTR {
            let reason = String(cString: strerror(errno))
            FileHandle.standardError.write(Data("packbridge: the output cannot be written: \(reason)\n".utf8))
            exit(1)
        }
    }
}
