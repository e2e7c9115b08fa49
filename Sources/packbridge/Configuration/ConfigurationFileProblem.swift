/// One thing that is wrong with a configuration file, with everything that is needed to mend it.
struct ConfigurationFileProblem: Equatable {
    /// The full name of the setting, for example `bms[1].poll`. Empty where the whole file is meant.
    var key: String
    /// From 1; 0 where the file has no such place (a missing file).
    var line: Int
    var column: Int
    /// What stands there; nil when something is missing.
    var value: String?
    /// What is wrong, a sentence without a full stop.
    var message: String
    /// The allowed range or the allowed values.
    var allowed: String?

    func text(file: String) -> String {
        var text = file
        if line > 0 { text += ":\(line)" }
        text += ": "
        if !key.isEmpty { text += "\(key): " }
        text += message
        if let allowed { text += "; allowed: \(allowed)" }
        return text
    }

    func write(to json: inout JSONText) {
        json.object {
            $0.field("key", key)
            $0.field("line", line)
            $0.field("column", column)
            $0.field("value", value)
            $0.field("message", message)
            $0.field("allowed", allowed)
        }
    }
}

/// The configuration was refused, for all of these reasons, in the order of the file.
struct ConfigurationRefused: Error {
    let problems: [ConfigurationFileProblem]
}

/// The closest of `known` to a mistyped word; nil when nothing is close. A word that is cut short is close: `password` for
/// `password_file`.
func closest(to word: String, among known: [String]) -> String? {
    let ranked = known.map { (name: $0, distance: editDistance(word.lowercased(), $0.lowercased())) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }), best.distance <= max(1, word.count / 3) else {
        return known.first { $0.hasPrefix(word.lowercased() + "_") }
    }
    return best.name
}

/// How many letters have to be inserted, dropped, replaced or swapped with their neighbour to turn one word into the other.
private func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a), b = Array(b)
    var rows = [Array(0...b.count)]
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var best = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, rows[i - 1][j - 1] + 1) }
            row.append(best)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
