import Battery
import BridgeEngine
import Glibc

/// The compact file that the command line hands to the control process, so that the latter needs no YAML parser.
///
/// `PBC` and the version, then records (tag: 1 byte, length: 2 bytes little-endian, content), then the CRC-32 of everything before.
/// Ports are one record each, in the order of their index.
extension GatewayConfiguration {
    private static let start: [UInt8] = Array("PBC".utf8) + [2]
    /// A whole file is far smaller; what is longer is not ours.
    static let longestFile = 64 * 1024

    private enum Tag: UInt8 {
        case bmsLine = 1
        case inverterBus = 2
        case stateDirectory = 3
        case linkSocket = 4
        /// The engine's own image, with its own layout version.
        case bridge = 5
        case bmsBus = 6
        case inverterLine = 7
        case bmsLink = 8
    }

    /// The content of the file.
    public func encoded() -> [UInt8] {
        var bytes = Self.start
        func record(_ tag: Tag, _ content: [UInt8]) {
            precondition(content.count <= Int(UInt16.max), "a path of 64 KB is no path")
            bytes += [tag.rawValue, UInt8(content.count & 0xFF), UInt8(content.count >> 8)] + content
        }
        for address in bmsLines {
            switch address {
            case .serial(let line): record(.bmsLine, littleEndian(line.baud) + Array(line.path.utf8))
            case .can(let bus): record(.bmsBus, Array("\(bus)".utf8))
            case .link: record(.bmsLink, [])
            }
        }
        for address in inverterBuses {
            switch address {
            case .can(let bus): record(.inverterBus, Array("\(bus)".utf8))
            case .rs485(let line): record(.inverterLine, littleEndian(line.baud) + Array(line.path.utf8))
            }
        }
        if let stateDirectory { record(.stateDirectory, Array(stateDirectory.utf8)) }
        if let linkSocket { record(.linkSocket, Array(linkSocket.utf8)) }
        record(.bridge, bridge.image().withBytes { span in span.indices.map { span[$0] } })
        return bytes + littleEndian(checksum(of: bytes[...]))
    }

    /// Reads a file. Nothing of a damaged file is used.
    public init(decoding bytes: [UInt8]) throws(GatewayConfigurationError) {
        guard bytes.count >= Self.start.count + 4, bytes.starts(with: Self.start[..<3]) else { throw .notOurs }
        guard bytes.count <= Self.longestFile else { throw .notOurs }
        guard bytes[3] == Self.start[3] else { throw .version(bytes[3]) }
        let end = bytes.count - 4
        guard Array(bytes[end...]) == littleEndian(checksum(of: bytes[..<end])) else { throw .checksum }

        var bmsLines: [BMSAddress] = []
        var inverterBuses: [InverterAddress] = []
        var stateDirectory: String?
        var linkSocket: String?
        var bridge: BridgeConfiguration?
        var position = Self.start.count
        while position < end {
            guard position + 3 <= end else { throw .record(tag: bytes[position], "is cut short") }
            let raw = bytes[position]
            let length = Int(bytes[position + 1]) | Int(bytes[position + 2]) << 8
            position += 3
            guard position + length <= end else { throw .record(tag: raw, "is cut short") }
            let content = Array(bytes[position..<position + length])
            position += length
            switch Tag(rawValue: raw) {
            case .bmsLine: bmsLines.append(.serial(try serialLine(content, tag: raw)))
            case .bmsBus: bmsLines.append(.can(try canAddress(content, tag: raw)))
            case .bmsLink: bmsLines.append(.link)
            case .inverterBus: inverterBuses.append(.can(try canAddress(content, tag: raw)))
            case .inverterLine: inverterBuses.append(.rs485(try serialLine(content, tag: raw)))
            case .stateDirectory: stateDirectory = try text(content[...], tag: raw)
            case .linkSocket: linkSocket = try text(content[...], tag: raw)
            case .bridge:
                do { bridge = try BridgeConfiguration(image: content.span) } catch {
                    throw .record(tag: raw, "holds an engine configuration that is not valid (\(error))")
                }
            case nil: throw .record(tag: raw, "is unknown")
            }
        }
        guard let bridge else { throw .incomplete("no engine configuration") }
        self.init(
            bmsLines: bmsLines, inverterBuses: inverterBuses, stateDirectory: stateDirectory, linkSocket: linkSocket,
            bridge: bridge)
        if let problem { throw .incomplete(problem) }
    }

    /// What must not be used as it is, for a person; nil when everything fits together. `packbridge check` explains more of it, but
    /// the control process believes nobody.
    public var problem: String? {
        let refused = bridge.control.problems()
        if !refused.isEmpty {
            return
                "control setting \(refused[0].key) is \(refused[0].value), outside \(refused[0].low)…\(refused[0].high)"
        }
        var ownedPacks: Set<Int> = []
        for index in 0..<bridge.bmsPorts.count {
            let port = bridge.bmsPorts[index]
            if Int(port.firstPack) + port.addresses.count > bridge.control.packs.count {
                return "BMS port \(index + 1) has packs that are not configured"
            }
            for pack in Int(port.firstPack)..<Int(port.firstPack) + port.addresses.count
            where !ownedPacks.insert(pack).inserted {
                return "pack \(pack + 1) is on two BMS ports"
            }
        }
        let shares = (0..<bridge.inverterPorts.count).reduce(0) { $0 + Int(bridge.inverterPorts[$1].sharePerMille) }
        if shares > 1000 { return "the inverter ports together hand out \(shares) thousandths of the limits" }
        if bmsLines.count != bridge.bmsPorts.count {
            return "\(bmsLines.count) devices for \(bridge.bmsPorts.count) BMS ports"
        }
        if inverterBuses.count != bridge.inverterPorts.count {
            return "\(inverterBuses.count) devices for \(bridge.inverterPorts.count) inverter ports"
        }
        for (index, address) in bmsLines.enumerated() {
            let fits =
                switch (address, bridge.bmsPorts[index].bmsProtocol.medium) {
                case (.can, .can), (.link, .link), (.serial, .serialLine): true
                default: false
                }
            if !fits { return "the protocol of BMS port \(index + 1) is not spoken at \(address)" }
        }
        for line in serialLines where line.baud == 0 { return "baud rate 0 for \(line.path)" }
        let paths = devicePaths
        for (index, path) in paths.enumerated() where paths[..<index].contains(path) { return "\(path) is used twice" }
        return nil
    }

    private var serialLines: [SerialLineConfiguration] {
        bmsLines.compactMap { if case .serial(let line) = $0 { line } else { nil } }
            + inverterBuses.compactMap { if case .rs485(let line) = $0 { line } else { nil } }
    }

    /// Each device file once for each use that excludes another one. Several BMS may be on one CAN bus.
    private var devicePaths: [String] {
        var buses: [CANAddress] = []
        for case .can(let bus) in bmsLines where !buses.contains(bus) { buses.append(bus) }
        for case .can(let bus) in inverterBuses { buses.append(bus) }
        return serialLines.map(\.path)
            + buses.compactMap { if case .slcan(let path, _, _) = $0 { path } else { nil } }
    }
}

/// Why a compact configuration file is refused.
public enum GatewayConfigurationError: Error, Equatable, CustomStringConvertible {
    case notOurs
    case version(UInt8)
    case checksum
    case record(tag: UInt8, String)
    case incomplete(String)

    public var description: String {
        switch self {
        case .notOurs:
            "this is no compact PackBridge configuration (it starts with PBC); a YAML file goes to `packbridge control`"
        case .version(let found):
            "compact configuration of version \(found), but this program reads version 2; write it again"
        case .checksum: "the compact configuration is damaged: its checksum is wrong; write it again"
        case .record(let tag, let what): "record \(tag) of the compact configuration \(what)"
        case .incomplete(let what): "the compact configuration does not fit together: \(what)"
        }
    }
}

private func text(_ bytes: ArraySlice<UInt8>, tag: UInt8) throws(GatewayConfigurationError) -> String {
    guard !bytes.isEmpty, !bytes.contains(0), let text = String(validating: bytes, as: UTF8.self) else {
        throw .record(tag: tag, "holds a text that is empty or not UTF-8")
    }
    return text
}

private func serialLine(
    _ content: [UInt8], tag: UInt8
) throws(GatewayConfigurationError) -> SerialLineConfiguration {
    guard content.count > 4 else { throw .record(tag: tag, "has no path") }
    let baud = (0..<4).reduce(UInt32(0)) { $0 | UInt32(content[$1]) << UInt32(8 * $1) }
    return SerialLineConfiguration(path: try text(content[4...], tag: tag), baud: baud)
}

private func canAddress(_ content: [UInt8], tag: UInt8) throws(GatewayConfigurationError) -> CANAddress {
    let address = try text(content[...], tag: tag)
    do { return try CANAddress(address) } catch { throw .record(tag: tag, "\(error)") }
}

private func checksum(of bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc = CRC32()
    for byte in bytes { crc.update(byte) }
    return crc.value
}

private func littleEndian(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
}

/// The bytes of a compact configuration file.
public func compactConfiguration(file path: String) throws(PortFailure) -> [UInt8] {
    try readFile(path, atMost: GatewayConfiguration.longestFile)
}

/// The bytes of a compact configuration that a parent process left behind an open descriptor.
public func compactConfiguration(descriptor: Int32) throws(PortFailure) -> [UInt8] {
    defer { close(descriptor) }
    return try readAll(descriptor, named: "descriptor \(descriptor)", atMost: GatewayConfiguration.longestFile)
}
