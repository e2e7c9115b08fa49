import Battery
import BridgeEngine
import LinkClient
import Simulation

/// The page of the demonstration: the house above, the bridge in the middle, what happens below.
struct DemoPage {
    var panel: BridgePanel
    let packs: Int

    func lines(_ cabinet: DemoCabinet, _ snapshot: BridgeSnapshot?, address: String?, events: [String], rows: Int) -> [Line] {
        var lines = [head(address), world(cabinet), ""]
        if let snapshot {
            lines += panel.lines(snapshot)
        } else {
            lines.append(Line("The bridge is starting: it says nothing before three agreeing snapshots.", .warning))
        }
        lines.append("")
        lines.append(Line("WHAT HAPPENS", .title))
        if let incident = cabinet.incident {
            lines.append(Line("  " + incident.what, .warning))
            lines.append(Line("  " + incident.watch))
        } else {
            lines.append(Line("  Nothing is wrong at the moment; the next incident comes soon.", .dim))
        }
        for event in events.suffix(max(0, rows - lines.count)).reversed() { lines.append(Line("  " + event, .dim)) }
        return lines
    }

    private func head(_ address: String?) -> Line {
        var line = Line("PackBridge demo", .bold)
        if panel.columns >= 100 { line.add("  simulated packs, inverter and weather; the bridge is real", .dim) }
        if let address {
            line.add("  web page ")
            line.add(address, .title)
        } else {
            line.add("  the web page is not there yet", .dim)
        }
        line.right("  Ctrl-C ends", .dim, columns: panel.columns)
        return line
    }

    private func world(_ cabinet: DemoCabinet) -> Line {
        let second = Int(cabinet.clock)
        func two(_ n: Int) -> String { n < 10 ? "0\(n)" : "\(n)" }
        var line = Line("day \(second / 86_400 + 1) \(two(second / 3600 % 24)):\(two(second / 60 % 60))", .bold)
        line.add(cabinet.speed > 1 ? " (×\(Int(cabinet.speed)))" : " (real time)", .dim)
        line.tab(24)
        line.add("sun \(kilowatts(cabinet.house.sun))", cabinet.house.sun > 0 ? .warning : .dim)
        line.add("   house \(kilowatts(cabinet.house.load))")
        let current = cabinet.bank.current
        line.add("   inverter ")
        let amperes = fixed(abs(current), 1)
        if cabinet.inverterLine.inverter.outputIsCut {
            line.add("has cut its output", .bad)
        } else if current > 0.05 {
            line.add("charges \(amperes) A", .good)
        } else if current < -0.05 {
            line.add("discharges \(amperes) A", .warning)
        } else {
            line.add("rests", .dim)
        }
        return line
    }

    private func kilowatts(_ watts: Double) -> String { fixed(watts / 1000, 1) + " kW" }
}
