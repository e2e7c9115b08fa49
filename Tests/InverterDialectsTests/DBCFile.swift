import Foundation
import InverterDialects

/// The part of a DBC file that says where signals are: `BO_` and `SG_` lines.
struct DBCFile {
    struct Message: Equatable {
        var name: String
        var length: Int
        var sender: String
    }

    struct Entry: Hashable, Comparable, CustomStringConvertible {
        var frame: UInt32
        var name: String
        var start: Int
        var length: Int
        var isBigEndian: Bool
        var isSigned: Bool
        var scale: Double
        var offset: Double
        var unit: String

        static func < (a: Self, b: Self) -> Bool { (a.frame, a.name) < (b.frame, b.name) }

        var description: String {
            "0x\(String(frame, radix: 16)) \(name) \(start)|\(length)@\(isBigEndian ? 0 : 1)\(isSigned ? "-" : "+") (\(scale),\(offset)) \(unit)"
        }
    }

    var messages: [UInt32: Message] = [:]
    var entries: [Entry] = []

    init(_ text: String) throws {
        var frame: UInt32 = 0
        for line in text.split(whereSeparator: \.isNewline) {
            if let m = line.wholeMatch(of: /BO_ (\d+) (\w+): (\d+) (\w+)/) {
                frame = UInt32(m.1)!
                messages[frame] = Message(name: String(m.2), length: Int(m.3)!, sender: String(m.4))
            } else if let m = line.prefixMatch(
                of: /\ SG_ (\w+) : (\d+)\|(\d+)@([01])([+-]) \(([0-9.]+),(-?[0-9.]+)\) \[[^\]]*\] "([^"]*)"/)
            {
                entries.append(
                    Entry(
                        frame: frame, name: String(m.1), start: Int(m.2)!, length: Int(m.3)!, isBigEndian: m.4 == "0",
                        isSigned: m.5 == "-", scale: Double(m.6)!, offset: Double(m.7)!, unit: String(m.8)))
            } else if line.hasPrefix(" SG_") || line.hasPrefix("BO_ ") {
                throw Unreadable(line: String(line))
            }
        }
    }

    struct Unreadable: Error { var line: String }

    static func url(_ dialect: DialectName) -> URL {
        packageRoot.appendingPathComponent("dbc/\(dialect.text).dbc")
    }
}

extension DBCFile.Entry {
    init(_ signal: Signal) {
        self.init(
            frame: signal.frame, name: signal.fullName, start: Int(signal.startBit), length: Int(signal.length),
            isBigEndian: signal.isBigEndian, isSigned: signal.isSigned, scale: 1 / Double(signal.divisor),
            offset: Double(signal.offset), unit: "\(signal.unit)")
    }
}
