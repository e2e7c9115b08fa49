import Foundation
import Testing

@testable import ChargeControl

/// `Controller.begin` lists every stored property, because an assignment of a whole new controller needs too much stack.
@Suite struct BeginTests {
    /// What does not begin anew: it never changes.
    private static let constant: Set = ["isStateless"]

    private func source(_ name: String) throws -> String {
        let here = URL(filePath: #filePath)
        let folder = here.deletingLastPathComponent().appending(path: "../../Sources/ChargeControl")
        return try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    @Test func `no stored property is forgotten`() throws {
        let declaration = /^ {4,8}(?:public |private\(set\) |internal\(set\) )*(?:var|let) (\w+)(?:: [^{]+| = [^{]+)$/
        let stored = try source("Controller.swift").split(separator: "\n").prefix { !$0.contains("init(") }
            .compactMap { try declaration.wholeMatch(in: $0)?.1 }.filter { !Self.constant.contains(String($0)) }
        #expect(stored.count > 45)
        let configure = try source("Controller.swift").split(separator: "mutating func configure(")[1]
        let text = try source("Controller+Begin.swift") + configure
        for name in stored {
            let assignment = try Regex("\\b\(name)(\\[i\\])? = ")
            #expect(text.contains(assignment), "\(name) keeps its old value")
        }
    }

    @Test func `a controller that has lived begins like a new one`() {
        var lived = Rig(packs: [.reference(), .reference()], record: ControlRecord())
        lived.settle()
        lived.answers[1] = false
        lived.run(seconds: 90)
        var fresh = Rig(packs: [.reference()], start: lived.now.milliseconds)
        lived.controller.begin(
            configuration: fresh.controller.configuration, record: nil, recentBoots: 0, at: lived.now)
        lived.packs = fresh.packs
        for _ in 0..<300 {
            fresh.second()
            lived.second()
            var (a, b) = ("", "")
            dump(fresh.output, to: &a)
            dump(lived.output, to: &b)
            #expect(a == b)
            if a != b { break }
        }
        #expect(fresh.report.chargeCurrentLimit == 135_000)
    }
}
