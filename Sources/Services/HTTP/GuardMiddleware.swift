import HTTPTypes
import Hummingbird
import NIOConcurrencyHelpers

/// Stands in front of everything: refuses what no honest client sends, turns every failure into an answer without details, and
/// puts the security headers on all answers.
struct GuardMiddleware: RouterMiddleware {
    /// Names under which the page may be reached; nil = any.
    ///
    /// On loopback there is no login, so a foreign page must not reach the interface through a name of its own that resolves to
    /// 127.0.0.1 (DNS rebinding).
    var hosts: Set<String>?
    var isTLS: Bool
    let requests: NIOLockedValueBox<UInt64>

    static let longestTarget = 4096

    func handle(
        _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
    ) async throws -> Response {
        requests.withLockedValue { $0 += 1 }
        var response: Response
        do {
            try check(request)
            response = try await next(request, context)
        } catch let refusal as Refusal {
            response = refusal.response(from: request, context: context)
        } catch let error as HTTPError {
            response = Refusal(error.status, Self.words(error.status)).response(from: request, context: context)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            context.logger.error("\(request.method) \(request.uri.path): \(error)")
            response = Refusal(.internalServerError, "this failed; the log says why").response(from: request, context: context)
        }
        for (name, value) in Self.securityHeaders { response.headers[name] = value }
        if isTLS { response.headers[.strictTransportSecurity] = "max-age=31536000" }
        return response
    }

    private func check(_ request: Request) throws(Refusal) {
        if request.uri.description.utf8.count > Self.longestTarget { throw Refusal(.uriTooLong, "the address is too long") }
        guard let authority = request.head.authority, !authority.isEmpty else {
            throw Refusal(.badRequest, "a Host header is needed")
        }
        guard let hosts else { return }
        if !hosts.contains(Self.name(ofAuthority: authority)) {
            throw Refusal(
                .misdirectedRequest, "this server does not answer under the name '\(authority.prefix(80))'; add it to web.hostNames"
            )
        }
    }

    /// The host without the port, in small letters.
    static func name(ofAuthority authority: String) -> String {
        if authority.hasPrefix("["), let end = authority.firstIndex(of: "]") {
            return String(authority[authority.index(after: authority.startIndex)..<end]).lowercased()
        }
        return authority.split(separator: ":", omittingEmptySubsequences: false).first.map { $0.lowercased() } ?? ""
    }

    private static func words(_ status: HTTPResponse.Status) -> String {
        switch status {
        case .notFound: "there is nothing here"
        case .contentTooLarge: "the body is too large"
        default: status.reasonPhrase
        }
    }

    static let securityHeaders: [(HTTPField.Name, String)] = [
        (
            .contentSecurityPolicy,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
                + "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
        (.xContentTypeOptions, "nosniff"),
        (HTTPField.Name("X-Frame-Options")!, "DENY"),
        (HTTPField.Name("Referrer-Policy")!, "no-referrer"),
        (HTTPField.Name("Permissions-Policy")!, "camera=(), geolocation=(), microphone=()"),
        (HTTPField.Name("Cross-Origin-Opener-Policy")!, "same-origin"),
        (HTTPField.Name("Cross-Origin-Resource-Policy")!, "same-origin"),
    ]
}
