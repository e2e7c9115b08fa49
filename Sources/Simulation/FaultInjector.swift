/// What can go wrong between the cells and the inverter.
public enum FaultKind: String, CaseIterable, Sendable {
    // The line to one BMS.
    case drop, late, corrupt, truncate, noise, freeze, swap, duplicate, collide, unplug
    // The pack and its BMS.
    case bmsReset = "bms-reset"
    case packLoss = "pack-loss"
    case chargeSwitchOff = "charge-fet-off"
    case dischargeSwitchOff = "discharge-fet-off"
    case bmsAlarm = "bms-alarm"
    case lowerOverVoltage = "lower-ovp"
    case zeroOverCurrent = "zero-ocp"
    // Sensors.
    case sensorMissing = "sensor-missing"
    case sensorCold = "sensor-cold"
    case sensorHot = "sensor-hot"
    case cellZero = "cell-zero"
    case cellMaximum = "cell-max"
    case sumBroken = "sum-broken"
    case zeroSoC = "zero-soc"
    // The bus to the inverter.
    case busOff = "bus-off"
    case busBusy = "bus-busy"
    case noAcknowledge = "no-ack"
    case heartbeatStops = "heartbeat-stops"
    // The bridge itself.
    case restart
    case plannedRestart = "planned-restart"
    case reconfigure
    case stateCut = "state-cut"
    case clockJump = "clock-jump"
    case publishBlocked = "publish-blocked"
    case command

    /// Faults that are an event, not a state.
    var isMomentary: Bool {
        switch self {
        case .bmsReset, .restart, .plannedRestart, .reconfigure, .stateCut, .clockJump, .command: true
        default: false
        }
    }
}

/// One fault: what, on which pack, from when to when.
public struct Fault: Equatable, Sendable {
    public var kind: FaultKind
    public var pack: Int
    /// Milliseconds of the virtual clock.
    public var from: Int64
    public var until: Int64
    /// Random bits that decide the details: which byte, which bit, which cell, how late.
    public var bits: UInt64

    public init(_ kind: FaultKind, pack: Int = 0, from: Int64, until: Int64, bits: UInt64 = 0) {
        (self.kind, self.pack, self.from, self.until, self.bits) = (kind, pack, from, until, bits)
    }
}

/// Decides from the seed what goes wrong when. Draws one fault ahead of the next, so an endless run needs no memory.
public struct FaultInjector: Sendable {
    private var random: RandomStream
    private let packs: Int
    /// Mean milliseconds between two faults; nil = none.
    private let meanGap: Double?
    private let kinds: [FaultKind]
    private var planned: [Fault] = []
    private var nextRandom: Int64 = .max
    public private(set) var active: [Fault] = []
    public private(set) var injected = 0
    /// The fault that began last.
    public private(set) var last: Fault?

    /// - Parameter perDay: how many faults a day on average; 0 = only those that are added.
    public init(seed: UInt64, packs: Int, perDay: Double, kinds: [FaultKind] = FaultKind.allCases, start: Int64) {
        random = RandomStream(seed: seed, stream: 4)
        self.packs = packs
        self.kinds = packs > 1 ? kinds : kinds.filter { $0 != .swap && $0 != .collide }
        meanGap = perDay > 0 && !self.kinds.isEmpty ? 86_400_000 / perDay : nil
        if let meanGap { nextRandom = start + Int64(random.between(0.3, 1.7) * meanGap) }
        active.reserveCapacity(16)
    }

    /// Adds a fault of a scenario.
    public mutating func plan(_ fault: Fault) {
        planned.append(fault)
        planned.sort { $0.from < $1.from }
    }

    /// When something begins or ends next.
    public var nextChange: Int64 {
        var next = nextRandom
        if let first = planned.first { next = min(next, first.from) }
        for fault in active { next = min(next, fault.until) }
        return next
    }

    /// The faults that begin now. Those that end have left `active`.
    public mutating func advance(to now: Int64, began: (Fault) -> Void) {
        active.removeAll { $0.until <= now }
        while let first = planned.first, first.from <= now {
            planned.removeFirst()
            begin(first, began)
        }
        if let meanGap, nextRandom <= now {
            nextRandom = now + Int64(random.between(0.3, 1.7) * meanGap)
            let kind = kinds[random.below(kinds.count)]
            let length: Int64
            switch kind {
            case .drop, .late, .corrupt, .truncate, .noise, .duplicate, .collide, .swap:
                length = random.milliseconds(1_000, 90_000)
            case .busBusy: length = random.milliseconds(50, 2_500)
            case .packLoss, .unplug: length = random.milliseconds(2_000, 600_000)
            case .publishBlocked: length = 3_600_000
            default: length = random.milliseconds(2_000, 300_000)
            }
            begin(Fault(kind, pack: random.below(packs), from: now, until: now + length, bits: random.next()), began)
        }
    }

    private mutating func begin(_ fault: Fault, _ began: (Fault) -> Void) {
        injected += 1
        last = fault
        if !fault.kind.isMomentary { active.append(fault) }
        began(fault)
    }

    public mutating func stop(_ kind: FaultKind) {
        active.removeAll { $0.kind == kind }
    }
}

/// What the active faults do to one pack and its line; worked out when a fault begins or ends, not at every reply.
struct LineFaults: Sendable {
    var drops = false
    var lateBy: Int64 = 0
    var corrupts = false
    var truncates = false
    var noise = false
    var freezes = false
    var duplicates = false
    var swapWith: Int?
    var collideWith: Int?
    var sensor1: Int32??
    var cell: (index: Int, millivolts: UInt16)?
    var breaksSum = false
    var zeroSoC = false
    var bits: UInt64 = 0
    /// The bytes or the measurement differ from what the BMS meant.
    var any = false

    init(_ faults: [Fault], pack: Int, packs: Int) {
        for fault in faults {
            let partner = (fault.pack + 1) % packs
            if fault.pack != pack && !(partner == pack && (fault.kind == .swap || fault.kind == .collide)) { continue }
            switch fault.kind {
            case .drop, .unplug, .packLoss: drops = true
            case .late: lateBy = 150 + Int64(fault.bits % 2500)
            case .corrupt: corrupts = true
            case .truncate: truncates = true
            case .noise: noise = true
            case .freeze: freezes = true
            case .duplicate: duplicates = true
            case .swap: swapWith = fault.pack == pack ? partner : fault.pack
            case .collide: collideWith = fault.pack == pack ? partner : fault.pack
            case .sensorMissing: sensor1 = .some(nil)
            case .sensorCold: sensor1 = .some(.some(-2))
            case .sensorHot: sensor1 = .some(.some(58))
            case .cellZero: cell = (Int(fault.bits % 16), 0)
            case .cellMaximum: cell = (Int(fault.bits % 16), 65_535)
            case .sumBroken: breaksSum = true
            case .zeroSoC: zeroSoC = true
            default: continue
            }
            bits = fault.bits
            any = true
        }
    }

    /// Changes what the BMS says it measured.
    func spoil(_ m: inout PackMeasurement) {
        if let sensor1 { m.temperature1 = sensor1 }
        if let cell { m.millivolts[min(cell.index, m.cellCount - 1)] = cell.millivolts }
        if breaksSum { m.packCentivolts = m.packCentivolts &+ 400 }
        if zeroSoC { m.soc = 0 }
    }
}
