import Battery
import Foundation
import Glibc
import LinuxIO

/// Keeps a process beside the control process alive: the page, or a radio. Nothing of it reaches the control process: whatever happens
/// to it, the frames go on.
struct ProcessSupervisor {
    private let program: String
    private let loss: String
    private var start: ([String: String]) throws -> ChildProcess
    private let say: (String) -> Void
    private let watchdog: Watchdog?
    private var process: ChildProcess?
    private var backOff = BackOff()
    /// Nil = never: it has refused its configuration.
    private var nextStart: Instant? = .now
    private var isMissing = false
    /// Where the page is, as the process says; nil while it is not there.
    private(set) var address: String?

    /// It closes the database when it ends.
    static let patience: Milliseconds = 3000

    /// - Parameters:
    ///   - program: its name.
    ///   - loss: what is so without it, "the bridge works without its page".
    ///   - watchdog: where the process tells that it is alive; nil for one that does not.
    ///   - say: is given what the process says and what is done about it, line by line.
    ///   - start: starts the process with these environment variables.
    init(
        _ program: String, loss: String, watchdog: Watchdog? = nil, say: @escaping (String) -> Void,
        start: @escaping ([String: String]) throws -> ChildProcess
    ) {
        (self.program, self.loss, self.watchdog, self.say, self.start) = (program, loss, watchdog, say, start)
    }

    /// Starts it when it is time, passes on what it says, notices its end. To be called some times a second.
    mutating func turn(at now: Instant, loop: EventLoop, token: UInt64) {
        guard let child = process else {
            guard let time = nextStart, now >= time else { return }
            do {
                process = try start(watchdog?.variables ?? [:])
                watchdog?.begin(at: now)
                isMissing = false
                process?.watch(with: loop, token: token)
            } catch {
                // Perhaps it is being installed right now.
                if !isMissing { say("\(error); \(loss)") }
                isMissing = true
                nextStart = now + BackOff.longest
            }
            return
        }
        let ending = child.ending()
        for line in child.lines() { hear(line, from: child) }
        guard let ending else {
            if watchdog?.isOverdue(at: now) == true {
                say("\(program) hangs: it gave no sign of life for \(Watchdog.limit / 1000) s; killing it")
                kill(child.pid, SIGKILL)
                watchdog?.begin(at: now)
            }
            return
        }
        process = nil
        address = nil
        react(to: ending, uptime: now.since(child.started), at: now)
    }

    private mutating func hear(_ line: String, from child: ChildProcess) {
        if let url = line.split(separator: " ").last, url.hasPrefix("http"), line == "\(child.name): \(url)" {
            address = String(url)
            say("the page is at \(url)")
        } else {
            say(line)
        }
    }

    private mutating func react(to ending: ChildProcess.Ending, uptime: Milliseconds, at now: Instant) {
        if ending == .exit(code: configurationRefused) || ending == .exit(code: 2) {
            nextStart = nil
            say("\(program) refuses its configuration; \(loss)")
            return
        }
        var random = SystemRandomNumberGenerator()
        let delay = backOff.delay(afterUptime: uptime, using: &random)
        nextStart = now + delay
        let wait = Quantity.duration.text(for: delay / 100 * 100, in: "s")
        say("\(program) \(ending) after \(uptime / 1000) s; it starts again in \(wait)")
    }

    /// Ends it and starts it in another way.
    mutating func restart(_ start: @escaping ([String: String]) throws -> ChildProcess) {
        stop()
        (self.start, backOff, nextStart, isMissing) = (start, BackOff(), .now, false)
    }

    /// Ends it.
    mutating func stop() {
        guard let child = process else { return }
        let ended = child.end(within: Self.patience)
        for line in child.lines() { hear(line, from: child) }
        if !ended { say("\(program) did not end within \(Self.patience / 1000) s and was killed") }
        process = nil
    }
}

/// How long to wait before something is started again: twice as long each time, stretched at random so that several do not fall
/// into step, and from the beginning after it has worked for a while.
struct BackOff {
    static let shortest: Milliseconds = 1000
    static let longest: Milliseconds = 60_000
    /// What has run this long was not broken from the start.
    static let steady: Milliseconds = 60_000

    private var next = BackOff.shortest

    mutating func delay(
        afterUptime uptime: Milliseconds, using random: inout some RandomNumberGenerator
    ) -> Milliseconds {
        if uptime >= Self.steady { next = Self.shortest }
        let delay = next + Milliseconds.random(in: 0...next / 2, using: &random)
        next = min(next * 2, Self.longest)
        return delay
    }
}
