import Battery
import BridgeEngine
import ChargeControl
import LinuxIO
import Testing

@Suite struct GatewayConfigurationTests {
    static let example: GatewayConfiguration = {
        var bridge = BridgeConfiguration(control: ControlConfiguration(chemistry: .lfp))
        bridge.control.userCharge = 80_000
        for _ in 0..<3 { bridge.control.packs.append(PackConfiguration()) }
        bridge.bmsPorts.append(BMSPortConfiguration())
        for pack in UInt8(1)...2 {
            var unit = BMSPortConfiguration()
            unit.bmsProtocol = .jkCAN
            unit.firstPack = pack
            unit.addresses.append(pack)
            bridge.bmsPorts.append(unit)
        }
        var half = InverterPortConfiguration()
        half.sharePerMille = 500
        bridge.inverterPorts.append(half)
        bridge.inverterPorts.append(half)
        return GatewayConfiguration(
            bmsLines: [
                .serial(SerialLineConfiguration(path: "/dev/serial/by-id/usb-FTDI_Häuschen", baud: 123_456)),
                .can(.slcan(path: "/dev/ttyACM1", bitrate: 250_000)), .can(.slcan(path: "/dev/ttyACM1", bitrate: 250_000)),
            ],
            inverterBuses: [
                .rs485(SerialLineConfiguration(path: "/dev/ttyUSB9", baud: 9600)),
                .can(.slcan(path: "/dev/ttyACM0", bitrate: 250_000, baud: 9600)),
            ],
            stateDirectory: "/var/lib/packbridge", linkSocket: "/run/packbridge/link", bridge: bridge)
    }()

    @Test func `a configuration is read back as it was written`() throws {
        #expect(try GatewayConfiguration(decoding: Self.example.encoded()) == Self.example)
        var bare = Self.example
        (bare.stateDirectory, bare.linkSocket) = (nil, nil)
        #expect(try GatewayConfiguration(decoding: bare.encoded()) == bare)
    }

    @Test func `a damaged configuration is refused, whichever bit is wrong`() {
        let bytes = Self.example.encoded()
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1 << UInt8(index % 8)
            #expect(throws: GatewayConfigurationError.self, "byte \(index)") {
                try GatewayConfiguration(decoding: damaged)
            }
        }
    }

    @Test func `a configuration that is cut short is refused, wherever`() {
        let bytes = Self.example.encoded()
        for length in bytes.indices {
            #expect(throws: GatewayConfigurationError.self, "\(length) bytes") {
                try GatewayConfiguration(decoding: Array(bytes[..<length]))
            }
        }
    }

    @Test func `a YAML file is told where it belongs`() {
        let failure = #expect(throws: GatewayConfigurationError.self) {
            try GatewayConfiguration(decoding: Array("bms:\n  - port: /dev/ttyUSB0\n".utf8))
        }
        #expect(failure == .notOurs)
        #expect("\(failure!)".contains("packbridge control"))
    }

    @Test func `records that contradict each other are refused although the checksum is good`() {
        #expect(throws: GatewayConfigurationError.record(tag: 99, "is unknown")) {
            try GatewayConfiguration(decoding: file([99, 0, 0]))
        }
        #expect(throws: GatewayConfigurationError.record(tag: 1, "is cut short")) {
            try GatewayConfiguration(decoding: file([1, 200, 0, 1]))
        }
        #expect(throws: GatewayConfigurationError.incomplete("no engine configuration")) {
            try GatewayConfiguration(decoding: file([]))
        }
        #expect(throws: GatewayConfigurationError.record(tag: 4, "holds a text that is empty or not UTF-8")) {
            try GatewayConfiguration(decoding: file([4, 2, 0, 0xC3, 0x28]))
        }
    }

    @Test func `ports that the engine does not know, or a device used twice, are named`() {
        var wrong = Self.example
        wrong.bmsLines.append(.serial(SerialLineConfiguration(path: "/dev/ttyUSB1")))
        #expect(wrong.problem == "4 devices for 3 BMS ports")
        wrong = Self.example
        wrong.inverterBuses.removeLast()
        #expect(wrong.problem == "1 devices for 2 inverter ports")
        wrong = Self.example
        for path in ["/dev/ttyACM0", "/dev/ttyACM1", "/dev/ttyUSB9"] {
            wrong.bmsLines[0] = .serial(SerialLineConfiguration(path: path))
            #expect(wrong.problem == "\(path) is used twice")
        }
        wrong = Self.example
        wrong.bmsLines[0] = .serial(SerialLineConfiguration(path: "/dev/ttyUSB0", baud: 0))
        #expect(wrong.problem?.contains("baud rate 0") == true)
        wrong.bmsLines[0] = .can(.virtual(name: "x"))
        #expect(wrong.problem == "the protocol of BMS port 1 is not spoken at virtual:x")
        wrong = Self.example
        wrong.bmsLines[1] = .serial(SerialLineConfiguration(path: "/dev/ttyUSB0"))
        #expect(wrong.problem == "the protocol of BMS port 2 is not spoken at /dev/ttyUSB0")
        #expect(Self.example.problem == nil)
    }

    @Test func `settings that the engine must not be started with are refused, whoever wrote the file`() {
        var wrong = Self.example
        wrong.bridge.control.bulk = 4000
        #expect(wrong.problem?.contains("bulk is 4000") == true)
        #expect(throws: GatewayConfigurationError.self) { try GatewayConfiguration(decoding: wrong.encoded()) }
        wrong = Self.example
        wrong.bridge.inverterPorts[0].sharePerMille = 501
        #expect(wrong.problem?.contains("1001 thousandths") == true)
        wrong = Self.example
        wrong.bridge.bmsPorts[0].addresses.append(0)
        wrong.bridge.bmsPorts[0].addresses.append(1)
        #expect(wrong.problem == "pack 2 is on two BMS ports")
        wrong.bridge.bmsPorts[0].addresses.append(2)
        wrong.bridge.bmsPorts[0].addresses.append(3)
        #expect(wrong.problem == "BMS port 1 has packs that are not configured")
    }

    /// A file of these records with a good checksum.
    private func file(_ records: [UInt8]) -> [UInt8] {
        let bytes = Array("PBC".utf8) + [2] + records
        var crc = CRC32()
        for byte in bytes { crc.update(byte) }
        return bytes + (0..<4).map { UInt8(truncatingIfNeeded: crc.value >> UInt32(8 * $0)) }
    }
}
