import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import ServicesTesting
import Testing

@testable import Services

/// `web.tls` with a certificate that the owner has; here one that openssl has just made.
@Suite(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl"), "needs openssl to make a certificate"))
struct TLSTests {
    private struct Certificate {
        var certificate: String
        var key: String

        init(in folder: String, name: String) throws {
            certificate = "\(folder)/\(name).pem"
            key = "\(folder)/\(name).key"
            let openssl = Process()
            openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
            openssl.arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate,
            ]
            openssl.standardError = FileHandle.nullDevice
            try openssl.run()
            openssl.waitUntilExit()
            try #require(openssl.terminationStatus == 0)
        }
    }

    private func withTLS(_ body: (RunningServe, Certificate, _ folder: String) async throws -> Void) async throws {
        let folder = TemporaryFolder()
        let certificate = try Certificate(in: folder.path, name: "own")
        var configuration = ServeConfiguration()
        configuration.web.tls = .init(certificate: certificate.certificate, key: certificate.key)
        configuration.web.access.owner = AccessTests.hash
        configuration.web.access.loopbackNeedsLogin = true
        try await withServe(configuration) { serve in try await body(serve, certificate, folder.path) }
    }

    private func client(trusting file: String, highest: TLSVersion = .tlsv13) throws -> NIOSSLContext {
        var settings = TLSConfiguration.makeClientConfiguration()
        settings.trustRoots = .file(file)
        settings.minimumTLSVersion = .tlsv1
        settings.maximumTLSVersion = highest
        return try NIOSSLContext(configuration: settings)
    }

    @Test func `the page is served with the given certificate, and the session's cookie only travels encrypted`() async throws {
        try await withTLS { serve, certificate, _ in
            let tls = try client(trusting: certificate.certificate)
            let page = try await HTTPProbe.send("GET", "/", port: serve.port, tls: tls)
            #expect(page.status == 200 && page.text.contains("<html"))
            #expect(page.headers["Strict-Transport-Security"].first?.contains("max-age") == true)
            let refused = try await HTTPProbe.send("GET", "/api/v1/snapshot", port: serve.port, tls: tls)
            #expect(refused.status == 401)
            let login = try await HTTPProbe.send(
                "POST", "/api/v1/session",
                headers: [("Content-Type", "application/json"), ("Origin", "https://127.0.0.1:\(serve.port)")],
                body: Array("{\"password\":\"correct horse\"}".utf8), port: serve.port, tls: tls)
            let cookie = login.headers["Set-Cookie"].first ?? ""
            #expect(login.status == 200 && cookie.contains("; Secure") && cookie.contains("HttpOnly"))
            let session = String(cookie.prefix { $0 != ";" })
            let snapshot = try await HTTPProbe.send(
                "GET", "/api/v1/snapshot", headers: [("Cookie", session)], port: serve.port, tls: tls)
            #expect(snapshot.status == 200)
        }
    }

    @Test func `a client that trusts another certificate does not talk to it`() async throws {
        try await withTLS { serve, _, folder in
            let other = try Certificate(in: folder, name: "other")
            let tls = try client(trusting: other.certificate)
            await #expect(throws: (any Error).self) { try await HTTPProbe.send("GET", "/", port: serve.port, tls: tls) }
        }
    }

    @Test func `neither an old TLS nor plain HTTP gets an answer`() async throws {
        try await withTLS { serve, certificate, _ in
            let old = try client(trusting: certificate.certificate, highest: .tlsv11)
            await #expect(throws: (any Error).self) { try await HTTPProbe.send("GET", "/", port: serve.port, tls: old) }
            await #expect(throws: (any Error).self) { try await HTTPProbe.send("GET", "/", port: serve.port) }
        }
    }
}
