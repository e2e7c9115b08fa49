import Simulation

/// One incident of the demonstration: what goes wrong, for how long, and what a person should look at.
struct Incident {
    let kind: FaultKind
    /// From 0; which pack it happens to.
    let pack: Int
    let seconds: Int64
    let what: String
    let watch: String
}

/// What goes wrong in the demonstration, one after the other, for ever.
enum DemoScript {
    /// Quiet seconds before the first incident and between two.
    static let pause: Int64 = 25
    static let packNames = ["Cellar left", "Cellar right", "Garage left", "Garage right"]

    static func incidents(packs: Int) -> [Incident] {
        let last = packs - 1
        return [
            Incident(
                kind: .corrupt, pack: 0, seconds: 20,
                what: "Interference on the serial line of pack 1: every second reply is damaged.",
                watch: "Damaged replies are dropped whole; the last good one counts for up to 15 s."),
            Incident(
                kind: .sensorCold, pack: last, seconds: 15, what: "Frost: sensor 1 of pack \(last + 1) falls to -2 °C.",
                watch: "Charging a frozen cell ruins it: the charge limit is 0 at once, back above +3 °C."),
            Incident(
                kind: .unplug, pack: last, seconds: 50, what: "Somebody pulls the BMS cable of pack \(last + 1).",
                watch: "15 s of patience, then its limit ramps down; at 30 s the pack is lost and counts no more."),
            Incident(
                kind: .busOff, pack: 0, seconds: 8, what: "Short circuit on the CAN bus.",
                watch: "The bridge keeps trying; a complete set is on the bus at most 3 s after the short is gone."),
            Incident(
                kind: .chargeSwitchOff, pack: 0, seconds: 20,
                what: "The owner switches the charge MOSFET of pack 1 off in the app.",
                watch: packs > 1
                    ? "The other packs go on; the limit is what they alone can take."
                    : "No pack takes charge: limit 0, charge permission gone."),
            Incident(
                kind: .heartbeatStops, pack: 0, seconds: 20, what: "The inverter stops its heartbeat.",
                watch: "Reported, but no reason to stop sending: many inverters never send one."),
            Incident(
                kind: .cellMaximum, pack: 0, seconds: 12, what: "A sense wire of pack 1 breaks: cell 1 reads 65.535 V.",
                watch: "Implausible snapshots are not used at all; the ladder of missing data begins."),
        ]
    }
}
