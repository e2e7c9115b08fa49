import Battery
import FirmwareHAL
import InverterDialects
import Testing

@Suite struct TickClockTests {
    @Test func `milliseconds neither get lost nor appear, across the wrap of the counter`() {
        var ticks: UInt32 = 0xFFFF_FF00
        var clock = TickClock(ticksPerMillisecond: 16_000, ticks: ticks)
        for _ in 0..<10_000 {
            ticks &+= 9_999
            clock.advance(to: ticks)
        }
        #expect(clock.now == Instant(milliseconds: 9_999 * 10_000 / 16_000))
    }
}

@Suite struct FrameMailboxTests {
    @Test func `each frame of the FIFO is kept in order, and one too many is counted`() {
        let chip = FakeChip()
        var mailbox = FrameMailbox(chip, ticksPerMillisecond: 10_000)
        chip.mode = 0
        for n in 0..<20 as Range<UInt8> { chip.receiveFIFO.append([0x01, 0x60, 0xA0, n]) }
        mailbox.poll(at: 0)
        #expect(chip.receiveFIFO.isEmpty)
        var seen: [UInt8] = []
        while let frame = mailbox.pop() {
            #expect(frame.id == 0x305)
            seen.append(frame[0])
        }
        #expect(seen == Array(0..<16))
        #expect(mailbox.polls.lost == 4)
    }

    @Test func `a look that comes late is counted, with the longest pause`() {
        var mailbox = FrameMailbox(FakeChip(), ticksPerMillisecond: 10_000)
        mailbox.start(at: 100)
        for ticks in [5_100, 10_100, 20_100, 30_101, 35_000] as [UInt32] { mailbox.poll(at: ticks) }
        #expect(mailbox.polls.late == 1)
        #expect(mailbox.polls.longest == 10_001)
    }
}
