import InverterDialects
import Testing

@testable import Simulation

@Suite struct SimulatedSLCANTests {
    private func talk(_ adapter: inout SimulatedSLCAN, _ text: String) -> (answer: String, frames: [CANFrame]) {
        var frames: [CANFrame] = []
        adapter.output.removeAll()
        adapter.receive(Array(text.utf8)) { frames.append($0) }
        return (String(decoding: adapter.output, as: UTF8.self), frames)
    }

    @Test func `it opens at a bit rate, takes frames and hands them to the bus`() {
        var adapter = SimulatedSLCAN()
        let opened = talk(&adapter, "C\rS6\rO\r")
        #expect(opened.answer == "\r\r\r" && adapter.isOpen && adapter.bitRate == 500_000)
        let sent = talk(&adapter, "t3512AB01\rT18FF00011FF\r")
        #expect(sent.answer == "z\rZ\r")
        var first = CANFrame(id: 0x351, length: 2)
        (first[0], first[1]) = (0xAB, 0x01)
        var second = CANFrame(id: 0x18FF_0001, isExtended: true, length: 1)
        second[0] = 0xFF
        #expect(sent.frames == [first, second])
    }

    @Test func `a closed channel, a malformed line and an unknown command are answered with a bell`() {
        var adapter = SimulatedSLCAN()
        #expect(talk(&adapter, "O\r").answer == "\u{7}")
        #expect(talk(&adapter, "t3510\r").answer == "\u{7}")
        _ = talk(&adapter, "S6\rO\r")
        for line in ["t35\r", "t3519\r", "t3512AB\r", "t8000\r", "t3511XY\r", "Q\r"] {
            #expect(talk(&adapter, line).answer == "\u{7}", "\(line)")
        }
    }

    @Test func `frames from the bus arrive as lines, and none while the channel is closed`() {
        var adapter = SimulatedSLCAN()
        adapter.send(CANFrame(id: 0x305, length: 8))
        #expect(adapter.output.isEmpty)
        _ = talk(&adapter, "S6\rO\r")
        adapter.output.removeAll()
        adapter.send(CANFrame(id: 0x305, length: 8))
        #expect(String(decoding: adapter.output, as: UTF8.self) == "t30580000000000000000\r")
    }

    @Test func `a shorted bus reports itself and refuses frames`() {
        var adapter = SimulatedSLCAN()
        _ = talk(&adapter, "S6\rO\r")
        adapter.isBusOff = true
        #expect(talk(&adapter, "F\rt3510\r").answer == "F80\r\u{7}")
    }
}
