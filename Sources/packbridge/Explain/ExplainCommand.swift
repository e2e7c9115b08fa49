import ArgumentParser
import Battery
import ChargeControl
import Glibc

/// `packbridge explain`: limits and the reason for each, for one snapshot per line.
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Says why the limits are what they are, for one snapshot per line (JSON in, JSON out).",
        discussion: """
            Answers "why is my battery only charging at 20 A?" with the same code that runs in the bridge. docs/explain.md describes
            every field. Without --scenario each line stands alone; with it, lines carry t_ms and the state is kept between them.

            Example: packbridge explain snapshot.json

            Exit codes: 0 every line was answered, 1 a line was refused, 2 usage.
            """)

    @Flag(help: "Keep the state between the lines, which carry their time as t_ms.")
    var scenario = false

    @Argument(help: "A file with one JSON object per line, or - for standard input.")
    var input = "-"

    func run() throws {
        let lines = try LineSource(path: input)
        var explainer = Explainer(keepsState: scenario)
        var allAnswered = true
        var json = JSONText()
        while lines.more() {
            json.removeAll()
            while let line = lines.next() {
                if !explainer.answer(line, to: &json) { allAnswered = false }
            }
            writeOut(json.bytes)
        }
        if !allAnswered { throw ExitCode(1) }
    }
}

/// Answers line by line.
struct Explainer {
    let keepsState: Bool
    private var controller: Controller?
    private var ids: [Int64] = []
    private var time: Milliseconds = 0

    init(keepsState: Bool) {
        self.keepsState = keepsState
    }

    /// Appends exactly one line to `json`. - Returns: false when the input was refused.
    mutating func answer(_ line: [UInt8], to json: inout JSONText) -> Bool {
        do throws(JSONReader.Problem) {
            let input = try ExplainInput(line)
            try keepsState ? step(input, to: &json) : judge(input, to: &json)
            json.endLine()
            return true
        } catch {
            json.object {
                $0.field("error", error.message)
                $0.field("column", error.column)
            }
            json.endLine()
            return false
        }
    }

    /// One line by itself: the protective bound, slew, latches and start-up off.
    private func judge(_ input: ExplainInput, to json: inout JSONText) throws(JSONReader.Problem) {
        let configuration = try complete(input)
        var controller = Controller.stateless(configuration: configuration)
        var rejections: [SnapshotRejection] = []
        for (index, pack) in input.packs.enumerated() {
            rejections.append(controller.adopt(pack.reading, age: pack.age, pack: index))
        }
        controller.evaluate()
        json.write(controller.output, ids: input.packs.map(\.id), rejections: rejections)
    }

    /// The next line of a scenario. A pack that is not in it has said nothing since.
    private mutating func step(_ input: ExplainInput, to json: inout JSONText) throws(JSONReader.Problem) {
        guard let now = input.time else { throw JSONReader.Problem(message: "a scenario's line needs t_ms", column: 1) }
        if controller == nil {
            var first = Controller(configuration: try complete(input), record: nil, at: Instant(milliseconds: now))
            first.listsLimiters = true
            controller = first
            ids = input.packs.map(\.id)
        } else if input.configuration != nil {
            throw JSONReader.Problem(message: "only the first line of a scenario has a config", column: 1)
        } else if now < time || now > time + 86_400_000 {
            throw JSONReader.Problem(message: "t_ms must rise, by at most a day", column: 1)
        } else {
            // The control logic ticks once a second, also between the lines.
            for second in stride(from: time + 1000, to: now, by: 1000) {
                controller?.tick(at: Instant(milliseconds: second))
            }
        }
        time = now
        var rejections = [SnapshotRejection](repeating: .none, count: ids.count)
        for pack in input.packs {
            guard let index = ids.firstIndex(of: pack.id) else {
                throw JSONReader.Problem(message: "pack \(pack.id) was not in the first line", column: 1)
            }
            rejections[index] = controller?.accept(pack.reading, pack: index, at: Instant(milliseconds: now)) ?? .none
        }
        controller?.tick(at: Instant(milliseconds: now))
        if let controller { json.write(controller.output, ids: ids, rejections: rejections) }
    }

    /// The configuration of a line, with its packs; refused when the control logic would refuse it.
    private func complete(_ input: ExplainInput) throws(JSONReader.Problem) -> ControlConfiguration {
        guard var configuration = input.configuration else {
            throw JSONReader.Problem(message: "\"config\" is missing", column: 1)
        }
        for pack in input.packs { configuration.packs.append(pack.settings) }
        let problems = configuration.problems()
        if !problems.isEmpty {
            let first = problems[0]
            throw JSONReader.Problem(
                message: "config: \(first.key) is \(first.value), allowed is \(first.low) to \(first.high)", column: 1)
        }
        return configuration
    }
}

/// Lines of a file or of standard input, as they come: what has been read is answered before more is waited for.
final class LineSource {
    private let descriptor: Int32
    private var pending: [UInt8] = []
    private var start = 0
    private var isAtEnd = false
    private var buffer = [UInt8](repeating: 0, count: 256 * 1024)

    init(path: String) throws {
        descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 { throw Failure("\(path): \(String(cString: strerror(errno)))") }
    }

    deinit {
        if descriptor != STDIN_FILENO { close(descriptor) }
    }

    /// Reads more. - Returns: false at the end.
    func more() -> Bool {
        if isAtEnd { return false }
        pending.removeFirst(start)
        start = 0
        let count = read(descriptor, &buffer, buffer.count)
        if count > 0 {
            pending += buffer[..<count]
        } else if count == 0 || errno != EINTR {
            isAtEnd = true
            // The last line may lack its end.
            if !pending.isEmpty { pending.append(UInt8(ascii: "\n")) }
        }
        return !isAtEnd || !pending.isEmpty
    }

    /// The next complete line without its end; blank lines are skipped.
    func next() -> [UInt8]? {
        while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = Array(pending[start..<end])
            start = end + 1
            if line.contains(where: { $0 != 0x20 && $0 != 0x0D }) { return line }
        }
        return nil
    }
}
