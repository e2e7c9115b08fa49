import Battery

/// The optional own charge counter of the bank with learned capacity (charge-control.md §9.2).
struct CoulombCounter: Sendable, BitwiseCopyable {
    /// Q in mA·ms; nil = not initialised.
    private(set) var charge: Int64?
    /// C_eff, mAh; 0 = not learned.
    private(set) var learned: MilliampHours = 0
    private(set) var isHeld = false

    private var previous: Milliamps?
    private var last = never
    private var persisted: MilliampHours = -1
    /// Discharge since the last FULL, mA·ms, its deepest value and the BMS's SoC there; negative = no FULL seen yet.
    private var depth: Int64 = -1
    private var deepest: Int64 = 0
    private var socAtDeepest: CentiPercent = 10_000

    static let unit: Int64 = 3_600_000
    static let gap: Milliseconds = 10_000

    init() {}

    mutating func restore(_ record: ControlRecord) {
        persisted = record.charge
        learned = record.learnedCapacity
    }

    /// Q in mAh for the record; -1 = none.
    var persistedCharge: MilliampHours { charge.map { Int32(clamping: $0 / Self.unit) } ?? -1 }

    func capacity(bank: MilliampHours) -> MilliampHours { learned > 0 ? learned : bank }

    /// SoC by the counter, 0.01 %.
    func soc(bank: MilliampHours) -> CentiPercent? {
        let c = capacity(bank: bank)
        guard let charge, c > 0 else { return nil }
        return Int32(clamping: min(charge / (Int64(c) * 360), 10_000))
    }

    /// - Parameter reseed: the packs behind the sum have changed; start again from the BMS.
    mutating func update(current: Milliamps?, bank: MilliampHours, bmsSoC: CentiPercent?, reseed: Bool, at now: Instant) {
        if bank <= 0 { return }
        if reseed { charge = nil }
        let whole = Int64(capacity(bank: bank)) * Self.unit
        if charge == nil, let soc = bmsSoC {
            charge = whole / 10_000 * Int64(soc)
            // The persisted count is used only when it agrees with the BMS.
            if persisted >= 0 {
                let stored = Int64(persisted) * Self.unit
                if abs(stored - whole / 10_000 * Int64(soc)) <= whole / 10 { charge = min(stored, whole) }
                persisted = -1
            }
            previous = current
            last = now
            return
        }
        guard let present = charge, let current, last != never else { return }
        let dt = now.since(last)
        if dt <= 0 { return }
        last = now
        let mean = (Int64(previous ?? current) + Int64(current)) / 2
        previous = current
        if dt > Self.gap {
            // A gap says nothing about the charge that passed; the BMS has counted on.
            isHeld = true
            if let soc = bmsSoC { charge = whole / 10_000 * Int64(soc) }
            return
        }
        isHeld = false
        let passed = mean > 0 ? mean * dt * 995 / 1000 : mean * dt
        charge = min(max(present + passed, 0), whole)
        if depth >= 0 {
            depth = max(0, depth - mean * dt)
            if depth > deepest {
                deepest = depth
                socAtDeepest = bmsSoC ?? 10_000
            }
        }
    }

    mutating func becameFull(bank: MilliampHours, rated: MilliampHours) {
        learn(emptiedAt: socAtDeepest, bank: bank, rated: rated)
        charge = Int64(capacity(bank: bank)) * Self.unit
        depth = 0
        deepest = 0
        socAtDeepest = 10_000
    }

    mutating func becameEmpty(bank: MilliampHours, rated: MilliampHours) {
        if charge == 0 { return }
        learn(emptiedAt: 0, bank: bank, rated: rated)
        charge = 0
        depth = -1
    }

    /// FULL → at least 60 % out → FULL or empty: the discharge over the part of the capacity it was, with weight 0.2.
    private mutating func learn(emptiedAt soc: CentiPercent, bank: MilliampHours, rated: MilliampHours) {
        let before = Int64(capacity(bank: bank))
        if depth < 0 || deepest < before * Self.unit / 10 * 6 || soc >= 5000 || rated <= 0 { return }
        let measured = deepest / Self.unit * 10_000 / Int64(10_000 - soc)
        let weighted = (before * 4 + measured) / 5
        learned = Int32(clamping: min(max(weighted, Int64(rated) * 7 / 10), Int64(rated) * 11 / 10))
    }
}

/// What an external shunt says (charge-control.md §9.1). It is preferred while it is fresh and measures exactly the packs that conduct.
public struct ShuntReading: Equatable, Sendable, BitwiseCopyable {
    /// 0.01 %.
    public var soc: CentiPercent?
    /// Positive while charging.
    public var current: Milliamps?
    /// Bit i: pack i (from 0) is behind the shunt.
    public var packs: UInt16

    public init(soc: CentiPercent?, current: Milliamps?, packs: UInt16) {
        self.soc = soc
        self.current = current
        self.packs = packs
    }
}
