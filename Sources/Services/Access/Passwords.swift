import CServices

/// Passwords and tokens as they are stored: yescrypt of the system's libxcrypt, the one that Debian uses for its own users.
public enum Passwords {
    /// Cost of a password: 16 MiB and some hundredths of a second.
    static let passwordCost: UInt32 = 5
    /// A token is random and long; its hash need not be slow.
    static let tokenCost: UInt32 = 1

    public static let shortest = 8
    public static let longest = 512

    /// - Returns: nil when the password is too short, too long or the system refuses.
    public static func hash(_ password: String) -> String? {
        guard (shortest...longest).contains(password.utf8.count), !password.utf8.contains(0) else { return nil }
        return hash(password, cost: passwordCost)
    }

    private static func hash(_ secret: String, cost: UInt32) -> String? {
        var buffer = [CChar](repeating: 0, count: 512)
        guard packbridge_hash_password(secret, cost, &buffer, buffer.count) else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    public static func matches(_ password: String, _ hash: String) -> Bool {
        if password.utf8.isEmpty || password.utf8.count > longest || password.utf8.contains(0) { return false }
        return packbridge_password_matches(password, hash)
    }

    /// A new token: what the program sends, and what the configuration keeps.
    public static func makeToken(name: String) -> (token: String, hash: String)? {
        let secret = randomText()
        return hash(secret, cost: tokenCost).map { ("\(name).\(secret)", $0) }
    }

    /// 256 random bits as text.
    static func randomText() -> String {
        var random = SystemRandomNumberGenerator()
        var text = ""
        for _ in 0..<4 {
            let word = String(random.next(), radix: 16)
            text += String(repeating: "0", count: 16 - word.count) + word
        }
        return text
    }

    /// Compares without telling by its time where two texts differ.
    static func equal(_ a: String, _ b: String) -> Bool {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        if a.count != b.count { return false }
        var difference: UInt8 = 0
        for i in a.indices { difference |= a[i] ^ b[i] }
        return difference == 0
    }
}
