import CMosquitto
import Foundation
import NIOConcurrencyHelpers

/// What the broker's connection tells.
enum MosquittoNews: Sendable, Equatable {
    case connected
    case message(topic: String, payload: [UInt8], isRetained: Bool)
}

/// A connection to an MQTT broker that keeps itself alive: one thread of its own, reconnecting with back-off and jitter.
///
/// Everything goes out with QoS 0 and only while connected: what could not be sent is old by the time the broker is back, and the
/// publisher then says everything anew. So an outage of days needs no memory, and no flood follows it.
final class MosquittoClient: Sendable {
    struct Will: Sendable {
        var topic: String
        var payload: String
    }

    let news: AsyncStream<MosquittoNews>

    private let newsSink: AsyncStream<MosquittoNews>.Continuation
    // libmosquitto guards its handle with locks of its own once `mosquitto_threaded_set` was called.
    nonisolated(unsafe) private let handle: OpaquePointer
    private let state = NIOLockedValueBox(State())
    private let configuration: ServeConfiguration.MQTT
    private let subscriptions: [String]

    private struct State {
        var isConnected = false
        var isStopped = false
        /// Failed attempts since the last connection.
        var failures = 0
        var problem: String?
    }

    /// Longest pause between two attempts, and the first one; each is stretched by up to half at random, so that a house full of
    /// devices does not come back in the same instant after a power cut.
    private static let pauses: (first: Double, longest: Double) = (1, 60)
    /// A broker that does not answer for one and a half times this is gone.
    private static let keepAlive: Int32 = 20
    /// Messages that may wait for the publisher; more are dropped, the newest first. After a connection the broker shows everything
    /// that is retained for Home Assistant.
    private static let waitingMessages = 2500
    /// Bytes of a payload that are kept: orders are short, and of the rest only the topic counts.
    private static let keptPayload = 512

    /// - Parameter subscriptions: topic filters, subscribed anew after every connection.
    /// - Throws: `MQTTProblem` when a file of the TLS configuration or the password cannot be used.
    init(_ configuration: ServeConfiguration.MQTT, will: Will, subscriptions: [String]) throws(MQTTProblem) {
        _ = Self.isInitialised
        self.configuration = configuration
        self.subscriptions = subscriptions
        guard let handle = mosquitto_new(configuration.clientID, true, nil) else {
            throw MQTTProblem("mqtt: the client id '\(configuration.clientID)' is not possible")
        }
        self.handle = handle
        (news, newsSink) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.waitingMessages))
        mosquitto_threaded_set(handle, true)
        mosquitto_user_data_set(handle, Unmanaged.passUnretained(self).toOpaque())
        try check(
            mosquitto_will_set(handle, will.topic, Int32(will.payload.utf8.count), will.payload, 1, true),
            "the last will")
        try secure()
        mosquitto_connect_callback_set(handle) { @Sendable _, owner, code in
            MosquittoClient.of(owner)?.connected(code)
        }
        mosquitto_disconnect_callback_set(handle) { @Sendable _, owner, code in
            MosquittoClient.of(owner)?.disconnected(code)
        }
        mosquitto_message_callback_set(handle) { @Sendable _, owner, message in
            guard let client = MosquittoClient.of(owner), let message = message?.pointee else { return }
            let bytes = UnsafeRawBufferPointer(start: message.payload, count: Int(message.payloadlen))
            client.newsSink.yield(
                .message(
                    topic: String(cString: message.topic), payload: Array(bytes.prefix(MosquittoClient.keptPayload)),
                    isRetained: message.retain))
        }
    }

    deinit { mosquitto_destroy(handle) }

    private static let notYet = "not connected yet"

    /// Why there is no connection; nil while there is one.
    var problem: String? { state.withLockedValue { $0.isConnected ? nil : $0.problem ?? Self.notYet } }
    var isConnected: Bool { state.withLockedValue { $0.isConnected } }

    /// Starts the thread. It holds on to the client until `stop`.
    func start() {
        Thread.detachNewThread { self.work() }
    }

    /// Says goodbye and ends the thread.
    func stop() {
        state.withLockedValue { $0.isStopped = true }
        mosquitto_disconnect(handle)
    }

    /// Sends now or not at all. - Returns: false when there is no connection or the broker does not take what was sent before.
    @discardableResult
    func publish(_ topic: String, _ payload: some Sequence<UInt8>, isRetained: Bool) -> Bool {
        guard isConnected else { return false }
        let bytes = Array(payload)
        return mosquitto_publish(handle, nil, topic, Int32(bytes.count), bytes, 0, isRetained) == MOSQ_ERR_SUCCESS.code
    }

    /// True while bytes are still waiting for the broker: telemetry is then left out instead of piled up.
    var isBacklogged: Bool { mosquitto_want_write(handle) }

    // MARK: The thread

    private func work() {
        var isFirst = true
        while !state.withLockedValue({ $0.isStopped }) {
            let code =
                isFirst
                ? mosquitto_connect(handle, configuration.host, Int32(configuration.port), Self.keepAlive)
                : mosquitto_reconnect(handle)
            if code == MOSQ_ERR_SUCCESS.code {
                isFirst = false
                var end = MOSQ_ERR_SUCCESS.code
                while end == MOSQ_ERR_SUCCESS.code { end = mosquitto_loop(handle, 1000, 1) }
                // A handshake that fails does not always tell the callback.
                if problem == Self.notYet { note(words(end)) }
            } else {
                note(code == MOSQ_ERR_ERRNO.code ? String(cString: strerror(errno)) : words(code))
            }
            pause()
        }
        newsSink.finish()
    }

    private func pause() {
        let failures = state.withLockedValue { state -> Int in
            state.isConnected = false
            state.failures += 1
            return state.failures
        }
        let base = min(Self.pauses.longest, Self.pauses.first * pow(2, Double(min(failures, 10) - 1)))
        let end = Date(timeIntervalSinceNow: base * Double.random(in: 1...1.5))
        while Date() < end, !state.withLockedValue({ $0.isStopped }) { Thread.sleep(forTimeInterval: 0.1) }
    }

    private func connected(_ code: Int32) {
        guard code == 0 else {
            note(String(cString: mosquitto_connack_string(code)))
            return
        }
        for filter in subscriptions { mosquitto_subscribe(handle, nil, filter, 1) }
        state.withLockedValue { state in
            state.isConnected = true
            state.failures = 0
            state.problem = nil
        }
        newsSink.yield(.connected)
    }

    private func disconnected(_ code: Int32) {
        state.withLockedValue { $0.isConnected = false }
        if code != 0 { note(words(code)) }
    }

    private func note(_ problem: String) {
        let place = "\(configuration.host):\(configuration.port)"
        state.withLockedValue { $0.problem = "broker \(place): \(problem)" }
    }

    // MARK: Setting up

    private func secure() throws(MQTTProblem) {
        if let user = configuration.user {
            var password: String?
            if let file = configuration.passwordFile {
                guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
                    throw MQTTProblem("mqtt: the password file \(file) cannot be read")
                }
                password = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
            }
            try check(mosquitto_username_pw_set(handle, user, password), "user and password")
        }
        guard configuration.tls else { return }
        let folder = configuration.authority == nil ? "/etc/ssl/certs" : nil
        try check(
            mosquitto_tls_set(
                handle, configuration.authority, folder, configuration.clientCertificate, configuration.clientKey, nil),
            "the TLS files")
        try check(mosquitto_tls_opts_set(handle, 1, "tlsv1.2", nil), "TLS 1.2")
    }

    private func check(_ code: Int32, _ what: String) throws(MQTTProblem) {
        if code != MOSQ_ERR_SUCCESS.code { throw MQTTProblem("mqtt: \(what): \(words(code))") }
    }

    private func words(_ code: Int32) -> String { String(cString: mosquitto_strerror(code)) }

    private static func of(_ owner: UnsafeMutableRawPointer?) -> MosquittoClient? {
        owner.map { Unmanaged<MosquittoClient>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let isInitialised: Int32 = mosquitto_lib_init()
}

/// Why MQTT cannot be started: what, where, and what to do.
public struct MQTTProblem: Error, Equatable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }
}

extension mosq_err_t {
    fileprivate var code: Int32 { Int32(rawValue) }
}
