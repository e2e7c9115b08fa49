import Foundation
import Services
import ServicesTesting

// Tools to measure `packbridge-serve` (scripts/bench-serve).
let usage = """
    usage: packbridge-serve-bench feed SOCKET [PACKS] [PER-SECOND]     a control process without a battery
           packbridge-serve-bench history FILE [DAYS] [PACKS]          makes a history and times a chart of all of it
           packbridge-serve-bench streams PORT COUNT SECONDS           opens live streams and measures how late they are
    """

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
    exit(2)
}

let words = Array(CommandLine.arguments.dropFirst())
func number(_ index: Int, _ otherwise: Int) -> Int { words.indices.contains(index) ? Int(words[index]) ?? otherwise : otherwise }

switch (words.first, words.count) {
case ("feed", 2...): try await feed(words[1], packs: number(2, 2), perSecond: number(3, 1))
case ("history", 2...): try await HistoryBench.run(words[1], days: number(2, 365), packs: number(3, 4))
case ("streams", 4...): try await StreamBench.run(port: number(1, 8080), count: number(2, 1), seconds: number(3, 10))
default: fail(usage)
}

func feed(_ path: String, packs: Int, perSecond: Int) async throws {
    let control = try await FakeControl(path: path)
    var second: Int64 = 0
    let start = ContinuousClock.now
    while true {
        second += 1
        control.send(FakeSnapshot(second: second, packs: packs))
        if second % 60 == 0 { control.send(.phase, a: 1, b: 2, at: 50_000 + second * 1000) }
        try await Task.sleep(until: start + .seconds(1) * Double(second) / Double(perSecond), clock: .continuous)
    }
}
