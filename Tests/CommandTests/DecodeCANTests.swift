import Foundation
import InverterDialects
import Testing

@testable import packbridge

@Suite struct DecodeCANTests {
    @Test func `a frame becomes its identifier and its signals in scaled numbers`() throws {
        #expect(
            try json("pylontech", "351#1402740E740ECC01").text
                == #"{"id":"0x351","signals":{"ChargeVoltage":53.2,"ChargeCurrentLimit":370.0,"DischargeCurrentLimit":370.0,"#
                + #""DischargeVoltage":46.0}}"#)
    }

    @Test func `numbers of 64 bits, negative ones and offsets are written exactly`() throws {
        #expect(try json("growatt", "301#1122334455667788").text.contains(#""Heartbeat":9833440827789222417"#))
        #expect(try json("pylontech", "356#7A13F2FE6B01").text.contains(#""Current":-27.0"#))
        #expect(try json("victron", "373#FA0C020D00012801").text.contains(#""TempMin":-17,"#))
    }

    @Test func `a short frame has the signals that fit, a foreign one has none`() throws {
        #expect(try json("pylontech", "351#1402").text == #"{"id":"0x351","signals":{"ChargeVoltage":53.2}}"#)
        #expect(try json("pylontech", "777#00").text == #"{"id":"0x777","signals":{}}"#)
        #expect(try json("pylontech", "00000351#1402").text == #"{"id":"0x00000351","signals":{}}"#)
        #expect(try json("sma", "00F#").text == #"{"id":"0x00F","signals":{}}"#)
    }

    @Test(arguments: [
        "(1436509052.249713) can0 356#7A13F2FE6B01", " can0  356   [6]  7A 13 F2 FE 6B 01", "356#7A.13.F2.FE.6B.01",
    ])
    func `every form that candump writes is read`(line: String) throws {
        let result = try json("pylontech", line)
        #expect(result.accepted)
        #expect(result.text == #"{"id":"0x356","signals":{"Voltage":49.86,"Current":-27.0,"Temperature":36.3}}"#)
    }

    @Test(arguments: [
        "", "hello", "351#14027", "351#R", "351##114", "20000088#0000000000000000", "3512#00", "351#001122334455667788",
    ])
    func `what is no data frame is rejected with a reason`(line: String) throws {
        let result = try json("pylontech", line)
        #expect(!result.accepted)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(result.text.utf8)) as? [String: Any])
        #expect(object["accepted"] as? Bool == false)
        #expect((object["error"] as? String)?.isEmpty == false)
    }

    @Test func `a person sees units, places and text`() throws {
        var text = ""
        var explainer = try make("growatt")
        let accepted = explainer.explain("319#C00D020CFA050900", to: &text)
        #expect(accepted)
        #expect(text.contains("CellMax          3330 mV  (bytes 1–2)"))
        #expect(text.contains("ChargeEnable     1  (byte 0 bit 7)"))
        #expect(text.contains("Chemistry        0  (byte 0 bits 0–1)"))
        text = ""
        explainer = try make("victron")
        _ = explainer.explain("374#5031433900000000", to: &text)
        #expect(text == "0x374  50 31 43 39 00 00 00 00\n  CellMinId  P1C9....  (bytes 0–7)\n")
    }

    @Test func `every dialect can be named`() throws {
        for dialect in DialectName.allCases { _ = try make(dialect.name) }
    }

    private func make(_ name: String) throws -> any FrameExplainer {
        try #require(explainers.first { $0.name == name }).make(DecodeOptions())
    }

    private func json(_ name: String, _ line: String) throws -> (text: String, accepted: Bool) {
        var explainer = try make(name)
        var json = JSONText()
        let accepted = explainer.writeObject(for: line, to: &json)
        return (json.string, accepted)
    }
}
