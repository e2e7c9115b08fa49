import Glibc
import LinuxIO

// The control process. It reads the compact configuration that `packbridge control` hands to it, and nothing else.

let usage = "usage: packbridge-control --config FILE.pbc | --config-fd NUMBER"
let arguments = CommandLine.arguments.dropFirst()

func quit(_ code: Int32, _ text: String) -> Never {
    complain(text)
    exit(code)
}

func configuration() throws(PortFailure) -> [UInt8] {
    guard arguments.count == 2, let option = arguments.first, let value = arguments.last else { quit(2, usage) }
    switch option {
    case "--config": return try compactConfiguration(file: value)
    case "--config-fd":
        guard let descriptor = Int32(value), descriptor >= 0 else { quit(2, usage) }
        return try compactConfiguration(descriptor: descriptor)
    default: quit(2, usage)
    }
}

do {
    let gateway = try Gateway(GatewayConfiguration(decoding: configuration()), handlesSignals: true, report: complain)
    gateway.run()
} catch let error as PortFailure {
    quit(1, "\(error)")
} catch GatewayFailure.port(let error) {
    quit(1, "\(error)")
} catch {
    quit(78, "\(error)")
}
