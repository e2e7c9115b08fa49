import Battery
import FirmwareHAL
import FirmwareStart
import FirmwareTrial

/// The trial on the 32-bit target: prints the checksum of each seed on the console and ends QEMU.
@main
struct TrialImage {
    static func main() {
        var console = Console()
        // QEMU's loader leaves both numbers here: how many seeds, and seconds for each.
        let count = Register32(0x8070_0000).load()
        let seconds = Int32(bitPattern: Register32(0x8070_0004).load())
        for seed in 0..<count {
            var trial = Trial(seed: seed)
            let checksum = trial.run(seconds: seconds)
            console.write("trial ")
            console.write(decimal: Int64(seed))
            console.write(" ")
            for shift in stride(from: UInt32(28), through: 0, by: -4) {
                let digit = UInt8(truncatingIfNeeded: checksum >> shift) & 15
                console.write(digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a"))
            }
            console.write("\n")
        }
        Register32(0x0010_0000).store(0x5555)
        while true {}
    }
}

struct Console: TextSink {
    private let port = NS16550(base: 0x1000_0000)

    mutating func write(_ byte: UInt8) {
        while !port.write(byte) {}
    }
}
