import HTTPTypes
import Hummingbird

/// `/api/v1/session`: who I am, log in, log out.
struct SessionRoutes: Sendable {
    let doorkeeper: Doorkeeper
    let access: ServeConfiguration.Access
    let isTLS: Bool

    func add(to router: RouterGroup<WebContext>) {
        router.get("session") { request, context in
            _ = try QueryReader(request, allowed: [])
            return json(SessionDocument(context.visitor))
        }
        router.post("session") { request, context in try await logIn(request, context) }
        router.delete("session") { request, context in
            if case .known(_, _, .session(_, let id)) = context.visitor { await doorkeeper.logOut(id) }
            return json(SessionDocument(.nobody), headers: [.setCookie: cookie("", age: 0)])
        }
    }

    private struct SessionDocument: Encodable {
        var login_needed: Bool
        var role: String
        var csrf_token: String?

        init(_ visitor: Visitor) {
            login_needed = visitor == .nobody
            role = visitor.role?.rawValue ?? "none"
            if case .known(_, _, .session(let token, _)) = visitor { csrf_token = token }
        }
    }

    private struct Credentials: Decodable {
        var password: String
    }

    private func logIn(_ request: Request, _ context: WebContext) async throws -> Response {
        _ = try QueryReader(request, allowed: [])
        let credentials = try await request.decoded(Credentials.self, keys: ["password"])
        if access.owner == nil && access.reader == nil {
            throw Refusal(.forbidden, "no password is set: run `packbridge password`")
        }
        if credentials.password.isEmpty { throw Refusal(.badRequest, "password is empty") }
        let login = try await doorkeeper.logIn(password: credentials.password, from: context.remoteAddress)
        return json(
            SessionDocument(login.visitor), headers: [.setCookie: cookie(login.id, age: Doorkeeper.sessionLength / 1000)])
    }

    /// Out of reach for scripts, and never sent by a link or form of another page.
    private func cookie(_ value: String, age: Int64) -> String {
        "\(AccessMiddleware.cookie)=\(value); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(age)" + (isTLS ? "; Secure" : "")
    }
}
