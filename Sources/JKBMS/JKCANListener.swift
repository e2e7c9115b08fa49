import Battery

/// Listens to one JK unit on a CAN bus and puts its frames together to snapshots. Transmits nothing.
///
/// What has no confirmed layout (18F328F4, 18F428F4) is not used, and the charge request 1806E5F4, whose byte order nobody has verified,
/// only where the owner says so.
public struct JKCANListener: Sendable {
    /// A part of a snapshot may be this old: twice the slowest period.
    static let partAge: Milliseconds = 2000
    /// 7F4 stops when the alarm ends (its period is 100 ms).
    static let alarmAge: Milliseconds = 1000
    /// Silence after which the unit counts as lost.
    static let lost: Milliseconds = 5000

    private let address: UInt8
    private let chargeIsPositive: Bool
    private let usesUnconfirmed: Bool
    private var interval: Milliseconds

    private var reading = PackReading()
    private var cells = InlineArray<28, UInt16>(repeating: 0)
    private var times = Times()
    private var lastSnapshot: Instant?
    private var silentSince: Instant?

    /// When each part was heard.
    private struct Times: Sendable {
        var battery: Instant?
        var temperatures: Instant?
        var alarms: Instant?
        var capacity: Instant?
        var probes: Instant?
        var switches: Instant?
        var request: Instant?
        var cells = InlineArray<7, Instant?>(repeating: nil)
    }

    /// - Parameters:
    ///   - address: DIP address of the unit.
    ///   - chargeIsPositive: the vendor's text says the opposite of what the public software does; no capture decides (jk-can.md §4).
    ///   - usesUnconfirmed: use the charge request too.
    ///   - interval: least time between two snapshots.
    public init(
        address: UInt8, chargeIsPositive: Bool = true, usesUnconfirmed: Bool = false, interval: Milliseconds = 1000
    ) {
        self.address = address
        self.chargeIsPositive = chargeIsPositive
        self.usesUnconfirmed = usesUnconfirmed
        self.interval = interval
    }

    /// Changes the least time between two snapshots.
    public mutating func setInterval(_ interval: Milliseconds) {
        self.interval = interval
    }

    /// A frame from the bus. Foreign identifiers and other units are ignored.
    public mutating func receive<Line: BMSLine>(
        id: UInt32, isExtended: Bool, data: Span<UInt8>, at now: Instant, on line: inout Line
    ) {
        guard let (message, sender) = JKCAN.identify(id: id, isExtended: isExtended), sender == address else { return }
        silentSince = now
        note(message, data, at: now)
        // 2F4 is the fastest frame, and without voltage and current there is no snapshot.
        if message != .battery { return }
        if let lastSnapshot, now.since(lastSnapshot) < interval { return }
        lastSnapshot = now
        line.received(snapshot(at: now), from: address, at: now)
    }

    /// - Returns: when to call again at the latest.
    public mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant {
        let since = silentSince ?? now
        silentSince = since
        if now.since(since) < Self.lost { return since + Self.lost }
        silentSince = now
        line.timedOut(address, at: now)
        return now + Self.lost
    }

    private mutating func note(_ message: JKCAN.Message, _ data: Span<UInt8>, at now: Instant) {
        switch message {
        case .battery:
            reading.packVoltage = JKCAN.packVoltage(data)
            reading.current = JKCAN.rawSignCurrent(data).map { chargeIsPositive ? $0 : -$0 }
            reading.soc = JKCAN.u8(data, 4).map { CentiPercent($0) * 100 }
            times.battery = now
        case .temperatures:
            // Only the extremes are sent here; the single probes of V2 are better.
            if isFresh(times.probes, now) { return }
            guard let highest = JKCAN.temperature(data, 0), let lowest = JKCAN.temperature(data, 2) else { return }
            reading.cellTemperatures.removeAll()
            reading.cellTemperatures.append(.value(highest))
            reading.cellTemperatures.append(.value(lowest))
            times.temperatures = now
        case .alarms:
            reading.alarms = JKCAN.alarmWord(data).map { JKCAN.alarms($0) }
            times.alarms = now
        case .capacity:
            // The throughput of this frame wraps at 6553.5 Ah and is not used.
            reading.remaining = JKCAN.u16(data, 0).map { MilliampHours($0) * 100 }
            reading.full = JKCAN.u16(data, 2).map { MilliampHours($0) * 100 }
            reading.cycles = JKCAN.u16(data, 6).map { Int32($0) }
            times.capacity = now
        case .probes: noteProbes(data, at: now)
        case .switches:
            guard let bits = JKCAN.u8(data, 0) else { return }
            reading.chargeSwitch = bits & 1 != 0
            reading.dischargeSwitch = bits & 2 != 0
            reading.balancing = bits & 4 != 0
            times.switches = now
        case .cellVoltages(let first):
            for i in 0..<4 { cells[Int(first) - 1 + i] = JKCAN.u16(data, 2 * i) ?? 0 }
            times.cells[(Int(first) - 1) / 4] = now
        case .chargeRequest:
            reading.dynamicChargeVoltage = JKCAN.u16(data, 0).map { Millivolts($0) * 100 }
            reading.dynamicChargeLimit = JKCAN.u16(data, 2).map { Milliamps($0) * 100 }
            times.request = now
        // The extremes of 4F4 are contained in the cells.
        case .cells, .faults, .information: return
        }
    }

    /// Byte 0 says which probes there are; 1 T1, 2 T2, 3 MOSFET, 4 T4, 5 T5, and 0 there means absent.
    private mutating func noteProbes(_ data: Span<UInt8>, at now: Instant) {
        guard data.count >= 6 else { return }
        reading.cellTemperatures.removeAll()
        for at in 1...5 where at != 3 { reading.cellTemperatures.append(sensor(data, at)) }
        reading.mosfetTemperature = sensor(data, 3)
        times.probes = now
    }

    private func sensor(_ data: Span<UInt8>, _ at: Int) -> SensorReading {
        guard data[at] != 0, let value = JKCAN.temperature(data, at) else { return .absent }
        return .value(value)
    }

    /// What is fresh enough; the rest stays nil.
    private func snapshot(at now: Instant) -> PackReading {
        var snapshot = reading
        if !isFresh(times.temperatures, now) && !isFresh(times.probes, now) { snapshot.cellTemperatures.removeAll() }
        if !isFresh(times.probes, now) { snapshot.mosfetTemperature = .absent }
        if !isFresh(times.capacity, now) { (snapshot.remaining, snapshot.full, snapshot.cycles) = (nil, nil, nil) }
        if !isFresh(times.switches, now) {
            (snapshot.chargeSwitch, snapshot.dischargeSwitch, snapshot.balancing) = (nil, nil, nil)
        }
        let alarmsEnded = times.alarms.map { now.since($0) >= Self.alarmAge } ?? true
        if alarmsEnded { snapshot.alarms = [] }
        if !usesUnconfirmed || !isFresh(times.request, now) {
            (snapshot.dynamicChargeVoltage, snapshot.dynamicChargeLimit) = (nil, nil)
        }
        snapshot.cells.removeAll()
        for k in 0..<28 {
            // Not fitted, or not heard: what follows has no number any more.
            if !isFresh(times.cells[k / 4], now) || cells[k] == 0 { break }
            snapshot.cells.append(cells[k])
        }
        return snapshot
    }

    private func isFresh(_ heard: Instant?, _ now: Instant) -> Bool {
        guard let heard else { return false }
        return now.since(heard) < Self.partAge
    }
}
