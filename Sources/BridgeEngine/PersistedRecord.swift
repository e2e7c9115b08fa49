import Battery
import ChargeControl

/// The image that survives a restart: the record of the control logic and the boot-loop guard's counter (failsafe.md §5).
///
/// The host keeps it in two slots and hands the newest good one to `Engine.init`. The image has its own CRC, so a slot that was
/// cut at any byte is recognised whatever the host does.
public struct PersistedRecord: Equatable, Sendable {
    /// Counts up when the layout changes; a record of another layout is ignored.
    static let layout: UInt16 = 1
    /// The longest image.
    public static var capacity: Int { 192 }

    public var control: ControlRecord
    /// Starts without ten minutes of running between them.
    public var boots: UInt8 = 0

    public init(control: ControlRecord = ControlRecord(), boots: UInt8 = 0) {
        self.control = control
        self.boots = boots
    }

    public func image() -> LinkBuffer {
        var image = LinkBuffer()
        var copy = self
        copy.write(to: &image)
        return image
    }

    /// `mutating`, because the fields are visited where they are.
    mutating func write(to image: inout LinkBuffer) {
        image.removeAll()
        visitFields(&image)
        var checksum = image.checksum(from: 0)
        image.field(&checksum)
        precondition(image.count <= Self.capacity)
    }

    /// Nil when the image is damaged, cut, or of another layout: then the defaults hold and SoC comes from the BMS.
    public init?(image: Span<UInt8>) {
        if image.count < 6 || image.count > Self.capacity { return nil }
        if CRC32.of(image) != CRC32.ofGoodBlock { return nil }
        self.init()
        var reader = LinkBuffer(reading: image.extracting(0..<(image.count - 4)))
        visitFields(&reader)
        if !reader.isValid || reader.position != image.count - 4 { return nil }
    }

    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        var layout = Self.layout
        coder.field(&layout)
        if layout != Self.layout { coder.refuse() }
        coder.field(&boots)
        control.visitFields(&coder)
    }
}

extension ControlRecord {
    mutating func visitFields<let room: Int>(_ coder: inout FieldBuffer<room>) {
        coder.field(&sequence)
        coder.field(&generation)
        coder.field(choice: &phase)
        coder.field(&absorbTime)
        coder.field(&sinceFull)
        coder.field(&sinceNearlyFull)
        coder.field(choice: &grade)
        preventsFull.visitFields(&coder)
        coder.field(&floatVoltage)
        coder.field(&soc)
        coder.field(&isFull)
        coder.field(&socOffset)
        coder.field(&rawAtFull)
        coder.field(&charge)
        coder.field(&learnedCapacity)
        for pack in 0..<InlineCounts.places {
            var count = flaps[pack]
            coder.field(&count)
            flaps[pack] = count
        }
        coder.field(&energyCharged)
        coder.field(&energyDischarged)
    }
}

/// When the record is written: at once on events, else each 5 minutes (failsafe.md §5.8), and what it says about boots.
struct RecordKeeper: Sendable {
    static let interval: Milliseconds = 5 * 60_000
    /// Events in quick succession share one write.
    static let shortestInterval: Milliseconds = 10_000
    /// A run of this length ends a series of restarts (failsafe.md §5.7).
    static let calm: Milliseconds = 10 * 60_000

    private(set) var boots: UInt8
    private var lastWrite: Instant?
    private var isUrgent = true
    private let started: Instant

    /// - Parameter boots: as the record of the run before says.
    init(boots: UInt8, at now: Instant) {
        self.boots = boots == .max ? boots : boots + 1
        started = now
    }

    mutating func noteUrgent() {
        isUrgent = true
    }

    /// A planned stop is no reset: the next start does not count this one.
    mutating func noteOrderlyStop() {
        boots = boots > 0 ? boots - 1 : 0
        isUrgent = true
        lastWrite = nil
    }

    /// - Returns: true when the record is to be written now.
    mutating func isDue(at now: Instant) -> Bool {
        if boots > 0 && now.since(started) >= Self.calm {
            boots = 0
            isUrgent = true
        }
        if let lastWrite {
            let since = now.since(lastWrite)
            if since < Self.shortestInterval || (!isUrgent && since < Self.interval) { return false }
        }
        lastWrite = now
        isUrgent = false
        return true
    }
}
