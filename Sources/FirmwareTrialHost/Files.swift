import Battery
import FirmwareTrial
import Foundation

/// Text on standard output.
struct StandardOutput: TextSink {
    private var line: [UInt8] = []

    mutating func write(_ byte: UInt8) {
        line.append(byte)
        if byte == UInt8(ascii: "\n") {
            FileHandle.standardOutput.write(Data(line))
            line = []
        }
    }
}

func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

func write(_ bytes: [UInt8], to path: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }

func play(name: UInt32, _ tape: [UInt8]) {
    var output = StandardOutput()
    tape.withUnsafeBufferPointer { tape in
        var player = TapePlayer(tape)
        player.play(name: name, to: &output)
    }
}

func answer(vectors text: [UInt8]) {
    var output = StandardOutput()
    let scratch = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 1 << 20)
    defer { scratch.deallocate() }
    text.withUnsafeBufferPointer { text in
        var vectors = Vectors(text, scratch: scratch)
        vectors.answer(to: &output)
    }
}

func complain(_ text: String) -> Never {
    FileHandle.standardError.write(Data((text + "\n").utf8))
    exit(2)
}
