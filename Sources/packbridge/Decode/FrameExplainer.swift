/// What the user asked of `packbridge decode`.
struct DecodeOptions {
    /// Passcodes are shown in clear.
    var showSecrets = false
    /// Each line is a piece of a byte stream, not one frame.
    var stream = false
}

/// Explains the frames of one wire protocol, one input line at a time. A protocol is one file with one of these and one line in
/// `explainers`.
protocol FrameExplainer {
    /// Writes exactly one JSON object for one input line.
    /// - Returns: false when the line, or a frame in it, was rejected.
    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool

    /// Appends an explanation for a person, with a line break at its end.
    /// - Returns: false when the line, or a frame in it, was rejected.
    mutating func explain(_ line: String, to text: inout String) -> Bool
}

extension JSONText {
    /// `{"accepted":false,"error":"…"}`
    mutating func rejection(_ error: String) {
        object {
            $0.field("accepted", false)
            $0.field("error", error)
        }
    }
}
