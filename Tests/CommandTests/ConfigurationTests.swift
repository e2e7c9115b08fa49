import Battery
import BridgeEngine
import ChargeControl
import Foundation
import LinuxIO
import Testing

@testable import packbridge

/// A good file; tests change one line of it.
private let good = """
    battery:
      chemistry: lfp
      cells: 16
    bms:
      - protocol: jk-4e57
        port: /dev/ttyUSB0
    inverter:
      dialect: growatt
      port: socketcan:can0
    limits:
      charge: 140 A
      discharge: 150
    """

private func problems(in yaml: String) -> [ConfigurationFileProblem] {
    do throws(ConfigurationRefused) {
        _ = try ConfigurationReader.read(yaml)
        return []
    } catch {
        return error.problems
    }
}

private func good(with lines: String) -> String { good + "\n" + lines }

@Suite struct ConfigurationTests {
    @Test func `a short file gives the presets of the chemistry and the limits as written`() throws {
        let file = try ConfigurationReader.read(good)
        let configuration = file.configuration
        let control = configuration.bridge.control
        #expect(control.userCharge == 140_000)
        #expect(control.userDischarge == 150_000)
        #expect(control.bulk == 3450)
        #expect(control.packs.count == 1)
        #expect(configuration.bmsLines == [.serial(SerialLineConfiguration(path: "/dev/ttyUSB0", baud: 115_200))])
        #expect(configuration.inverterBuses == [.can(.socketCAN(interface: "can0"))])
        #expect(configuration.bridge.inverterPorts[0].dialect == .growatt)
        #expect(configuration.bridge.bmsPorts[0].addresses.count == 1)
        #expect(file.hints.isEmpty)
    }

    @Test func `without limits nothing may flow and the owner is told`() throws {
        let file = try ConfigurationReader.read(
            good.replacing("limits:\n  charge: 140 A\n  discharge: 150", with: ""))
        #expect(file.configuration.bridge.control.userCharge == 0)
        #expect(file.configuration.bridge.control.userDischarge == 0)
        #expect(file.hints.count == 2)
    }

    @Test(arguments: [
        ("140 A", 140_000), ("140", 140_000), ("140A", 140_000), ("12.5 A", 12_500), ("250 mA", 250), ("0", 0),
    ])
    func `a current is read exactly`(written: String, milliamps: Int32) throws {
        let yaml = good.replacing("140 A", with: written)
        #expect(try ConfigurationReader.read(yaml).configuration.bridge.control.userCharge == milliamps)
    }

    @Test(arguments: [
        "140 V", "140 a", "140 Ah", "1,5 A", "12.3456 A", "-1 A", "16001 A", "A", "ten", "1e3", "0x10", "1.2.3", "",
        "~",
        ".5",
        "99999999999999999999", "3000000 A", "9223372036854775807", "140 A A", "[140]",
    ])
    func `a value that is no current within the range is refused and named`(written: String) throws {
        let found = problems(in: good.replacing("140 A", with: written))
        #expect(found.count == 1)
        #expect(found.first?.key == "limits.charge")
        #expect(found.first?.line == 11)
        #expect(found.first?.allowed == "0 A to 16000 A")
    }

    @Test func `every error of a file is reported at once, in the order of the file, with key, value, range and line`() {
        let found = problems(
            in: """
                battery:
                  chemistry: lpf
                  cells: 40
                bms:
                  - protocol: jk-4e57
                    prot: /dev/ttyUSB0
                    poll: 1 A
                inverter: {dialect: pylontec, port: can0}
                limits: {charge: 140 V}
                charge:
                  bulk: 3.7 V
                """)
        #expect(
            found.map(\.key) == [
                "battery.chemistry", "battery.cells", "bms[1].port", "bms[1].prot", "bms[1].poll", "inverter.dialect",
                "inverter.port", "limits.charge", "charge.bulk",
            ])
        #expect(found.map(\.line) == [2, 3, 5, 6, 7, 8, 8, 9, 11])
        #expect(found[0].message.contains("did you mean \"lfp\"?"))
        #expect(found[1].value == "40" && found[1].allowed == "3 to 32")
        #expect(found[3].message.contains("did you mean \"port\"?"))
        #expect(found[7].message.contains("is a voltage, but a current"))
        #expect(found[8].allowed == "3.4 V to 3.6 V")
    }

    @Test(arguments: [
        ("charge: {bulk: 3.45, float: 3.50}", "charge.float"),
        ("charge: {float: 3.35, rebulk: 3.34}", "charge.rebulk"),
        ("safety: {hold: 28, zero: 30}", "safety.zero"),
        ("safety: {hold: 30}", "safety.zero"),
        ("limits: {charge: 1, no_charge_below: 5 °C}", "limits.charge_again_at"),
        ("limits: {charge: 1, soc_ceiling: 50 %, soc_reserve: 45 %}", "limits.soc_reserve"),
        ("charge: {full_every: 91 days}", "charge.full_every"),
    ])
    func `settings that contradict each other are refused`(lines: String, key: String) {
        let file = good.replacing("limits:\n  charge: 140 A\n  discharge: 150", with: "")
        #expect(problems(in: file + "\n" + lines).map(\.key) == [key])
    }

    @Test func `one device cannot serve two purposes`() {
        let yaml = good.replacing("socketcan:can0", with: "slcan:/dev/ttyUSB0")
        #expect(problems(in: yaml).map(\.key) == ["inverter.port"])
    }

    @Test func `two inverters cannot share more than the bank has`() {
        let two = """
            inverter:
              - {dialect: growatt, port: "socketcan:can0", share: 60 %}
              - {dialect: growatt, port: "socketcan:can1", share: 50 %}
            """
        let yaml = good.replacing("inverter:\n  dialect: growatt\n  port: socketcan:can0", with: two)
        #expect(problems(in: yaml).map(\.key) == ["inverter[2].share"])
        #expect(problems(in: yaml.replacing("50 %", with: "40 %")) == [])
    }

    @Test func `a preset that breaks the order of a low bulk voltage is lowered, not refused`() throws {
        let control = try ConfigurationReader.read(good(with: "charge: {bulk: 3.40, float: 3.30}")).configuration.bridge
            .control
        #expect(control.float == 3300)
        #expect(control.rebulk == 3250)
    }

    @Test(arguments: ["", "[", "- a", "a: b: c", "limits: {charge: 1}\nlimits: {charge: 2}", "\t\tx", "just text"])
    func `what is no configuration is refused`(yaml: String) {
        #expect(!problems(in: yaml).isEmpty)
    }

    @Test func `polling fast is a word, slow polling that would trip the ladder is refused`() throws {
        let fast = good.replacing("port: /dev/ttyUSB0", with: "port: /dev/ttyUSB0\n    poll: fast")
        #expect(try ConfigurationReader.read(fast).configuration.bridge.bmsPorts[0].pace.interval == 0)
        let slow = fast.replacing("fast", with: "4 s") + "\nsafety: {hold: 10 s}"
        #expect(problems(in: slow).map(\.key) == ["bms[1].poll"])
    }
}

@Suite struct ExampleConfigurationTests {
    private var example: String {
        get throws {
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            return try String(contentsOf: root.appending(path: "packbridge.example.yaml"), encoding: .utf8)
        }
    }

    @Test func `the example shows the defaults`() throws {
        let control = try ConfigurationReader.read(try example).configuration.bridge.control
        var defaults = ControlConfiguration(chemistry: .lfp)
        defaults.packs.append(PackConfiguration())
        #expect(control == defaults)
    }

    @Test func `the example shows the defaults of what people see, also where it is commented out`() throws {
        let text = try example
        var expected = ServeSettings()
        expected.history.stateFolder = "/var/lib/packbridge"
        #expect(try ConfigurationReader.read(text).serve == expected)

        // A section that is commented out has its `#` directly before the key or its indentation.
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.hasPrefix("# ") && !line.hasPrefix("#  ") || !line.hasPrefix("#") ? line : line.dropFirst()
        }
        let serve = try ConfigurationReader.read(lines.joined(separator: "\n")).serve
        var mqtt = MQTTEntry()
        mqtt.host = "192.168.1.10"
        (mqtt.user, mqtt.passwordFile) = ("packbridge", "/etc/packbridge/mqtt-password")
        mqtt.authority = "/etc/packbridge/broker-ca.pem"
        (mqtt.clientCertificate, mqtt.clientKey) = ("/etc/packbridge/mqtt.pem", "/etc/packbridge/mqtt-key.pem")
        #expect(serve.mqtt == mqtt)
        let hook = WebhookEntry(url: "https://example.org/hook", tokenFile: "/etc/packbridge/hook-token")
        #expect(serve.webhooks == [hook])
    }

    @Test func `the example explains every key`() throws {
        let text = try example
        var names =
            BatteryKind.settings.map(\.name) + BMSEntry.settings.map(\.name) + PackConfiguration.settings.map(\.name)
        names += InverterEntry.settings.map(\.name) + FileEntry.settings.map(\.name)
        for section in ControlSection.allCases { names += [section.rawValue] + section.settings.map(\.name) }
        names += ConfigurationReader.serveSections + ["packs", "host_names", "tokens"]
        names += SiteEntry.settings.map(\.name) + WebEntry.settings.map(\.name) + TokenEntry.settings.map(\.name)
        names += HistoryEntry.settings.map(\.name) + MQTTEntry.settings.map(\.name) + WebhookEntry.settings.map(\.name)
        for name in names { #expect(text.contains("\(name):"), "\(name) is not in packbridge.example.yaml") }
    }
}
