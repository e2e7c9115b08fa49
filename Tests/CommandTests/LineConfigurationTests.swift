import BridgeEngine
import InverterDialects
import LinuxIO
import Testing

@testable import packbridge

/// A file with these entries of `bms` and this `inverter`.
private func file(bms: String, inverter: String = "{dialect: pylontech, port: \"socketcan:can0\"}") -> String {
    """
    battery: {chemistry: lfp, cells: 16}
    bms:
    \(bms.split(separator: "\n").map { "  - \($0)" }.joined(separator: "\n"))
    inverter: \(inverter)
    limits: {charge: 100 A, discharge: 100 A}
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

@Suite struct LineConfigurationTests {
    @Test func `several addresses are several packs of one port`() throws {
        let configuration = try read(
            file(bms: "{protocol: jk-modbus, port: /dev/ttyUSB0, address: 3 1 15}\n{protocol: jk-4e57, port: /dev/ttyUSB1}"))
        #expect(configuration.bridge.bmsPorts.count == 2)
        #expect(configuration.bridge.control.packs.count == 4)
        let line = configuration.bridge.bmsPorts[0]
        #expect(line.bmsProtocol == .jkModbus)
        #expect((0..<line.addresses.count).map { line.addresses[$0] } == [3, 1, 15])
        #expect(configuration.bridge.bmsPorts[1].firstPack == 3)
        #expect(configuration.problem == nil)
    }

    @Test func `entries that follow one another on one line are one port, each with its own packs`() throws {
        let configuration = try read(
            file(
                bms: """
                    {protocol: jk-55aaeb90, port: /dev/ttyUSB0, address: 1 2, pack: {charge: 80 A}}
                    {protocol: jk-55aaeb90, port: /dev/ttyUSB0, address: 3, pack: {charge: 40 A}}
                    """))
        #expect(configuration.bridge.bmsPorts.count == 1)
        let packs = configuration.bridge.control.packs
        #expect((0..<packs.count).map { packs[$0].chargeLimit } == [80_000, 80_000, 40_000])
    }

    @Test func `every unit on a CAN bus is a port of its own on the same device`() throws {
        let configuration = try read(
            file(bms: "{protocol: jk-can, port: \"slcan:/dev/ttyACM1@250000\", address: 0 4, current_sign: discharge}"))
        #expect(configuration.bridge.bmsPorts.count == 2)
        #expect(configuration.bmsLines == [BMSAddress](repeating: .can(.slcan(path: "/dev/ttyACM1", bitrate: 250_000)), count: 2))
        #expect(configuration.bridge.bmsPorts[1].addresses[0] == 4)
        #expect(configuration.bridge.bmsPorts[1].dischargeIsPositive)
        #expect(configuration.problem == nil)
    }

    @Test func `a pack whose readings another program feeds has no port`() throws {
        let configuration = try read(file(bms: "{protocol: link}\n{protocol: link, pack: {charge: 10 A}}"))
        #expect(configuration.bmsLines == [.link, .link])
        #expect(configuration.bridge.control.packs.count == 2)
        #expect(configuration.problem == nil)
        #expect(try GatewayConfiguration(decoding: configuration.encoded()) == configuration)
    }

    @Test func `a unit with a radio is fed over Link by a process of its own and may pause longer`() throws {
        let yaml = file(bms: "{protocol: jk-4e57, port: /dev/ttyUSB0}\n{protocol: jk-ble, port: \"C8:47:8C:E0:12:34\"}")
        let found = try ConfigurationReader.read(yaml)
        #expect(found.configuration.bmsLines[1] == .link)
        #expect(found.configuration.bridge.control.packs[1].extendedHold)
        #expect(!found.configuration.bridge.control.packs[0].extendedHold)
        #expect(found.radios == [BluetoothPack(device: "C8:47:8C:E0:12:34", pack: 2)])
        #expect(found.hints.contains { $0.contains("packbridge-ble") })
        let strict = "{protocol: jk-ble, port: \"C8:47:8C:E0:12:34\", pack: {extended_hold: false}}"
        #expect(try !read(file(bms: strict)).bridge.control.packs[0].extendedHold)
    }

    @Test func `a BMS on CAN without over-current limits is a hint for each direction`() throws {
        let hints = try ConfigurationReader.read(file(bms: "{protocol: jk-can, port: \"socketcan:can1\"}")).hints
        #expect(hints.count == 2)
        #expect(hints.allSatisfy { $0.contains("over_current is not set") })
    }

    @Test func `packs that wait for each other count as heard when their turn comes`() throws {
        let many = try read(
            file(bms: "{protocol: jk-55aaeb90, port: /dev/ttyUSB0, address: 1 2 3 4 5 6 7 8 9 10}")
        ).bridge.control
        #expect(many.packs[9].pollInterval == 2000)
        let listening = try read(file(bms: "{protocol: jk-55aaeb90, port: /dev/ttyUSB0, address: 0 1}")).bridge.control
        #expect(listening.packs[0].pollInterval == 4400)
    }

    @Test(arguments: [
        ("{protocol: jk-4e57, port: /dev/ttyUSB0, address: 1}", "bms[1].address"),
        ("{protocol: jk-modbus, port: /dev/ttyUSB0, address: 16}", "bms[1].address"),
        ("{protocol: jk-modbus, port: /dev/ttyUSB0, address: 1 1}", "bms[1].address"),
        ("{protocol: jk-modbus, port: /dev/ttyUSB0, listen_only: true}", "bms[1].listen_only"),
        ("{protocol: jk-modbus, port: /dev/ttyUSB0, current_sign: discharge}", "bms[1].current_sign"),
        ("{protocol: jk-4e57, port: /dev/ttyUSB0, trust_unconfirmed: true}", "bms[1].trust_unconfirmed"),
        ("{protocol: jk-modbus, port: \"socketcan:can1\"}", "bms[1].port"),
        ("{protocol: jk-can, port: /dev/ttyUSB0}", "bms[1].port"),
        ("{protocol: link, port: /dev/ttyUSB0}", "bms[1].port"),
        ("{protocol: link, address: 1}", "bms[1].address"),
        ("{protocol: jk-ble, port: /dev/ttyUSB0}", "bms[1].port"),
        ("{protocol: jk-ble, port: \"C8:47:8C:E0:12\"}", "bms[1].port"),
        ("{protocol: jk-ble}", "bms[1].port"),
        ("{protocol: jk-can, port: \"socketcan:can0\"}", "inverter.port"),
        (
            "{protocol: jk-modbus, port: /dev/ttyUSB0, address: 1}\n{protocol: jk-modbus, port: /dev/ttyUSB0, address: 1}",
            "bms[2].address"
        ),
        (
            "{protocol: jk-modbus, port: /dev/ttyUSB0, address: 1}\n{protocol: jk-modbus, port: /dev/ttyUSB0, address: 2, poll: 2 s}",
            "bms[2].port"
        ),
        (
            "{protocol: jk-modbus, port: /dev/ttyUSB0}\n{protocol: jk-4e57, port: /dev/ttyUSB1}\n{protocol: jk-modbus, port: /dev/ttyUSB0, address: 2}",
            "bms[3].port"
        ),
        (
            "{protocol: jk-modbus, port: /dev/ttyUSB0, address: 0 1 2 3 4 5 6 7 8}\n{protocol: jk-modbus, port: /dev/ttyUSB1, address: 0 1 2 3 4 5 6 7 8}",
            "bms[2].address"
        ),
    ])
    func `what has no meaning together is refused at its key`(bms: String, key: String) {
        let found = refused(file(bms: bms))
        #expect(found.count == 1 && found[0].hasPrefix(key + ":"), "\(found)")
    }
}

@Suite struct InverterPortConfigurationTests {
    private func port(_ inverter: String) throws -> InverterPortConfiguration {
        try read(file(bms: "{protocol: jk-4e57, port: /dev/ttyUSB0}", inverter: inverter)).bridge.inverterPorts[0]
    }

    @Test func `a responder on RS485 has its own address, baud rate and scale`() throws {
        let yaml = file(
            bms: "{protocol: jk-4e57, port: /dev/ttyUSB0}",
            inverter: "{port: \"rs485:/dev/ttyUSB1@115200\", limit_step: 0.01 A, group: 1}")
        let configuration = try read(yaml)
        #expect(configuration.inverterBuses == [.rs485(SerialLineConfiguration(path: "/dev/ttyUSB1", baud: 115_200))])
        #expect(configuration.bridge.inverterPorts[0].rs485?.limitStep == .hundredthOfAmpere)
        #expect(configuration.bridge.inverterPorts[0].rs485?.address == 0x12)
        #expect(try port("{port: \"rs485:/dev/ttyUSB1\"}").rs485 == PylontechRS485Settings())
    }

    @Test func `name and voltage step change the frames of the dialect`() throws {
        let options = try port("{dialect: solark, port: \"socketcan:can0\", name: PYLON, voltage_step: 0.01 V}").options
        #expect(options == DialectOptions(name: 0x2020_204E_4F4C_5950, isVoltageInTenths: false))
    }

    @Test(arguments: [
        ("{port: \"socketcan:can0\"}", "inverter.dialect"),
        ("{dialect: pylontech, port: \"rs485:/dev/ttyUSB1\"}", "inverter.dialect"),
        ("{dialect: pylontech-rs485, port: \"socketcan:can0\"}", "inverter.dialect"),
        ("{dialect: pylontech, port: \"socketcan:can0\", limit_step: 0.1 A}", "inverter.limit_step"),
        ("{port: \"rs485:/dev/ttyUSB1\", period: 1 s}", "inverter.period"),
        ("{dialect: growatt, port: \"socketcan:can0\", name: PYLON}", "inverter.name"),
        ("{dialect: growatt, port: \"socketcan:can0\", voltage_step: 0.1 V}", "inverter.voltage_step"),
        ("{dialect: pylontech, port: \"socketcan:can0\", name: PYLONTECH}", "inverter.name"),
        ("{port: \"rs485:ttyUSB1\"}", "inverter.port"),
        ("{port: \"rs485:/dev/ttyUSB1@12\"}", "inverter.port"),
        ("{port: \"rs485:/dev/ttyUSB0\"}", "inverter.port"),
    ])
    func `a key that does not fit the port is refused`(inverter: String, key: String) {
        let found = refused(file(bms: "{protocol: jk-4e57, port: /dev/ttyUSB0}", inverter: inverter))
        #expect(found.count == 1 && found[0].hasPrefix(key + ":"), "\(found)")
    }
}
