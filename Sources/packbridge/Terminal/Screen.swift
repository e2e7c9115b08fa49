import Glibc

/// A terminal that is redrawn as a whole: no flicker, nothing scrolls, and the user's own screen is back afterwards.
struct Screen {
    /// Colours and drawing characters that this terminal understands.
    let usesColour: Bool
    let usesUnicode: Bool
    private var isFull = false

    /// - Parameter descriptor: where the page goes.
    init(descriptor: Int32 = STDOUT_FILENO) {
        let isTerminal = isatty(descriptor) == 1
        usesColour = isTerminal && getenv("NO_COLOR") == nil && Self.variable("TERM") != "dumb"
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap(Self.variable).first { !$0.isEmpty } ?? ""
        usesUnicode = locale.lowercased().contains("utf")
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// Columns and rows; 80 × 24 when nobody knows.
    var size: (columns: Int, rows: Int) {
        var window = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0 else { return (80, 24) }
        return (max(40, Int(window.ws_col)), max(10, Int(window.ws_row)))
    }

    /// Takes the whole screen.
    mutating func open() {
        isFull = true
        emit("\u{1B}[?1049h\u{1B}[?25l")
    }

    /// Gives it back.
    mutating func close() {
        if isFull { emit("\u{1B}[?25h\u{1B}[?1049l") }
        isFull = false
    }

    /// Shows `lines`; those that do not fit are cut off at the bottom.
    func show(_ lines: [Line]) {
        let (columns, rows) = size
        var text = "\u{1B}[H"
        for (index, line) in lines.prefix(rows).enumerated() {
            if index > 0 { text += "\r\n" }
            text += line.text(columns: columns, colour: usesColour) + "\u{1B}[K"
        }
        emit(text + "\u{1B}[J")
    }

    private func emit(_ text: String) {
        writeOut(Array(text.utf8))
    }
}

/// One line of a page: pieces of text, each in one style, cut at the width of the terminal.
struct Line: ExpressibleByStringLiteral {
    enum Style: String {
        case plain = ""
        case dim = "2"
        case bold = "1"
        case good = "32"
        case warning = "33"
        case bad = "1;31"
        case title = "1;36"
    }

    private(set) var pieces: [(text: String, style: Style)] = []

    init() {}

    init(stringLiteral text: String) {
        pieces = [(text, .plain)]
    }

    init(_ text: String, _ style: Style = .plain) {
        pieces = [(text, style)]
    }

    var width: Int { pieces.reduce(0) { $0 + $1.text.count } }

    mutating func add(_ text: String, _ style: Style = .plain) {
        pieces.append((text, style))
    }

    /// Fills with spaces up to column `column`; at least one space.
    mutating func tab(_ column: Int) {
        add(String(repeating: " ", count: max(1, column - width)))
    }

    /// Puts `text` at the right edge.
    mutating func right(_ text: String, _ style: Style = .plain, columns: Int) {
        tab(columns - text.count)
        add(text, style)
    }

    func text(columns: Int, colour: Bool) -> String {
        var left = columns
        var result = ""
        for piece in pieces where left > 0 {
            let part = piece.text.count > left ? String(piece.text.prefix(left - 1)) + "…" : piece.text
            left -= part.count
            result += colour && piece.style != .plain ? "\u{1B}[\(piece.style.rawValue)m\(part)\u{1B}[0m" : part
        }
        return result
    }
}
