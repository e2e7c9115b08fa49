import Foundation
import Yams

/// Answers out of a YAML file, by the names of the questions. Nothing is guessed: what is missing, unknown or unfit ends the set-up with
/// an error that names the key.
final class AnswersFile: Respondent {
    private let name: String
    private let write: (String) -> Void
    private let values: [String: String]
    /// Whether these are asked depends on the computer, so a file for several of them may always hold them.
    private var used: Set<String> = ["overwrite", "start_service", "files.state"]

    /// - Throws: when the text is no YAML, or holds something that is no answer.
    init(_ yaml: String, name: String, write: @escaping (String) -> Void) throws {
        (self.name, self.write) = (name, write)
        let root: Node?
        do { root = try Yams.compose(yaml: yaml) } catch { throw Failure("\(name): this is no YAML: \(error)") }
        guard let root, case .mapping = root else { throw Failure("\(name): this must be a list of `key: answer` lines") }
        var found: [String: String] = [:]
        try Self.collect(root, "", name, into: &found)
        values = found
    }

    /// `bms: [{port: …}]` as `bms[1].port`; a mapping where a list is meant counts as a list of one.
    private static func collect(_ node: Node, _ path: String, _ file: String, into found: inout [String: String]) throws {
        switch node {
        case .scalar(let scalar): found[path] = scalar.string
        case .mapping(let mapping):
            let isList = ["bms", "inverter"].contains(path)
            for (key, value) in mapping {
                let word = key.scalar?.string ?? ""
                try collect(value, path.isEmpty ? word : "\(path)\(isList ? "[1]" : "").\(word)", file, into: &found)
            }
        case .sequence(let sequence):
            for (index, value) in sequence.enumerated() { try collect(value, "\(path)[\(index + 1)]", file, into: &found) }
        case .alias: throw Failure("\(file): \(path): an alias is no answer")
        }
    }

    func answer(_ question: Question) throws -> String {
        used.insert(question.key)
        guard let value = values[question.key], !value.isEmpty else {
            if question.mayBeLeftOut, let standard = question.standard { return standard }
            throw Failure("\(name): \(question.key) is missing: \(question.text)\(allowed(question))")
        }
        guard value == "default" else { return value }
        guard let standard = question.standard else {
            throw Failure("\(name): \(question.key) has no default: \(question.text)\(allowed(question))")
        }
        return standard
    }

    private func allowed(_ question: Question) -> String {
        question.choices.isEmpty ? "" : "; there are: " + question.choices.map(\.value).joined(separator: ", ")
    }

    func refuse(_ question: Question, _ answer: String, because reason: String) throws {
        throw Failure("\(name): \(question.key): \"\(answer)\": \(reason)")
    }

    func say(_ text: String) { write(text + "\n") }

    func show(_ text: String) { write(text) }

    func hasEntry(_ path: String) -> Bool? {
        values.keys.contains { $0 == path || $0.hasPrefix(path + ".") }
    }

    /// Every answer must have been asked for: a mistyped key would otherwise be left out in silence.
    func checkAllUsed() throws {
        for key in values.keys.sorted() where !used.contains(key) {
            let suggestion = closest(to: key, among: used.sorted()).map { "; did you mean \"\($0)\"?" } ?? ""
            throw Failure("\(name): \(key) was not asked for\(suggestion)")
        }
    }
}
