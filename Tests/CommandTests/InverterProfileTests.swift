import BridgeEngine
import ChargeControl
import Foundation
import InverterDialects
import LinuxIO
import Testing

@testable import packbridge

private func file(_ inverter: String, _ rest: String = "") -> String {
    """
    battery: {chemistry: lfp, cells: 16}
    bms: {protocol: jk-4e57, port: /dev/ttyUSB0}
    inverter: \(inverter)
    limits: {charge: 100 A, discharge: 100 A}
    \(rest)
    """
}

private func read(_ yaml: String) throws -> GatewayConfiguration { try ConfigurationReader.read(yaml).configuration }

private func refused(_ yaml: String) -> [String] {
    do throws(ConfigurationRefused) {
        _ = try ConfigurationReader.read(yaml)
        return []
    } catch {
        return error.problems.map { "\($0.key): \($0.message)" }
    }
}

private func refusedProfile(_ yaml: String) -> [String] {
    do throws(ConfigurationRefused) {
        _ = try ConfigurationReader.profiles(in: yaml)
        return []
    } catch {
        return error.problems.map(\.key)
    }
}

@Suite struct InverterProfileTests {
    @Test(arguments: InverterProfile.all.map(\.name))
    func `every profile makes a configuration that the checker finds good`(name: String) throws {
        let profile = try #require(InverterProfile.named(name))
        let port = profile.inverter.language == .pylontechRS485 ? "rs485:/dev/ttyUSB1" : "socketcan:can0"
        let configuration = try read(file("{profile: \(name), port: \"\(port)\"}"))
        #expect(configuration.problem == nil)
        #expect(configuration.bridge.inverterPorts[0].language == profile.inverter.language)
        #expect(configuration.bridge.control.inverter == profile.traits)
        #expect(!profile.brand.isEmpty && !profile.models.isEmpty && !profile.menu.isEmpty && !profile.silence.isEmpty)
    }

    @Test func `names are unique, and every family of the matrix is there`() {
        let names = InverterProfile.all.map(\.name)
        #expect(Set(names).count == names.count)
        let dialects = Set(InverterProfile.all.compactMap { $0.inverter.language?.rawValue })
        // No inverter is known to want the hybrid-Li document's set, and BYD's is for inverters that have a profile of their own.
        for dialect in DialectName.allCases where dialect != .hybridLi && dialect != .bydLv {
            #expect(dialects.contains(dialect.rawValue), "no profile for \(dialect.text)")
        }
        #expect(dialects.contains(InverterLanguage.pylontechRS485.rawValue))
    }

    @Test func `the name of the inverter is all that has to be written`() throws {
        let configuration = try read(file("growatt-spf5000es"))
        #expect(configuration.inverterBuses == [.can(.socketCAN(interface: "can0"))])
        #expect(configuration.bridge.inverterPorts[0].dialect == .pylontech)
        let hints = try ConfigurationReader.read(file("growatt-spf5000es")).hints
        #expect(hints.contains("inverter: set the inverter itself to 05 = Li, 36 = L52"))
    }

    @Test func `what the file says overrides the profile`() throws {
        let inverter = "{profile: sofar-me3000sp, port: \"socketcan:can0\", period: 500 ms, name: XYZ}"
        let plain = try read(file("sofar-me3000sp")).bridge
        #expect(plain.control.inverter.zeroCurrent == 100)
        #expect(plain.control.inverter.lowersVoltageWhenBlocked)
        let changed = try read(file(inverter, "inverter_behaviour: {zero_current: 0 A}")).bridge
        #expect(changed.control.inverter.zeroCurrent == 0)
        #expect(changed.control.inverter.lowersVoltageWhenBlocked, "what the file does not say stays")
        #expect(changed.inverterPorts[0].cycle == 500)
        #expect(changed.inverterPorts[0].options.name == 0x2020_2020_205A_5958)
    }

    @Test func `with two inverters whatever protects one of them holds for both`() throws {
        let two = """
            [{profile: sofar-me3000sp, port: "socketcan:can0", share: 50 %},
             {profile: victron-gx, port: "socketcan:can1", share: 50 %}]
            """
        let traits = try read(file(two)).bridge.control.inverter
        #expect(traits.zeroCurrent == 100)
        #expect(traits.lowersVoltageWhenBlocked)
        #expect(traits.protectionCutsOutput, "Sofar's profile does not say otherwise")
        #expect(!traits.silentWhenLost)
    }

    @Test func `silence needs the agreement of all inverters`() {
        var silent = InverterTraits()
        silent.silentWhenLost = true
        #expect(InverterTraits(of: [silent, silent]).silentWhenLost)
        #expect(!InverterTraits(of: [silent, InverterTraits()]).silentWhenLost)
        #expect(InverterTraits(of: []) == InverterTraits())
    }

    @Test(arguments: [
        ("growat-spf5000es", "inverter"), ("srne-rs485", "inverter"),
        ("{profile: deyee, port: \"socketcan:can0\"}", "inverter.profile"),
        ("{profile: deye}", "inverter.port"),
        ("{profile: srne-rs485, port: \"socketcan:can0\"}", "inverter.dialect"),
        ("{profile: deye, port: \"rs485:/dev/ttyUSB1\"}", "inverter.dialect"),
    ])
    func `a profile that does not exist or does not fit the port is refused`(inverter: String, key: String) {
        let found = refused(file(inverter))
        #expect(found.count == 1 && found[0].hasPrefix(key + ":"), "\(found)")
    }

    @Test(arguments: [
        ("confidence: vendor", "confidence: rumour", "x.confidence"),
        ("heartbeat: 0x305", "heartbeat: 0x999", "x.heartbeat"),
        ("menu: M", "menue: M", "x.menu"),
        ("dialect: pylontech", "dialect: pylontec", "x.inverter.dialect"),
        ("period: 1 s", "period: 9 s", "x.inverter.period"),
        ("period: 1 s", "port: \"socketcan:can0\"", "x.inverter.port"),
        ("zero_current: 0.1 A", "zero_current: 0.1 V", "x.inverter_behaviour.zero_current"),
    ])
    func `a profile is held to the rules of the configuration`(good: String, bad: String, key: String) {
        let profile = """
            x:
              brand: B
              models: M
              menu: M
              confidence: vendor
              heartbeat: 0x305
              silence: S
              inverter: {dialect: pylontech, period: 1 s}
              inverter_behaviour: {zero_current: 0.1 A}
            """
        #expect(refusedProfile(profile) == [])
        #expect(profile.contains(good))
        #expect(refusedProfile(profile.replacing(good, with: bad)).contains(key))
    }

    @Test func `the list in the documentation is the list of the program`() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/inverters.md"), encoding: .utf8)
        let shown = page.split(separator: "\n").map(String.init).filter { $0.hasPrefix("| `") }
        let expected = InverterProfile.all.map {
            "| `\($0.name)` | \($0.brand): \($0.models) | \($0.menu) | `\($0.language)` | \($0.silence) | \($0.confidence.rawValue) |"
        }
        #expect(shown == expected)
    }
}
