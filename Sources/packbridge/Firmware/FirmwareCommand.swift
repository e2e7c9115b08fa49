import ArgumentParser
import BridgeEngine
import ChargeControl
import Foundation
import LinkClient

/// `packbridge firmware`: everything that a board with the firmware needs of a computer, once.
struct FirmwareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "firmware",
        abstract: "Configures and watches a board that runs the bridge by itself.",
        discussion: "What the boards are, their wires and their LED: docs/firmware.md.",
        subcommands: [
            FirmwareInfo.self, FirmwareConfigure.self, FirmwareConsole.self, FirmwareLog.self, FirmwareStatus.self,
        ])
}

struct FirmwareInfo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Says what a firmware image was built from.",
        discussion: """
            Example: packbridge firmware info .build-firmware/esp32c3.bin

            Exit codes: 0 good, 1 it is no image of this firmware or cannot be read, 2 usage.
            """)

    @Argument(help: "An image, as ELF or as flashed.")
    var image: String

    func run() throws {
        guard let contents = FileManager.default.contents(atPath: image) else { throw Failure("\(image): cannot be read") }
        guard let identity = FirmwareIdentity(in: Array(contents)) else {
            throw Failure("\(image): no image of the PackBridge firmware")
        }
        print("board     \(identity.board)")
        print("revision  \(identity.revision)")
        print("size      \(contents.count) bytes")
    }
}

struct FirmwareConfigure: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configure", abstract: "Gives the board its configuration.",
        discussion: """
            The file is that of the gateway, with one BMS line at 115200 baud and one CAN bus; its device paths mean nothing here. The
            board keeps it in flash, lets the limits come down and restarts, which takes up to 15 s.

            Example: packbridge firmware configure --port /dev/ttyACM0 packbridge.yaml

            Exit codes: 0 the board has confirmed that it is stored, 1 refused or no answer, 2 usage, 78 the file is refused.
            """)

    @Option(help: "The console port of the board.")
    var port: String

    @Argument(help: "The configuration file.")
    var file = "packbridge.yaml"

    func run() throws {
        let gateway = try loadConfiguration(at: file).configuration
        for case .serial(let line) in gateway.bmsLines where line.baud != 115_200 {
            throw Failure("\(file): the BMS line of a board has 115200 baud, not \(line.baud)")
        }
        let console = try FirmwareConsolePort(port)
        // Not a number that anybody else would have used just now.
        let identity = UInt32.random(in: 1...0x7FFF_FFFF)
        for attempt in 1...3 as ClosedRange<UInt32> {
            try console.send(LinkConfigure.message(gateway.bridge, identity: identity, sequence: attempt))
            guard let reply = console.reply(to: identity, within: 3) else { continue }
            if let refusal = reply.refusal { throw Failure("\(port): refused: \(words(refusal, gateway.bridge))") }
            print("stored; the board restarts with it after the limits have come down")
            return
        }
        throw Failure("\(port): no answer; is this the console of a board with the PackBridge firmware?")
    }

    private func words(_ refusal: CommandRefusal, _ asked: BridgeConfiguration) -> String {
        switch refusal {
        case .badConfiguration: "its firmware has another layout of the configuration; flash the one of this version"
        case .notSupported: "a board has one serial line for all packs and one CAN bus, no RS485 to the inverter"
        case .noRoom:
            """
            the board has no room for \(count(asked.control.packs.count, "pack")) on \(count(asked.bmsPorts.count, "line")) and \
            \(count(asked.inverterPorts.count, "inverter port")), \(asked.image().count) bytes: it has one serial line, one CAN bus and one \
            pack, or four packs when its image was built with a bus protocol (docs/firmware.md); leave out the others, or take a gateway
            """
        case .protocolAbsent:
            """
            its image does not speak \(asked.bmsPorts.count > 0 ? "\(asked.bmsPorts[0].bmsProtocol.text)" : "this protocol"); it speaks \
            jk-4e57 and what it was built with: PACKBRIDGE_BMS="modbus 55aa" make flash … (docs/firmware.md)
            """
        case .notStored: "its flash does not take it; the configuration before is still in force"
        default: stableName(refusal)
        }
    }

    private func count(_ number: Int, _ thing: String) -> String { "\(number) \(thing)\(number == 1 ? "" : "s")" }
}

struct FirmwareConsole: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "console", abstract: "Shows the page of the board's console: state, limits and reasons.",
        discussion: """
            The same as `?` and Enter in any terminal program at 115200 baud.

            Example: packbridge firmware console --port /dev/ttyACM0

            Exit codes: 0 good, 1 no answer, 2 usage.
            """)

    @Option(help: "The console port of the board.")
    var port: String

    func run() throws {
        guard let page = try FirmwareConsolePort(port).page(within: 5) else { throw Failure("\(port): no answer") }
        print(page)
    }
}

struct FirmwareStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What `packbridge status` shows, of a board.",
        discussion: "Example: packbridge firmware status --port /dev/ttyACM0\n\nExit codes: 0 good, 1 no answer, 2 usage.")

    @Option(help: "The console port of the board.")
    var port: String

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        let console = try FirmwareConsolePort(port)
        var found: BridgeSnapshot?
        console.listen(for: 8) { news in
            if case .snapshot(let snapshot) = news { found = snapshot }
            return found == nil
        }
        guard let snapshot = found else { throw Failure("\(port): the board says nothing") }
        if json {
            var text = JSONText()
            text.write(snapshot)
            print(text.string)
        } else {
            print(StatusText().page(snapshot), terminator: "")
        }
    }
}

struct FirmwareLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Prints what has happened on the board since its start.",
        discussion: """
            The board knows no date: times count from its start.

            Example: packbridge firmware log --port /dev/ttyACM0

            Exit codes: 0 good, 1 no answer, 2 usage.
            """)

    @Option(help: "The console port of the board.")
    var port: String

    @Flag(help: "Go on until interrupted.")
    var follow = false

    func run() throws {
        let console = try FirmwareConsolePort(port)
        try console.send(LinkReplay().message(sequence: 1))
        var printed: UInt32 = 0
        var heard = false
        console.listen(for: follow ? nil : 2) { news in
            heard = true
            if case .event(let event) = news, event.number > printed {
                printed = event.number
                print("\(duration(event.at.milliseconds))  \(event.sentence)")
            }
            return true
        }
        if !heard { throw Failure("\(port): no answer") }
    }
}
