import ArgumentParser

/// `packbridge simulate`: the simulators as tools.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Simulated BMS, simulated inverter, and the proving run in virtual time.",
        subcommands: [SimulateBMSCommand.self, SimulateInverterCommand.self, SoakCommand.self])
}
