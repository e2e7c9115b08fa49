import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects

@testable import Firmware

/// A board with its wires in virtual time: a JK unit that answers each request 60 ms later, and whoever listens.
struct Rig {
    let wires: Wires
    var loop: BridgeLoop<FakeBoard>
    var unitIsSilent = false
    private var answerAt: UInt32?
    private(set) var elapsed: Int64 = 0
    /// When the first frame went out, in ms since the start.
    private(set) var firstFrame: Int64?

    /// A unit's answer to "read all": 16 cells of 3.300 V, no current, 63 %, as Tests/peers/jk_bms.py makes it.
    static let reply: [UInt8] = {
        let hex =
            "4e570121000000000600017930010ce4020ce4030ce4040ce4050ce4060ce4070ce4080ce4090ce40a0ce40b0ce40c0ce40d0ce40e0ce40f"
            + "0ce4100ce48000198100188200168314a0840000853f860287000c8900000d208a00108b00008c00038e16d08f10e0900e42910e10920005"
            + "930a8c940abe95000596012c97009698003c9900969a001e9b0ce49c000a9d019e00649f0050a00064a10064a20014a30046a40046a50000"
            + "a60002a7ffeca8fff6a910aa00000118ab01ac01ad03e8ae01af00b0000ab114b231323334353600000000b300b47065657200000000b532"
            + "333036b600017f2ab731312e58575f5331312e323632485fb800b900000118ba7065657220202020202020204a4b5f423241323453313550"
            + "c00100000000680000524c"
        return stride(from: 0, to: hex.count, by: 2).map { i in
            let start = hex.index(hex.startIndex, offsetBy: i)
            return UInt8(hex[start..<hex.index(start, offsetBy: 2)], radix: 16)!
        }
    }()

    init(_ wires: Wires = Wires()) {
        self.wires = wires
        let room = UnsafeMutableRawPointer.allocate(
            byteCount: MemoryLayout<BridgeLoop<FakeBoard>>.size, alignment: 16)
        room.initializeMemory(as: UInt8.self, repeating: 0, count: MemoryLayout<BridgeLoop<FakeBoard>>.size)
        loop = BridgeLoop.make(FakeBoard(wires), in: room).move()
        room.deallocate()
    }

    /// The same wires and flash after a restart.
    init(restarting old: Rig, reset: ResetReport = ResetReport(.powerOn)) {
        let wires = Wires()
        wires.flash = old.wires.flash
        wires.flash.budget = nil
        wires.reset = reset
        self.init(wires)
    }

    /// Runs for so many milliseconds, one turn in each.
    mutating func run(_ milliseconds: Int64) {
        for _ in 0..<milliseconds {
            wires.ticks &+= 1000
            answer()
            loop.turn()
            elapsed += 1
            if firstFrame == nil && !wires.controller.sent.isEmpty { firstFrame = elapsed }
        }
    }

    private mutating func answer() {
        if wires.fromBoard.count >= 21 {
            wires.fromBoard.removeAll()
            answerAt = wires.ticks &+ 60_000
        }
        if let due = answerAt, Int32(bitPattern: wires.ticks &- due) >= 0 {
            answerAt = nil
            if !unitIsSilent { wires.toBoard += Self.reply }
        }
    }

    /// The limits in the newest 0x351: charge and discharge, in 0.1 A.
    var limits: (charge: Int, discharge: Int)? {
        guard let frame = wires.controller.sent.last(where: { $0.id == 0x351 }) else { return nil }
        func word(_ i: Int) -> Int { Int(frame.data[i]) | Int(frame.data[i + 1]) << 8 }
        return (word(2), word(4))
    }

    /// What the console said, without what is not text.
    var console: String { String(decoding: wires.consoleOut.filter { $0 >= 32 && $0 < 127 || $0 == 10 }, as: UTF8.self) }

    mutating func type(_ text: String) { wires.consoleIn += Array(text.utf8) }

    mutating func send(_ configuration: BridgeConfiguration) {
        LinkConfigure.message(configuration, identity: 7, sequence: 1).withBytes { span in
            for i in span.indices { wires.consoleIn.append(span[i]) }
        }
    }

    /// Each answer to identity 7: nil = accepted.
    var replies: [CommandRefusal?] {
        var receiver = LinkReceiver()
        var found: [CommandRefusal?] = []
        for byte in wires.consoleOut {
            receiver.push(byte)
            while let message = receiver.next() {
                guard message.kind == .commandReply else { continue }
                var reply = LinkCommandReply()
                var reader = message.payload
                reply.visitFields(&reader)
                if reply.identity == 7 { found.append(reply.refusal) }
            }
        }
        return found
    }

    static func configuration(charge: Milliamps = 30_000) -> BridgeConfiguration {
        var configuration = BridgeLoop<FakeBoard>.factory
        configuration.control.userCharge = charge
        configuration.control.userDischarge = 40_000
        return configuration
    }
}
