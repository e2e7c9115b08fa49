import Glibc

/// One binary for all fuzz targets: FUZZ_TARGET names the one to run. The fuzzer's library owns `main`.
///
/// A target must neither trap nor read outside its input, and must keep the promises that it checks. `scripts/fuzz` builds and runs
/// them; the seeds are in Tests/fuzz-corpus, one folder per target.
let targets: [(name: String, run: @Sendable ([UInt8]) -> Void)] = [
    ("jk-4e57", fuzzFrame),
    ("jk-4e57-stream", fuzzStream),
    ("jk-55aaeb90", fuzzRecord),
    ("jk-bus", fuzzBus),
    ("jk-can", fuzzJKCAN),
    ("can", fuzzCAN),
    ("pylontech-rs485", fuzzRS485),
    ("slcan", fuzzSLCAN),
    ("candump", fuzzCandump),
    ("link", fuzzLink),
    ("configuration", fuzzConfiguration),
    ("engine", fuzzEngine),
]

private let selected: @Sendable ([UInt8]) -> Void = {
    if let folder = getenv("FUZZ_SEEDS") { writeSeeds(into: String(cString: folder)) }
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = targets.first(where: { $0.name == name }) else {
        print("FUZZ_TARGET must be one of: " + targets.map(\.name).joined(separator: " "))
        exit(2)
    }
    return target.run
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    selected(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// Writes the seed corpus, one folder per target, and ends.
private func writeSeeds(into folder: String) -> Never {
    for seed in seeds() {
        mkdir("\(folder)/\(seed.target)", 0o755)
        guard let file = fopen("\(folder)/\(seed.target)/\(seed.name)", "w") else {
            perror(folder)
            exit(1)
        }
        fwrite(seed.bytes, 1, seed.bytes.count, file)
        fclose(file)
    }
    _exit(0)  // at once: the fuzzer takes a normal exit for a crash
}
