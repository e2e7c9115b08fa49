import BridgeEngine
import ChargeControl
import LinkClient

/// Judges what can break, from the last snapshot and how old it is. What is old is never called good.
struct HealthJudge {
    /// A snapshot comes every second.
    static let staleAfter: Int64 = 3000
    static let lostAfter: Int64 = 10_000
    /// An inverter that has not answered within this time after the start will not.
    static let heartbeatPatience: Int64 = 30_000
    static let heartbeatTimeout: Int64 = 10_000

    /// - Parameter age: of the snapshot, nil when none ever came.
    /// - Parameter historyProblem: nil when the history is in order or switched off.
    static func judge(
        _ snapshot: BridgeSnapshot?, age: Int64?, linkProblem: String?, history: SnapshotDocument.Health.State,
        historyProblem: String?
    ) -> SnapshotDocument.Health {
        var health = SnapshotDocument.Health.unknown
        health.history = history
        if let historyProblem { health.problems.append(historyProblem) }
        guard let snapshot, let age else {
            health.link = linkProblem == nil ? .unknown : .lost
            health.overall = health.link
            health.problems.insert(linkProblem ?? "waiting for the first snapshot of the control process", at: 0)
            return health
        }
        var problems: [String] = []
        health.link = age > lostAfter ? .lost : age > staleAfter ? .degraded : .ok
        if health.link != .ok {
            problems.append(linkProblem ?? "nothing heard from the control process for \(duration(age))")
        }
        health.bms = bms(snapshot, &problems)
        health.can = can(snapshot, &problems)
        health.heartbeat = heartbeat(snapshot, &problems)
        if health.link == .lost {
            // What was good ten seconds ago says nothing about now.
            (health.bms, health.can, health.heartbeat) = (.unknown, .unknown, .unknown)
        }
        let order: [SnapshotDocument.Health.State] = [.ok, .unknown, .degraded, .lost]
        let control = [health.link, health.bms, health.can, health.heartbeat]
        health.overall = control.max { order.firstIndex(of: $0)! < order.firstIndex(of: $1)! } ?? .unknown
        if health.overall == .ok && history != .ok && history != .unknown { health.overall = .degraded }
        health.problems = problems + health.problems
        return health
    }

    private static func bms(_ snapshot: BridgeSnapshot, _ problems: inout [String]) -> SnapshotDocument.Health.State {
        for port in snapshot.bmsPorts where !port.isOpen { problems.append("BMS port \(port.number) is not open") }
        for pack in snapshot.packs {
            switch pack.status.state {
            case .lost, .suspect, .fault, .absent, .isolated:
                problems.append("pack \(pack.number): \(pack.status.state.words)")
            case .joining, .active, .chargeOff, .dischargeOff, .excluded: break
            }
        }
        switch snapshot.bank.stage {
        case .fresh: return problems.isEmpty ? .ok : .degraded
        case .keep, .derate: return .degraded
        case .lost: return .lost
        }
    }

    private static func can(_ snapshot: BridgeSnapshot, _ problems: inout [String]) -> SnapshotDocument.Health.State {
        var worst = SnapshotDocument.Health.State.ok
        for port in snapshot.inverterPorts {
            switch port.state {
            case .active: continue
            case .warning, .passive: if worst == .ok { worst = .degraded }
            case .busOff, .closed: worst = .lost
            }
            problems.append("inverter port \(port.number): CAN bus \(port.state.words)")
        }
        return snapshot.inverterPorts.isEmpty ? .unknown : worst
    }

    private static func heartbeat(_ snapshot: BridgeSnapshot, _ problems: inout [String]) -> SnapshotDocument.Health.State {
        var worst = snapshot.inverterPorts.isEmpty ? SnapshotDocument.Health.State.unknown : .ok
        for port in snapshot.inverterPorts {
            if port.heartbeatAge < 0 {
                if snapshot.bank.at.since(snapshot.bank.started) < heartbeatPatience {
                    if worst == .ok { worst = .unknown }
                    continue
                }
                problems.append("inverter port \(port.number): the inverter has never answered")
            } else if port.heartbeatAge > heartbeatTimeout {
                problems.append("inverter port \(port.number): no answer for \(duration(port.heartbeatAge))")
            } else {
                continue
            }
            worst = .lost
        }
        return worst
    }
}
