import Foundation
import Testing

@testable import Services

@Suite struct ServeConfigurationTests {
    private func read(_ text: String) throws -> ServeConfiguration {
        try ServeConfiguration(json: Data(text.utf8))
    }

    private func problem(_ text: String) -> String? {
        do {
            _ = try read(text)
            return nil
        } catch {
            return "\(error)"
        }
    }

    @Test func `an empty object is the default: loopback, no history, no broker`() throws {
        let configuration = try read("{}")
        #expect(configuration == ServeConfiguration())
        #expect(configuration.web.bindsLoopback && configuration.history.path == nil && configuration.mqtt == nil)
    }

    @Test func `what is left out inside a part has its default`() throws {
        let configuration = try read(
            #"{"mqtt":{"host":"broker"},"notifications":{"webhooks":[{"url":"http://127.0.0.1/x"}]},"web":{"port":9000}}"#)
        #expect(configuration.mqtt?.port == 1883 && configuration.mqtt?.discovery == .device)
        #expect(configuration.notifications.webhooks.first?.maximumPerHour == 30)
        #expect(configuration.web.port == 9000 && configuration.web.bind == "127.0.0.1")
    }

    @Test(arguments: [
        (#"{"wbe":{}}"#, "wbe"), (#"{"web":{"prot":1}}"#, "web.prot"), (#"{"mqtt":{"host":"b","prot":1}}"#, "mqtt.prot"),
        (#"{"notifications":{"webhooks":[{"url":"http://a/","x":1}]}}"#, "notifications.webhooks.x"),
        (#"{"web":{"port":"8080"}}"#, "web.port"), (#"{"web":{"port":70000}}"#, "web.port"), ("[]", "object"), ("{", "JSON"),
        (#"{"mqtt":{}}"#, "mqtt.host"), (#"{"web":{"access":{"owner":"secret"}}}"#, "web.access.owner"),
        (#"{"notifications":{"webhooks":[{"url":"ftp://a/"}]}}"#, "ftp"), (#"{"mqtt":{"host":"b","topic":"a/#"}}"#, "a/#"),
        (#"{"web":{"tls":{"certificate":"/nowhere","key":"/nowhere"}}}"#, "/nowhere"),
    ])
    func `a mistake is refused and named`(text: String, name: String) {
        #expect(problem(text)?.contains(name) == true)
    }

    @Test(arguments: ["127.example.org", "0.0.0.0", "::", "192.168.1.5", "battery.local"])
    func `an address that others can reach needs a password`(bind: String) {
        #expect(problem(#"{"web":{"bind":"\#(bind)"}}"#)?.contains("packbridge password") == true)
        #expect(problem(#"{"web":{"bind":"\#(bind)","access":{"owner":"$y$j9T$x"}}}"#) == nil)
    }
}
