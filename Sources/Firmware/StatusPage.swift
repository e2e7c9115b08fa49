import Battery
import BridgeEngine
import ChargeControl
import FirmwareHAL
import InverterDialects

/// The answer to `?` on the console: state, limits and reasons for a person with a terminal.
enum StatusPage {
    static func write<B: Board>(_ loop: borrowing BridgeLoop<B>, to sink: inout BoardPorts<B>) {
        let output = loop.engine.controller.output
        sink.write("\r\nPackBridge on ")
        sink.write(B.name)
        sink.write(", up ")
        sink.write(decimal: sink.now.milliseconds / 1000)
        sink.write(" s, started by ")
        sink.write(loop.resetCause.text)
        sink.write("\r\n  CVL ")
        volts(output.report.chargeVoltageLimit, &sink)
        sink.write("  CCL ")
        amps(output.report.chargeCurrentLimit, &sink)
        sink.write("  DCL ")
        amps(output.report.dischargeCurrentLimit, &sink)
        sink.write(output.mayTransmit ? "  sending\r\n" : "  not sending yet\r\n")
        sink.write("  battery ")
        volts(output.report.voltage, &sink)
        sink.write(" ")
        amps(output.report.current, &sink)
        sink.write(" SoC ")
        sink.write(decimal: Int64(output.report.soc))
        sink.write(" %\r\n  late polls ")
        sink.write(decimal: Int64(loop.latePolls))
        sink.write(", longest turn ")
        sink.write(decimal: loop.longestTurn)
        sink.write(" ms, console bytes lost ")
        sink.write(decimal: Int64(sink.consoleOut.lost))
        sink.write("\r\n")
    }

    private static func volts<Sink: TextSink>(_ value: Millivolts, _ sink: inout Sink) {
        sink.write(fixed: Int64(value), decimals: 3)
        sink.write(" V")
    }

    private static func amps<Sink: TextSink>(_ value: Milliamps, _ sink: inout Sink) {
        sink.write(fixed: Int64(value), decimals: 3)
        sink.write(" A")
    }
}
