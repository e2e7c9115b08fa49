import Battery

/// The share of damaged frames among the last 50 (failsafe.md §2): a warning, never a limit.
struct LinkQuality: Sendable, BitwiseCopyable {
    private var window: UInt64 = 0
    private var frames: Int32 = 0
    static let size: Int32 = 50

    init() {}

    mutating func count(bad: Bool) {
        window = (window << 1 | (bad ? 1 : 0)) & (1 << 50 - 1)
        frames = min(frames + 1, Self.size)
    }

    /// More than 20 %. Judged from ten frames on, so that one bad frame at start is no alarm.
    var isPoor: Bool { frames >= 10 && window.nonzeroBitCount * 5 > Int(frames) }
}

/// Whether the BMS behind the frames is alive (failsafe.md §2 "Stuck", amendment 1).
///
/// A counter decides when its step is at most 2 s. Without one, 120 s of bit-identical readings under load are stale; at rest, 15
/// minutes of them are only a warning.
struct Liveness: Sendable, BitwiseCopyable {
    private var uptime: Milliseconds = -1
    private var advancedAt = never
    private var identicalSince = never
    private var previous: UInt64 = 0
    private(set) var isStuckAtRest = false
    /// The counter went back: the BMS was switched off and on.
    private(set) var restarted = false

    init() {}

    /// The moment from which the data count as old; nil when the identical rule has no better one than the last snapshot.
    var lastAdvance: Instant? { isFrozenByCounter ? advancedAt : nil }
    private var isFrozenByCounter = false
    private var hasCounter = false

    /// It has shown within this time that it lives: its counter runs, or a value has changed.
    func livedWithin(_ time: Milliseconds, at now: Instant) -> Bool {
        hasCounter ? !isFrozenByCounter : identicalSince != never && now.since(identicalSince) < time
    }

    /// - Returns: true when the snapshot only repeats what is already known.
    mutating func update(_ reading: PackReading, poll: Milliseconds, at now: Instant) -> Bool {
        restarted = false
        isFrozenByCounter = false
        if let counter = reading.uptime, reading.uptimeResolution > 0, reading.uptimeResolution <= 2000 {
            if uptime != counter || advancedAt == never {
                restarted = uptime >= 0 && counter < uptime
                uptime = counter
                advancedAt = now
            }
            isFrozenByCounter = now.since(advancedAt) >= max(5 * poll, 10_000)
        }
        let fingerprint = Self.fingerprint(reading)
        if fingerprint != previous || identicalSince == never {
            previous = fingerprint
            identicalSince = now
        }
        let identical = now.since(identicalSince)
        let current = reading.current ?? 0
        hasCounter = advancedAt != never && reading.uptime != nil && reading.uptimeResolution <= 2000
        let isFrozenUnderLoad = !hasCounter && identical >= 120_000 && current.magnitude >= 2000
        isStuckAtRest = identical >= 15 * 60_000
        return isFrozenByCounter || isFrozenUnderLoad
    }

    /// FNV-1a over every analog value. 64 bits: two different readings in a row collide once in 10^19.
    private static func fingerprint(_ reading: PackReading) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func mix(_ value: Int32, into hash: inout UInt64) {
            hash = (hash ^ UInt64(UInt32(bitPattern: value))) &* 0x100_0000_01b3
        }
        for i in 0..<reading.cells.count { mix(Int32(reading.cells[i]), into: &hash) }
        mix(reading.packVoltage ?? .min, into: &hash)
        mix(reading.current ?? .min, into: &hash)
        for i in 0..<reading.cellTemperatures.count {
            mix(reading.cellTemperatures[i].temperature ?? .min, into: &hash)
        }
        mix(reading.mosfetTemperature.temperature ?? .min, into: &hash)
        mix(reading.soc ?? .min, into: &hash)
        return hash
    }
}

/// When a pack was lost lately; each loss makes it wait longer before it may join again (amendment 4).
struct FlapCounter: Sendable, BitwiseCopyable {
    private var losses = InlineArray<4, Instant>(repeating: never)

    init() {}

    mutating func lost(at now: Instant) {
        for i in stride(from: 3, to: 0, by: -1) { losses[i] = losses[i - 1] }
        losses[0] = now
    }

    /// Losses within the last 60 minutes, at most 4.
    func recent(at now: Instant) -> Int32 {
        var n: Int32 = 0
        for i in 0..<4 where losses[i] != never && now.since(losses[i]) <= 3_600_000 { n += 1 }
        return n
    }

    /// Losses that are remembered, for the persisted record.
    var count: UInt8 {
        var n: UInt8 = 0
        for i in 0..<4 where losses[i] != never { n += 1 }
        return n
    }

    func joinTime(at now: Instant) -> Milliseconds {
        switch recent(at: now) {
        case 0, 1: 10_000
        case 2: 60_000
        case 3: 600_000
        default: 3_600_000
        }
    }
}

/// FAULT of aggregation.md §3 as amendment 9 has it.
struct PackFault: Sendable, BitwiseCopyable {
    private var highSnapshots: Int32 = 0
    private var lowSnapshots: Int32 = 0
    private var belowZero = Persisting()
    /// A cell above `v_abs_max` + 50 mV: no charge, until 60 s below z.
    private(set) var isOverVoltage = false
    /// A cell far too low, or critical heat: nothing in either direction until somebody acknowledges.
    private(set) var isSevere = false
    private var isCausePresent = false
    var input: Int32 = 0

    init() {}

    mutating func update(_ m: PackMeasures, temperatures: TemperatureView, mosfet: MosfetSensor, table: ChemistryTable) {
        highSnapshots = m.highest > table.absoluteMaximum + 50 ? min(highSnapshots + 1, 3) : 0
        lowSnapshots = m.lowest < table.severeLow ? min(lowSnapshots + 1, 3) : 0
        if highSnapshots == 3 { isOverVoltage = true }
        let isHot = (temperatures.hottestKept ?? .min) >= 650 || (mosfet.value ?? .min) >= 1000
        isCausePresent = lowSnapshots > 0 || isHot
        if lowSnapshots == 3 || isHot {
            isSevere = true
            input = lowSnapshots == 3 ? m.lowest : temperatures.hottestKept ?? mosfet.value ?? 0
        }
    }

    mutating func tick(highest: Millivolts, chargeZero: Millivolts, isFresh: Bool, at now: Instant) {
        if isOverVoltage && belowZero.update(isFresh && highest < chargeZero, at: now) >= 60_000 {
            isOverVoltage = false
        }
    }

    mutating func acknowledge() throws(CommandRefusal) {
        if !isSevere { throw .nothingToAcknowledge }
        if isCausePresent { throw .causeStillPresent }
        isSevere = false
    }

    /// Switching the BMS off and on is an acknowledgement too (failsafe.md §4). A cause that is still there sets it again.
    mutating func powerCycled() {
        isSevere = false
    }
}

/// CVL, CCL and DCL that the BMS itself publishes. A protocol that has had one and lost it gives 0 (charge-control.md §1).
struct DynamicLimits: Sendable, BitwiseCopyable {
    private(set) var charge: Milliamps?
    private(set) var discharge: Milliamps?
    private(set) var voltage: Millivolts?

    init() {}

    mutating func update(_ reading: PackReading) {
        if let limit = reading.dynamicChargeLimit { charge = max(limit, 0) } else if charge != nil { charge = 0 }
        if let limit = reading.dynamicDischargeLimit {
            discharge = max(limit, 0)
        } else if discharge != nil {
            discharge = 0
        }
        if let limit = reading.dynamicChargeVoltage { voltage = limit }
    }
}
