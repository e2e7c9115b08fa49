import Foundation
import NIOCore
import NIOPosix
import ServicesTesting
import Testing

@testable import Services

@Suite struct HTTPTests {
    @Test func `every answer carries the security headers, refusals too`() async throws {
        try await withServe { serve in
            for path in ["/", "/api/v1/snapshot", "/api/v1/nothing", "/api/v1/history"] {
                let headers = try await serve.get(path).headers
                let policy = headers["Content-Security-Policy"].first ?? ""
                #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "\(path)")
                #expect(headers["X-Content-Type-Options"].first == "nosniff", "\(path)")
                #expect(headers["X-Frame-Options"].first == "DENY", "\(path)")
                #expect(headers["Server"].isEmpty && headers["Access-Control-Allow-Origin"].isEmpty, "\(path)")
            }
        }
    }

    @Test(arguments: [
        "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/index.html/../../etc/passwd",
        "/api/v1/../../../etc/passwd", "/index.html%00.txt", "/.git/config", "/files.c",
    ])
    func `no path leads out of the page`(path: String) async throws {
        try await withServe { serve in
            let answer = try await serve.get(path)
            #expect([400, 404].contains(answer.status))
            #expect(!answer.text.contains("root:"))
        }
    }

    @Test func `a body or an address or a header that is too large is refused`() async throws {
        try await withServe { serve in
            let large = "{\"order\":\"resume\",\"x\":\"\(String(repeating: "a", count: 20_000))\"}"
            #expect(await serve.postStatus("/api/v1/commands", large) == 413)
            #expect(await serve.getStatus("/api/v1/snapshot?" + String(repeating: "a", count: 5000)) == 414)
            let header = try await serve.get("/api/v1/snapshot", [("X-Long", String(repeating: "a", count: 40_000))])
            #expect(header.status == 400)
            #expect(serve.control.commands.isEmpty)
            #expect(await serve.getStatus("/api/v1/snapshot") == 200)
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n", "X-A: b\r\n"),
        ("POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n", " "),
    ])
    func `a request that trickles in is cut off, and others are served meanwhile`(head: String, more: String) async throws {
        try await withServe { serve in
            let slow = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(host: "127.0.0.1", port: serve.port).get()
            let start = ContinuousClock.now
            try await slow.writeAndFlush(ByteBuffer(string: head))
            var (others, served) = (0, 0)
            // One header line or byte each half second, for ever.
            while slow.isActive && ContinuousClock.now - start < .seconds(60) {
                slow.writeAndFlush(ByteBuffer(string: more), promise: nil)
                others += 1
                if await serve.getStatus("/api/v1/snapshot") == 200 { served += 1 }
                try await Task.sleep(for: .milliseconds(500))
            }
            #expect(!slow.isActive)
            #expect(served > 0 && served == others)
        }
    }

    @Test func `mistakes in a query are refused by name`() async throws {
        var configuration = ServeConfiguration()
        configuration.history.path = ""
        try await withServe(configuration) { serve in
            for (query, word) in [
                ("history?from=1&to=2", "series"), ("history?series=bank.soc&to=2", "from"),
                ("history?series=bank.soc&from=5&to=2", "later"), ("history?series=bank.soc&from=x&to=2", "from"),
                ("history?series=bank.soc&from=1&to=2&resolution=day", "resolution"),
                ("history?series=bank.soc&from=1&to=2&points=1", "points"), ("history?series=A&from=1&to=2", "A"),
                ("history?series=a,&from=1&to=2", "series"), ("history?series=a&series=b&from=1&to=2", "twice"),
                ("events?limit=0", "limit"), ("events?kind=nothing", "kind"), ("events?limi=5", "limi"),
                ("snapshot?x=1", "x"), ("statistics?days=0", "days"),
                ("export.csv?series=a&from=0&to=4102444800000&resolution=second", "too much"),
            ] {
                let answer = try await serve.get("/api/v1/\(query)")
                #expect(answer.status == 400 && answer.problem?.contains(word) == true, "\(query): \(answer.text)")
            }
        }
    }

    @Test(arguments: [
        "{", "[]", "{\"order\":1}", "{}", "{\"order\":\"explode\"}", "{\"order\":\"charge_cap\",\"value\":1}",
        "{\"order\":\"charge_cap\",\"time_to_live_s\":5}", "{\"order\":\"charge_cap\",\"value\":-1,\"time_to_live_s\":5}",
        "{\"order\":\"charge_cap\",\"value\":1.5,\"time_to_live_s\":5}", "{\"order\":\"resume\",\"value\":1}",
        "{\"order\":\"resume\",\"more\":1}", "{\"order\":\"charge_cap\",\"value\":99999999999,\"time_to_live_s\":5}",
        "{\"order\":\"pause_charge\",\"time_to_live_s\":0}", "{\"order\":\"acknowledge\",\"value\":17}",
    ])
    func `a senseless order never reaches the control process`(body: String) async throws {
        try await withServe { serve in
            let answer = try await serve.post("/api/v1/commands", body)
            #expect(answer.status == 400 && answer.problem != nil)
            #expect(serve.control.commands.isEmpty)
        }
    }

    @Test func `the live stream brings the present snapshot, new ones, and events with their numbers`() async throws {
        try await withServe { serve in
            let stream = try await StreamProbe(port: serve.port)
            let first = await eventually { stream.text.contains("\"snapshot\":1") }
            #expect(first)
            serve.control.send(FakeSnapshot(second: 2))
            serve.control.send(.heartbeat, pack: 0, a: 0, at: 52_000)
            let second = await eventually { stream.text.contains("\"snapshot\":2") && stream.text.contains("event: event") }
            #expect(second)
            #expect(stream.text.contains("\nid: "))
            await stream.close()
            let gone = await eventually { await serve.hub.subscriberCount == 0 }
            #expect(gone)
        }
    }

    @Test func `a stream that comes back gets the events it missed`() async throws {
        try await withServe { serve in
            for number in Int32(0)..<4 { serve.control.send(.phase, a: number, b: number + 1, at: 52_000) }
            _ = await eventually { await serve.hub.recentEvents.count >= 4 }
            let last = try #require(await serve.hub.recentEvents.dropLast(2).last?.id)
            let stream = try await StreamProbe(port: serve.port, headers: [("Last-Event-ID", "\(last)")])
            let missed = await eventually { stream.text.components(separatedBy: "event: event").count == 3 }
            #expect(missed)
        }
    }

    @Test func `a client that does not read is dropped, and the others go on`() async throws {
        try await withServe { serve in
            let slow = try await StreamProbe(port: serve.port, reads: false)
            let quick = try await StreamProbe(port: serve.port)
            _ = await eventually { await serve.hub.subscriberCount == 2 }
            var second: Int64 = 1
            let dropped = await eventually(within: 60) {
                for _ in 0..<50 {
                    second += 1
                    serve.control.send(FakeSnapshot(second: second, packs: 8))
                }
                _ = await eventually(within: 2) { await serve.hub.snapshot?.snapshot == UInt32(second) }
                return await serve.hub.droppedSubscribers > 0
            }
            #expect(dropped)
            let goesOn = await eventually(within: 30) { await serve.hub.snapshot?.snapshot == UInt32(second) }
            #expect(goesOn && quick.isOpen)
            await slow.close()
        }
    }

    @Test func `stopping ends the open streams`() async throws {
        let stream = try await withOpenStream()
        let ended = await eventually { !stream.isOpen }
        #expect(ended)
    }

    private func withOpenStream() async throws -> StreamProbe {
        var opened: StreamProbe?
        try await withServe { serve in
            opened = try await StreamProbe(port: serve.port)
            _ = await eventually { await serve.hub.subscriberCount == 1 }
        }
        return try #require(opened)
    }

    @Test func `the files of the page are compressed, tagged and not sent twice`() async throws {
        try await withServe { serve in
            let plain = try await serve.get("/")
            #expect(plain.headers["Content-Type"].first == "text/html; charset=utf-8")
            let zipped = try await serve.get("/", [("Accept-Encoding", "gzip, br")])
            #expect(zipped.headers["Content-Encoding"].first == "gzip" && zipped.body.count < plain.body.count)
            #expect(zipped.body.prefix(2) == [0x1F, 0x8B])
            let tag = try #require(plain.headers["ETag"].first)
            let again = try await serve.get("/", [("If-None-Match", tag)])
            #expect(again.status == 304 && again.body.isEmpty)
        }
    }

    @Test func `the whole page weighs less than 300 kilobytes`() {
        let files = StaticFiles()
        let weight = files.names.filter { !$0.isEmpty && !$0.hasPrefix("api/") }.reduce(0) { $0 + files.size(of: $1) }
        #expect(weight > 0 && weight <= 300_000)
    }

    @Test func `metrics have the right names and every sample a type`() async throws {
        try await withServe { serve in
            let answer = try await serve.get("/metrics")
            #expect(answer.headers["Content-Type"].first?.hasPrefix("text/plain; version=0.0.4") == true)
            var types: Set<String> = []
            for line in answer.text.split(separator: "\n") {
                if line.hasPrefix("# TYPE ") {
                    types.insert(String(line.split(separator: " ")[2]))
                } else if !line.hasPrefix("#") {
                    let name = String(line.prefix { $0 != "{" && $0 != " " })
                    #expect(name.hasPrefix("packbridge_") && types.contains(name), "\(line)")
                    #expect(Double(line.split(separator: " ").last ?? "") != nil, "\(line)")
                }
            }
            #expect(answer.text.contains("packbridge_cell_voltage_volts{cell=\"7\",pack=\"2\"} 3."))
        }
    }

    @Test func `the support bundle is a tar archive without secrets`() async throws {
        var configuration = ServeConfiguration()
        configuration.web.access.owner = AccessTests.hash
        configuration.name = "Cellar of the Smiths"
        configuration.packNames = ["Left of Anna", "Right"]
        configuration.notifications.webhooks = [.init(url: "http://127.0.0.1:9/hook-secret-5521")]
        try await withServe(configuration) { serve in
            let tar = try await serve.get("/api/v1/support.tar")
            #expect(tar.status == 200 && tar.body.count % 512 == 0)
            #expect(tar.text.contains("packbridge/snapshot.json") && tar.text.contains("ustar"))
            for secret in ["$y$", "Smith", "Anna", "hook-secret"] { #expect(!tar.text.contains(secret), "\(secret)") }
        }
    }
}
