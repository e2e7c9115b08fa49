import Battery
import BridgeEngine
import ChargeControl
import LinkClient

/// Turns snapshots into things that begin and end: a limit that binds, an alarm, a warning, a lost connection. Events of the
/// engine become events of a moment.
///
/// A value without clock and I/O: every call is given the wall clock in milliseconds, and returns what is new or has changed.
public struct EventJournal: Sendable {
    /// What lasts, by what it is.
    private var open: [Key: EventDocument] = [:]
    private var nextID: Int64
    /// A reason that binds for less than this is no event: limits hunt around a boundary.
    static let shortestLimit: Int64 = 5000
    /// Limits that bind, but not yet long enough to tell.
    private var young: [Key: EventDocument] = [:]

    fileprivate struct Key: Hashable {
        var kind: String
        var limit: String?
        var name: String
        var pack: UInt8
        var cell: UInt8
    }

    /// - Parameter nextID: higher than every id used before.
    public init(nextID: Int64 = 1) {
        self.nextID = nextID
    }

    /// What is going on now, oldest first.
    public var ongoing: [EventDocument] { open.values.sorted { $0.id < $1.id } }

    private mutating func number() -> Int64 {
        defer { nextID += 1 }
        return nextID
    }

    /// Things that are said to be going on in the history, from a process that was killed: they are taken up again, not doubled.
    public mutating func resume(_ events: [EventDocument]) {
        for event in events where event.ongoing == true {
            open[Key(event)] = event
        }
    }

    // MARK: snapshots

    public mutating func take(_ snapshot: BridgeSnapshot, at now: Int64) -> [EventDocument] {
        var present: [Key: EventDocument] = [:]
        func add(_ event: EventDocument) { present[Key(event)] = event }
        let bank = snapshot.bank
        if bank.mayTransmit {
            for (limit, words, reason) in [
                ("charge_voltage", "charge voltage", bank.voltageReason),
                ("charge_current", "charge current", bank.chargeReason),
                ("discharge_current", "discharge current", bank.dischargeReason),
            ] where !reason.rule.isConfigured {
                let place = reason.place
                add(
                    EventDocument(
                        id: 0, at: now, kind: "limit", severity: .info,
                        text: "\(words) limited: \(wording { reason.write(to: &$0) })",
                        name: stableName(reason.rule), limit: limit, pack: place.pack == 0 ? nil : place.pack,
                        cell: place.cell == 0 ? nil : place.cell, lasts: true))
            }
        }
        for warning in Warnings.table where bank.warnings.contains(warning.warning) {
            add(
                EventDocument(
                    id: 0, at: now, kind: "warning", severity: .warning, text: warning.words, name: warning.name, lasts: true))
        }
        for pack in snapshot.packs {
            for alarm in Alarms.table where pack.status.alarms.contains(alarm.alarm) {
                add(
                    EventDocument(
                        id: 0, at: now, kind: "alarm", severity: .alarm, text: "pack \(pack.number): \(alarm.words)",
                        name: alarm.name, pack: pack.number, lasts: true))
            }
        }
        return settle(present, kinds: ["limit", "warning", "alarm"], at: now)
    }

    /// A thing of this process that lasts: the link or the history is out of order. Nil = it is in order.
    public mutating func note(kind: String, problem: String?, severity: Severity, at now: Int64) -> [EventDocument] {
        var present: [Key: EventDocument] = [:]
        if let problem {
            let event = EventDocument(id: 0, at: now, kind: kind, severity: severity, text: problem, name: kind, lasts: true)
            present[Key(event)] = event
        }
        return settle(present, kinds: [kind], at: now)
    }

    /// A moment's event of this process.
    public mutating func announce(kind: String, severity: Severity, text: String, at now: Int64) -> [EventDocument] {
        [EventDocument(id: number(), at: now, kind: kind, severity: severity, text: text)]
    }

    /// Ends what is open and no longer present, begins what is present and not open.
    private mutating func settle(_ present: [Key: EventDocument], kinds: [String], at now: Int64) -> [EventDocument] {
        var changed: [EventDocument] = []
        young = young.filter { !kinds.contains($0.key.kind) || present[$0.key] != nil }
        for (key, event) in open where kinds.contains(key.kind) && present[key] == nil {
            var ended = event
            ended.ongoing = nil
            ended.until_ms = max(now, event.at_ms)
            open[key] = nil
            changed.append(ended)
        }
        for (key, event) in present where open[key] == nil {
            var begun = young.removeValue(forKey: key) ?? event
            if key.kind == "limit" && now - begun.at_ms < Self.shortestLimit {
                young[key] = begun
                continue
            }
            begun.id = number()
            open[key] = begun
            changed.append(begun)
        }
        return changed.sorted { ($0.at_ms, $0.id) < ($1.at_ms, $1.id) }
    }

    // MARK: events of the engine

    /// - Parameter text: replaces the sentence of the event, for orders whose words only this process knows.
    public mutating func take(_ event: EngineEvent, at now: Int64, text: String? = nil) -> EventDocument {
        EventDocument(
            id: number(), at: now, kind: stableName(event.kind), severity: Self.severity(of: event),
            text: text ?? event.sentence, pack: Self.concernsPack(event.kind) && event.pack > 0 ? event.pack : nil)
    }

    private static func concernsPack(_ kind: EngineEventKind) -> Bool { kind == .packState || kind == .packAlarms }

    private static func severity(of event: EngineEvent) -> Severity {
        switch event.kind {
        case .packState:
            switch UInt8(exactly: event.b).flatMap(PackState.init(rawValue:)) {
            case .lost, .fault: .alarm
            case .suspect, .isolated, .absent: .warning
            default: .info
            }
        case .inverterBus:
            switch UInt8(exactly: event.b).flatMap(CANBusState.init(rawValue:)) {
            case .busOff, .closed: .alarm
            case .passive, .warning: .warning
            default: .info
            }
        case .packAlarms: event.a != 0 ? .alarm : .info
        case .warnings: event.a != 0 ? .warning : .info
        case .heartbeat, .bmsPort: event.a == 0 ? .warning : .info
        case .bmsReopened: .warning
        case .command: event.b == 0 ? .info : .warning
        default: .info
        }
    }
}

extension LimitRule {
    /// What the owner has configured and the charge always does is no event; only what takes the limit below it is.
    fileprivate var isConfigured: Bool {
        switch self {
        case .none, .userVoltage, .phaseVoltage, .userCurrent, .packUserCurrent, .cRate: true
        default: false
        }
    }
}

extension EventJournal.Key {
    fileprivate init(_ event: EventDocument) {
        self.init(
            kind: event.kind, limit: event.limit, name: event.name ?? "", pack: event.pack ?? 0, cell: event.cell ?? 0)
    }
}
