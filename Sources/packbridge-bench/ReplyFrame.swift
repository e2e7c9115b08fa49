import Foundation
import JKBMS

/// The reply of a BMS with 16 cells that decoding is measured with.
struct ReplyFrame {
    let bytes: [UInt8]

    /// The capture `4e57-arminjo-jkbms-log-0`, 291 bytes, where the captures are; else a reply with the same fields of our own.
    init() {
        bytes = Self.capture() ?? Self.built()
    }

    private static func capture() -> [UInt8]? {
        let folder = ProcessInfo.processInfo.environment["PACKBRIDGE_CAPTURES"] ?? "../shared/data"
        guard let text = try? String(contentsOfFile: folder + "/jk-captures.jsonl", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.contains("\"4e57-arminjo-jkbms-log-0\"") }),
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
            let hex = object["hex"] as? String
        else { return nil }
        return stride(from: 0, to: hex.utf8.count, by: 2).map { offset in
            let start = hex.utf8.index(hex.startIndex, offsetBy: offset)
            return UInt8(hex[start..<hex.utf8.index(start, offsetBy: 2)], radix: 16)!
        }
    }

    /// Every field that the protocol has.
    private static func built() -> [UInt8] {
        var report = JK4E57.Report()
        report.command = JK4E57.Command.readAll.rawValue
        report.transport = JK4E57.Transport.reply.rawValue
        for _ in 0..<16 { report.cells.append(3280) }
        report.setRaw(.protocolVersion, to: 1)
        for id in JK4E57.Identifier.allCases where id != .cellVoltages && id != .protocolVersion {
            if id.layout.measure == .text {
                let text: [UInt8] = Array("PackBridge".utf8)
                report.setText(id, to: text.span)
            } else {
                report.setRaw(id, to: id == .cellCount ? 16 : 20)
            }
        }
        var frame = JK4E57.Frame()
        JK4E57.encodeReply(report, into: &frame)
        return frame.withSpan { span in span.indices.map { span[$0] } }
    }
}
