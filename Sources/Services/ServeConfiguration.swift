import Foundation

/// Everything that `packbridge-serve` is told at its start: one JSON object, from a file or a file descriptor.
///
/// `packbridge serve` and `packbridge run` write it from `packbridge.yaml`. A key that is left out has the value shown here; a key
/// that does not exist is an error that names it.
public struct ServeConfiguration: Codable, Equatable, Sendable {
    public var web = Web()
    public var history = History()
    /// Nil = no MQTT.
    public var mqtt: MQTT?
    public var notifications = Notifications()
    /// Names to show, in the order of the configuration; "Pack 1", "Pack 2", … where there are fewer.
    public var packNames: [String] = []
    /// Name of the installation, shown on the page and used for the device in Home Assistant.
    public var name = "PackBridge"
    /// The wall clock's place for the day boundaries of the history, as in the tz database; nil = UTC.
    public var timeZone: String?

    /// The web page, the REST interface and `/metrics`.
    public struct Web: Codable, Equatable, Sendable {
        /// Address to listen on. Anything but a loopback address requires `access.owner`.
        public var bind = "127.0.0.1"
        /// 0 = any free port, printed at the start.
        public var port = 8080
        public var tls: TLS?
        public var access = Access()
        /// Names under which the page is reached, beside the bind address, `localhost` and the name of this machine. A request with
        /// another `Host` is refused on loopback (DNS rebinding).
        public var hostNames: [String] = []
        /// Live streams at the same time; the next one is refused with 503.
        public var maximumStreams = 1000
        public init() {}
    }

    public struct TLS: Codable, Equatable, Sendable {
        /// PEM files.
        public var certificate: String
        public var key: String
        public init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// Who may do what. Hashes come from `packbridge password` (`packbridge-serve hash`); clear text is refused.
    public struct Access: Codable, Equatable, Sendable {
        /// Hash of the owner's password: may send commands.
        public var owner: String?
        /// Hash of the password of people who may only look.
        public var reader: String?
        public var tokens: [Token] = []
        /// Require the login on loopback too, and on `/metrics` always.
        public var loopbackNeedsLogin = false
        public init() {}
    }

    /// A secret for programs, sent as `Authorization: Bearer …`.
    public struct Token: Codable, Equatable, Sendable {
        /// Says in the log which program it was.
        public var name: String
        public var hash: String
        /// `owner` or `reader`.
        public var role: Role
        public init(name: String, hash: String, role: Role) {
            self.name = name
            self.hash = hash
            self.role = role
        }
    }

    public enum Role: String, Codable, Equatable, Sendable {
        case owner, reader
    }

    public struct History: Codable, Equatable, Sendable {
        /// The database; nil = nothing is kept.
        public var path: String?
        /// Megabytes; the oldest of the finest data go first.
        public var maximumSize = 400
        public init() {}
    }

    /// Home Assistant and everything else that listens to a broker.
    public struct MQTT: Codable, Equatable, Sendable {
        public var host: String
        public var port = 1883
        public var clientID = "packbridge"
        public var user: String?
        /// A file that holds the password in its first line: it does not belong into a process list.
        public var passwordFile: String?
        public var tls: Bool = false
        /// PEM file of the authority that signed the broker's certificate; nil = the system's.
        public var authority: String?
        public var clientCertificate: String?
        public var clientKey: String?
        /// First part of every topic.
        public var topic = "packbridge"
        public var discoveryTopic = "homeassistant"
        public var discovery = Discovery.device
        /// Seconds between two states.
        public var interval = 5
        /// Take commands from the broker.
        public var commands = false

        public enum Discovery: String, Codable, Equatable, Sendable {
            /// One message for each device.
            case device
            /// One message for each entity, for Home Assistant before 2024.11.
            case entity
            case none
        }

        public init(host: String) {
            self.host = host
        }
    }

    public struct Notifications: Codable, Equatable, Sendable {
        /// Each gets a POST with one JSON object for every event that is severe enough.
        public var webhooks: [Webhook] = []
        public init() {}
    }

    public struct Webhook: Codable, Equatable, Sendable {
        /// http or https.
        public var url: String
        /// `info`, `warning` or `alarm`.
        public var minimumSeverity = Severity.warning
        /// Sent as `Authorization: Bearer …`; read from this file.
        public var tokenFile: String?
        /// At most this many in an hour; what was left out is counted in the next one.
        public var maximumPerHour = 30
        public init(url: String) {
            self.url = url
        }
    }

    public init() {}
}

/// How much an event concerns a person.
public enum Severity: String, Codable, Comparable, Sendable, CaseIterable {
    case info, warning, alarm

    public static func < (a: Severity, b: Severity) -> Bool {
        allCases.firstIndex(of: a) ?? 0 < allCases.firstIndex(of: b) ?? 0
    }
}
