import Glibc

/// `make bench`: prints one tab-separated line per figure, `name value unit target ok|short`, and nothing else on standard output.
///
/// Names given as arguments select groups: `packbridge-bench codecs`. `growth` runs only when it is asked for.
@main
struct Bench {
    static let groups: [(name: String, figures: @Sendable () -> [Figure])] = [
        ("codecs", { Codecs.figures() }), ("control", { Control.figures() }), ("explain", { Commands.explain() }),
        ("soak", { Commands.soak() }), ("bus", { BusUse.figures() }), (growth, { Control.growth() }),
    ]
    private static let growth = "growth"

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "decode-only", let count = arguments.last.flatMap({ Int($0) }) {
            return Codecs.decodeOnly(count)
        }
        if let unknown = arguments.first(where: { name in !groups.contains { $0.name == name } }) {
            complain("there is no group '\(unknown)'; there are \(groups.map(\.name).joined(separator: ", "))")
            exit(2)
        }
        for group in groups where arguments.isEmpty ? group.name != growth : arguments.contains(group.name) {
            for figure in group.figures() {
                print(figure.line)
                fflush(nil)
            }
        }
    }

    /// On standard error: standard output is for figures.
    static func complain(_ text: String) {
        let line = Array("bench: \(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }
}
