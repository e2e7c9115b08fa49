import HTTPTypes
import Hummingbird
import NIOCore

/// What is known about one request beside itself.
struct WebContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let remoteAddress: SocketAddress?
    var visitor = Visitor.nobody

    /// A body is a short JSON object.
    var maxUploadSize: Int { Self.maximumBody }
    static let maximumBody = 16 * 1024

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remoteAddress = source.channel.remoteAddress
    }
}

/// Who sends a request, and what it may do.
enum Visitor: Equatable, Sendable {
    case nobody
    /// - Parameter session: the CSRF token that a changing request must repeat; nil where none was given out.
    case known(role: ServeConfiguration.Role, name: String, proof: Proof)

    enum Proof: Equatable, Sendable {
        /// This machine, without a login.
        case loopback
        case session(csrfToken: String, id: String)
        case token
    }

    var role: ServeConfiguration.Role? {
        if case .known(let role, _, _) = self { role } else { nil }
    }

    var name: String {
        if case .known(_, let name, _) = self { name } else { "nobody" }
    }
}

/// An answer that says no, and why.
struct Refusal: Error, HTTPResponseError {
    var status: HTTPResponse.Status
    var problem: String
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ problem: String, headers: HTTPFields = [:]) {
        self.status = status
        self.problem = problem
        self.headers = headers
    }

    func response(from request: Request, context: some RequestContext) -> Response {
        json(Problem(problem: problem), status: status, headers: headers)
    }

    private struct Problem: Encodable {
        var problem: String
    }
}
