import ArgumentParser
import Battery
import LinuxIO

/// `packbridge radio`: keeps the processes alive that read units over Bluetooth.
struct RadioCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "radio",
        abstract: "Reads the units that are reached over Bluetooth, beside a control process of its own.",
        discussion: """
            Keeps one packbridge-ble alive for each `protocol: jk-ble` of the configuration. For services that start each process by
            itself; `packbridge run` does this already. SIGTERM and SIGINT end it; without such a unit it ends at once.

            Example: packbridge radio --config /etc/packbridge/packbridge.yaml

            Exit codes: 0 ended by a signal or nothing to do, 2 usage, 78 the configuration is refused.
            """)

    @Option(help: "The configuration file.")
    var config = "packbridge.yaml"

    func run() throws {
        let file = try loadConfiguration(at: config)
        if file.radios.isEmpty { return printError("\(config): no unit is reached over Bluetooth") }
        let loop = try EventLoop(handlesSignals: true)
        var radios = RadioProcess.supervisors(of: file.radios, link: file.configuration.linkSocket, say: printError)
        while !loop.stopRequested {
            for index in radios.indices { radios[index].turn(at: .now, loop: loop, token: 1) }
            loop.wait(until: .now + 200) { _ in }
        }
        for index in radios.indices { radios[index].stop() }
    }
}
