import BridgeEngine
import Foundation
import InverterDialects
import LinkClient
import LinuxIO

/// What the kernel says of a CAN interface, as `ip -details -statistics -json link show` prints it.
struct CANLink: Equatable {
    var isUp = false
    /// `can`, `vcan`, `slcan`.
    var kind = ""
    /// Bits per second; nil where the kernel does not set it (slcan, vcan).
    var bitrate: Int?
    /// `ERROR-ACTIVE`, `ERROR-WARNING`, `ERROR-PASSIVE`, `BUS-OFF`.
    var state: String?
    var transmitErrors: Int?
    var receiveErrors: Int?
    /// 0: the kernel does not end bus-off by itself.
    var restartMilliseconds: Int?
    var receivedFrames: Int?

    init() {}

    /// Nil when the text is not what is expected.
    init?(json: String) {
        guard let list = try? JSONSerialization.jsonObject(with: Data(json.utf8)) as? [[String: Any]],
            let link = list.first(where: { $0["ifname"] != nil })
        else { return nil }
        isUp = (link["flags"] as? [String])?.contains("UP") ?? false
        let about = link["linkinfo"] as? [String: Any]
        kind = about?["info_kind"] as? String ?? ""
        let data = about?["info_data"] as? [String: Any]
        bitrate = (data?["bittiming"] as? [String: Any])?["bitrate"] as? Int
        state = data?["state"] as? String
        let errors = data?["berr_counter"] as? [String: Any]
        (transmitErrors, receiveErrors) = (errors?["tx"] as? Int, errors?["rx"] as? Int)
        restartMilliseconds = data?["restart_ms"] as? Int
        let statistics = link["stats64"] as? [String: Any] ?? link["stats"] as? [String: Any]
        receivedFrames = (statistics?["rx"] as? [String: Any])?["packets"] as? Int
    }
}

/// A CAN bus with an inverter on it. It is only listened to.
struct BusEvidence {
    var address: CANAddress
    var language: InverterLanguage?
    /// In milliseconds, to tell two senders from one.
    var period: Int64 = 1000
    /// 500 000 for every inverter; 250 000 for JK units.
    var expectedBitrate = 500_000
    /// Of an interface of the kernel; nil when `ip` is not there or says nothing.
    var link: CANLink?
    /// What was heard in 3 s; nil when nobody listened.
    var search: BusSearch?
    var failure: PortFailure?
    /// The control process sends on this bus.
    var controlSends = false

    func checks(_ area: String) -> [Check] {
        var checks: [Check] = []
        if let failure {
            let parts = "\(failure)".split(separator: ". ", maxSplits: 1)
            checks.append(
                .fault(area, "opens", String(parts[0]), fix: parts.count > 1 ? String(parts[1]) : "Plug the adapter in again."))
        } else if search != nil {
            checks.append(.ok(area, "opens", "\(address) is up"))
        }
        if let link { checks += judge(link, area) }
        if let search { checks += judge(search, area) }
        return checks
    }

    private func judge(_ link: CANLink, _ area: String) -> [Check] {
        var checks: [Check] = []
        if let bitrate = link.bitrate {
            checks.append(
                bitrate == expectedBitrate
                    ? .ok(area, "bit rate", "\(bitrate / 1000) kbit/s")
                    : .fault(
                        area, "bit rate", "\(bitrate / 1000) kbit/s, but \(expectedBitrate / 1000) is needed",
                        fix:
                            "sudo ip link set \(name) down; sudo ip link set \(name) up type can bitrate \(expectedBitrate) restart-ms 100"
                    ))
        } else {
            checks.append(
                .notChecked(area, "bit rate", because: "\(link.kind.isEmpty ? "the interface" : link.kind) does not tell it"))
        }
        if let state = link.state { checks.append(judge(state: state, link, area)) }
        if link.kind == "can", link.restartMilliseconds == 0 {
            checks.append(
                .warning(
                    area, "restart", "the kernel does not end bus-off by itself",
                    fix: "sudo ip link set \(name) type can restart-ms 100 (the interface must be down)."))
        }
        return checks
    }

    private func judge(state: String, _ link: CANLink, _ area: String) -> Check {
        let counters = "\(state), error counters: \(link.transmitErrors ?? 0) sent, \(link.receiveErrors ?? 0) received"
        switch state {
        case "ERROR-ACTIVE":
            if (link.transmitErrors ?? 0) + (link.receiveErrors ?? 0) > 40 {
                return .warning(area, "bus state", counters, fix: Self.termination)
            }
            return .ok(area, "bus state", counters)
        case "ERROR-WARNING": return .warning(area, "bus state", counters, fix: Self.termination)
        case "ERROR-PASSIVE" where (link.transmitErrors ?? 0) >= 128 && (link.receiveErrors ?? 0) < 96:
            return .fault(area, "bus state", counters + ": nobody acknowledges what is sent", fix: Self.nobody)
        case "BUS-OFF":
            return .fault(
                area, "bus state", counters,
                fix: "CAN-H and CAN-L swapped or shorted, or another bit rate on the bus. " + Self.termination)
        default: return .fault(area, "bus state", counters, fix: Self.termination)
        }
    }

    private func judge(_ search: BusSearch, _ area: String) -> [Check] {
        var checks: [Check] = []
        if link?.state == nil {
            switch search.state {
            case .active where search.errors == 0: checks.append(.ok(area, "bus state", "\(search.frames) frames in 3 s, no error"))
            case .active: checks.append(.warning(area, "bus state", "\(search.errors) errors in 3 s", fix: Self.termination))
            default:
                checks.append(
                    .fault(area, "bus state", search.state.words, fix: search.frames == 0 ? Self.nobody : Self.termination))
            }
        }
        checks.append(heartbeat(search, area))
        if let mismatch = DialectMismatch(search, sending: language) {
            checks.append(.fault(area, "language", mismatch.evidence, fix: mismatch.fix))
        } else if search.hasInverter, let language {
            checks.append(.ok(area, "language", "\(language.text) fits what the inverter sends"))
        }
        checks.append(otherBattery(search, area))
        return checks
    }

    private func heartbeat(_ search: BusSearch, _ area: String) -> Check {
        if search.hasInverter { return .ok(area, "heartbeat", "the inverter is heard") }
        if search.frames == 0 {
            return .warning(
                area, "heartbeat", "nothing is sent on this bus in 3 s",
                fix: "Some inverters speak only when the battery does. " + Self.nobody)
        }
        return .warning(
            area, "heartbeat", "frames are heard, but no inverter (0x305 or 0x301)",
            fix: "Is the inverter's battery type set to a lithium battery with CAN? Some inverters never send one.")
    }

    /// While the control process sends, two senders are told from one by their rate.
    private func otherBattery(_ search: BusSearch, _ area: String) -> Check {
        let count = search.limits351 + search.limits311
        let expected = controlSends ? Int(BusSearch.listening / max(period, 1)) : 0
        if count > expected + max(2, expected / 2) || !controlSends && count > 0 {
            return .fault(
                area, "other battery",
                controlSends
                    ? "limits are sent \(count) times in 3 s, twice as often as PackBridge does"
                    : "something sends limits, as a battery does (\(count) in 3 s)",
                fix: "Two batteries that contradict each other: disconnect the other one, or end the other program.")
        }
        return .ok(area, "other battery", "nobody else tells the inverter limits")
    }

    private var name: String { if case .socketCAN(let interface) = address { interface } else { "\(address)" } }

    static let termination =
        "120 Ω between CAN-H and CAN-L at both ends (60 Ω when everything is off), twisted wires, GND connected."
    static let nobody =
        "Is the inverter on? Is the cable in its battery port, CAN-H and CAN-L on the right pins? " + termination
}

/// A bus or a line whose control process is asked instead of the port itself.
extension InverterPortPayload {
    func checks(_ area: String) -> [Check] {
        var checks: [Check] = []
        let bus = "bus state"
        switch state {
        case .active: checks.append(.ok(area, bus, state.words))
        case .warning: checks.append(.warning(area, bus, state.words, fix: BusEvidence.termination))
        case .passive: checks.append(.fault(area, bus, state.words, fix: BusEvidence.nobody))
        case .busOff:
            checks.append(
                .fault(
                    area, bus, "bus-off", fix: "CAN-H and CAN-L swapped or shorted, or another bit rate. " + BusEvidence.termination
                ))
        case .closed:
            checks.append(
                .fault(area, bus, "the control process cannot open the port", fix: "Is the adapter plugged in, the interface up?"))
        }
        if counters.busOffs > 0 && state != .busOff {
            checks.append(.warning(area, "bus-offs", "\(counters.busOffs) since the start", fix: BusEvidence.termination))
        }
        checks.append(.ok(area, "sent", "\(counters.sets) sets, \(counters.sent) frames, \(counters.dropped) dropped"))
        checks.append(heartbeat(area))
        return checks
    }

    private func heartbeat(_ area: String) -> Check {
        if heartbeatAge >= 0 && heartbeatAge <= 10_000 {
            return .ok(area, "heartbeat", "the inverter was heard \(duration(heartbeatAge)) ago")
        }
        if heartbeatAge >= 0 {
            return .warning(
                area, "heartbeat", "not heard for \(duration(heartbeatAge))",
                fix: "Has the inverter been switched off? " + BusEvidence.nobody)
        }
        guard counters.received > 0 else {
            return .warning(
                area, "heartbeat", "nothing has come from the inverter since the start",
                fix: "Some inverters send nothing. " + BusEvidence.nobody)
        }
        let other = language == .can(.growatt) ? "Pylontech, 36 = L52" : "its own language, a Growatt to 36 = L51"
        return .warning(
            area, "heartbeat", "\(counters.received) frames came, but not the answer to \(language.text)",
            fix: "The inverter may be set to \(other). Compare its menu with `packbridge inverters`.")
    }
}
