import Battery
import Glibc
import InverterDialects
import JKBMS
import LinuxIO

/// What can be heard on a CAN bus without sending anything: JK units that speak their own protocol, and an inverter's heartbeat.
struct BusSearch: Equatable {
    var units: [UInt8] = []
    /// An inverter was heard (0x305, or Growatt's 0x301).
    var hasInverter = false
    /// Somebody already plays the battery (0x351, or Growatt's 0x311).
    var hasBattery = false
    var frames = 0

    /// JK units repeat everything at least once a second, inverters too.
    private static let listening: Milliseconds = 3000

    /// - Throws: when the interface cannot be opened.
    static func search(_ address: CANAddress) throws(PortFailure) -> BusSearch {
        let port = address.makePort()
        try port.open(at: .now)
        defer { port.close() }
        var search = BusSearch()
        let end = Instant.now + Self.listening
        while Instant.now < end {
            port.flush()
            port.receive(at: .now) { search.hear($0) }
            _ = port.wake(at: .now)
            usleep(2000)
        }
        search.units.sort()
        return search
    }

    mutating func hear(_ frame: CANFrame) {
        frames += 1
        if let (_, address) = JKCAN.identify(id: frame.id, isExtended: frame.isExtended) {
            if !units.contains(address) { units.append(address) }
        } else if frame.id == 0x305 || frame.id == 0x301 && !frame.isExtended {
            hasInverter = true
        } else if frame.id == 0x351 || frame.id == 0x311 {
            hasBattery = true
        }
    }

    var finding: Finding? {
        units.isEmpty ? nil : Finding(protocolName: "jk-can", addresses: units)
    }
}
