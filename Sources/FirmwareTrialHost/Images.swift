import Battery
import BridgeEngine
import ChargeControl

/// Configurations whose image a person cannot write, as vectors: `configuration NAME IMAGE = WHAT THE HOST SAYS | WHAT A BOARD SAYS`,
/// the default image of the firmware being meant.
func printImages() {
    printImage("one-pack", configuration(), board: nil)
    var two = configuration()
    two.control.packs.append(PackConfiguration())
    two.bmsPorts[0].addresses.append(1)
    printImage("two-packs", two, board: "noRoom")
    var lines = configuration()
    lines.bmsPorts.append(lines.bmsPorts[0])
    printImage("two-lines", lines, board: "noRoom")
    var modbus = configuration()
    modbus.bmsPorts[0].bmsProtocol = .jkModbus
    printImage("modbus", modbus, board: "notInThisBuild jk-modbus")
    var records = configuration()
    records.bmsPorts[0].bmsProtocol = .jk55AA
    printImage("55aaeb90", records, board: "notInThisBuild jk-55aaeb90")
    var link = configuration()
    link.bmsPorts[0].bmsProtocol = .link
    printImage("link", link, board: nil)
    printImage("sixteen-packs", full(), board: "tooLong")
}

private func configuration() -> BridgeConfiguration {
    var control = ControlConfiguration(chemistry: .lfp)
    control.packs.append(PackConfiguration())
    control.userCharge = 100_000
    control.userDischarge = 120_000
    var configuration = BridgeConfiguration(control: control)
    var line = BMSPortConfiguration()
    line.addresses.append(0)
    configuration.bmsPorts.append(line)
    configuration.inverterPorts.append(InverterPortConfiguration())
    return configuration
}

/// As much as the gateway can have: sixteen packs, each on a line of its own.
private func full() -> BridgeConfiguration {
    var configuration = configuration()
    for pack in 1..<16 as Range<UInt8> {
        configuration.control.packs.append(PackConfiguration())
        var line = configuration.bmsPorts[0]
        line.firstPack = pack
        configuration.bmsPorts.append(line)
    }
    return configuration
}

private func printImage(_ name: String, _ configuration: BridgeConfiguration, board: String?) {
    var image = configuration.image()
    var digits = ""
    for i in 0..<image.count { digits += String(UInt16(image.bytes[i]) | 0x100, radix: 16).dropFirst() }
    let accepted = "accepted " + String(UInt64(image.checksum(from: 0)) | 1 << 32, radix: 16, uppercase: true).dropFirst()
    print("configuration \(name) \(digits) = \(accepted) | \(board ?? accepted)")
}
