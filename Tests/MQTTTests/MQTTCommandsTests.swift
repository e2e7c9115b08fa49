import Testing

@testable import Services

@Suite struct MQTTCommandsTests {
    private func request(_ name: String, _ payload: String, standard: Int32 = 10) throws -> CommandRequest {
        try MQTTCommands.request(name, Array(payload.utf8), standard: standard)
    }

    @Test(arguments: [
        ("pause_charge", "ON", CommandRequest(order: "pause_charge", time_to_live_s: 600)),
        ("pause_discharge", "{\"minutes\": 30}", CommandRequest(order: "pause_discharge", time_to_live_s: 1800)),
        ("charge_cap", "20", CommandRequest(order: "charge_cap", value: 20_000, time_to_live_s: 600)),
        ("charge_cap", " 20.5 ", CommandRequest(order: "charge_cap", value: 20_500, time_to_live_s: 600)),
        (
            "discharge_cap", "{\"value\": 7, \"minutes\": 1}",
            CommandRequest(order: "discharge_cap", value: 7000, time_to_live_s: 60)
        ),
        ("soc_ceiling", "80", CommandRequest(order: "soc_ceiling", value: 8000, time_to_live_s: 600)),
        ("full_now", "PRESS", CommandRequest(order: "full_now")),
        ("resume", "PRESS", CommandRequest(order: "resume")),
        ("acknowledge", "2", CommandRequest(order: "acknowledge", value: 2)),
    ])
    func `a payload becomes the order that its topic names`(name: String, payload: String, expected: CommandRequest)
        throws
    {
        #expect(try request(name, payload) == expected)
    }

    @Test func `an order that names no time holds as long as was chosen`() throws {
        #expect(try request("charge_cap", "20", standard: 45).time_to_live_s == 2700)
    }

    @Test func `switching a pause off lets it end within a second`() throws {
        #expect(try request("pause_charge", "OFF") == CommandRequest(order: "pause_charge", time_to_live_s: 1))
    }

    @Test func `a fraction below a milliampere is cut off: a cap is never looser than asked`() throws {
        #expect(try request("charge_cap", "0.0019").value == 1)
        #expect(try request("soc_ceiling", "80.999").value == 8099)
    }

    @Test(arguments: [
        ("raise_limit", "20"), ("charge_cap", ""), ("charge_cap", "a lot"), ("charge_cap", "-1"), ("charge_cap", "nan"),
        ("charge_cap", "1e300"), ("charge_cap", "inf"), ("charge_cap", "{\"minutes\": 5}"),
        ("charge_cap", "{\"value\": \"20\"}"),
        ("charge_cap", "{\"value\": 20"), ("charge_cap", "{\"value\": 20, \"minutes\": 0}"),
        ("charge_cap", "{\"value\": 20, \"minutes\": 43201}"), ("pause_charge", "maybe"), ("pause_charge", "{}x"),
    ])
    func `what is no order is refused with a sentence`(name: String, payload: String) {
        #expect(throws: CommandProblem.self) { try request(name, payload) }
    }

    @Test func `bytes that are no text and payloads that are too long are refused`() {
        for payload in [[0xFF, 0xFE, 0x00], [UInt8](repeating: UInt8(ascii: "1"), count: 300)] {
            #expect(throws: CommandProblem.self) { try MQTTCommands.request("charge_cap", payload, standard: 10) }
        }
    }

    @Test(arguments: [
        ("10", 10), ("1440", 1440), ("0", nil), ("1441", nil), ("-5", nil), ("nan", nil), ("", nil), ("ten", nil),
    ])
    func `only a duration in range is taken over`(payload: String, minutes: Int32?) {
        #expect(MQTTCommands.chosenMinutes(Array(payload.utf8)) == minutes)
    }

    @Test func `topics that are answers are not taken for orders`() {
        let topics = MQTTTopics(base: "house/battery")
        #expect(topics.orderName(of: "house/battery/command/charge_cap") == "charge_cap")
        #expect(topics.orderName(of: "house/battery/command/result") == nil)
        #expect(topics.orderName(of: "house/battery/command/minutes") == nil)
        #expect(topics.orderName(of: "house/battery/command/minutes/set") == nil)
        #expect(topics.orderName(of: "other/command/charge_cap") == nil)
    }
}
