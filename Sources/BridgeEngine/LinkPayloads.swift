import Battery
import ChargeControl
import InverterDialects
import JKBMS

/// What the `bank` message says.
public struct BankPayload: Sendable {
    /// Counts snapshots; the same in all messages of one snapshot.
    public var snapshot: UInt32 = 0
    /// The engine's monotonic clock.
    public var at = Instant(milliseconds: 0)
    public var started = Instant(milliseconds: 0)
    public var generation: UInt32 = 0
    public var report = BankReport()
    public var mayTransmit = false
    public var phase = Phase.initial
    public var rememberedPhase = Phase.bulk
    public var waiting = Waiting.nothing
    public var waitingAmount: Int32 = 0
    public var voltageReason = Reason(.none, bound: 0)
    public var chargeReason = Reason(.none, bound: 0)
    public var dischargeReason = Reason(.none, bound: 0)
    public var warnings: Warnings = []
    public var stage = StaleStage.lost
    public var preventsFull = CellPlace.unknown
    /// The highest event number so far: a reader that has fewer asks for a replay.
    public var lastEvent: UInt32 = 0

    @inline(never)
    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&snapshot)
        coder.field(&at)
        coder.field(&started)
        coder.field(&generation)
        report.visitFields(&coder)
        coder.field(&mayTransmit)
        coder.field(choice: &phase)
        coder.field(choice: &rememberedPhase)
        coder.field(choice: &waiting)
        coder.field(&waitingAmount)
        voltageReason.visitFields(&coder)
        chargeReason.visitFields(&coder)
        dischargeReason.visitFields(&coder)
        coder.field(choice: &warnings)
        coder.field(choice: &stage)
        preventsFull.visitFields(&coder)
        coder.field(&lastEvent)
    }
}

/// What an `orders` message says: the orders in force, whoever gave them.
public struct OrdersPayload: Equatable, Sendable {
    public var snapshot: UInt32 = 0
    public var orders = FixedArray<6, OrderInForce>(filler: OrderInForce())

    @inline(never)
    public init() {}

    @inline(never)
    mutating func append(_ command: Command, remaining: Milliseconds) {
        if let order = OrderInForce(of: command, remaining: remaining) { orders.append(order) }
    }

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&snapshot)
        coder.array(&orders, filler: OrderInForce()) { coder, order in
            coder.field(choice: &order.order)
            coder.field(&order.value)
            coder.field(&order.remaining)
        }
    }
}

/// An order that holds until its time is over, until `resume`, or, for `fullNow`, until the charge ends.
public struct OrderInForce: Equatable, Sendable, BitwiseCopyable {
    public var order = LinkCommand.Order.resume
    /// mA or 0.01 %, as the order means; 0 where it has none.
    public var value: Int32 = 0
    public var remaining: Milliseconds = 0

    public init() {}

    public init(_ order: LinkCommand.Order, value: Int32 = 0, remaining: Milliseconds) {
        self.order = order
        self.value = value
        self.remaining = remaining
    }

    /// Nil for what is done at once and is never in force.
    init?(of command: Command, remaining: Milliseconds) {
        switch command {
        case .pauseCharge: self.init(.pauseCharge, remaining: remaining)
        case .pauseDischarge: self.init(.pauseDischarge, remaining: remaining)
        case .chargeCap(let limit, _): self.init(.chargeCap, value: limit, remaining: remaining)
        case .dischargeCap(let limit, _): self.init(.dischargeCap, value: limit, remaining: remaining)
        case .socCeiling(let ceiling, _): self.init(.socCeiling, value: ceiling, remaining: remaining)
        case .fullNow: self.init(LinkCommand.Order.fullNow, remaining: remaining)
        case .resume, .acknowledge: return nil
        }
    }
}

/// What a `pack` message says.
public struct PackPayload: Sendable {
    public var snapshot: UInt32 = 0
    /// From 1.
    public var number: UInt8 = 0
    public var status = PackStatus()
    /// What the BMS last said, accepted or not. `readingAge` -1 = nothing yet.
    public var readingAge: Milliseconds = -1
    public var reading = PackReading()

    @inline(never)
    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&snapshot)
        coder.field(&number)
        status.visitFields(&coder)
        coder.field(&readingAge)
        reading.visitFields(&coder)
    }
}

/// What a `bmsPort` message says.
public struct BMSPortPayload: Sendable {
    public var snapshot: UInt32 = 0
    public var number: UInt8 = 0
    public var bmsProtocol = BMSProtocolName.jk4E57
    public var isOpen = false
    public var counters = BMSPortCounters()

    @inline(never)
    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&snapshot)
        coder.field(&number)
        coder.field(choice: &bmsProtocol)
        coder.field(&isOpen)
        coder.field(&counters.bytes)
        coder.field(&counters.snapshots)
        coder.field(&counters.timeouts)
        coder.field(&counters.reopens)
        for i in 0..<counters.rejections.count { coder.field(&counters.rejections[i]) }
    }
}

/// What an `inverterPort` message says, with the set of frames last begun.
public struct InverterPortPayload: Sendable {
    public var snapshot: UInt32 = 0
    public var number: UInt8 = 0
    public var language = InverterLanguage.can(.pylontech)
    public var state = CANBusState.closed
    /// -1 = no heartbeat yet.
    public var heartbeatAge: Milliseconds = -1
    public var counters = InverterPortCounters()
    public var frames = FrameSet(filler: CANFrame(id: 0, length: 0))

    @inline(never)
    public init() {}

    public mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&snapshot)
        coder.field(&number)
        coder.field(choice: &language)
        coder.field(choice: &state)
        coder.field(&heartbeatAge)
        coder.field(&counters.sets)
        coder.field(&counters.sent)
        coder.field(&counters.busy)
        coder.field(&counters.dropped)
        coder.field(&counters.received)
        coder.field(&counters.heartbeats)
        coder.field(&counters.busOffs)
        coder.field(&counters.restarts)
        coder.array(&frames, filler: CANFrame(id: 0, length: 0)) { coder, frame in
            var id = frame.id
            var isExtended = frame.isExtended
            var length = frame.length
            var word = frame.word
            coder.field(&id)
            coder.field(&isExtended)
            coder.field(&length)
            coder.field(&word)
            if length > 8 {
                coder.refuse()
                length = 8
            }
            frame = CANFrame(id: id, isExtended: isExtended, length: length, word: word)
        }
    }
}

extension BankReport {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&chargeVoltageLimit)
        coder.field(&dischargeVoltageLimit)
        coder.field(&chargeCurrentLimit)
        coder.field(&dischargeCurrentLimit)
        coder.field(&chargeEnabled)
        coder.field(&dischargeEnabled)
        coder.field(choice: &requests)
        coder.field(choice: &protections)
        coder.field(choice: &warnings)
        coder.field(&soc)
        coder.field(&socFine)
        coder.field(&soh)
        coder.field(&voltage)
        coder.field(&current)
        coder.field(&temperature)
        coder.field(choice: &chemistry)
        coder.field(&cellsInSeries)
        coder.field(&packsOnline)
        coder.field(&packsExpected)
        coder.field(&packsBlockingCharge)
        coder.field(&packsBlockingDischarge)
        coder.field(&packsOffline)
        coder.field(&remaining)
        coder.field(&full)
        coder.field(&rated)
        coder.field(&cycles)
        coder.field(&balancing)
        coder.field(&highestCell)
        highestCellPlace.visitFields(&coder)
        coder.field(&lowestCell)
        lowestCellPlace.visitFields(&coder)
        coder.field(&highestTemperature)
        highestTemperaturePlace.visitFields(&coder)
        coder.field(&lowestTemperature)
        lowestTemperaturePlace.visitFields(&coder)
        coder.field(&energyCharged)
        coder.field(&energyDischarged)
    }
}

extension CellPlace {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&pack)
        coder.field(&cell)
    }
}

extension Reason {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(choice: &rule)
        place.visitFields(&coder)
        coder.field(&input)
        coder.field(&bound)
    }
}

extension PackStatus {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(choice: &state)
        coder.field(choice: &stage)
        coder.field(&age)
        coder.field(&chargeLimit)
        chargeReason.visitFields(&coder)
        coder.field(&dischargeLimit)
        dischargeReason.visitFields(&coder)
        coder.field(choice: &alarms)
        coder.field(choice: &warnings)
        coder.field(&voltage)
        coder.field(&current)
        coder.field(&soc)
        coder.field(&highestCell)
        coder.field(&highestCellNumber)
        coder.field(&lowestCell)
        coder.field(&lowestCellNumber)
    }
}

extension SensorReading {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        var kind: UInt8 = 0
        var temperature: Decidegrees = 0
        switch self {
        case .absent: kind = 0
        case .invalid: kind = 1
        case .value(let value): (kind, temperature) = (2, value)
        }
        coder.field(&kind)
        coder.field(&temperature)
        switch kind {
        case 0: self = .absent
        case 1: self = .invalid
        case 2: self = .value(temperature)
        default: coder.refuse()
        }
    }
}

extension PackReading {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.array(&cells, filler: 0) { coder, cell in coder.field(&cell) }
        coder.field(&packVoltage)
        coder.field(&current)
        coder.array(&cellTemperatures, filler: .absent) { coder, sensor in sensor.visitFields(&coder) }
        mosfetTemperature.visitFields(&coder)
        coder.field(&soc)
        coder.field(&soh)
        coder.field(&remaining)
        coder.field(&full)
        coder.field(&rated)
        coder.field(&cycles)
        coder.field(&throughput)
        coder.field(&chargeSwitch)
        coder.field(&dischargeSwitch)
        coder.field(&balancing)
        var alarmBits = alarms?.rawValue
        coder.field(&alarmBits)
        alarms = alarmBits.map { Alarms(rawValue: $0) }
        coder.field(&uptime)
        coder.field(&uptimeResolution)
        coder.field(&dynamicChargeLimit)
        coder.field(&dynamicDischargeLimit)
        coder.field(&dynamicChargeVoltage)
        let hadSettings = settings?.isPresent() ?? false
        var hasSettings = hadSettings
        coder.field(&hasSettings)
        if hasSettings != hadSettings { settings = hasSettings ? PackSettings() : nil }
        settings?.visitFields(&coder)
        coder.field(&starting)
    }
}

extension PackSettings {
    /// `settings != nil` without a copy of them, field by field, that the compiler makes: 1 KB of code.
    @inline(never)
    fileprivate mutating func isPresent() -> Bool { true }

    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&cellOverVoltage)
        coder.field(&cellOverVoltageRelease)
        coder.field(&cellUnderVoltage)
        coder.field(&cellUnderVoltageRelease)
        coder.field(&packOverVoltage)
        coder.field(&packUnderVoltage)
        coder.field(&chargeOverCurrent)
        coder.field(&dischargeOverCurrent)
        coder.field(&chargeOverTemperature)
        coder.field(&chargeUnderTemperature)
        coder.field(&dischargeOverTemperature)
        coder.field(&dischargeUnderTemperature)
        coder.field(&mosfetOverTemperature)
        coder.field(&boxOverTemperature)
        coder.field(&balanceStart)
        coder.field(&balanceTrigger)
        coder.field(&cellCount)
        coder.field(&chargeEnabled)
        coder.field(&dischargeEnabled)
        coder.field(&balancerEnabled)
    }
}
