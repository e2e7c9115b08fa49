import ArgumentParser
import Battery
import Glibc
import InverterDialects
import LinuxIO

/// `packbridge monitor`: the decoded frames of a battery-inverter bus, live or from a log.
struct MonitorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "monitor",
        abstract: "Shows what battery and inverter say to each other, decoded.",
        discussion: """
            On a terminal a live bus is shown as a table that is drawn again; otherwise each frame that brings something new \
            is a line, and a log ends with how often each frame came. The bus is only listened to.

            Examples: packbridge monitor socketcan:can0
                      packbridge monitor slcan:/dev/ttyACM0 --protocol growatt
                      candump -L can0 | packbridge monitor - --json

            Exit codes: 0 good, 1 the source cannot be used or holds lines that are no frames, 2 usage.
            """)

    @Argument(help: "socketcan:can0, slcan:/dev/ttyACM0, a candump log, or - for a log on standard input.")
    var source: String

    @Option(
        name: .customLong("protocol"),
        help: ArgumentHelp("auto, or one of: \(DialectName.allCases.map(\.name).joined(separator: ", "))."))
    var protocolName = "auto"

    @Flag(help: "One JSON object for each frame.")
    var json = false

    func validate() throws {
        if protocolName != "auto", dialect == nil {
            let known = DialectName.allCases.map(\.name).joined(separator: ", ")
            throw ValidationError("There is no protocol '\(protocolName)'. Known: auto, \(known).")
        }
    }

    private var dialect: DialectName? { DialectName.allCases.first { $0.name == protocolName } }

    func run() throws {
        if let address = try busAddress() {
            var port: PortSource
            do { port = try PortSource(address) } catch let failure as PortFailure { throw Failure("\(failure)") }
            try show(&port)
        } else {
            var text = source == "-" ? TextSource(standardInput: ()) : try TextSource(file: file)
            try show(&text)
            if text.rejected > 0 {
                throw Failure("\(text.rejected) lines of \(text.title) are no frames of a candump log")
            }
        }
    }

    /// A log may be written as in the configuration; here it is read to its end, once.
    private var file: String { source.hasPrefix("candump:") ? String(source.dropFirst(8)) : source }

    /// Nil for a file. A colon alone does not make an address: logs may have one in their name.
    private func busAddress() throws -> CANAddress? {
        if source == "-" || access(file, F_OK) == 0 || !file.contains(":") { return nil }
        do throws(CANAddressError) { return try CANAddress(source) } catch { throw ValidationError("\(error)") }
    }

    private func show(_ source: inout some FrameSource) throws {
        var view = BusView(dialect: dialect)
        var object = JSONText()
        let isPage = source.isLive && !json && isatty(STDOUT_FILENO) == 1
        var drawn = Instant.now
        var hasMore = true
        while hasMore {
            hasMore = try source.poll { frame, time in
                let isNew = view.add(frame, at: time)
                if json {
                    object.removeAll()
                    object.busFrame(frame, at: time, view.dialect)
                    writeOut(object.bytes + [UInt8(ascii: "\n")])
                } else if isNew && !isPage {
                    writeOut(Array(view.line(frame, at: time).utf8))
                }
            }
            if isPage, Instant.now.since(drawn) >= 250 {
                drawn = .now
                writeOut(Array((clearScreen + view.page(title: source.title)).utf8))
            }
        }
        if !json { writeOut(Array(view.summary().utf8)) }
    }
}
