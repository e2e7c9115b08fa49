import Battery
import BridgeEngine
import Glibc
import LinuxIO
import Simulation

/// The simulated battery room: packs behind serial lines, an inverter behind a CAN adapter, sun and house in fast-forward.
///
/// The bridge polls and slews in real time, so only the slow things run faster: sun, load and the charge of the cells. Near the
/// ends of the battery and during an incident the clock slows down, because there the bridge's own seconds matter.
final class DemoCabinet {
    private(set) var bank: SimulatedBank
    private(set) var packLines: [PackLine] = []
    private(set) var inverterLine: InverterLine
    private(set) var house: House
    private let designs: [PackDesign]
    private let incidents: [Incident]
    private let fastest: Double
    private let hasIncidents: Bool

    /// Seconds of simulated time since midnight of day 0.
    private(set) var clock = 9.5 * 3600
    /// How many simulated seconds pass in one real second now.
    private(set) var speed: Double
    private(set) var incident: Incident?
    private var incidentEnds: Instant
    private var nextIncident = 0
    private var nextStep: Instant

    init(plan: WorldPlan, speed: Double, hasIncidents: Bool) throws {
        let now = Instant.now
        designs = plan.packs
        (fastest, self.speed, self.hasIncidents) = (speed, speed, hasIncidents)
        bank = SimulatedBank(
            plan.packs.indices.map { SimulatedPack(plan.packs[$0], seed: plan.seed &+ UInt64($0) &* 7919) })
        var inverter = SimulatedInverter(model: plan.inverter, dialect: plan.bridge.inverterPorts[0].dialect)
        (inverter.maximumCharge, inverter.maximumDischarge) = (plan.inverterCharge, plan.inverterDischarge)
        inverterLine = InverterLine(terminal: try NamedTerminal(), inverter: inverter, at: now)
        house = House(seed: plan.seed)
        house.peakSun = plan.peakSun
        house.advance(to: Int64(clock))
        incidents = DemoScript.incidents(packs: plan.packs.count)
        incidentEnds = now + DemoScript.pause * 1000
        nextStep = now + 1000
        for (index, design) in designs.enumerated() {
            packLines.append(PackLine(terminal: try NamedTerminal(), design: design, seed: UInt64(index)))
        }
    }

    /// The devices that the bridge is given.
    var bmsPaths: [String] { packLines.map(\.terminal.terminal.path) }
    var canPath: String { inverterLine.terminal.terminal.path }

    func watch(with loop: EventLoop) {
        for line in packLines { loop.watch(line.terminal.terminal.descriptor, token: 0) }
        loop.watch(inverterLine.terminal.terminal.descriptor, token: 0)
    }

    /// Answers, hears and moves the physics. - Returns: when to be called again at the latest.
    func turn(at now: Instant) -> Instant {
        direct(at: now)
        for i in packLines.indices {
            let mine = incident.map { $0.pack == i ? Set([$0.kind]) : [] } ?? []
            packLines[i].serve(&bank.packs[i], faults: mine, at: now)
        }
        inverterLine.serve(sendsHeartbeat: incident?.kind != .heartbeatStops, at: now)
        while nextStep <= now {
            nextStep = nextStep + 1000
            step(at: now)
        }
        return packLines.compactMap(\.next).reduce(nextStep, min)
    }

    /// Begins and ends incidents.
    private func direct(at now: Instant) {
        guard hasIncidents, now >= incidentEnds else { return }
        if incident != nil {
            incident = nil
            incidentEnds = now + DemoScript.pause * 1000
        } else {
            let next = incidents[nextIncident % incidents.count]
            nextIncident += 1
            incident = next
            incidentEnds = now + next.seconds * 1000
        }
        for i in bank.packs.indices {
            bank.packs[i].settings.chargeAllowed = !(incident?.kind == .chargeSwitchOff && incident?.pack == i)
        }
        inverterLine.adapter.isBusOff = incident?.kind == .busOff
    }

    /// One real second.
    private func step(at now: Instant) {
        let wanted = inverterLine.inverter.step(
            at: now.milliseconds, sun: house.sun, load: house.load, charging: bank.source(charging: true),
            discharging: bank.source(charging: false))
        speed = incident == nil ? pace(wanted) : 1
        // Steps of at most 5 s keep the polarisation of the cells stable.
        let steps = max(1, Int((speed / 5).rounded(.up)))
        for _ in 0..<steps { bank.step(wanted: wanted, seconds: speed / Double(steps), ambient: 21) }
        clock += speed
        house.advance(to: Int64(clock))
    }

    /// Fast in the flat middle of the battery, slow near its ends: there a minute decides. The night, in which little happens, goes
    /// by three times as fast.
    private func pace(_ current: Double) -> Double {
        let highest = bank.packs.map(\.highest).max() ?? 0
        let lowest = bank.packs.map(\.lowest).min() ?? 0
        if current > 1 && highest > 3.38 || lowest < 3.05 { return min(fastest, 8) }
        return house.sun > 0 || fastest == 1 ? fastest : fastest * 3
    }
}
