import Foundation
import NIOCore
import ServicesTesting
import Testing

@testable import Services

@Suite struct AccessTests {
    static let hash = Passwords.hash("correct horse")!
    static let readerHash = Passwords.hash("only looking")!

    private func protected() -> ServeConfiguration {
        var configuration = ServeConfiguration()
        configuration.web.access.owner = Self.hash
        configuration.web.access.reader = Self.readerHash
        configuration.web.access.loopbackNeedsLogin = true
        return configuration
    }

    private func logIn(_ serve: RunningServe, _ password: String) async throws -> (cookie: String, csrf: String) {
        let answer = try await serve.post("/api/v1/session", "{\"password\":\"\(password)\"}", [])
        let cookie = answer.headers["Set-Cookie"].first ?? ""
        #expect(answer.status == 200)
        #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"))
        return (String(cookie.prefix { $0 != ";" }), try answer.json()["csrf_token"] as? String ?? "")
    }

    static let endpoints = [
        "/api/v1/snapshot", "/api/v1/stream", "/api/v1/status", "/api/v1/events", "/api/v1/series", "/api/v1/statistics",
        "/api/v1/history?series=bank.soc&from=1&to=2", "/api/v1/export.csv?series=bank.soc&from=1&to=2", "/api/v1/commands",
        "/api/v1/explain.json", "/api/v1/support.tar", "/metrics",
    ]

    @Test func `the endpoints that are tried without a session are all that the interface has`() throws {
        let document = try String(contentsOf: DocumentTests.root.appendingPathComponent("docs/openapi.yaml"), encoding: .utf8)
        let documented = document.split(separator: "\n").filter { $0.hasPrefix("  /") }.map { $0.dropFirst(2).dropLast() }
        let tried = Set(Self.endpoints.map { $0.prefix { $0 != "?" } })
        #expect(documented.count > 10)
        // The session is how one logs in.
        #expect(Set(documented).subtracting(["/api/v1/session"]) == tried)
    }

    @Test func `no endpoint answers without a session, with a wrong token or with a made-up cookie`() async throws {
        try await withServe(protected()) { serve in
            for path in Self.endpoints {
                #expect(await serve.getStatus(path) == 401, "\(path)")
                #expect(await serve.getStatus(path, [("Cookie", "packbridge_session=0123456789abcdef")]) == 401, "\(path)")
                #expect(await serve.getStatus(path, [("Authorization", "Basic b3duZXI6eA==")]) == 401, "\(path)")
            }
            #expect(await serve.postStatus("/api/v1/commands", "{\"order\":\"resume\"}") == 401)
            #expect(await serve.getStatus("/api/v1/nothing") == 401)
            #expect(serve.control.commands.isEmpty)
            // What a login page needs.
            #expect(await serve.getStatus("/") == 200)
            let session = try await serve.get("/api/v1/session").json()
            #expect(session["login_needed"] as? Bool == true)
        }
    }

    @Test func `a wrong token is refused, and after five of them even the right one must wait`() async throws {
        var configuration = protected()
        let (token, hash) = try #require(Passwords.makeToken(name: "script"))
        configuration.web.access.tokens = [.init(name: "script", hash: hash, role: .reader)]
        try await withServe(configuration) { serve in
            let wrong = "script." + String(repeating: "0", count: 64)
            for _ in 0..<5 { #expect(await serve.getStatus("/api/v1/snapshot", [("Authorization", "Bearer \(wrong)")]) == 401) }
            let answer = try await serve.get("/api/v1/snapshot", [("Authorization", "Bearer \(token)")])
            #expect(answer.status == 429 && answer.headers.contains(name: "Retry-After"))
        }
    }

    @Test func `a reader's token reads everything and orders nothing; an owner's does both without a CSRF token`() async throws {
        var configuration = protected()
        let reader = try #require(Passwords.makeToken(name: "reader"))
        let owner = try #require(Passwords.makeToken(name: "owner"))
        configuration.web.access.tokens = [
            .init(name: "reader", hash: reader.hash, role: .reader), .init(name: "owner", hash: owner.hash, role: .owner),
        ]
        try await withServe(configuration) { serve in
            let (r, o) = (("Authorization", "Bearer \(reader.token)"), ("Authorization", "Bearer \(owner.token)"))
            #expect(await serve.getStatus("/api/v1/snapshot", [r]) == 200)
            #expect(await serve.postStatus("/api/v1/commands", "{\"order\":\"resume\"}", [r]) == 403)
            #expect(await serve.getStatus("/api/v1/support.tar", [r]) == 403)
            #expect(serve.control.commands.isEmpty)
            #expect(await serve.postStatus("/api/v1/commands", "{\"order\":\"resume\"}", [o]) == 200)
        }
    }

    @Test func `an owner who logged in orders with the CSRF token and not without it`() async throws {
        try await withServe(protected()) { serve in
            let (cookie, csrf) = try await logIn(serve, "correct horse")
            let order = "{\"order\":\"pause_charge\",\"time_to_live_s\":60}"
            #expect(await serve.getStatus("/api/v1/snapshot", [("Cookie", cookie)]) == 200)
            #expect(await serve.postStatus("/api/v1/commands", order, [("Cookie", cookie)]) == 403)
            #expect(await serve.postStatus("/api/v1/commands", order, [("Cookie", cookie), ("X-CSRF-Token", "x")]) == 403)
            #expect(serve.control.commands.isEmpty)
            let good = [("Cookie", cookie), ("X-CSRF-Token", csrf)]
            #expect(await serve.postStatus("/api/v1/commands", order, good) == 200)
            #expect(serve.control.commands.count == 1)
            let evil = good + [("Origin", "http://evil.example")]
            #expect(await serve.postStatus("/api/v1/commands", order, evil) == 403)
            #expect(await serve.postStatus("/api/v1/commands", order, good + [("Sec-Fetch-Site", "cross-site")]) == 403)
            #expect(serve.control.commands.count == 1)
        }
    }

    @Test func `a reader who logged in may look and not order`() async throws {
        try await withServe(protected()) { serve in
            let (cookie, csrf) = try await logIn(serve, "only looking")
            let headers = [("Cookie", cookie), ("X-CSRF-Token", csrf)]
            #expect(await serve.getStatus("/api/v1/snapshot", headers) == 200)
            #expect(await serve.postStatus("/api/v1/commands", "{\"order\":\"resume\"}", headers) == 403)
        }
    }

    @Test func `logging out ends the session`() async throws {
        try await withServe(protected()) { serve in
            let (cookie, csrf) = try await logIn(serve, "correct horse")
            let answer = try await HTTPProbe.send(
                "DELETE", "/api/v1/session", headers: [("Cookie", cookie), ("X-CSRF-Token", csrf)], port: serve.port)
            #expect(answer.status == 200)
            #expect(await serve.getStatus("/api/v1/snapshot", [("Cookie", cookie)]) == 401)
        }
    }

    @Test func `guessing a password is slowed down`() async throws {
        let clock = TestClock()
        try await withServe(protected(), clock: clock.clock) { serve in
            for _ in 0..<5 { #expect(await serve.postStatus("/api/v1/session", "{\"password\":\"guess\"}", []) == 401) }
            let refused = try await serve.post("/api/v1/session", "{\"password\":\"correct horse\"}", [])
            #expect(refused.status == 429)
            clock.advance(61_000)
            _ = try await logIn(serve, "correct horse")
        }
    }

    @Test func `the limiter holds for many addresses together`() {
        var limiter = LoginLimiter()
        for index in 0..<50 { limiter.failed("10.0.0.\(index)", at: 1000) }
        #expect(limiter.wait("10.9.9.9", at: 2000) == 59)
        #expect(limiter.wait("10.9.9.9", at: 61_001) == nil)
    }

    @Test func `loopback needs no login, but a proxy that forwards others does`() async throws {
        try await withServe { serve in
            #expect(await serve.getStatus("/api/v1/snapshot") == 200)
            for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP"] {
                #expect(await serve.getStatus("/api/v1/snapshot", [(header, "192.168.1.7")]) == 401, "\(header)")
            }
        }
    }

    @Test func `a foreign name that resolves to this machine is refused`() async throws {
        try await withServe { serve in
            #expect(await serve.getStatus("/api/v1/snapshot", [("Host", "evil.example:8080")]) == 421)
            #expect(await serve.getStatus("/", [("Host", "evil.example")]) == 421)
            #expect(await serve.getStatus("/api/v1/snapshot", [("Host", "localhost:1")]) == 200)
            #expect(await serve.getStatus("/api/v1/snapshot", [("Host", "[::1]:1")]) == 200)
        }
    }

    @Test func `a form of another page cannot order anything on loopback`() async throws {
        try await withServe { serve in
            let order = Array("{\"order\":\"resume\"}".utf8)
            for headers in [
                [("Content-Type", "text/plain"), ("X-CSRF-Token", "1")], [("Content-Type", "application/json")],
                [("Content-Type", "application/json"), ("X-CSRF-Token", "1"), ("Origin", "http://evil.example")],
                [("Content-Type", "application/json"), ("X-CSRF-Token", "1"), ("Origin", "null")],
            ] {
                let answer = try await HTTPProbe.send("POST", "/api/v1/commands", headers: headers, body: order, port: serve.port)
                #expect([403, 415].contains(answer.status), "\(headers)")
            }
            #expect(serve.control.commands.isEmpty)
        }
    }

    @Test func `hashes differ for the same password and match only it`() {
        #expect(Passwords.hash("correct horse") != Self.hash)
        #expect(Passwords.matches("correct horse", Self.hash))
        #expect(!Passwords.matches("correct horsf", Self.hash))
        #expect(!Passwords.matches("", Self.hash))
        #expect(!Passwords.matches("correct horse", "correct horse"))
        #expect(!Passwords.matches("correct horse", ""))
        #expect(Passwords.hash("short") == nil)
    }
}
