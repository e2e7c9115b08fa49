import Battery

/// What a session remembers of one pack from one telegram to the next.
public struct JKPackMemory: Sendable {
    var layout: JK55AA.Layout?
    var probes = JKProbes()
    private(set) var settings: PackSettings?
    private(set) var capacity: MilliampHours?
    var settingsAskedAt: Instant?
    /// When it was last heard, or first missed, while listening.
    var silentSince: Instant?
    private var clock = SessionClock()

    @inline(never)
    public init() {}

    func settingsAreDue(at now: Instant, after age: Milliseconds) -> Bool {
        guard let settingsAskedAt else { return true }
        return now.since(settingsAskedAt) >= (settings == nil ? 5000 : age)
    }

    mutating func readStatus(_ record: Span<UInt8>, into reading: inout PackReading) throws(FrameRejection) {
        do {
            layout = try JK55AA.decodeStatus(record, layout: layout, probes: &probes, into: &reading)
        } catch {
            // Perhaps another unit answers to this address now.
            if error == .badStructure { layout = nil }
            throw error
        }
    }

    mutating func readSettings(_ record: Span<UInt8>, at now: Instant) throws(FrameRejection) {
        var read = PackSettings()
        let capacity = try JK55AA.decodeSettings(record, into: &read)
        remember(read, capacity, at: now)
    }

    mutating func remember(_ settings: PackSettings, _ capacity: MilliampHours?, at now: Instant) {
        self.settings = settings
        if let capacity { self.capacity = capacity }
        settingsAskedAt = now
    }

    /// Adds to a status what only the settings know, and what needs to know the past.
    mutating func complete(_ reading: inout PackReading, at now: Instant) {
        let age = clock.reply(at: now)
        silentSince = now
        reading.settings = settings
        reading.rated = capacity
        reading.starting = age < SessionClock.startUp && reading.looksUninitialised
        dropFullFlag(&reading)
    }

    /// Alarm bit 4 is a live over-voltage on some units. On others it stays set after charging has ended at the top, with the charge
    /// MOSFET off and the cells far below the release voltage (capture `55aa-syssi-jk-b2a8s20p-11-17-*`): then the open MOSFET says all
    /// that there is to say.
    private func dropFullFlag(_ reading: inout PackReading) {
        guard reading.alarms?.contains(.cellOverVoltage) == true, reading.chargeSwitch == false,
            let release = settings?.cellOverVoltageRelease, !reading.cells.isEmpty
        else { return }
        for i in 0..<reading.cells.count where Millivolts(reading.cells[i]) >= release { return }
        reading.alarms?.remove(.cellOverVoltage)
    }
}
