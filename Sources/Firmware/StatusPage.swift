import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects

/// The answer to `?` on the console: state, limits and reasons for a person with a terminal.
enum StatusPage {
    /// The first line after the start.
    static func greet<B: Board>(_ reset: ResetReport, to sink: inout BoardPorts<B>) {
        sink.write("\r\nPackBridge on ")
        sink.write(B.name)
        start(reset, &sink)
        sink.write("\r\n")
    }

    static func write<B: Board>(
        _ engine: borrowing Engine, _ status: StatusLED.Code, _ reset: ResetReport, to sink: inout BoardPorts<B>
    ) {
        sink.write("\r\nPackBridge on ")
        sink.write(B.name)
        start(reset, &sink)
        sink.write(", up ")
        sink.write(decimal: sink.now.milliseconds / 1000)
        sink.write(" s, status ")
        sink.write(status.text)
        sink.write(engine.controller.output.mayTransmit ? "\r\n" : ", nothing is sent yet\r\n")
        limit("CVL ", engine.controller.output.report.chargeVoltageLimit, " V: ", engine.controller.output.voltageReason, &sink)
        limit("CCL ", engine.controller.output.report.chargeCurrentLimit, " A: ", engine.controller.output.chargeReason, &sink)
        limit(
            "DCL ", engine.controller.output.report.dischargeCurrentLimit, " A: ", engine.controller.output.dischargeReason, &sink)
        sink.write("battery ")
        thousandths(engine.controller.output.report.voltage, " V ", &sink)
        thousandths(engine.controller.output.report.current, " A ", &sink)
        sink.write(decimal: Int64(engine.controller.output.report.soc))
        sink.write(" %\r\n")
        counters(&sink)
        sink.write("> ")
    }

    private static func start<B: Board>(_ reset: ResetReport, _ sink: inout BoardPorts<B>) {
        sink.write(", started by ")
        sink.write(reset.cause.text)
        if reset.cause != .trap { return }
        sink.write(" (mcause ")
        sink.write(hex: reset.trapCause)
        sink.write(" mepc ")
        sink.write(hex: reset.trapAddress)
        sink.write(")")
    }

    private static func limit<B: Board>(
        _ name: StaticString, _ value: Int32, _ unit: StaticString, _ reason: Reason, _ sink: inout BoardPorts<B>
    ) {
        sink.write(name)
        thousandths(value, unit, &sink)
        reason.write(to: &sink)
        sink.write("\r\n")
    }

    /// How well the loop kept up, for whoever looks for a fault.
    private static func counters<B: Board>(_ sink: inout BoardPorts<B>) {
        let polls = sink.board.polls
        count("late polls ", polls.late, &sink)
        count(", longest gap ", polls.longest / (B.ticksPerMillisecond / 1000), &sink)
        count(" us, longest work ", sink.longestWake / (B.ticksPerMillisecond / 1000), &sink)
        count(" us, overruns ", sink.board.can.overruns &+ polls.lost, &sink)
        count(", frames withdrawn ", sink.board.can.aborted, &sink)
        count(", console bytes lost ", sink.consoleOut.lost, &sink)
        count(", flash failures ", sink.flashFailures, &sink)
        count(", stack ", sink.board.stackUsed, &sink)
        sink.write(" bytes")
        sink.write("\r\n")
    }

    private static func count<B: Board>(_ name: StaticString, _ value: UInt32, _ sink: inout BoardPorts<B>) {
        sink.write(name)
        sink.write(decimal: Int64(value))
    }

    private static func thousandths<B: Board>(_ value: Int32, _ unit: StaticString, _ sink: inout BoardPorts<B>) {
        sink.write(fixed: Int64(value), decimals: 3)
        sink.write(unit)
    }
}

extension TextSink {
    /// Eight digits.
    mutating func write(hex value: UInt32) {
        for shift in stride(from: UInt32(28), through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> shift) & 15
            write(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a"))
        }
    }
}
