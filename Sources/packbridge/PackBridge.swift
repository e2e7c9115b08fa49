import ArgumentParser
import Foundation
import LinkClient

@main
struct PackBridge: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "packbridge", abstract: "Connects a JK BMS to an inverter that accepts only branded batteries.",
        version: packBridgeVersion,
        subcommands: [
            RunCommand.self, ControlCommand.self, ServeCommand.self, RadioCommand.self, StatusCommand.self, CheckCommand.self,
            PasswordCommand.self, TokenCommand.self, DecodeCommand.self, MonitorCommand.self, ExplainCommand.self,
            DemoCommand.self, SimulateCommand.self, InvertersCommand.self, DetectCommand.self, FeedCommand.self,
            SetupCommand.self, DoctorCommand.self, FirmwareCommand.self,
        ])

    /// Exit codes: 0 good, 1 something rejected or failed, 2 usage, 78 configuration refused. ArgumentParser's own code for a
    /// wrong command line is 64, so it is translated here.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            Foundation.exit(2)
        }
    }
}
