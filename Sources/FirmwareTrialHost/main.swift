import FirmwareTrial

// firmware-trial-host COUNT SECONDS: the checksum of each seed, one a line, as the image for QEMU prints them.
let arguments = CommandLine.arguments.dropFirst().compactMap { UInt32($0) }
for seed in 0..<arguments[0] {
    var trial = Trial(seed: seed)
    let checksum = trial.run(seconds: Int32(arguments[1]))
    print("trial \(seed) \(String(UInt64(checksum) | 1 << 32, radix: 16).dropFirst())")
}
