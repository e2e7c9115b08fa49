import HTTPTypes
import Hummingbird
import NIOCore

/// Knows who is who: sessions, tokens and passwords.
actor Doorkeeper {
    private let access: ServeConfiguration.Access
    private let clock: WallClock
    private var sessions: [String: Session] = [:]
    private var limiter = LoginLimiter()
    /// Secrets of tokens that were found right, so that not every request costs a hash.
    private var provenTokens: [String: String] = [:]

    private struct Session {
        var role: ServeConfiguration.Role
        var csrfToken: String
        var expires: Int64
    }

    static let sessionLength: Int64 = 30 * 86_400_000
    static let maximumSessions = 200

    init(_ access: ServeConfiguration.Access, clock: @escaping WallClock) {
        self.access = access
        self.clock = clock
    }

    struct Login {
        var id: String
        var visitor: Visitor
    }

    /// - Throws: `Refusal` 401 or 429.
    func logIn(password: String, from address: SocketAddress?) throws(Refusal) -> Login {
        let key = LoginLimiter.key(address)
        try refuseGuessing(key)
        var role: ServeConfiguration.Role?
        if let hash = access.owner, Passwords.matches(password, hash) { role = .owner }
        if role == nil, let hash = access.reader, Passwords.matches(password, hash) { role = .reader }
        guard let role else {
            limiter.failed(key, at: clock())
            throw Refusal(.unauthorized, "this is not the password")
        }
        limiter.succeeded(key)
        let now = clock()
        sessions = sessions.filter { $0.value.expires > now }
        if sessions.count >= Self.maximumSessions, let oldest = sessions.min(by: { $0.value.expires < $1.value.expires }) {
            sessions[oldest.key] = nil
        }
        let session = Session(role: role, csrfToken: Passwords.randomText(), expires: now + Self.sessionLength)
        let id = Passwords.randomText()
        sessions[id] = session
        return Login(id: id, visitor: Self.visitor(session, id))
    }

    func logOut(_ id: String) {
        sessions[id] = nil
    }

    func visitor(session id: String) -> Visitor? {
        guard let session = sessions[id], session.expires > clock() else { return nil }
        return Self.visitor(session, id)
    }

    private static func visitor(_ session: Session, _ id: String) -> Visitor {
        .known(role: session.role, name: "web", proof: .session(csrfToken: session.csrfToken, id: id))
    }

    /// - Throws: `Refusal` 401 or 429.
    func visitor(token: String, from address: SocketAddress?) throws(Refusal) -> Visitor {
        let parts = token.split(separator: ".", maxSplits: 1).map(String.init)
        let key = LoginLimiter.key(address)
        if parts.count == 2, let known = access.tokens.first(where: { $0.name == parts[0] }) {
            let visitor = Visitor.known(role: known.role, name: known.name, proof: .token)
            if let proven = provenTokens[known.name], Passwords.equal(proven, parts[1]) { return visitor }
            try refuseGuessing(key)
            if Passwords.matches(parts[1], known.hash) {
                provenTokens[known.name] = parts[1]
                return visitor
            }
        }
        try refuseGuessing(key)
        limiter.failed(key, at: clock())
        throw Refusal(.unauthorized, "this token is not known")
    }

    private func refuseGuessing(_ key: String) throws(Refusal) {
        if let seconds = limiter.wait(key, at: clock()) {
            throw Refusal(
                .tooManyRequests, "too many wrong attempts; wait \(seconds) s", headers: [.retryAfter: "\(seconds)"])
        }
    }
}
