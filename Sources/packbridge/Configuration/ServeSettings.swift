/// What the file says about the second process, `packbridge-serve`: names, web page, history, MQTT, notifications. The control
/// process knows nothing of it.
struct ServeSettings: Equatable {
    var site = SiteEntry()
    var web = WebEntry()
    var history = HistoryEntry()
    /// Nil = no MQTT.
    var mqtt: MQTTEntry?
    var webhooks: [WebhookEntry] = []
}

/// What things are called, and where the clock on the wall is.
struct SiteEntry: Equatable {
    var name = "PackBridge"
    /// As in the tz database; nil = that of this machine.
    var timeZone: String?
    /// In the order of the packs; "Pack 1", "Pack 2", … where there are fewer.
    var packNames: [String] = []
}

/// The web page and who may see it.
struct WebEntry: Equatable {
    var bind = "127.0.0.1"
    var port: UInt16 = 8080
    var hostNames: [String] = []
    var streams = 1000
    var certificate: String?
    var key: String?
    /// Hashes made by `packbridge password`.
    var passwordHash: String?
    var readerPasswordHash: String?
    var loopbackNeedsLogin = false
    var tokens: [TokenEntry] = []
}

/// A secret for a program, made by `packbridge token`.
struct TokenEntry: Equatable {
    var name = ""
    var hash = ""
    var role = "reader"
}

/// The database of what was.
struct HistoryEntry: Equatable {
    enum Folder: Equatable {
        /// Where systemd keeps the state of the service ($STATE_DIRECTORY), else beside the record of the control process.
        case ofState
        case none
        case at(String)
    }

    var folder = Folder.ofState
    /// `files.state`: the folder of the record; nil = none is kept.
    var stateFolder: String?
    var megabytes = 400

    /// The database; nil = nothing is kept.
    /// - Parameter stateDirectory: the variable STATE_DIRECTORY, where systemd lists folders separated by colons.
    func path(stateDirectory: String?) -> String? {
        let chosen =
            switch folder {
            case .none: String?.none
            case .at(let folder): folder
            case .ofState: stateDirectory?.split(separator: ":").first.map(String.init) ?? stateFolder
            }
        return chosen.map { ($0.hasSuffix("/") ? $0 : $0 + "/") + "history.db" }
    }
}

/// A broker, for Home Assistant and everything else that listens.
struct MQTTEntry: Equatable {
    var host = ""
    var port: UInt16 = 1883
    var clientID = "packbridge"
    var user: String?
    var passwordFile: String?
    var tls = false
    var authority: String?
    var clientCertificate: String?
    var clientKey: String?
    var topic = "packbridge"
    var discovery = "device"
    var discoveryTopic = "homeassistant"
    /// Seconds.
    var interval = 5
    var commands = false
}

/// Somebody who is told what happens.
struct WebhookEntry: Equatable {
    var url = ""
    var minimumSeverity = "warning"
    var tokenFile: String?
    var maximumPerHour = 30
}

extension WebEntry {
    /// True when nobody but this machine can reach the page.
    var bindsLoopback: Bool { bind == "localhost" || bind == "::1" || isIPv4(bind) && bind.hasPrefix("127.") }
}
