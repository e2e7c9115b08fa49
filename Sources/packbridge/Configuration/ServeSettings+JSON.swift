import Foundation

extension ServeSettings {
    /// The configuration as `packbridge-serve` reads it (docs/serve.md), every key written out. A peer test hands it the result.
    /// - Parameters:
    ///   - stateDirectory: the variable STATE_DIRECTORY, which systemd sets for a service.
    ///   - zone: the time zone of this machine, used when the file names none.
    func json(
        stateDirectory: String? = ProcessInfo.processInfo.environment["STATE_DIRECTORY"],
        zone: String = TimeZone.current.identifier
    ) -> String {
        var text = JSONText()
        text.object { json in
            json.field("name", site.name)
            json.field("packNames", names: site.packNames)
            json.field("timeZone", site.timeZone ?? zone)
            json.field("web", object: { $0.write(web) })
            json.field(
                "history",
                object: {
                    $0.field("path", history.path(stateDirectory: stateDirectory))
                    $0.field("maximumSize", history.megabytes)
                })
            if let mqtt { json.field("mqtt", object: { $0.write(mqtt) }) }
            json.field(
                "notifications",
                object: { $0.field("webhooks", array: { for hook in webhooks { $0.write(hook) } }) })
        }
        return text.string
    }
}

extension JSONText {
    fileprivate mutating func write(_ web: WebEntry) {
        field("bind", web.bind)
        field("port", web.port)
        field("hostNames", names: web.hostNames)
        field("maximumStreams", web.streams)
        if let certificate = web.certificate, let key = web.key {
            field(
                "tls",
                object: {
                    $0.field("certificate", certificate)
                    $0.field("key", key)
                })
        }
        field(
            "access",
            object: {
                $0.field("owner", web.passwordHash)
                $0.field("reader", web.readerPasswordHash)
                $0.field("loopbackNeedsLogin", web.loopbackNeedsLogin)
                $0.field("tokens", array: { for token in web.tokens { $0.write(token) } })
            })
    }

    private mutating func write(_ token: TokenEntry) {
        object {
            $0.field("name", token.name)
            $0.field("hash", token.hash)
            $0.field("role", token.role)
        }
    }

    fileprivate mutating func write(_ mqtt: MQTTEntry) {
        field("host", mqtt.host)
        field("port", mqtt.port)
        field("clientID", mqtt.clientID)
        field("user", mqtt.user)
        field("passwordFile", mqtt.passwordFile)
        field("tls", mqtt.tls)
        field("authority", mqtt.authority)
        field("clientCertificate", mqtt.clientCertificate)
        field("clientKey", mqtt.clientKey)
        field("topic", mqtt.topic)
        field("discovery", mqtt.discovery)
        field("discoveryTopic", mqtt.discoveryTopic)
        field("interval", mqtt.interval)
        field("commands", mqtt.commands)
    }

    fileprivate mutating func write(_ hook: WebhookEntry) {
        object {
            $0.field("url", hook.url)
            $0.field("minimumSeverity", hook.minimumSeverity)
            $0.field("tokenFile", hook.tokenFile)
            $0.field("maximumPerHour", hook.maximumPerHour)
        }
    }
}
