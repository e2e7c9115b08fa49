import Battery
public struct JK4E57Session: BMSProtocol {
    public init(pace: PollPace) {}
    public mutating func receive<Line: BMSLine>(_ bytes: Span<UInt8>, at now: Instant, on line: inout Line) {}
    public mutating func wake<Line: BMSLine>(at now: Instant, on line: inout Line) -> Instant { now + 1000 }
    public mutating func setPace(_ pace: PollPace) {}
}
