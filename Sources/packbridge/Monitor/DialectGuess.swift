import InverterDialects

/// Which dialect a bus speaks, judged by the frames seen so far.
///
/// Dialects that differ only in the meaning of the same bytes (Deye V1.2, Sofar, Sol-Ark without its 0x379) cannot be told from
/// Pylontech and are shown as Pylontech; `--protocol` says otherwise.
struct DialectGuess {
    private var seen: Set<UInt32> = []
    private var name = ""
    private var hasLongAlarmsWithoutLetters = false

    mutating func add(_ frame: CANFrame) {
        if frame.isExtended { return }
        seen.insert(frame.id)
        switch frame.id {
        case 0x35E: name = String(decoding: (0..<Int(frame.length)).map { frame[$0] }, as: UTF8.self)
        case 0x359: hasLongAlarmsWithoutLetters = frame.length == 8 && (frame[5] != 0x50 || frame[6] != 0x4E)
        default: break
        }
    }

    var dialect: DialectName {
        func has(_ ids: UInt32...) -> Bool { ids.contains(where: seen.contains) }
        if has(0x311, 0x313) { return .growatt }
        if name.hasPrefix("DY") || has(0x361, 0x363, 0x364) { return .deyePcs }
        if has(0x399, 0x3DA, 0x3DB) { return .hybridLi }
        if has(0x35A) {
            if name.hasPrefix("GOODWE") || name.hasPrefix("GoodWe") { return .goodwe }
            if has(0x359, 0x35C) { return .pylontechV2 }
            if name.hasPrefix("BYD") { return .bydLv }
            return has(0x360, 0x370, 0x372, 0x373, 0x379, 0x307) ? .victron : .sma
        }
        if has(0x359), hasLongAlarmsWithoutLetters { return .luxpower }
        return has(0x379) ? .solark : .pylontech
    }
}
