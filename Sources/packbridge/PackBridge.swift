import ArgumentParser

@main
struct PackBridge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "packbridge", abstract: "Connects a JK BMS to an inverter that accepts only branded batteries.")
}
