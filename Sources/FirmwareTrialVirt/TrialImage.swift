import Battery
import FirmwareHAL
import FirmwareStart
import FirmwareTrial

/// The trials on the 32-bit target: what `firmware-trial-host` says about the same, on the console; then QEMU ends.
@main
struct TrialImage {
    /// Four words that QEMU's loader leaves: what to do, two numbers for it, and the length of what it loaded at `payload`.
    private static let parameters: UInt = 0x8070_0000
    private static let payload: UInt = 0x8100_0000
    /// Nothing else is there.
    private static let scratch: UInt = 0x80F0_0000

    static func main() {
        var console = Console()
        let (first, second) = (word(1), word(2))
        let input = UnsafeBufferPointer(start: UnsafePointer<UInt8>(bitPattern: payload), count: Int(word(3)))
        switch word(0) {
        case 0:
            for seed in 0..<first { trial(seed, seconds: Int32(bitPattern: second), &console) }
        case 1:
            let room = UnsafeMutableBufferPointer(start: UnsafeMutablePointer<UInt8>(bitPattern: scratch), count: 1 << 20)
            var vectors = Vectors(input, scratch: room)
            vectors.answer(to: &console)
        case 2:
            var player = TapePlayer(input)
            player.play(name: first, to: &console)
        case 3:
            var trial = Trial(seed: first)
            _ = trial.run(seconds: Int32(bitPattern: second))
            console.write("longest tick ")
            console.write(decimal: Int64(trial.longestTick(of: 1000) { Register32(0x0200_BFF8).load() }))
            console.write("\n")
        default:
            console.write("no such trial\n")
        }
        Register32(0x0010_0000).store(0x5555)
        while true {}
    }

    private static func word(_ index: UInt) -> UInt32 { Register32(parameters + 4 * index).load() }

    private static func trial(_ seed: UInt32, seconds: Int32, _ console: inout Console) {
        var trial = Trial(seed: seed)
        let checksum = trial.run(seconds: seconds)
        console.write("trial ")
        console.write(decimal: Int64(seed))
        console.write(" ")
        console.write(hexadecimal: checksum)
        console.write("\n")
    }
}

struct Console: TextSink {
    private let port = NS16550(base: 0x1000_0000)

    mutating func write(_ byte: UInt8) {
        while !port.write(byte) {}
    }
}
