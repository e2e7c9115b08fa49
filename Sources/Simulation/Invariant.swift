/// The properties that the bridge promises, numbered as in failsafe.md §10.
public enum Invariant: Int, CaseIterable, Sendable, Comparable {
    case p1 = 1, p2, p3, p4, p5, p6, p7, p8, p9, p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20, p21, p22, p23,
        p24, p25

    public static func < (a: Invariant, b: Invariant) -> Bool { a.rawValue < b.rawValue }

    public var name: String { "P\(rawValue)" }

    /// What it says, in one line.
    public var meaning: String {
        switch self {
        case .p1: "current limits stay below the user's cap, the BMS margins and every pack's share"
        case .p2: "charge voltage stays between rebulk level and the over-voltage limit less 50 mV a cell"
        case .p3: "no current and no enable after the data are too old"
        case .p4: "no frame before three agreeing snapshots since boot"
        case .p5: "no charge at a full cell, no discharge at an empty one"
        case .p6: "no charge at or below the cold limit or without a cell temperature"
        case .p7: "a protective cut is on the bus within 2.5 s"
        case .p8: "limits rise slowly, and not within 30 s after a cut"
        case .p9: "losing an input never raises a limit"
        case .p10: "limits do not rise with cell voltage, bad temperature or age"
        case .p11: "100 % only when full, 0 % only when empty"
        case .p12: "loss of data does not move the state of charge"
        case .p13: "a pack never accepted counts nowhere"
        case .p14: "a command only lowers limits, and only for its time"
        case .p15: "the wall clock changes nothing"
        case .p16: "the limits go out in their period, whatever the network does"
        case .p17: "a complete set is on the bus 3 s after the bus is well again"
        case .p18: "after a reset the record is valid or ignored and frames resume"
        case .p19: "order and numbering of the packs do not matter"
        case .p20: "no request for charge while charge is blocked"
        case .p21: "zero from the BMS is data, not an absence"
        case .p22: "every reduced limit has a reason"
        case .p23: "the value of the clock changes nothing, at 2^32 ms neither"
        case .p24: "alarms stay until fresh data clear them"
        case .p25: "frames say what was meant, rounded to the safe side"
        }
    }
}

/// One broken promise: when, what was expected, what was found.
public struct Violation: Equatable, Sendable {
    public var invariant: Invariant
    /// Milliseconds since the start of the world.
    public var at: Int64
    public var expected: String
    public var found: String

    public init(_ invariant: Invariant, at: Int64, expected: String, found: String) {
        (self.invariant, self.at, self.expected, self.found) = (invariant, at, expected, found)
    }

    public var text: String {
        let (seconds, ms) = (at / 1000, at % 1000)
        let (days, ofDay) = (seconds / 86_400, seconds % 86_400)
        func two(_ n: Int64) -> String { n < 10 ? "0\(n)" : "\(n)" }
        let clock =
            "\(two(ofDay / 3600)):\(two(ofDay / 60 % 60)):\(two(ofDay % 60)).\(ms < 100 ? "0" : "")\(ms < 10 ? "0" : "")\(ms)"
        return "\(invariant.name) (\(invariant.meaning)) after \(days) d \(clock): expected \(expected), found \(found)"
    }
}
