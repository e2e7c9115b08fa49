import Foundation

/// One question of the set-up.
struct Question {
    /// Its name in an answers file, which is that of the configuration's key where there is one: `limits.charge`.
    var key: String
    var text: String
    /// Offered by number. What stands in an answers file is the value.
    var choices: [(value: String, words: String)] = []
    /// Taken for an empty line, and for `default` in an answers file. Nil: there must be an answer.
    var standard: String?
    /// For `?`.
    var explanation: String
    /// Only what is offered may be answered.
    var isClosed = false
    /// An answers file need not have it: the default is what was found.
    var mayBeLeftOut = false
}

/// An answer that cannot be taken, for a reason that the person reads.
struct Unfit: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// Who answers the questions: a person or a file.
protocol Respondent: AnyObject {
    /// - Returns: the text as it was answered; never empty.
    func answer(_ question: Question) throws -> String
    /// The answer was no good. - Throws: when there is nobody who could give another.
    func refuse(_ question: Question, _ answer: String, because reason: String) throws
    func say(_ text: String)
    /// Something that must stay as it is, line by line.
    func show(_ text: String)
    /// Whether there is an n-th entry of a list, for the one that decides by what it holds.
    func hasEntry(_ path: String) -> Bool?
}

/// Asks questions one after the other, and can go back: the answers are kept, and after `back` the interview is led again from the start
/// with all of them but the last.
final class Conversation {
    struct Back: Error {}

    private let respondent: any Respondent
    private var answers: [String] = []
    private var position = 0

    init(_ respondent: any Respondent) {
        self.respondent = respondent
    }

    /// Leads `interview` to its end, however often somebody goes back.
    func lead<Result>(_ interview: (Conversation) throws -> Result) throws -> Result {
        while true {
            position = 0
            do { return try interview(self) } catch is Back {
                if !answers.isEmpty { answers.removeLast() }
            }
        }
    }

    /// Asks until there is an answer that `read` takes.
    func ask<Value>(_ question: Question, _ read: (String) throws -> Value) throws -> Value {
        if position < answers.count {
            position += 1
            return try read(answers[position - 1])
        }
        while true {
            let answer = try respondent.answer(question)
            if answer == "back" { throw Back() }
            do {
                if question.isClosed, !question.choices.contains(where: { $0.value == answer }) {
                    throw Unfit("choose one of: \(question.choices.map(\.value).joined(separator: ", "))")
                }
                let value = try read(answer)
                answers.append(answer)
                position = answers.count
                return value
            } catch let unfit as Unfit {
                try respondent.refuse(question, answer, because: unfit.reason)
            }
        }
    }

    func ask(_ question: Question) throws -> String { try ask(question) { $0 } }

    /// Yes or no.
    func confirm(_ key: String, _ text: String, standard: Bool, _ explanation: String) throws -> Bool {
        var question = Question(key: key, text: text, standard: standard ? "yes" : "no", explanation: explanation)
        question.choices = []
        return try ask(question) { answer in
            switch answer.lowercased() {
            case "yes", "y", "true": true
            case "no", "n", "false": false
            default: throw Unfit("answer yes or no")
            }
        }
    }

    /// Whether a list goes on.
    func continues(_ path: String, _ text: String, _ explanation: String) throws -> Bool {
        if let hasEntry = respondent.hasEntry(path) { return hasEntry }
        return try confirm(path, text, standard: false, explanation)
    }

    /// For the person. What was said before an answer that is only repeated is not said again.
    func say(_ text: String) {
        if position >= answers.count { respondent.say(text) }
    }

    func show(_ text: String) {
        if position >= answers.count { respondent.show(text) }
    }
}

/// A person at a plain terminal: lines in, lines out, nothing that SSH or a slow line could spoil.
final class Console: Respondent {
    private let read: () -> String?
    private let write: (String) -> Void
    private let width: Int

    /// - Parameter read: the next line; nil at the end of the input.
    init(width: Int, read: @escaping () -> String?, write: @escaping (String) -> Void) {
        (self.width, self.read, self.write) = (min(max(width, 40), 100), read, write)
    }

    func answer(_ question: Question) throws -> String {
        if question.isClosed, question.choices.count == 1, question.mayBeLeftOut { return question.choices[0].value }
        write("\n")
        for (index, choice) in question.choices.enumerated() {
            let number = "\(index + 1)".leftPadded(3) + ") "
            write(wrapped(choice.words, width: width, first: number, rest: "     ") + "\n")
        }
        while true {
            let standard = question.standard.map { " [\(shown($0, of: question))]" } ?? ""
            let end = standard.isEmpty && question.text.hasSuffix("?") ? " " : ": "
            write(wrapped(question.text + standard + end, width: width, keepsEnd: true))
            guard let line = read() else { throw Ended() }
            let answer = line.trimmingCharacters(in: .whitespacesAndNewlines)
            switch answer {
            case "":
                if let standard = question.standard { return standard }
                write("  An answer is needed; ? explains, back goes back.\n")
            case "?": write(wrapped(question.explanation, width: width, first: "  ", rest: "  ") + "\n")
            default:
                guard let number = Int(answer), !question.choices.isEmpty, question.choices.indices.contains(number - 1) else {
                    return answer
                }
                return question.choices[number - 1].value
            }
        }
    }

    /// A default that stands in the list is shown by its number.
    private func shown(_ standard: String, of question: Question) -> String {
        question.choices.firstIndex { $0.value == standard }.map { "\($0 + 1)" } ?? standard
    }

    func refuse(_ question: Question, _ answer: String, because reason: String) throws {
        let end = reason.last.map { ".?!".contains($0) } == true ? "" : "."
        write(wrapped(reason.capitalised + end, width: width, first: "  ! ", rest: "    ") + "\n")
    }

    func say(_ text: String) {
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let indent = String(line.prefix { $0 == " " })
            // What is indented belongs to the line before, and hangs.
            let rest = indent.isEmpty ? "" : indent + "  "
            write(wrapped(line.dropFirst(indent.count), width: width, first: indent, rest: rest) + "\n")
        }
    }

    func show(_ text: String) { write(text) }

    func hasEntry(_ path: String) -> Bool? { nil }

    /// The input ended before the last answer.
    struct Ended: Error {}
}

/// Breaks a text at blanks. A word longer than a line (a path) stays whole.
func wrapped(
    _ text: some StringProtocol, width: Int, first: String = "", rest: String = "", keepsEnd: Bool = false
) -> String {
    var lines: [String] = []
    var line = first
    var isEmpty = true
    for word in unitsJoined(String(text).split(separator: " " as Character).map { String($0) }) {
        if !isEmpty && line.count + 1 + word.count > width {
            lines.append(line)
            (line, isEmpty) = (rest, true)
        }
        line += (isEmpty ? "" : " ") + word
        isEmpty = false
    }
    lines.append(line + (keepsEnd && text.hasSuffix(" ") ? " " : ""))
    return lines.joined(separator: "\n")
}

/// A number and its unit stay on one line.
private func unitsJoined(_ words: [String]) -> [String] {
    var joined: [String] = []
    for word in words {
        let isUnit =
            ["A", "V", "C", "Ah", "%", "Ω", "s", "MB"].contains(word.trimmingCharacters(in: .punctuationCharacters)) || word == "%"
        if isUnit, joined.last?.last?.isNumber == true {
            joined[joined.count - 1] += " " + word
        } else {
            joined.append(word)
        }
    }
    return joined
}

extension String {
    func leftPadded(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

    /// The first letter as at the beginning of a sentence. What begins with a digit or a path stays as it is.
    var capitalised: String { prefix(1).uppercased() + dropFirst() }
}
