import HTTPTypes
import Hummingbird

/// Finds out who sends a request, and refuses what that visitor must not do.
///
/// Without a login only this machine is let in, and only where nobody else can reach the port. A proxy that forwards requests of
/// others to a loopback port is recognised by its headers and needs a login as well.
struct AccessMiddleware: RouterMiddleware {
    let doorkeeper: Doorkeeper
    let loopbackNeedsNoLogin: Bool
    let isTLS: Bool

    static let cookie = "packbridge_session"
    static let csrfHeader = HTTPField.Name("X-CSRF-Token")!

    func handle(
        _ request: Request, context: WebContext, next: (Request, WebContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.visitor = try await visitor(request, context)
        if context.visitor == .nobody && Self.needsVisitor(request.uri.path) {
            throw Refusal(
                .unauthorized, "log in, or send a token", headers: [.wwwAuthenticate: "Bearer realm=\"PackBridge\""])
        }
        if request.method != .get && request.method != .head { try refuseForgery(request, context.visitor) }
        return try await next(request, context)
    }

    /// The page itself, its files and the login are for everybody; they contain nothing about the battery.
    static func needsVisitor(_ path: String) -> Bool {
        if path == "/metrics" { return true }
        return path.hasPrefix("/api/") && path != "/api/v1/session" && path != "/api/v1/openapi.yaml"
    }

    private func visitor(_ request: Request, _ context: WebContext) async throws -> Visitor {
        if let authorization = request.headers[.authorization] {
            guard authorization.lowercased().hasPrefix("bearer ") else {
                throw Refusal(.unauthorized, "only bearer tokens are understood")
            }
            return try await doorkeeper.visitor(token: String(authorization.dropFirst(7)), from: context.remoteAddress)
        }
        if let id = Self.sessionID(request), let visitor = await doorkeeper.visitor(session: id) { return visitor }
        if loopbackNeedsNoLogin && !Self.isForwarded(request) {
            return .known(role: .owner, name: "web", proof: .loopback)
        }
        return .nobody
    }

    static func sessionID(_ request: Request) -> String? {
        guard let cookies = request.headers[.cookie] else { return nil }
        for part in cookies.split(separator: ";") {
            let pair = part.split(separator: "=", maxSplits: 1).map { $0.trimmingPrefix { $0 == " " } }
            if pair.count == 2 && pair[0] == cookie { return String(pair[1]) }
        }
        return nil
    }

    private static let forwarding = ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via", "X-Forwarded-Host"]
        .compactMap { HTTPField.Name($0) }

    private static func isForwarded(_ request: Request) -> Bool {
        forwarding.contains { request.headers[$0] != nil }
    }

    /// A page of another origin can make a browser send requests with our cookie, or from this machine. It cannot set a header of
    /// its own without being asked for permission, which is never given, and cannot hide its origin.
    private func refuseForgery(_ request: Request, _ visitor: Visitor) throws(Refusal) {
        if let site = request.headers[HTTPField.Name("Sec-Fetch-Site")!], site != "same-origin" && site != "none" {
            throw Refusal(.forbidden, "the request comes from another page")
        }
        if let origin = request.headers[.origin] {
            let scheme = isTLS ? "https" : "http"
            if origin != "\(scheme)://\(request.head.authority ?? "")" {
                throw Refusal(.forbidden, "the request comes from another page")
            }
        }
        guard case .known(_, _, let proof) = visitor else { return }
        let sent = request.headers[Self.csrfHeader]
        switch proof {
        case .token: return
        case .loopback:
            if sent == nil { throw Refusal(.forbidden, "the header X-CSRF-Token is missing") }
        case .session(let csrfToken, _):
            if request.uri.path == "/api/v1/session" && request.method == .post { return }
            guard let sent, Passwords.equal(sent, csrfToken) else {
                throw Refusal(.forbidden, "the header X-CSRF-Token is missing or wrong")
            }
        }
    }

    /// Owners only.
    static func requireOwner(_ context: WebContext) throws(Refusal) {
        if context.visitor.role != .owner { throw Refusal(.forbidden, "this needs the owner's password") }
    }
}
