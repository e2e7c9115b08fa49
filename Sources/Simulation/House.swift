/// The sun on the roof and the people in the house: watts over the day, seeded.
///
/// The day is drawn in minutes once and read once per simulated second.
public struct House: Sendable {
    /// Watts of the panels in full sun.
    public var peakSun = 6000.0
    /// Watts that the house always takes.
    public var baseLoad = 250.0
    /// Watts of the largest appliance.
    public var largestLoad = 3500.0
    private var random: RandomStream
    private var minute: Int64 = -1
    private var sky = 1.0
    private var cloud = 1.0
    private var appliance = 0.0
    private var applianceMinutes = 0

    public private(set) var sun = 0.0
    public private(set) var load = 0.0

    public init(seed: UInt64) {
        random = RandomStream(seed: seed, stream: 3)
    }

    /// Moves to `second` of simulated time; day 0 starts at midnight.
    public mutating func advance(to second: Int64) {
        let now = second / 60
        if now == minute { return }
        minute = now
        let ofDay = Int(now % 1440)
        if ofDay == 0 || sky == 1.0 { sky = random.chance(0.3) ? random.between(0.15, 0.5) : random.between(0.7, 0.99) }
        if random.chance(0.05) { cloud = random.chance(0.5) ? 1 : random.between(0.2, 0.7) }
        // A parabola from 6:00 to 18:00 is near enough to a sine, and the same on every machine.
        let x = Double(ofDay - 360) / 720
        sun = x <= 0 || x >= 1 ? 0 : peakSun * 4 * x * (1 - x) * sky * cloud
        if applianceMinutes > 0 {
            applianceMinutes -= 1
            if applianceMinutes == 0 { appliance = 0 }
        } else if random.chance(ofDay > 360 ? 0.02 : 0.003) {
            appliance = random.between(0.2, 1) * largestLoad
            applianceMinutes = 2 + random.below(45)
        }
        let evening = ofDay > 1020 && ofDay < 1380 ? 500.0 : 0
        load = baseLoad + evening + appliance + random.between(0, 80)
    }
}
