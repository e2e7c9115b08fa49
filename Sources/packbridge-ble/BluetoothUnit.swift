import Battery
import CBlueZ
import Glibc
import JKBMS
import LinuxIO

/// One JK unit behind BlueZ: finds it, connects, subscribes, and begins again with growing pauses when any of that fails.
struct BluetoothUnit {
    /// A failure of BlueZ, in words.
    struct Failure: Error, CustomStringConvertible {
        var doing: String
        var code: Int32
        var description: String {
            let hint = code == -EACCES || code == -EPERM ? " (is this user in the group bluetooth?)" : ""
            return "\(doing): \(String(cString: strerror(-code)))\(hint)"
        }
    }

    /// Pauses before a new attempt; the last repeats (failsafe.md §7: 2 to 60 s).
    private static let pauses: [UInt32] = [2, 4, 8, 15, 30, 60]
    /// A connection that has worked for so long starts again with the shortest pause.
    private static let proven: Milliseconds = 60_000
    /// Silence after which the connection is given up.
    private static let silence: Milliseconds = 15_000
    private static let searchTime: Milliseconds = 20_000
    /// A unit sends its settings within a second; a longer time is one in which they were lost.
    private static let settingsTime: Milliseconds = 20_000

    private let address: String
    private var bus: OpaquePointer
    private var line: UnitLine
    private var failures = 0

    /// - Parameter feed: nil to read once.
    init(address: String, feed: PackFeed?) throws(Failure) {
        self.address = address
        bus = try Self.open()
        line = UnitLine(bus: bus, feed: feed)
    }

    /// Searches for a while and says what is in reach, a line for each: address, blank, name.
    static func search() throws(Failure) {
        let bus = try open()
        defer { bluez_close(bus) }
        let isSearching = bluez_discover(bus, 1)
        if isSearching < 0 { throw Failure(doing: "searching", code: isSearching) }
        sleep(UInt32(searchTime / 2000))
        let result = bluez_list_units(
            bus, { _, address, name in say(String(cString: address!) + " " + String(cString: name!)) }, nil)
        bluez_discover(bus, 0)
        if result < 0 { throw Failure(doing: "asking what is in reach", code: result) }
    }

    private static func open() throws(Failure) -> OpaquePointer {
        var bus: OpaquePointer?
        let result = bluez_open(&bus)
        guard result >= 0, let bus else { throw Failure(doing: "the system bus cannot be used", code: result) }
        return bus
    }

    /// Works until the process ends.
    mutating func run() -> Never {
        while true {
            let began = Instant.now
            do throws(Failure) { try serve() } catch { say("\(address): \(error)") }
            if Instant.now.since(began) >= Self.proven { failures = 0 }
            let pause = Self.pauses[min(failures, Self.pauses.count - 1)]
            failures += 1
            say("\(address): next attempt in \(pause) s")
            sleep(pause)
        }
    }

    /// Connects, waits for a reading with the unit's settings, and leaves the unit to whoever comes next.
    mutating func readOnce() throws(Failure) -> PackReading {
        try serve()
        return line.last
    }

    // MARK: One connection

    /// Ends by throwing, or when only one reading was wanted.
    private mutating func serve() throws(Failure) {
        try reopenIfNeeded()
        let device = try find()
        _ = try check(bluez_connect(bus, device), "connecting")
        defer {
            bluez_unsubscribe(bus)
            bluez_disconnect(bus, device)
        }
        try waitForServices(device)
        var notify = InlineArray<256, CChar>(repeating: 0)
        var write = InlineArray<256, CChar>(repeating: 0)
        let found = Self.with(&notify) { notify in
            Self.with(&write) { write in bluez_find_characteristics(bus, device, notify, write) }
        }
        _ = try check(found, "this is no JK unit: it has no characteristic FFE1")
        line.characteristic = Self.text(&write)
        _ = try check(bluez_subscribe(bus, device, Self.text(&notify)), "subscribing to notifications")
        say("\(address): connected")
        try listen()
    }

    private mutating func listen() throws(Failure) {
        var session = JKBLESession()
        line.memory = JKPackMemory()
        line.lastReading = .now
        var value = [UInt8](repeating: 0, count: 512)
        var next = Instant.now
        let latest = Instant.now + Self.settingsTime
        while !line.isDone {
            let now = Instant.now
            if line.feed == nil && now >= latest { throw Failure(doing: "its settings do not come", code: -ETIMEDOUT) }
            if now >= next { next = session.wake(at: now, on: &line) }
            if now.since(line.lastReading) >= Self.silence { throw Failure(doing: "nothing is heard", code: -ETIMEDOUT) }
            var count = 0
            let happened = bluez_wait(bus, Int32(max(0, next.since(now))), &value, value.count, &count)
            _ = try check(happened, "listening")
            if happened == Int32(BLUEZ_DISCONNECTED) { throw Failure(doing: "the connection ended", code: -ENOTCONN) }
            if happened == Int32(BLUEZ_NOTIFICATION) {
                session.receive(value.span.extracting(0..<count), at: .now, on: &line)
            }
        }
    }

    /// The object of the device; searches for it when BlueZ does not know it.
    private func find() throws(Failure) -> String {
        let end = Instant.now + Self.searchTime
        var isSearching = false
        defer { if isSearching { bluez_discover(bus, 0) } }
        while true {
            var path = InlineArray<256, CChar>(repeating: 0)
            let result = Self.with(&path) { bluez_find_device(bus, address, $0) }
            if result >= 0 { return Self.text(&path) }
            if result != -ENODEV || Instant.now >= end { throw Failure(doing: "the device is not to be seen", code: result) }
            if !isSearching {
                _ = try check(bluez_discover(bus, 1), "searching")
                isSearching = true
            }
            usleep(500_000)
        }
    }

    private func waitForServices(_ device: String) throws(Failure) {
        for _ in 0..<100 {
            if try check(bluez_services_resolved(bus, device), "asking for the services") > 0 { return }
            usleep(100_000)
        }
        throw Failure(doing: "the services of the device stay unknown", code: -ETIMEDOUT)
    }

    /// After a restart of the bus the old connection to it is dead.
    private mutating func reopenIfNeeded() throws(Failure) {
        var path = InlineArray<256, CChar>(repeating: 0)
        let result = Self.with(&path) { bluez_find_device(bus, address, $0) }
        guard [-ENOTCONN, -ECONNRESET, -EPIPE, -EIO].contains(result) else { return }
        let fresh = try Self.open()
        bluez_close(bus)
        bus = fresh
        line.bus = fresh
    }

    private func check(_ result: Int32, _ doing: String) throws(Failure) -> Int32 {
        if result < 0 { throw Failure(doing: doing, code: result) }
        return result
    }

    // MARK: C strings

    private static func with<Result>(
        _ text: inout InlineArray<256, CChar>, _ body: (UnsafeMutablePointer<CChar>) -> Result
    ) -> Result {
        var span = text.mutableSpan
        return span.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }

    private static func text(_ text: inout InlineArray<256, CChar>) -> String {
        with(&text) { String(cString: $0) }
    }
}

/// What the session does: commands go to the characteristic, readings to the control process.
private struct UnitLine: BMSLine {
    var bus: OpaquePointer
    /// Nil: one reading is wanted, and nobody waits for more.
    var feed: PackFeed?
    var characteristic = ""
    var memory = JKPackMemory()
    var lastReading = Instant.now
    var last = PackReading()

    /// One reading was wanted, and is there with the unit's settings.
    var isDone: Bool { feed == nil && last.settings != nil && !last.starting }

    init(bus: OpaquePointer, feed: PackFeed?) {
        self.bus = bus
        self.feed = feed
    }

    subscript(memoryOf slot: Int) -> JKPackMemory {
        get { memory }
        set { memory = newValue }
    }

    mutating func transmit(_ bytes: Span<UInt8>) {
        // A command that is lost is sent again: its answer is what counts.
        _ = bytes.withUnsafeBufferPointer { bluez_write(bus, characteristic, $0.baseAddress, $0.count) }
    }

    mutating func received(_ reading: borrowing PackReading, from address: UInt8, at now: Instant) {
        lastReading = now
        last = copy reading
        feed?.send(last)
    }

    mutating func rejected(_ reason: FrameRejection, at now: Instant) {}
    mutating func timedOut(_ address: UInt8, at now: Instant) {}
}

/// A line for the log, at once.
func say(_ text: String, on descriptor: Int32 = STDOUT_FILENO) {
    let bytes = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)
    _ = write(descriptor, bytes, bytes.count)
}
