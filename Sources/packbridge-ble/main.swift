import BridgeEngine
import CLinux
import Glibc
import LinuxIO

/// `packbridge-ble`: reads one JK unit over Bluetooth LE and feeds its readings to the control process over Link (docs/bms-protocols.md).
/// A process of its own, because a radio and its daemon may hang, and nothing that can hang belongs into the control process.
///
/// Exit codes: 0 ended by a signal or done, 1 the system bus cannot be used or the unit not be read, 2 usage.

private let usage = """
    usage: packbridge-ble --device AA:BB:CC:DD:EE:FF --pack NUMBER [--link SOCKET]
           packbridge-ble --search
           packbridge-ble --read AA:BB:CC:DD:EE:FF

    Reads a JK unit over Bluetooth LE, through BlueZ, and feeds its readings to pack NUMBER of the control process, whose protocol in the
    configuration is `jk-ble`. `packbridge run` starts it.

    --search listens for 10 s and prints the units in reach: address and name.
    --read takes one reading with the unit's settings, prints it as a Link message in hexadecimal digits, and ends.

    Example: packbridge-ble --device C8:47:8C:E0:12:34 --pack 1

    """

private func refuse(_ message: String) -> Never {
    say("packbridge-ble: \(message)\n\n\(usage)", on: STDERR_FILENO)
    exit(2)
}

/// Ends the process when BlueZ cannot do it.
private func attempt<Result>(_ body: () throws -> Result) -> Result {
    do { return try body() } catch {
        say("packbridge-ble: \(error)", on: STDERR_FILENO)
        exit(1)
    }
}

private func readOnce(_ address: String) {
    var unit = attempt { try BluetoothUnit(address: address, feed: nil) }
    let reading = attempt { try unit.readOnce() }
    LinkReading(identity: 1, pack: 1, reading: reading).message(sequence: 1).withBytes { bytes in
        say(bytes.indices.map { (bytes[$0] < 16 ? "0" : "") + String(bytes[$0], radix: 16) }.joined())
    }
}

private var device = ""
private var isReadOnce = false
private var pack = UInt8(0)
private var link = "/run/packbridge/link"
private var arguments = CommandLine.arguments.dropFirst()
while let option = arguments.popFirst() {
    if option == "--help" {
        say(usage)
        exit(0)
    }
    if option == "--search" {
        attempt { try BluetoothUnit.search() }
        exit(0)
    }
    guard ["--device", "--read", "--pack", "--link"].contains(option) else { refuse("there is no option \(option)") }
    guard let value = arguments.popFirst() else { refuse("\(option) needs a value") }
    switch option {
    case "--device", "--read":
        let parts = value.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts.allSatisfy({ $0.count == 2 && UInt8($0, radix: 16) != nil }) else {
            refuse("\(value) is no Bluetooth address")
        }
        device = value
        isReadOnce = option == "--read"
    case "--pack":
        guard let number = UInt8(value), (1...16).contains(number) else { refuse("\(value) is no pack, 1 to 16") }
        pack = number
    default: link = value
    }
}
if isReadOnce {
    signal(SIGPIPE, SIG_IGN)
    readOnce(device)
    exit(0)
}
if device.isEmpty || pack == 0 { refuse("--device and --pack are needed") }

for number in [SIGTERM, SIGINT, SIGHUP] { signal(number) { _ in _exit(0) } }
signal(SIGPIPE, SIG_IGN)

private var unit = attempt {
    try BluetoothUnit(address: device, feed: PackFeed(link: link, pack: pack))
}
unit.run()
