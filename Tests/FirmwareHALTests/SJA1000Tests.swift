import Battery
import FirmwareHAL
import InverterDialects
import Testing

/// A register file that behaves as the data sheet says, for the error paths that no emulator has.
final class FakeChip: SJA1000Registers {
    var isPresent = true
    var mode: UInt8 = 0x01
    var transmitErrors: UInt8 = 0
    var receiveErrors: UInt8 = 0
    var status: UInt8 = 0x0C
    var buffer = [UInt8](repeating: 0, count: 13)
    var receiveFIFO: [[UInt8]] = []
    var transmitted: [[UInt8]] = []
    var commands: [UInt32] = []
    var stored: [(UInt32, UInt32)] = []
    /// Somebody on the bus acknowledges.
    var isAcknowledged = true

    func load(_ index: UInt32) -> UInt8 {
        if !isPresent { return 0 }
        switch index {
        case 0: return mode
        case 2: return status | (receiveFIFO.isEmpty ? 0 : 0x01)
        case 14: return receiveErrors
        case 15: return transmitErrors
        case 16..<29:
            let position = Int(index - 16)
            guard mode & 1 == 0, let frame = receiveFIFO.first else { return buffer[position] }
            return position < frame.count ? frame[position] : 0
        default: return 0
        }
    }

    func store(_ index: UInt32, _ value: UInt32) {
        stored.append((index, value))
        switch index {
        case 0: mode = UInt8(value)
        case 1: command(value)
        case 16..<29: buffer[Int(index - 16)] = UInt8(value)
        default: break
        }
    }

    func command(_ value: UInt32) {
        commands.append(value)
        if value & 0x01 != 0 {
            transmitted.append(buffer)
            if !isAcknowledged { status &= ~0x04 }
        }
        if value & 0x02 != 0 { status |= 0x04 }
        if value & 0x04 != 0, !receiveFIFO.isEmpty { receiveFIFO.removeFirst() }
        if value & 0x08 != 0 { status &= ~0x02 }
    }

    func goBusOff() {
        status |= 0xC0
        mode = 0x01
        transmitErrors = 127
    }
}

@Suite struct SJA1000Tests {
    func started(_ chip: FakeChip, setup: SJA1000Setup = .sja1000At500k) -> SJA1000<FakeChip> {
        var driver = SJA1000(chip, setup: setup)
        let answers = driver.start()
        #expect(answers)
        return driver
    }

    func at(_ t: Int64) -> Instant { Instant(milliseconds: t) }

    @Test func `a chip that is not there is noticed`() {
        let chip = FakeChip()
        chip.isPresent = false
        var driver = SJA1000(chip, setup: .sja1000At500k)
        let answers = driver.start()
        #expect(!answers)
    }

    @Test func `PeliCAN is chosen before anything else and the dual filter accepts everything`() {
        let chip = FakeChip()
        _ = started(chip)
        #expect(chip.stored.prefix(2).map(\.0) == [0, 31])
        #expect(chip.stored.contains { $0 == (6, 0x00) })
        #expect(chip.stored.contains { $0 == (7, 0x1C) })
        #expect(chip.mode == 0)
        #expect(chip.buffer.prefix(8) == [0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    }

    @Test func `frames of both widths get the bytes of the data sheet`() {
        let chip = FakeChip()
        var driver = started(chip)
        let limits = CANFrame(id: 0x351, length: 8, word: 0x01CC_0E74_0E74_0214)
        let first = driver.send(limits, at: at(0))
        let second = driver.send(CANFrame(id: 0x18FF_50E5, isExtended: true, length: 2, word: 0xFECA), at: at(1))
        #expect(first == .queued && second == .queued)
        // 0x351 << 5 = 6A 20
        #expect(chip.transmitted[0].prefix(11) == [0x08, 0x6A, 0x20, 0x14, 0x02, 0x74, 0x0E, 0x74, 0x0E, 0xCC, 0x01])
        // 0x18FF50E5 << 3 = C7 FA 87 28
        #expect(chip.transmitted[1].prefix(7) == [0x82, 0xC7, 0xFA, 0x87, 0x28, 0xCA, 0xFE])
    }

    @Test func `what was sent is received the same, a remote frame is skipped`() {
        let chip = FakeChip()
        var driver = started(chip)
        let frame = CANFrame(id: 0x18FF_50E5, isExtended: true, length: 3, word: 0x33_2211)
        _ = driver.send(frame, at: at(0))
        chip.receiveFIFO = [[0x40, 0x60, 0xA0], chip.transmitted[0]]
        let received = SJA1000.receive(from: chip)
        #expect(received == frame)
        let nothing = SJA1000.receive(from: chip)
        #expect(nothing == nil)
        #expect(chip.receiveFIFO.isEmpty)
    }

    @Test func `a frame that nobody acknowledges is withdrawn, so that no old limit is ever delivered late`() {
        let chip = FakeChip()
        var driver = started(chip)
        chip.isAcknowledged = false
        let frame = CANFrame(id: 0x351, length: 8)
        let first = driver.send(frame, at: at(0))
        let during = driver.send(frame, at: at(249))
        #expect(first == .queued && during == .busy)
        #expect(driver.aborted == 0)
        let late = driver.send(frame, at: at(250))
        #expect(late == .busy)
        #expect(driver.aborted == 1)
        #expect(chip.commands.last == 0x02)
        let again = driver.send(frame, at: at(255))
        #expect(again == .queued)
    }

    @Test func `states follow the error counters, and bus-off is left by joining again`() {
        let chip = FakeChip()
        var driver = started(chip)
        var state = driver.state()
        #expect(state == .active)
        chip.status |= 0x40
        chip.transmitErrors = 96
        state = driver.state()
        #expect(state == .warning)
        chip.transmitErrors = 128
        state = driver.state()
        #expect(state == .passive)
        chip.goBusOff()
        state = driver.state()
        #expect(state == .busOff)
        let refused = driver.send(CANFrame(id: 0x351, length: 8), at: at(0))
        #expect(refused == .down)
        driver.join()
        #expect(chip.mode == 0)
        chip.status &= ~0xC0
        chip.transmitErrors = 0
        state = driver.state()
        #expect(state == .active)
    }

    @Test func `an overrun is counted once and cleared`() {
        let chip = FakeChip()
        var driver = started(chip)
        chip.status |= 0x02
        _ = driver.state()
        _ = driver.state()
        #expect(driver.overruns == 1)
        #expect(chip.commands.last == 0x08)
    }

    @Test func `TWAI gets its wide registers and no output control`() {
        let chip = FakeChip()
        _ = started(chip, setup: .twaiAt500k)
        #expect(chip.stored.contains { $0 == (6, 0x8001) })
        #expect(chip.stored.contains { $0 == (7, 0x3E) })
        #expect(chip.stored.contains { $0 == (31, 0x100) })
        #expect(!chip.stored.contains { $0.0 == 8 })
    }
}
