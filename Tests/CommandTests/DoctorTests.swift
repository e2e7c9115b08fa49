import Battery
import BridgeEngine
import ChargeControl
import Foundation
import InverterDialects
import JKBMS
import LinkClient
import LinuxIO
import SupportArchive
import Testing

@testable import packbridge

private func verdict(_ checks: [Check], _ name: String) -> Check.Verdict? { checks.first { $0.name == name }?.verdict }

@Suite struct LineVerdictTests {
    @Test func `a device that is missing, forbidden or taken is a fault with a way out`() {
        var device = DeviceEvidence(path: "/dev/ttyUSB0")
        #expect(device.checks("BMS", controlRuns: false).allSatisfy { $0.verdict == .ok })
        (device.mayOpen, device.group) = (false, "dialout")
        let forbidden = device.checks("BMS", controlRuns: false).first { $0.name == "permission" }
        #expect(forbidden?.verdict == .fault)
        #expect(forbidden?.fix.contains("usermod -aG dialout") == true)
        #expect(verdict(device.checks("BMS", controlRuns: true), "permission") == .notChecked)
        device = DeviceEvidence(path: "/dev/ttyUSB0", holders: [PortHolder(pid: 7, name: "ModemManager")])
        let taken = device.checks("BMS", controlRuns: true).first { $0.name == "free" }
        #expect(taken?.verdict == .fault && taken?.evidence.contains("ModemManager (process 7)") == true)
        device.holders = [PortHolder(pid: 7, name: "packbridge-cont")]
        #expect(verdict(device.checks("BMS", controlRuns: true), "free") == nil)
        #expect(verdict(device.checks("BMS", controlRuns: false), "free") == .fault)
        device.exists = false
        #expect(verdict(device.checks("BMS", controlRuns: false), "device") == .fault)
    }

    @Test func `damage is judged by its share, and an echo is no damage`() {
        var line = LineEvidence(configured: .jk4E57, addresses: [0])
        line.heard.answers = 10
        line.heard.readings[0] = PackReading()
        line.heard.rejections = [.echo: 10]
        #expect(verdict(line.checks("BMS"), "checksums") == .ok)
        #expect(verdict(line.checks("BMS"), "echo") == .ok)
        line.heard.rejections[.badChecksum] = 1
        #expect(verdict(line.checks("BMS"), "checksums") == .warning)
        line.heard.rejections[.noise] = 5
        #expect(verdict(line.checks("BMS"), "checksums") == .fault)
    }

    @Test func `a line that only mirrors is told from a silent one`() {
        var line = LineEvidence(configured: .jkModbus, addresses: [1])
        let silent = line.checks("BMS").first { $0.name == "answers" }
        line.heard.bytes = 8
        line.heard.rejections = [.echo: 1]
        let mirror = line.checks("BMS").first { $0.name == "answers" }
        #expect(silent?.verdict == .fault && mirror?.verdict == .fault)
        #expect(mirror?.evidence.contains("comes back") == true && silent?.evidence == "nothing is heard")
    }

    @Test func `another protocol that answers is named with the line to write`() {
        var line = LineEvidence(configured: .jkModbus, addresses: [1])
        line.found = [Finding(protocolName: "jk-4e57", baud: 115_200)]
        let check = line.checks("BMS").first { $0.name == "protocol" }
        #expect(check?.verdict == .fault && check?.fix.contains("protocol: jk-4e57") == true)
        line.found = []
        #expect(verdict(line.checks("BMS"), "protocol") == .warning)
    }

    @Test func `a unit that is missing on a bus is named`() {
        var line = LineEvidence(configured: .jk55AA, addresses: [1, 2])
        line.heard.answers = 4
        line.heard.readings[1] = PackReading()
        #expect(line.checks("BMS").first { $0.name == "answers" }?.evidence == "no answer from address 2")
    }
}

@Suite struct SettingsVerdictTests {
    private func checks(_ yaml: String, _ packs: [SurveyedPack?]) throws -> [Check] {
        let file = try ConfigurationReader.read(
            "battery: {chemistry: lfp, cells: 16}\nbms: {protocol: jk-4e57, port: /dev/ttyUSB0}\ninverter: growatt-spf5000es\n\(yaml)"
        )
        return SettingsEvidence(configuration: file.configuration.bridge, readings: packs.map { $0?.reading }).checks()
    }

    @Test func `limits that the BMS allows are good, others are clamped`() throws {
        let good = try checks("limits: {charge: 100 A, discharge: 100 A}", [surveyedPack()])
        #expect(good.allSatisfy { $0.verdict == .ok })
        let high = try checks("limits: {charge: 140 A, discharge: 100 A}", [surveyedPack()])
        #expect(verdict(high, "charge") == .warning && verdict(high, "discharge") == .ok)
        let zero = try checks("limits: {charge: 100 A}", [surveyedPack()])
        #expect(verdict(zero, "discharge") == .warning)
        let bulk = try checks("limits: {charge: 1 A, discharge: 1 A}\ncharge: {bulk: 3.5 V}", [surveyedPack(over: 3520)])
        #expect(verdict(bulk, "bulk voltage") == .warning)
    }

    @Test func `another number of cells, another chemistry and unknown currents are faults`() throws {
        #expect(verdict(try checks("", [surveyedPack(cells: 15)]), "cells") == .fault)
        #expect(verdict(try checks("", [surveyedPack(over: 4200)]), "of the BMS") == .fault)
        #expect(verdict(try checks("", [surveyedPack(charge: nil)]), "over-current") == .fault)
        #expect(verdict(try checks("", [nil]), "of the BMS") == .notChecked)
    }
}

@Suite struct BusVerdictTests {
    private func bus(_ change: (inout BusSearch) -> Void, _ more: (inout BusEvidence) -> Void = { _ in }) -> [Check] {
        var evidence = BusEvidence(address: .socketCAN(interface: "can0"), language: .can(.pylontech))
        var search = BusSearch()
        change(&search)
        evidence.search = search
        more(&evidence)
        return evidence.checks("Inverter")
    }

    @Test func `a heartbeat that fits is good`() {
        let checks = bus { ($0.frames, $0.heartbeats305) = (3, 3) }
        #expect(checks.allSatisfy { $0.verdict == .ok })
        #expect(verdict(checks, "language") == .ok)
    }

    @Test func `an inverter that is set to L51 while L52 is sent is a fault, and the other way round`() {
        let wrong = bus { ($0.frames, $0.heartbeats301) = (3, 3) }
        #expect(verdict(wrong, "language") == .fault)
        #expect(wrong.first { $0.name == "language" }?.fix.contains("L52") == true)
        let other = bus {
            ($0.frames, $0.heartbeats305) = (3, 3)
        } _: {
            $0.language = .can(.growatt)
        }
        #expect(verdict(other, "language") == .fault)
        let fits = bus {
            ($0.frames, $0.heartbeats301) = (3, 3)
        } _: {
            $0.language = .can(.growatt)
        }
        #expect(verdict(fits, "language") == .ok)
    }

    @Test func `somebody else who sends limits is a fault, also beside the control process`() {
        #expect(verdict(bus { ($0.frames, $0.limits351) = (1, 1) }, "other battery") == .fault)
        let alone = bus {
            ($0.frames, $0.limits351) = (3, 3)
        } _: {
            $0.controlSends = true
        }
        #expect(verdict(alone, "other battery") == .ok)
        let both = bus {
            ($0.frames, $0.limits351) = (6, 6)
        } _: {
            $0.controlSends = true
        }
        #expect(verdict(both, "other battery") == .fault)
    }

    @Test func `a silent bus is a warning that names wiring and termination`() {
        let check = bus { _ in }.first { $0.name == "heartbeat" }
        #expect(check?.verdict == .warning && check?.fix.contains("120 Ω") == true)
    }

    @Test func `what ip prints is read, and each state judged`() throws {
        func json(_ state: String, _ bitrate: Int = 500_000, tx: Int = 0, rx: Int = 0) -> String {
            """
            [{},{"ifindex":3,"ifname":"can0","flags":["NOARP","UP","LOWER_UP","ECHO"],"mtu":16,"operstate":"UP","linkinfo":
            {"info_kind":"can","info_data":{"state":"\(state)","berr_counter":{"tx":\(tx),"rx":\(rx)},"restart_ms":100,
            "bittiming":{"bitrate":\(bitrate),"sample_point":"0.875"}}},"stats64":{"rx":{"bytes":8,"packets":1}}}]
            """
        }
        func checks(_ text: String) -> [Check] {
            bus {
                ($0.frames, $0.heartbeats305) = (3, 3)
            } _: {
                $0.link = CANLink(json: text)
            }
        }
        let link = try #require(CANLink(json: json("ERROR-ACTIVE")))
        #expect(link.isUp && link.bitrate == 500_000 && link.state == "ERROR-ACTIVE" && link.restartMilliseconds == 100)
        #expect(checks(json("ERROR-ACTIVE")).allSatisfy { $0.verdict == .ok })
        #expect(verdict(checks(json("ERROR-ACTIVE", 250_000)), "bit rate") == .fault)
        #expect(verdict(checks(json("ERROR-WARNING", tx: 100)), "bus state") == .warning)
        let passive = checks(json("ERROR-PASSIVE", tx: 128)).first { $0.name == "bus state" }
        #expect(passive?.verdict == .fault && passive?.evidence.contains("nobody acknowledges") == true)
        #expect(verdict(checks(json("BUS-OFF")), "bus state") == .fault)
        #expect(CANLink(json: "nonsense") == nil)
    }

    @Test func `over Link, an inverter that is heard but does not answer points to its menu`() {
        var port = InverterPortPayload()
        (port.state, port.counters.received) = (.active, 12)
        let check = port.checks("Inverter").first { $0.name == "heartbeat" }
        #expect(check?.verdict == .warning && check?.fix.contains("L51") == true)
        port.heartbeatAge = 500
        #expect(port.checks("Inverter").allSatisfy { $0.verdict == .ok })
        port.state = .passive
        #expect(verdict(port.checks("Inverter"), "bus state") == .fault)
    }
}

@Suite struct ComputerVerdictTests {
    @Test func `disk, clock, services and permissions are judged`() {
        var computer = ComputerEvidence(
            disks: [.init(path: "/a", freeMegabytes: 5, isWritable: true)], isClockSynchronised: true,
            services: [("x.service", "failed")])
        #expect(computer.checks.map(\.verdict) == [.fault, .ok, .fault])
        computer.disks[0].freeMegabytes = 150
        computer.isClockSynchronised = false
        computer.services = [("x.service", "inactive")]
        #expect(computer.checks.map(\.verdict) == [.warning, .warning, .warning])
        computer.disks[0].freeMegabytes = 5000
        (computer.isClockSynchronised, computer.services) = (nil, [("x.service", "active")])
        #expect(computer.checks.map(\.verdict) == [.ok, .notChecked, .ok])
        computer.disks[0].freeMegabytes = nil
        #expect(computer.checks[0].verdict == .warning)
        #expect(FileEvidence(path: "/f", mode: 0o644).check("", "").verdict == .ok)
        #expect(FileEvidence(path: "/f", mode: 0o644, isSecret: true).check("", "").verdict == .warning)
        #expect(FileEvidence(path: "/f", mode: 0o666).check("", "").verdict == .fault)
        #expect(FileEvidence(path: "/f", exists: false).check("", "").verdict == .warning)
    }

    @Test func `the exit code is that of the worst`() {
        var examination = Examination(title: "t", checks: [.ok("a", "b", "c"), .notChecked("a", "d", because: "e")])
        #expect(examination.exitCode == 0)
        examination.checks.append(.warning("a", "f", "g", fix: "h"))
        #expect(examination.exitCode == 1)
        examination.checks.append(.fault("a", "i", "j", fix: "k"))
        #expect(examination.exitCode == 2)
        #expect(examination.summary == "1 fault, 1 warning, 1 good, 1 not checked.")
    }
}

@Suite struct RedactionTests {
    private static let yaml = """
        # the old password was hunter2-in-a-comment
        battery: {chemistry: lfp, cells: 16}
        bms: {protocol: jk-4e57, port: /dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0}
        inverter: growatt-spf5000es
        site: {name: Villa Geheim, packs: [Linker Keller]}
        web: {password_hash: $y$secret-hash, pasword: hunter3, tokens: [{name: grafana-box, hash: $y$token-hash, role: reader}]}
        mqtt: {host: broker.example.lan, user: mqttuser, port: 1883}
        notifications: {url: "https://hooks.example.org/T0K3N"}
        secret-as-key: hunter4
        """

    @Test func `nothing that is nobody's business is left in the configuration`() {
        let (text, secrets) = RedactedConfiguration.of(Self.yaml)
        let shown = Redaction(secrets)(text)
        for secret in [
            "hunter2", "A50285BI", "Villa", "Keller", "secret-hash", "hunter3", "grafana-box", "token-hash", "broker.example",
            "mqttuser",
            "T0K3N", "hunter4", "secret-as-key", "pasword",
        ] { #expect(!shown.contains(secret), "\(secret)") }
        for kept in [
            "chemistry: lfp", "growatt-spf5000es", "usb-FTDI_FT232R_USB_UART_(removed)-if00-port0", "role: reader", "1883",
        ] {
            #expect(shown.contains(kept), "\(kept)")
        }
    }

    @Test func `a file that is no YAML is left out`() {
        #expect(!RedactedConfiguration.of("a: [hunter2").text.contains("hunter2"))
    }

    @Test func `a secret is found wherever it strays, the longest first, and hardware addresses too`() {
        var clean = Redaction(["pass", "password", "no"])
        clean.add("extra")
        #expect(clean("the password extra is no pass C8:47:8C:E0:12:34") == "the (removed) (removed) is no (removed) (removed)")
        #expect(
            clean("/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0 and usb-x")
                == "/dev/serial/by-id/usb-1a86_USB_(removed)-if00-port0 and usb-x")
    }

    @Test func `the archive holds the findings and no secret`() {
        let bundle = DoctorBundle(
            examination: Examination(title: "t", checks: [.ok("a", "b", "broker.example.lan answers")]), configuration: Self.yaml)
        let text = String(decoding: bundle.archive(at: 0), as: UTF8.self)
        #expect(text.contains("packbridge/doctor.txt") && text.contains("(removed) answers"))
        #expect(!text.contains("broker.example.lan") && !text.contains("hunter"))
    }
}
