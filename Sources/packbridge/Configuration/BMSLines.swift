import Battery
import BridgeEngine
import ChargeControl
import JKBMS
import LinuxIO

/// The ports and packs that the entries of `bms` make.
///
/// An RS485 line may carry several packs: with several addresses in one entry, or, where packs differ, in entries that follow one
/// another and name the same port. A CAN bus makes one port of the engine for each unit.
struct BMSLines {
    struct Problem {
        var entry: Int
        var key: String
        var message: String
        var allowed: String
    }

    private(set) var addresses: [BMSAddress] = []
    private(set) var ports: [BMSPortConfiguration] = []
    private(set) var packs: [PackConfiguration] = []
    private(set) var entryOfPort: [Int] = []
    private(set) var problems: [Problem] = []

    init(_ entries: [BMSEntry]) {
        for (index, entry) in entries.enumerated() { add(entry, index) }
        for port in ports.indices {
            for slot in 0..<ports[port].addresses.count {
                packs[Int(ports[port].firstPack) + slot].pollInterval = Self.interval(ports[port])
            }
        }
    }

    private mutating func add(_ entry: BMSEntry, _ index: Int) {
        let isBus = entry.port.bmsProtocol == .jkModbus || entry.port.bmsProtocol == .jk55AA
        let isCAN = entry.port.bmsProtocol == .jkCAN
        if entry.port.listenOnly && entry.port.bmsProtocol != .jk55AA {
            refuse(index, "listen_only", "has a meaning only with protocol jk-55aaeb90", "")
        }
        if entry.port.dischargeIsPositive && !isCAN {
            refuse(index, "current_sign", "has a meaning only with protocol jk-can", "")
        }
        if entry.port.trustsUnconfirmed && !isCAN {
            refuse(index, "trust_unconfirmed", "has a meaning only with protocol jk-can", "")
        }
        let numbers = entry.addresses.isEmpty ? [isBus ? 1 : 0] : entry.addresses
        if packs.count + numbers.count > 16 {
            refuse(index, "address", "makes more than 16 packs", "16 packs in all")
            return
        }
        for number in numbers {
            var pack = entry.pack
            pack.pollInterval = entry.port.pace.interval
            packs.append(pack)
            if isBus, let last = ports.last, addresses.last == address(of: entry), last.bmsProtocol == entry.port.bmsProtocol {
                extend(with: number, entry, index)
                continue
            }
            var port = entry.port
            port.firstPack = UInt8(packs.count - 1)
            port.addresses.append(number)
            ports.append(port)
            addresses.append(address(of: entry))
            entryOfPort.append(index)
        }
    }

    /// One more pack on the last line.
    private mutating func extend(with number: UInt8, _ entry: BMSEntry, _ index: Int) {
        var line = ports[ports.count - 1]
        let first = entryOfPort[ports.count - 1]
        if line.pace != entry.port.pace || line.listenOnly != entry.port.listenOnly {
            refuse(
                index, "port", "is the line of bms[\(first + 1)], but poll, gap, reply_timeout, retries or listen_only differ",
                "the same in both")
        }
        for i in 0..<line.addresses.count where line.addresses[i] == number {
            refuse(index, "address", "is used twice on this line", "another address, from 0 to 15")
        }
        line.addresses.append(number)
        ports[ports.count - 1] = line
    }

    private mutating func refuse(_ entry: Int, _ key: String, _ message: String, _ allowed: String) {
        problems.append(Problem(entry: entry, key: key, message: message, allowed: allowed))
    }

    private func address(of entry: BMSEntry) -> BMSAddress {
        if entry.port.bmsProtocol.medium == .can, let bus = try? canAddress(entry.device) { return .can(bus) }
        if entry.port.bmsProtocol.medium == .link { return .link }
        return .serial(SerialLineConfiguration(path: entry.device, baud: entry.baud))
    }

    /// How often a pack is really heard: those of a bus wait for each other, and a bus with a master has its own rhythm of 4.4 s.
    private static func interval(_ port: BMSPortConfiguration) -> Milliseconds {
        let count = Milliseconds(port.addresses.count)
        switch port.bmsProtocol {
        case .jkModbus: return max(port.pace.interval, count * 30)
        case .jk55AA:
            var isListening = port.listenOnly
            for i in 0..<port.addresses.count where port.addresses[i] == 0 { isListening = true }
            return isListening ? 4400 : max(port.pace.interval, count * 200)
        default: return port.pace.interval
        }
    }
}
