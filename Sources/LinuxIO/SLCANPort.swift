import Battery
import BridgeEngine
import Glibc
import InverterDialects

/// A serial CAN adapter that speaks SLCAN: CANable and clones, Lawicel CANUSB and its many relatives.
///
/// The command set is Lawicel's ASCII protocol (CANUSB manual, 2005) with the state lines that newer firmwares send on their own,
/// as the kernel's slcan driver reads them. What adapters disagree on is left open: some acknowledge everything, some nothing.
public final class SLCANPort: CANPort {
    /// How far the set-up conversation is. Bit rate and opening wait for their answer, but not for ever: the CANable's first firmware
    /// never gives one. Closing does not: how often it is answered, and how, depends on what the adapter did before.
    private enum Step: UInt8 {
        case closed, closingChannel, settingBitrate, openingChannel, open
    }

    public var path: String { serial.path }
    public let bitrate: UInt32
    public private(set) var state = CANBusState.closed
    public private(set) var counters = CANPortCounters()
    /// Why the last set-up failed.
    public private(set) var failure: PortFailure?

    private let serial: SerialPort
    private var step = Step.closed
    private var stepDeadline = noDeadline
    private var nextStatusPoll = noDeadline
    private var unansweredPolls = 0
    /// The adapter said that its buffer is full; it gets this long to send.
    private var busyUntil = Instant(milliseconds: 0)

    private var line = SLCANLine()
    private var pending = SLCANLine()
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)

    static let settlingTime: Milliseconds = 50
    static let answerTimeout: Milliseconds = 100
    static let statusInterval: Milliseconds = 1000
    static let busyTime: Milliseconds = 5
    /// An adapter that has never answered `F` so often is not asked again.
    static let unansweredPollsLimit = 3

    public init(path: String, bitrate: UInt32 = 500_000, baud: UInt32 = 115_200) {
        serial = SerialPort(path: path, baud: baud)
        self.bitrate = bitrate
    }

    deinit {
        close()
        buffer.deallocate()
    }

    public var descriptor: Int32 { serial.descriptor }
    public var wantsToWrite: Bool { !pending.isEmpty }

    /// Starts the set-up; the bus can be used when `state` leaves `.closed`, which `receive` or `wake` brings about.
    public func open(at now: Instant) throws(PortFailure) {
        guard let code = slcanBitrateCode(bitrate) else {
            throw PortFailure(path, .adapterRefused(command: "S\(bitrate)"))
        }
        bitrateCode = code
        try serial.open()
        counters.opened += 1
        line.removeAll()
        pending.removeAll()
        failure = nil
        unansweredPolls = 0
        beginSetUp(at: now)
    }

    private var bitrateCode: UInt8 = 0

    /// A leading CR ends whatever a predecessor left half typed.
    private func beginSetUp(at now: Instant) {
        state = .closed
        nextStatusPoll = noDeadline
        pending.removeAll()
        send([UInt8(ascii: "\r"), UInt8(ascii: "C"), UInt8(ascii: "\r")])
        step = .closingChannel
        stepDeadline = now + Self.settlingTime
    }

    public func close() {
        if serial.isOpen { send([UInt8(ascii: "C"), UInt8(ascii: "\r")]) }
        serial.close()
        lost()
    }

    /// The serial device is gone.
    private func lost() {
        state = .closed
        step = .closed
        (stepDeadline, nextStatusPoll) = (noDeadline, noDeadline)
        pending.removeAll()
    }

    public func restart(at now: Instant) {
        if serial.isOpen { beginSetUp(at: now) }
    }

    public func wake(at now: Instant) -> Instant {
        if !serial.isOpen { lost() }
        if now >= stepDeadline { step == .closingChannel ? setBitrate(at: now) : answered(isError: false, at: now) }
        if now >= nextStatusPoll {
            unansweredPolls += 1
            if unansweredPolls > Self.unansweredPollsLimit {
                nextStatusPoll = noDeadline
            } else {
                if pending.isEmpty { send([UInt8(ascii: "F"), UInt8(ascii: "\r")]) }
                nextStatusPoll = now + Self.statusInterval
            }
        }
        return min(stepDeadline, nextStatusPoll)
    }

    // MARK: Set-up

    private func setBitrate(at now: Instant) {
        send([UInt8(ascii: "S"), bitrateCode, UInt8(ascii: "\r")])
        step = .settingBitrate
        stepDeadline = now + Self.answerTimeout
    }

    /// The adapter acknowledged the last command, or kept silent for too long.
    private func answered(isError: Bool, at now: Instant) {
        switch step {
        case .closed, .closingChannel: break
        case .settingBitrate:
            if isError { return refuse("S\(Character(UnicodeScalar(bitrateCode)))") }
            send([UInt8(ascii: "O"), UInt8(ascii: "\r")])
            step = .openingChannel
            stepDeadline = now + Self.answerTimeout
        case .openingChannel:
            if isError { return refuse("O") }
            step = .open
            stepDeadline = noDeadline
            state = .active
            nextStatusPoll = now + Self.statusInterval
        case .open:
            if isError {
                counters.refused += 1
                busyUntil = now + Self.busyTime
            }
        }
    }

    private func refuse(_ command: String) {
        failure = PortFailure(path, .adapterRefused(command: command))
        serial.close()
        lost()
    }

    // MARK: Receiving

    public func receive(at now: Instant, _ body: (CANFrame) -> Void) {
        // Bounded, so that an adapter that floods does not stop everything else.
        for _ in 0..<4 {
            let count = serial.receive(into: buffer)
            for index in 0..<count { take(buffer[index], at: now, body) }
            // A read that does not fill the buffer has emptied the line, or epoll reports the rest.
            if count < buffer.count { break }
        }
        if !serial.isOpen { lost() }
    }

    private func take(_ byte: UInt8, at now: Instant, _ body: (CANFrame) -> Void) {
        switch byte {
        case UInt8(ascii: "\r"):
            finishLine(at: now, body)
            line.removeAll()
        case 0x07:
            if !line.isEmpty { counters.garbage += 1 }
            line.removeAll()
            answered(isError: true, at: now)
        case UInt8(ascii: "\n"): break
        default: line.append(byte)
        }
    }

    private func finishLine(at now: Instant, _ body: (CANFrame) -> Void) {
        if line.overflowed {
            counters.garbage += 1
            return
        }
        guard !line.isEmpty else { return answered(isError: false, at: now) }
        switch line[0] {
        case UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "r"), UInt8(ascii: "R"):
            // While the channel is being set up these are leftovers of another bit rate or another program.
            guard step == .open else { return }
            guard let frame = line.frame() else {
                counters.garbage += 1
                return
            }
            if line[0] | 0x20 == UInt8(ascii: "r") {
                counters.remote += 1
            } else {
                counters.received += 1
                body(frame)
            }
        case UInt8(ascii: "z"), UInt8(ascii: "Z"):
            break  // acknowledges a frame
        case UInt8(ascii: "F"): noteStatus(at: now)
        case UInt8(ascii: "s"): noteState()
        case UInt8(ascii: "e"): counters.busErrors += 1
        default: counters.garbage += 1
        }
    }

    /// The answer to `F`: two hexadecimal digits. Bits 0 and 1: queues full, 2: warning, 3: overrun, 5: passive, 7: bus error.
    private func noteStatus(at now: Instant) {
        guard step == .open else { return }
        guard line.count == 3, let high = hexDigit(line[1]), let low = hexDigit(line[2]) else {
            counters.garbage += 1
            return
        }
        unansweredPolls = 0
        let flags = high << 4 | low
        if flags & 0x09 != 0 { counters.overruns += 1 }
        if flags & 0x80 != 0 { counters.busErrors += 1 }
        // Lawicel has no flag for bus-off: only a state line of its own sets or ends that.
        if state == .busOff { return }
        state = flags & 0x20 != 0 ? .passive : flags & 0x04 != 0 ? .warning : .active
    }

    /// A state line, `sb256256`: a letter, the receive and the transmit error count.
    private func noteState() {
        guard step == .open else { return }
        guard line.count >= 2 else {
            counters.garbage += 1
            return
        }
        switch line[1] {
        case UInt8(ascii: "a"): state = .active
        case UInt8(ascii: "w"): state = .warning
        case UInt8(ascii: "p"): state = .passive
        case UInt8(ascii: "b"):
            if state != .busOff { counters.busOffs += 1 }
            state = .busOff
        default: counters.garbage += 1
        }
    }

    // MARK: Sending

    public func transmit(_ frame: CANFrame, at now: Instant) -> CANSendResult {
        if !serial.isOpen || step != .open || state == .busOff { return .down }
        flush()
        if !pending.isEmpty || now < busyUntil {
            counters.busy += 1
            return .busy
        }
        pending.set(frame)
        let length = pending.count
        flush()
        if !serial.isOpen { return .down }
        if pending.count == length {
            // Not one byte went out, so the frame may still be taken back.
            pending.removeAll()
            counters.busy += 1
            return .busy
        }
        counters.sent += 1
        return .queued
    }

    /// Sends what is left of the last line.
    public func flush() {
        if pending.isEmpty { return }
        let taken = pending.withBytes { serial.transmit($0) }
        pending.removeFirst(taken)
        if !serial.isOpen { lost() }
    }

    private func send<let count: Int>(_ bytes: [count of UInt8]) {
        _ = serial.transmit(bytes.span)
    }
}
