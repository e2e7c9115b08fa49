import Foundation

/// Figures of the commands that work through a lot: `explain` and `simulate soak`, run as a user runs them.
enum Commands {
    static func explain() -> [Figure] {
        let file = FileManager.default.temporaryDirectory.appending(path: "packbridge-bench-\(getpid()).jsonl")
        defer { try? FileManager.default.removeItem(at: file) }
        guard (try? snapshots(100_000).write(to: file, atomically: false, encoding: .utf8)) != nil else { return [] }
        let start = nanoseconds()
        let answered = Program(packbridge, ["explain", file.path]).output()?.standard.utf8.count {
            $0 == UInt8(ascii: "\n")
        }
        let seconds = Double(nanoseconds() - start) / 1e9
        return [
            Figure(
                name: "explain_100000_lines", value: answered == 100_000 ? seconds : nil, unit: "s", target: .atMost(5))
        ]
    }

    static func soak() -> [Figure] {
        let arguments = ["simulate", "soak", "--days", "2", "--seed", "1", "--packs", "1", "--json"]
        let output = Program(packbridge, arguments).output()?.standard
        let object = output.flatMap { try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
        return [
            Figure(
                name: "soak_speed_1_pack", value: (object?["times_real_time"] as? NSNumber)?.doubleValue,
                unit: "times real time", target: .atLeast(100_000))
        ]
    }

    /// The program beside this one.
    private static var packbridge: String {
        URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().appending(path: "packbridge").path
    }

    /// Lines of one pack, each different.
    private static func snapshots(_ count: Int) -> String {
        var text = ""
        for line in 0..<count {
            let cells = (0..<16).map { 3300 + (line * 7 + $0 * 13) % 180 }
            text += """
                {"config":{"chemistry":"LFP","cells":16,"bulk_mV":3450,"user_charge_mA":140000,"user_discharge_mA":140000},\
                "packs":[{"id":1,"capacity_mAh":280000,"cells_mV":[\(cells.map(String.init).joined(separator: ","))],\
                "pack_mV":\(cells.reduce(0, +)),"current_mA":\(line * 37 % 90_000),"temps_dC":[250,260],"mos_dC":300,\
                "soc_cpct":6300,"settings":{"ovp_mV":3650,"uvp_mV":2700,"charge_ocp_mA":150000,"discharge_ocp_mA":150000},\
                "charge_fet":true,"discharge_fet":true,"alarms":[],"age_ms":500}]}

                """
        }
        return text
    }
}
