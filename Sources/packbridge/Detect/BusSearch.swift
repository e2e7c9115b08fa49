import Battery
import BridgeEngine
import Glibc
import InverterDialects
import JKBMS
import LinuxIO

/// What can be heard on a CAN bus without sending anything: JK units that speak their own protocol, and an inverter's heartbeat.
struct BusSearch: Equatable {
    var units: [UInt8] = []
    var frames = 0
    /// How often an inverter of the Pylontech family was heard (0x305), and one that speaks Growatt's own language (0x301).
    var heartbeats305 = 0
    var heartbeats301 = 0
    /// How often somebody told an inverter limits, as a battery does (0x351, or Growatt's 0x311).
    var limits351 = 0
    var limits311 = 0
    /// Error frames, or error lines of an adapter, and the state of the bus at the end.
    var errors: UInt64 = 0
    var state = CANBusState.active

    var hasInverter: Bool { heartbeats305 + heartbeats301 > 0 }
    var hasBattery: Bool { limits351 + limits311 > 0 }

    /// JK units repeat everything at least once a second, inverters too.
    static let listening: Milliseconds = 3000

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
        search.errors = port.counters.busErrors
        search.state = port.state
        return search
    }

    mutating func hear(_ frame: CANFrame) {
        frames += 1
        // Growatt's heartbeat has the identifier that unit 13 uses for its voltage and current; a unit says more than that.
        let isAmbiguous = frame.id == 0x301 && !frame.isExtended && !units.contains(13)
        if !isAmbiguous, let (_, address) = JKCAN.identify(id: frame.id, isExtended: frame.isExtended) {
            if !units.contains(address) { units.append(address) }
            return
        }
        // Schneider's heartbeat has 29 bits; Growatt's identifiers have 11.
        switch frame.id {
        case 0x305: heartbeats305 += 1
        case 0x301 where !frame.isExtended: heartbeats301 += 1
        case 0x351: limits351 += 1
        case 0x311 where !frame.isExtended: limits311 += 1
        default: break
        }
    }

    var finding: Finding? {
        units.isEmpty ? nil : Finding(protocolName: "jk-can", addresses: units)
    }
}
