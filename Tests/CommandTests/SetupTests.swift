import Battery
import ChargeControl
import Foundation
import Glibc
import InverterDialects
import LinuxIO
import Testing

@testable import packbridge

/// A pack as a JK unit describes itself.
func surveyedPack(
    cells: Int = 16, over: Millivolts? = 3650, under: Millivolts? = 2700, charge: Milliamps? = 150_000,
    discharge: Milliamps? = 150_000, capacity: MilliampHours? = 280_000
) -> SurveyedPack {
    var reading = PackReading()
    for cell in 0..<cells { reading.cells.append(UInt16(3300 + cell % 3)) }
    reading.packVoltage = Int32(cells) * 3301
    reading.current = 0
    reading.cellTemperatures.append(.value(220))
    reading.soc = 6000
    reading.rated = capacity
    (reading.chargeSwitch, reading.dischargeSwitch, reading.alarms) = (true, true, [])
    var settings = PackSettings()
    settings.cellOverVoltage = over
    settings.cellUnderVoltage = under
    settings.chargeOverCurrent = charge
    settings.dischargeOverCurrent = discharge
    reading.settings = settings
    return SurveyedPack(reading: reading)
}

@Suite struct LimitProposalTests {
    @Test func `the over-current protection decides, with its margin`() {
        let proposal = LimitProposal(chemistry: .lfp, packs: [surveyedPack()])
        #expect(proposal.charge.value == 135_000)
        #expect(proposal.discharge.value == 135_000)
        #expect(proposal.charge.reason == "0.9 × the 150 A at which the BMS stops is 135 A; 0.5 C of 280 Ah would be 140 A")
    }

    @Test func `the charge rate decides where the BMS would allow more`() {
        let proposal = LimitProposal(chemistry: .lfp, packs: [surveyedPack(charge: 200_000, capacity: 100_000)])
        #expect(proposal.charge.value == 50_000)
        #expect(proposal.charge.reason.hasPrefix("0.5 C of 100 Ah is 50 A"))
    }

    @Test func `equal packs add up, unequal ones by what the weakest may take`() {
        let equal = LimitProposal(chemistry: .lfp, packs: [surveyedPack(), surveyedPack()])
        #expect(equal.charge.value == 270_000)
        // Half of the current goes through the weak pack, so it decides: 2 × 45 A.
        let unequal = LimitProposal(chemistry: .lfp, packs: [surveyedPack(), surveyedPack(charge: 50_000)])
        #expect(unequal.charge.value == 90_000)
        #expect(unequal.charge.reason.contains("0.9 × the 50 A"))
    }

    @Test func `what the owner says stands in for a BMS that is silent about its currents`() {
        var pack = surveyedPack(charge: nil, discharge: nil)
        #expect(LimitProposal(chemistry: .lfp, packs: [pack]).charge.value == 0)
        (pack.chargeOverCurrent, pack.dischargeOverCurrent) = (100_000, 120_000)
        let proposal = LimitProposal(chemistry: .lfp, packs: [pack])
        #expect(proposal.charge.value == 90_000)
        #expect(proposal.discharge.value == 108_000)
    }

    @Test func `a low over-voltage protection lowers the bulk voltage, and the float voltage with it`() {
        let proposal = LimitProposal(chemistry: .lfp, packs: [surveyedPack(over: 3480)])
        #expect(proposal.bulk.value == 3430)
        #expect(proposal.float.value == 3350)
        #expect(proposal.refusal(ofBulk: 3440) != nil)
        #expect(proposal.refusal(ofBulk: 3430) == nil)
    }

    @Test func `a high under-voltage protection raises the empty voltage`() {
        let proposal = LimitProposal(chemistry: .lfp, packs: [surveyedPack(under: 2850)])
        #expect(proposal.emptyCell.value == 2950)
        #expect(proposal.refusal(ofEmptyCell: 2940) != nil)
    }

    @Test(arguments: [(Chemistry.lfp, Int32(3500), Int32(2850)), (.nmc, 4150, 2950), (.lto, 2720, 1950), (.lfp, 3650, 2500)])
    func `the control logic takes the proposed voltages as they stand`(
        chemistry: Chemistry, over: Millivolts, under: Millivolts
    ) {
        var pack = surveyedPack(over: over, under: under)
        if chemistry == .lto { for i in 0..<16 { pack.reading.cells[i] = 2300 } }
        pack.reading.packVoltage = chemistry == .lto ? 36_800 : 52_816
        let proposal = LimitProposal(chemistry: chemistry, packs: [pack])
        var control = ControlConfiguration(chemistry: chemistry)
        control.dischargeZeroFloor = proposal.emptyCell.value
        control.setVoltages(bulk: proposal.bulk.value, float: proposal.float.value, rebulk: nil)
        control.packs.append(PackConfiguration())
        #expect(control.problems().isEmpty)
        var controller = Controller.stateless(configuration: control)
        controller.adopt(pack.reading, age: 0, pack: 0)
        controller.evaluate()
        // Not clamped by the BMS's own limit, only cut to the 0.1 V of the inverter.
        #expect(controller.output.report.chargeVoltageLimit == 16 * proposal.bulk.value / 100 * 100)
        #expect(proposal.bulk.value <= over - 50)
        #expect(proposal.emptyCell.value >= under + 100)
    }

    @Test func `more than the battery may get is refused with the figures`() throws {
        let proposal = LimitProposal(chemistry: .lfp, packs: [surveyedPack()])
        let refusal = try #require(proposal.refusal(ofCharge: 136_000))
        #expect(refusal.contains("135 A") && refusal.contains("150 A"))
        #expect(proposal.refusal(ofCharge: 135_000) == nil)
    }
}

@Suite struct ContradictionTests {
    private func refusals(_ chemistry: Chemistry, _ packs: SurveyedPack...) -> [String] {
        Contradictions(chemistry: chemistry, packs: packs).refusals
    }

    @Test func `an ordinary pack has none`() {
        #expect(Contradictions(chemistry: .lfp, packs: [surveyedPack()]) == Contradictions(chemistry: .lfp, packs: []))
    }

    @Test func `a protection that does not fit the chemistry is refused`() {
        #expect(refusals(.lfp, surveyedPack(over: 4200)).count == 1)
        #expect(refusals(.nmc, surveyedPack(over: 4200)).isEmpty)
        #expect(refusals(.lto, surveyedPack()).contains { $0.contains("chemistry") })
    }

    @Test func `a BMS that is set to other cells than it measures is refused`() {
        var pack = surveyedPack(cells: 15)
        pack.reading.settings?.cellCount = 16
        #expect(refusals(.lfp, pack).contains { $0.contains("16 cells but measures 15") })
    }

    @Test func `packs of different length, broken wires and voltages the wrong way round are refused`() {
        #expect(refusals(.lfp, surveyedPack(), surveyedPack(cells: 15)).contains { $0.contains("same number of cells") })
        var broken = surveyedPack()
        broken.reading.cells[6] = 0
        #expect(refusals(.lfp, broken).contains { $0.contains("cell 7") })
        #expect(!refusals(.lfp, surveyedPack(over: 3400, under: 3420)).isEmpty)
    }

    @Test func `what is only odd is a warning`() {
        var pack = surveyedPack(charge: 150_000, capacity: 50_000)
        pack.reading.chargeSwitch = false
        pack.reading.cellTemperatures.removeAll()
        let found = Contradictions(chemistry: .lfp, packs: [pack])
        #expect(found.refusals.isEmpty)
        for word in ["2 C", "charge switch off", "no cell temperature"] {
            #expect(found.warnings.contains { $0.contains(word) }, "\(word)")
        }
    }
}

/// Plays a person: answers in order, and remembers what was shown.
private final class Script {
    var answers: [String]
    var shown = ""

    init(_ answers: [String]) { self.answers = answers }

    var console: Console {
        Console(
            width: 80,
            read: {
                self.shown += "\n"
                return self.answers.isEmpty ? nil : self.answers.removeFirst()
            }, write: { self.shown += $0 })
    }
}

private func world(
    _ packs: [UInt8: SurveyedPack] = [0: surveyedPack()], _ finding: Finding = Finding(protocolName: "jk-4e57", baud: 115_200),
    heard: BusSearch = BusSearch(), inReach: [RadioSearch] = [], searched: @escaping (String) -> Void = { _ in }
) -> SetupWorld {
    SetupWorld(
        ports: PortSurvey(
            ports: ["/dev/ttyUSB0", "/dev/ttyUSB1", "socketcan:can0", "socketcan:can1"]
                + (inReach.isEmpty ? [] : [RadioSearch.port])),
        detect: { port in
            searched(port)
            if port == "/dev/ttyUSB9" { throw PortFailure(port, .notFound) }
            return port == "/dev/ttyUSB1" ? [] : [finding]
        },
        read: { finding, port in
            if port.hasSuffix("FF") { throw Failure("the device is not to be seen") }
            return packs.mapValues(\.reading)
        }, listen: { _ in heard },
        searchRadio: {
            searched(RadioSearch.port)
            return inReach
        }, ownStateFolder: nil)
}

private func lead(_ script: Script, _ world: SetupWorld) throws -> SetupPlan {
    let interview = Interview(world, Conversation(script.console))
    return try interview.conversation.lead { _ in try interview.run() }
}

@Suite struct InterviewTests {
    /// Port, other BMS, chemistry, inverter, its port, other inverter, five limits.
    private static let usual = ["", "", "", "growatt-spf5000es", "", "", "", "", "", "", ""]

    @Test func `Enter on everything makes a good configuration`() throws {
        let script = Script(Self.usual)
        let plan = try lead(script, world())
        let file = try ConfigurationReader.read(plan.yaml(day: "2026-01-01"))
        let control = file.configuration.bridge.control
        #expect(control.userCharge == 135_000 && control.userDischarge == 135_000)
        #expect(control.bulk == 3450 && control.float == 3350 && control.dischargeZeroFloor == 2800)
        #expect(control.cellsInSeries == 16)
        #expect(file.configuration.bmsLines.map { "\($0)" } == ["/dev/ttyUSB0"])
        #expect(file.configuration.inverterBuses.map { "\($0)" } == ["socketcan:can0"])
        #expect(script.shown.contains("05 = Li, 36 = L52"))
        #expect(script.answers.isEmpty)
    }

    @Test func `nothing that is shown is wider than the terminal`() throws {
        let script = Script(["?", ""] + Self.usual.dropFirst())
        _ = try lead(script, world())
        for line in script.shown.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func `the configuration file is no wider than a terminal either`() throws {
        let text = try lead(Script(Self.usual), world()).yaml(day: "2026-01-01")
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
    }

    @Test func `back returns to the question before, and searches nothing twice`() throws {
        var searches: [String] = []
        let script = Script(["", "", "", "back", "back", "no", "1", "growatt-spf5000es", "", "", "90", "", "", "", ""])
        let plan = try lead(script, world { searches.append($0) })
        #expect(plan.charge?.value == 90_000)
        #expect(searches == ["/dev/ttyUSB0"])
    }

    @Test func `back at the first question asks it again`() throws {
        let plan = try lead(Script(["back"] + Self.usual), world())
        #expect(plan.lines.count == 1)
    }

    @Test func `a wrong answer is refused with the reason, and asked again`() throws {
        let script = Script([
            "/dev/ttyUSB9", "2", "1", "", "lto", "lfp", "unknown brand", "spf5000es-l51", "/dev/x", "rs485:/dev/ttyUSB1", "", "",
            "400 A",
            "50 V", "50", "", "3.65", "3.4", "3.41", "3.3", "2.75", "2.8",
        ])
        let plan = try lead(script, world())
        for words in [
            "no such device", "No JK BMS answers", "GND connected? 1)", "chemistry", "No inverter is known", "CAN bus",
            "400 A is more than",
            "is a voltage", "too close", "allowed: 3.3 V to 3.4 V", "at least 2.800 V",
        ] {
            // Lines are broken at the width of the terminal.
            let flat = script.shown.replacing("\n", with: " ").split(separator: " ").joined(separator: " ")
            #expect(flat.contains(words), "\(words)")
        }
        #expect(plan.charge?.value == 50_000)
        #expect(plan.bulk?.value == 3400 && plan.float?.value == 3300)
        #expect(plan.inverters[0].speech == .profile("growatt-spf5000es-l51"))
    }

    @Test func `the end of the input ends the set-up`() {
        #expect(throws: Console.Ended.self) { try lead(Script(["", ""]), world()) }
    }

    @Test func `several units on one line, and those without a charge current are asked for`() throws {
        let finding = Finding(protocolName: "jk-can", addresses: [0, 5])
        let script = Script([
            "socketcan:can1", "", "100", "120", "100 A", "110 A", "", "lfp", "pylontech", "pylontech", "socketcan:can0", "", "", "",
            "", "", "",
        ])
        let packs = [UInt8(0): surveyedPack(charge: nil, discharge: nil), 5: surveyedPack(charge: nil, discharge: nil)]
        let plan = try lead(script, world(packs, finding))
        let configuration = try ConfigurationReader.read(plan.yaml(day: "")).configuration
        #expect(configuration.bridge.control.packs.count == 2)
        #expect(configuration.bridge.control.packs[1].dischargeOverCurrent == 110_000)
        #expect(plan.charge?.value == 180_000)
    }

    private static let mine = RadioSearch(address: "C8:47:8C:E0:12:34", name: "JK_B2A8S20P")
    private static let next = RadioSearch(address: "C8:47:8C:E0:56:78", name: "JK_PB2A16S20P")

    @Test func `where no wire answers the radio is offered, and its unit is written with its address`() throws {
        var searches: [String] = []
        // The wire, the radio, its only unit, no other BMS, chemistry, and the rest.
        let script = Script(["2", "bluetooth", ""] + Self.usual.dropFirst())
        let plan = try lead(script, world(inReach: [Self.mine]) { searches.append($0) })
        #expect(searches == ["/dev/ttyUSB1", "bluetooth"])
        let flat = script.shown.replacing("\n", with: " ").split(separator: " ").joined(separator: " ")
        #expect(flat.contains("look for its radio: bluetooth") && flat.contains("JK_B2A8S20P, C8:47:8C:E0:12:34"))
        let file = try ConfigurationReader.read(plan.yaml(day: ""))
        #expect(file.radios == [BluetoothPack(device: "C8:47:8C:E0:12:34", pack: 1)])
        #expect(plan.hasRadio && file.configuration.bridge.control.userCharge == 135_000)
    }

    @Test func `of several units in reach none is taken without being named, and none twice`() throws {
        let script = Script(
            [
                "bluetooth", "", "12:34", "C8:47:8C:E0:12:FF", "2", "yes", "bluetooth", "c8:47:8c:e0:56:78", "C8:47:8C:E0:12:34",
            ] + Self.usual.dropFirst())
        let plan = try lead(script, world(inReach: [Self.mine, Self.next]))
        for words in [
            "An answer is needed", "is no Bluetooth address", "is not heard: the device is not to be seen", "is taken already",
        ] {
            let flat = script.shown.replacing("\n", with: " ").split(separator: " ").joined(separator: " ")
            #expect(flat.contains(words), "\(words)")
        }
        #expect(
            try ConfigurationReader.read(plan.yaml(day: "")).radios.map(\.device) == ["C8:47:8C:E0:56:78", "C8:47:8C:E0:12:34"])
    }

    @Test func `two inverters share the limits`() throws {
        let script = Script([
            "", "", "", "growatt-spf5000es", "", "yes", "victron", "socketcan:can1", "60", "", "", "", "", "", "",
        ])
        let matches = Interview.matches("victron")
        #expect(matches.count == 1)
        let plan = try lead(script, world())
        let configuration = try ConfigurationReader.read(plan.yaml(day: "")).configuration
        #expect(configuration.bridge.inverterPorts[0].sharePerMille == 600)
        #expect(configuration.bridge.inverterPorts[1].sharePerMille == 400)
    }

    @Test func `an inverter that is set to the other language is told of at once`() throws {
        var heard = BusSearch()
        heard.heartbeats301 = 3
        let script = Script(Self.usual)
        _ = try lead(script, world(heard: heard))
        #expect(script.shown.contains("0x301") && script.shown.contains("L52"))
    }

    @Test func `every inverter is found by its brand`() {
        for profile in InverterProfile.all {
            // A brand that is also the name of a profile means that one.
            if InverterProfile.named(profile.brand.lowercased()) == nil {
                #expect(Interview.matches(profile.brand).contains { $0.name == profile.name }, "\(profile.name)")
            }
            #expect(Interview.matches(profile.name).count == 1)
        }
        #expect(Interview.matches("pylontech").map(\.name).contains("pylontech"))
        #expect(Interview.matches(" ").isEmpty)
    }
}

@Suite struct AnswersFileTests {
    private let good = """
        bms: {port: /dev/ttyUSB0}
        battery: {chemistry: default}
        inverter: {profile: growatt-spf5000es, port: "socketcan:can0"}
        limits: {charge: 100 A, discharge: default, empty_cell: default}
        charge: {bulk: default, float: default}
        """

    private func lead(_ yaml: String, _ inReach: [RadioSearch] = []) throws -> SetupPlan {
        let file = try AnswersFile(yaml, name: "answers.yaml") { _ in }
        let interview = Interview(world(inReach: inReach), Conversation(file))
        let plan = try interview.conversation.lead { _ in try interview.run() }
        try file.checkAllUsed()
        return plan
    }

    private func failure(_ yaml: String, _ inReach: [RadioSearch] = []) -> String {
        do {
            _ = try lead(yaml, inReach)
            return "none"
        } catch { return "\(error)" }
    }

    @Test func `answers stand under the names of the configuration`() throws {
        let plan = try lead(good)
        #expect(plan.charge?.value == 100_000 && plan.discharge?.value == 135_000)
    }

    @Test func `a unit over Bluetooth stands there by its address, and is never just the only one in reach`() throws {
        let plan = try lead(good.replacing("/dev/ttyUSB0", with: "\"C8:47:8C:E0:12:34\""))
        #expect(plan.lines.map(\.port) == ["C8:47:8C:E0:12:34"] && plan.hasRadio)
        #expect(failure(good.replacing("/dev/ttyUSB0", with: "bluetooth")).contains("no JK unit is in reach"))
        let unit = RadioSearch(address: "C8:47:8C:E0:12:34", name: "JK")
        #expect(failure(good.replacing("/dev/ttyUSB0", with: "bluetooth"), [unit]).contains("bms[1].unit is missing"))
        #expect(failure(good.replacing("port: /dev/ttyUSB0", with: "port: bluetooth, unit: default"), [unit]) == "none")
    }

    @Test func `what is missing, unknown or unfit is an error that names the key`() {
        #expect(failure(good.replacing("charge: 100 A, ", with: "")).contains("limits.charge is missing"))
        #expect(failure(good.replacing("{port: /dev/ttyUSB0}", with: "{protocol: jk-4e57}")).contains("bms[1].port is missing"))
        #expect(failure(good + "\nlimits2: 3").contains("limits2 was not asked for"))
        #expect(failure(good.replacing("float:", with: "flaot: default, float:")).contains("did you mean \"charge.float\""))
        #expect(failure(good.replacing("100 A", with: "500 A")).contains("limits.charge: \"500 A\": 500 A is more than"))
        #expect(failure(good.replacing("growatt-spf5000es", with: "default")).contains("has no default"))
        #expect(failure(good.replacing("growatt-spf5000es", with: "growatt")).contains("inverter[1].model is missing"))
        #expect(failure("- a").contains("must be a list of"))
    }
}

@Suite struct ConfigurationWriterTests {
    @Test func `an old file is kept beside the new one, however often`() throws {
        let folder = try PrivateFolder()
        defer { folder.remove() }
        let path = folder.path + "/deep/packbridge.yaml"
        #expect(try ConfigurationWriter(path: path).write("one") == nil)
        #expect(try ConfigurationWriter(path: path).write("two") == path + ".1")
        #expect(try ConfigurationWriter(path: path).write("three") == path + ".2")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "three")
        #expect(try String(contentsOfFile: path + ".1", encoding: .utf8) == "one")
        #expect(FileEvidence(at: path, isSecret: false).mode == 0o640)
    }

    /// Only root can make a file of another group.
    @Test(.enabled(if: geteuid() == 0)) func `who could read the old file can read the new one, and nobody else`() throws {
        let folder = try PrivateFolder()
        defer { folder.remove() }
        let path = folder.path + "/packbridge.yaml"
        func owner(_ path: String) -> (group: gid_t, mode: mode_t) {
            var status = stat()
            stat(path, &status)
            return (status.st_gid, status.st_mode & 0o777)
        }
        chown(folder.path, 0, 7)
        _ = try ConfigurationWriter(path: path).write("one")
        #expect(owner(path) == (7, 0o640))
        chown(path, 0, 9)
        chmod(path, 0o600)
        _ = try ConfigurationWriter(path: path).write("two")
        #expect(owner(path) == (9, 0o600))
    }

    @Test func `the file of the installed service is found in its unit`() {
        let unit =
            "[Service]\nType=notify\nExecStart=/usr/bin/packbridge control --config /etc/packbridge/packbridge.yaml --image /run/x\n"
        #expect(SystemdService.configuration(in: unit) == "/etc/packbridge/packbridge.yaml")
        #expect(SystemdService.configuration(in: "ExecStart=/usr/bin/packbridge control\n") == nil)
    }
}

@Suite struct PortSurveyTests {
    @Test func `adapters go by their stable names, CAN interfaces by their type`() throws {
        let root = try PrivateFolder()
        defer { root.remove() }
        let files = FileManager.default
        func folder(_ path: String) throws {
            try files.createDirectory(atPath: root.path + path, withIntermediateDirectories: true)
        }
        func write(_ path: String, _ text: String) throws {
            try folder((path as NSString).deletingLastPathComponent)
            try text.write(toFile: root.path + path, atomically: true, encoding: .utf8)
        }
        try write("/dev/ttyUSB0", "")
        try write("/dev/ttyACM0", "")
        try write("/dev/ttyS0", "")
        try folder("/dev/serial/by-id")
        try files.createSymbolicLink(
            atPath: root.path + "/dev/serial/by-id/usb-FTDI_UART_A1-if00-port0", withDestinationPath: "../../ttyUSB0")
        try folder("/dev/packbridge")
        for (name, device) in [("ftdi-at-usb-1", "ttyUSB0"), ("canable-at-usb-2", "ttyACM0")] {
            try files.createSymbolicLink(atPath: "\(root.path)/dev/packbridge/\(name)", withDestinationPath: "../\(device)")
        }
        try write("/sys/devices/usb1/product", "FT232R USB UART\n")
        try folder("/sys/devices/usb1/port/ttyUSB0")
        try folder("/sys/class/tty/ttyUSB0")
        try files.createSymbolicLink(
            atPath: root.path + "/sys/class/tty/ttyUSB0/device", withDestinationPath: "../../../devices/usb1/port/ttyUSB0")
        try write("/sys/class/net/can0/type", "280\n")
        try write("/sys/class/net/can0/flags", "0x40081\n")
        try write("/sys/class/net/can1/type", "280\n")
        try write("/sys/class/net/can1/flags", "0x40080\n")
        try write("/sys/class/net/eth0/type", "1\n")
        let survey = PortSurvey(root: root.path)
        #expect(survey.serial.map(\.path) == ["/dev/serial/by-id/usb-FTDI_UART_A1-if00-port0", "/dev/packbridge/canable-at-usb-2"])
        #expect(survey.serial.map(\.isCANAdapter) == [false, true])
        #expect(survey.serial[0].product == "FT232R USB UART" && survey.serial[0].device == "/dev/ttyUSB0")
        #expect(survey.can.map(\.name) == ["can0", "can1"])
        #expect(survey.can.map(\.isUp) == [true, false])
    }
}
