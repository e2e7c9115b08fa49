import ArgumentParser
import LinuxIO

/// `packbridge detect`: which JK protocol answers on a port.
struct DetectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "Finds out which JK protocol answers on a port, without changing anything in a unit.",
        discussion: """
            A serial line is first listened to, for a second: where a unit or another host is the master of a bus, nothing is sent.
            Otherwise every protocol is asked in turn, at 115200 and at 9600 baud; that takes up to 15 seconds. On a CAN bus nothing is
            ever sent. The port must not be in use, so stop PackBridge first. `bluetooth` names the units whose radio is in reach.

            Example: packbridge detect /dev/ttyUSB0
            Example: packbridge detect slcan:/dev/ttyACM1@250000
            Example: packbridge detect bluetooth

            Exit codes: 0 a unit was found, 1 none was found or the port cannot be used, 2 usage.
            """)

    @Argument(help: "A serial device, a CAN port such as socketcan:can1, or bluetooth.")
    var port: String

    @Flag(help: "One JSON object for each way in which units were heard.")
    var json = false

    func validate() throws {
        if port.hasPrefix("/") || port == RadioSearch.port { return }
        do throws(CANAddressError) { _ = try CANAddress(port) } catch {
            throw ValidationError("'\(port)' is neither the path of a serial device nor a CAN port: \(error).")
        }
    }

    func run() throws {
        if port == RadioSearch.port { return try searchRadio() }
        var found: [Finding] = []
        do throws(PortFailure) {
            if port.hasPrefix("/") {
                found = try LineSearch.search(port) { step in if !json { printError(step) } }
            } else if let address = try? CANAddress(port) {
                let search = try BusSearch.search(address)
                if !json { printError(search.words) }
                found = search.finding.map { [$0] } ?? []
            }
        } catch {
            throw Failure("\(error)")
        }
        for finding in found { print(json ? finding.json(port: port) : finding.words(port: port)) }
        if found.isEmpty {
            if !json {
                printError(
                    "No JK unit was heard on \(port). Is it switched on, and are RX and TX (or A and B) the right way round?")
            }
            throw ExitCode(1)
        }
    }
}

extension DetectCommand {
    private func searchRadio() throws {
        let units = try RadioSearch.search()
        for unit in units { print(json ? unit.json : unit.words) }
        if units.isEmpty {
            if !json {
                printError("No JK unit is in reach. A unit that a phone is connected to does not show itself: close the app.")
            }
            throw ExitCode(1)
        }
    }
}

extension BusSearch {
    var words: String {
        if frames == 0 { return "Nothing is sent on this bus. Is the bit rate right, and is it terminated at both ends?" }
        var words = "\(frames) frames"
        if hasInverter { words += "; an inverter is there" }
        if hasBattery { words += "; something already tells the inverter limits, as a battery does" }
        return words
    }
}

extension Finding {
    /// What to write under `bms:`.
    func entry(port: String) -> String {
        var entry = "{protocol: \(protocolName), port: \(port.contains(":") ? "\"\(port)\"" : port)"
        if let baud, baud != 115_200 { entry += ", baud: \(baud)" }
        if !addresses.isEmpty { entry += ", address: \(addresses.map(String.init).joined(separator: " "))" }
        if isBusy && !addresses.contains(0) { entry += ", listen_only: true" }
        return entry + "}"
    }

    /// `jk-55aaeb90 at 9600 baud, addresses 1, 2, 16 cells, 52.8 V`
    var heard: String {
        var words = protocolName
        if let baud { words += " at \(baud) baud" }
        if !addresses.isEmpty {
            words += addresses.count == 1 ? ", address " : ", addresses "
            words += addresses.map(String.init).joined(separator: ", ")
        }
        if let cells { words += ", \(cells) cells" }
        if let packVoltage { words += ", \(packVoltage / 1000).\(packVoltage % 1000 / 100) V" }
        return words
    }

    func words(port: String) -> String {
        var words = heard
        if isBusy { words += "; somebody asks already, so nothing was sent" }
        return words + "\n  bms: \(entry(port: port))"
    }

    func json(port: String) -> String {
        var text = JSONText()
        text.object {
            $0.field("protocol", protocolName)
            $0.field("port", port)
            $0.field("baud", baud)
            $0.field("addresses", array: { for address in addresses { $0.integer(address) } })
            $0.field("busy", isBusy)
            $0.field("cells", cells)
            $0.field("voltage_mV", packVoltage)
            $0.field("entry", entry(port: port))
        }
        return text.string
    }
}
