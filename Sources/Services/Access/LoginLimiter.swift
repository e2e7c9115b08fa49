import NIOCore

/// Slows down guessing: some failures in a short time, then a pause, for each address and for all together.
struct LoginLimiter {
    /// Failures of one address, and of all, within the window.
    static let failuresOfOne = 5
    static let failuresOfAll = 50
    static let window: Int64 = 60_000
    /// Addresses remembered; more are forgotten oldest first, the bound for all together still holds.
    static let remembered = 1000

    private var failures: [String: [Int64]] = [:]
    private var all: [Int64] = []

    /// Seconds to wait before the next attempt; nil = now.
    mutating func wait(_ address: String, at now: Int64) -> Int64? {
        all.removeAll { now - $0 >= Self.window }
        failures[address]?.removeAll { now - $0 >= Self.window }
        let one = failures[address] ?? []
        let oldest =
            if one.count >= Self.failuresOfOne { one[one.count - Self.failuresOfOne] } else if all.count >= Self.failuresOfAll {
                all[all.count - Self.failuresOfAll]
            } else { Int64?.none }
        return oldest.map { max(1, (Self.window - (now - $0) + 999) / 1000) }
    }

    mutating func failed(_ address: String, at now: Int64) {
        all.append(now)
        failures[address, default: []].append(now)
        if failures.count > Self.remembered {
            failures = failures.filter { $0.value.contains { now - $0 < Self.window } }
            if failures.count > Self.remembered, let oldest = failures.min(by: { ($0.value.last ?? 0) < ($1.value.last ?? 0) }) {
                failures[oldest.key] = nil
            }
        }
    }

    mutating func succeeded(_ address: String) {
        failures[address] = nil
    }

    /// One person has a whole /64 of IPv6 addresses.
    static func key(_ address: SocketAddress?) -> String {
        guard let text = address?.ipAddress else { return "local" }
        let groups = text.split(separator: ":", omittingEmptySubsequences: false)
        if groups.count < 3 || text.hasPrefix("::ffff:") { return text }
        guard case .v6(let v6)? = address else { return text }
        return withUnsafeBytes(of: v6.address.sin6_addr) { bytes in
            bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
        }
    }
}
