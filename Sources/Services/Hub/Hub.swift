import BridgeEngine
import ChargeControl
import Foundation
import LinkClient
import Logging
import NIOCore
import ServiceLifecycle

/// Milliseconds since 1970.
public typealias WallClock = @Sendable () -> Int64

/// The system's wall clock.
public let systemClock: WallClock = { Int64(Date().timeIntervalSince1970 * 1000) }

/// The middle of `serve`: takes what comes over Link, keeps the present state, and hands it to everybody who shows it.
public actor Hub: Service {
    private let link: LinkConnection
    private let configuration: ServeConfiguration
    private let clock: WallClock
    private let logger: Logger
    private let encoder = JSONEncoder()

    private var latest: BridgeSnapshot?
    private var document: SnapshotDocument?
    private var documentJSON: ByteBuffer?
    private var context = SnapshotContext()
    private var journal = EventJournal()
    private var recent: [EventDocument] = []
    private var subscribers: [Int: Subscriber] = [:]
    private var nextSubscriber = 0
    private var isFinished = false
    /// Streams that were too slow.
    public private(set) var droppedSubscribers: UInt64 = 0

    private let started: Int64
    private var events = EventOrder()
    private var averagedCurrent: Double?
    private var lastReasons: [String: (rule: LimitRule, place: CellPlaceKey, since: Int64)] = [:]
    private var lastPhase: (phase: Phase, since: Int64)?
    private var orders: [UInt32: (text: String, by: String)] = [:]
    private var active = ActiveOrders()
    private var history: (state: SnapshotDocument.Health.State, problem: String?) = (.unknown, nil)
    /// The compact image of the configuration in force, for `explain` and the support bundle.
    public private(set) var configurationImage: [UInt8]?

    private struct Subscriber {
        var continuation: AsyncStream<HubNews>.Continuation
        var dropsWhenSlow: Bool
    }

    private struct CellPlaceKey: Equatable {
        var pack: UInt8
        var cell: UInt8
    }

    /// Proxies and phones close a line on which nothing comes.
    private static let heartbeatSeconds = 15
    private var secondsToHeartbeat = heartbeatSeconds
    /// Events kept in memory, for when there is no history.
    static let keptEvents = 1000

    public init(
        link: LinkConnection, configuration: ServeConfiguration, logger: Logger, clock: @escaping WallClock = systemClock
    ) {
        self.link = link
        self.configuration = configuration
        self.logger = logger
        self.clock = clock
        started = clock()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        context.name = configuration.name
        context.packNames = configuration.packNames
    }

    // MARK: Running

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await news in self.link.news { await self.take(news) } }
                group.addTask {
                    while !Task.isCancelled {
                        try? await Task.sleep(for: .seconds(1))
                        await self.lookAtTheClock()
                    }
                }
            }
        }
        finish()
    }

    /// Ends every subscription: the live streams close, and the server can stop.
    public func finish() {
        isFinished = true
        for subscriber in subscribers.values { subscriber.continuation.finish() }
        subscribers = [:]
    }

    /// Ends the live streams, so that the server can stop. New ones end at once.
    public func endStreams() {
        isFinished = true
        for (id, subscriber) in subscribers where subscriber.dropsWhenSlow { unsubscribe(id) }
    }

    /// What was going on when the last process ended, and which numbers are used up.
    public func resumeJournal(_ ongoing: [EventDocument], nextID: Int64) {
        journal = EventJournal(nextID: nextID)
        journal.resume(ongoing)
        recent = ongoing
    }

    // MARK: What others ask for

    public var snapshot: SnapshotDocument? { document }
    public var snapshotJSON: ByteBuffer? { documentJSON }
    public var bridgeSnapshot: BridgeSnapshot? { latest }
    public var health: SnapshotDocument.Health { context.health }
    public var activeCommands: [SnapshotDocument.ActiveCommand] { context.commands }
    public var recentEvents: [EventDocument] { recent }
    public var subscriberCount: Int { subscribers.count }
    public var linkStatistics: LinkStatistics { link.statistics }
    public var linkSource: String { link.source.description }

    public var snapshotAge: Int64? { document.map { max(0, clock() - $0.time_ms) } }

    /// - Parameter capacity: news that may wait. A stream that is full is ended when `dropsWhenSlow`, else it loses the oldest.
    public func subscribe(capacity: Int = 16, dropsWhenSlow: Bool = false) -> HubSubscription {
        let (stream, continuation) = AsyncStream<HubNews>.makeStream(
            bufferingPolicy: dropsWhenSlow ? .bufferingOldest(capacity) : .bufferingNewest(capacity))
        nextSubscriber += 1
        let id = nextSubscriber
        if isFinished && dropsWhenSlow {
            continuation.finish()
        } else {
            subscribers[id] = Subscriber(continuation: continuation, dropsWhenSlow: dropsWhenSlow)
            continuation.onTermination = { [weak self] _ in
                guard let self else { return }
                Task { await self.unsubscribe(id) }
            }
            if let document, let documentJSON { continuation.yield(HubNews(.snapshot(document), json: documentJSON)) }
        }
        return HubSubscription(id: id, news: stream)
    }

    public func unsubscribe(_ id: Int) {
        subscribers.removeValue(forKey: id)?.continuation.finish()
    }

    /// The history says how it is.
    public func historyChanged(_ state: SnapshotDocument.Health.State, problem: String?) {
        history = (state, problem)
        for event in journal.note(kind: "history", problem: problem, severity: .warning, at: clock()) { publish(event) }
    }

    /// A moment's event of this process, for example what a start found in the history.
    public func announce(kind: String, severity: Severity, text: String) {
        for event in journal.announce(kind: kind, severity: severity, text: text, at: clock()) { publish(event) }
    }

    // MARK: Link

    func take(_ news: LinkNews) {
        switch news {
        case .snapshot: if let snapshot = link.takeNewest() { take(snapshot) }
        case .event(let event): for event in events.take(event) { tell(event) }
        case .configuration(let image): takeConfiguration(image)
        case .commandReply: break
        }
    }

    private func takeConfiguration(_ image: [UInt8]) {
        configurationImage = image
        let bridge = try? BridgeConfiguration(image: image.span)
        context.configuredCharge = bridge?.control.userCharge
        context.configuredDischarge = bridge?.control.userDischarge
        context.packsOfLines = []
        for index in 0..<(bridge?.bmsPorts.count ?? 0) {
            guard let port = bridge?.bmsPorts[index] else { continue }
            let count = UInt8(max(1, port.addresses.count))
            context.packsOfLines.append((0..<count).map { port.firstPack &+ $0 &+ 1 })
        }
    }

    private func take(_ snapshot: BridgeSnapshot) {
        let now = clock()
        let bank = snapshot.bank
        if let latest, latest.bank.started != bank.started || bank.at < latest.bank.at { startedAnew() }
        if bank.lastEvent > events.last { link.replay(after: events.last) }
        context.interval = latest.map { bank.at.since($0.bank.at) }
        latest = snapshot
        context.receivedAt = now
        context.lostMessages = link.statistics.lostMessages
        average(bank.report.current, over: context.interval ?? 0)
        noteReasons(bank, at: now)
        active.take(snapshot.orders, at: now)
        let (lost, due) = events.snapshot()
        if lost > 0 { logger.info("\(lost) events are lost") }
        for event in due { tell(event) }
        for event in journal.take(snapshot, at: now) { publish(event) }
        refresh(at: now)
        if let document, let documentJSON { distribute(HubNews(.snapshot(document), json: documentJSON)) }
    }

    /// The control process is another one: its event numbers and orders are gone.
    private func startedAnew() {
        logger.notice("the control process started anew")
        events = EventOrder()
        active.forget()
        lastPhase = nil
        lastReasons = [:]
        averagedCurrent = nil
        link.forgetEvents()
    }

    private func tell(_ event: EngineEvent) {
        var text: String?
        if event.kind == .command, let order = orders.removeValue(forKey: UInt32(bitPattern: event.a)) {
            text = "\(order.text), from \(order.by)" + (event.b == 0 ? "" : ": refused")
        }
        publish(journal.take(event, at: wallTime(of: event), text: text))
    }

    /// The engine counts its own clock; the last snapshot relates it to the wall clock.
    private func wallTime(of event: EngineEvent) -> Int64 {
        guard let latest, context.receivedAt > 0 else { return clock() }
        return min(context.receivedAt + event.at.since(latest.bank.at), clock())
    }

    /// Exponential average over a minute.
    private func average(_ current: Int32, over interval: Int64) {
        let weight = min(1, Double(max(interval, 0)) / 60_000)
        averagedCurrent = averagedCurrent.map { $0 + (Double(current) - $0) * weight } ?? Double(current)
        context.averageCurrent = Int64(averagedCurrent ?? 0)
    }

    private func noteReasons(_ bank: BankPayload, at now: Int64) {
        func since(_ limit: String, _ reason: Reason) -> Int64 {
            let place = CellPlaceKey(pack: reason.place.pack, cell: reason.place.cell)
            if let last = lastReasons[limit], last.rule == reason.rule, last.place == place { return last.since }
            lastReasons[limit] = (reason.rule, place, now)
            return now
        }
        context.chargeVoltageSince = since("charge_voltage", bank.voltageReason)
        context.chargeCurrentSince = since("charge_current", bank.chargeReason)
        context.dischargeCurrentSince = since("discharge_current", bank.dischargeReason)
        if lastPhase?.phase != bank.phase { lastPhase = (bank.phase, now) }
        context.phaseSince = lastPhase?.since
    }

    // MARK: Health and distribution

    /// Notices silence: nothing else would.
    private func lookAtTheClock() {
        let now = clock()
        let before = context.health
        let hadCommands = context.commands
        refresh(at: now)
        // A start, and a control process that is started anew, are no alarm.
        let silence = now - (latest == nil ? started : context.receivedAt)
        let linkProblem = silence > HealthJudge.lostAfter ? context.health.problems.first : nil
        for event in journal.note(kind: "link", problem: linkProblem, severity: .alarm, at: now) { publish(event) }
        if context.health != before { distribute(HubNews(.health(context.health), json: encode(context.health))) }
        secondsToHeartbeat -= 1
        if secondsToHeartbeat <= 0 {
            secondsToHeartbeat = Self.heartbeatSeconds
            distribute(HubNews(.heartbeat))
        }
        if context.commands != hadCommands, let document, let documentJSON {
            distribute(HubNews(.snapshot(document), json: documentJSON))
        }
    }

    /// Judges the health anew and makes the document say it.
    private func refresh(at now: Int64) {
        let age = latest == nil ? nil : max(0, now - context.receivedAt)
        context.health = HealthJudge.judge(
            latest, age: age, linkProblem: link.statistics.isConnected ? nil : link.statistics.problem, history: history.state,
            historyProblem: history.problem)
        active.expire(at: now)
        context.commands = active.list
        guard let latest else { return }
        let fresh = SnapshotDocument(latest, context)
        if fresh == document { return }
        document = fresh
        documentJSON = encode(fresh)
    }

    private func publish(_ event: EventDocument) {
        if let index = recent.lastIndex(where: { $0.id == event.id }) {
            recent[index] = event
        } else {
            recent.append(event)
            if recent.count > Self.keptEvents { recent.removeFirst(recent.count - Self.keptEvents) }
        }
        distribute(HubNews(.event(event), json: encode(event)))
    }

    private func distribute(_ news: HubNews) {
        for (id, subscriber) in subscribers {
            guard case .dropped = subscriber.continuation.yield(news), subscriber.dropsWhenSlow else { continue }
            droppedSubscribers += 1
            unsubscribe(id)
        }
    }

    func encode(_ value: some Encodable) -> ByteBuffer {
        // Nothing in these documents can fail to encode: no floating point, no foreign types.
        ByteBuffer(bytes: (try? encoder.encode(value)) ?? Data())
    }

    // MARK: Orders

    /// Sends an order to the control process and waits for its answer.
    /// - Parameter by: who gives it, for the events and the list of active orders.
    public func execute(_ request: CommandRequest, by: String) async throws(CommandProblem) -> CommandResult {
        let (order, value, timeToLive) = try request.checked()
        let text = request.sentence
        let (identity, reply) = await send(order, value, timeToLive, text: text, by: by)
        guard let reply else {
            orders[identity] = nil
            throw .unreachable("the control process did not answer; the order may or may not be in force")
        }
        if let refusal = reply.refusal {
            throw .refused("refused by the control process: \(Self.words(refusal))")
        }
        let until = timeToLive > 0 ? clock() + timeToLive : nil
        active.accepted(request, until: until, by: by)
        context.commands = active.list
        return CommandResult(order: request.order, until_ms: until)
    }

    private func send(
        _ order: LinkCommand.Order, _ value: Int32, _ timeToLive: Int64, text: String, by: String
    ) async -> (UInt32, LinkCommandReply?) {
        let identity = link.nextIdentity()
        // Known before it is sent: the event about it may be here before the reply.
        orders[identity] = (text, by)
        if orders.count > 64 { orders = [identity: (text, by)] }
        return (identity, await link.send(order, value: value, timeToLive: timeToLive, identity: identity))
    }

    static func words(_ refusal: CommandRefusal) -> String {
        switch refusal {
        case .timeToLiveOutOfRange: "the time to live is out of range"
        case .valueOutOfRange: "the value is out of range"
        case .noSuchPack: "there is no such pack"
        case .nothingToAcknowledge: "there is nothing to acknowledge"
        case .causeStillPresent: "the cause of the fault is still present"
        case .badConfiguration: "the configuration is damaged or does not fit this version"
        case .notSupported: "the device cannot do that"
        case .notStored: "the flash refused it"
        case .noRoom: "the device has no room for it"
        case .protocolAbsent: "the device does not speak the BMS protocol"
        }
    }
}
