import FirmwareTrial

// What the images for QEMU are compared with: the same code on the host.
//
//   firmware-trial-host trials COUNT SECONDS         the checksum of each seed, one a line
//   firmware-trial-host vectors FILE                 what the core makes of each golden vector
//   firmware-trial-host images                       vectors that have to be built: configurations
//   firmware-trial-host record SEED SECONDS FAULTS FILE  a world of the simulator on a tape
//   firmware-trial-host play SEED FILE               the tape, played to an engine of its own

let arguments = CommandLine.arguments.dropFirst()
let numbers = arguments.compactMap { UInt64($0) }
switch arguments.first {
case "trials" where numbers.count == 2:
    for seed in 0..<UInt32(numbers[0]) {
        var trial = Trial(seed: seed)
        let checksum = trial.run(seconds: Int32(numbers[1]))
        print("trial \(seed) \(String(UInt64(checksum) | 1 << 32, radix: 16, uppercase: true).dropFirst())")
    }
case "vectors" where arguments.count == 2:
    try answer(vectors: read(arguments.last!))
case "images":
    printImages()
case "record" where numbers.count == 3:
    let tape = record(seed: numbers[0], seconds: Int64(numbers[1]), faultsPerDay: Double(numbers[2]))
    try write(tape, to: arguments.last!)
case "play" where numbers.count == 1:
    try play(name: UInt32(numbers[0]), read(arguments.last!))
default:
    complain("see the head of Sources/FirmwareTrialHost/main.swift")
}
