/// Minimum, mean and maximum of one series over some time, in stored units.
struct Spread: Equatable, Sendable {
    var minimum: Int64
    var mean: Int64
    var maximum: Int64

    init(_ minimum: Int64, _ mean: Int64, _ maximum: Int64) {
        self.minimum = minimum
        self.mean = mean
        self.maximum = maximum
    }

    init(_ value: Int64) {
        self.init(value, value, value)
    }
}

/// Collects spreads into one.
struct Merger {
    private var minimum = Int64.max
    private var maximum = Int64.min
    private var sum: Int64 = 0
    private(set) var count: Int64 = 0

    mutating func add(_ spread: Spread) {
        minimum = min(minimum, spread.minimum)
        maximum = max(maximum, spread.maximum)
        // A damaged number must not end the process.
        sum &+= spread.mean
        count += 1
    }

    /// Nil when nothing was added. The mean is rounded to the nearest.
    var result: Spread? {
        if count == 0 { return nil }
        let half = sum < 0 ? -count / 2 : count / 2
        return Spread(minimum, (sum &+ half) / count, maximum)
    }
}

/// All series at one point in time, as one blob: for each series the distance of its number from the one before, then the values.
/// Seconds have one value, minutes and hours have mean, mean − minimum and maximum − mean.
enum SampleRow {
    static func encode(_ values: [(series: Int, value: Int64)]) -> [UInt8] {
        var writer = VarintWriter()
        var last = 0
        for (series, value) in values {
            writer.write(UInt64(series - last))
            last = series
            writer.write(signed: value)
        }
        return writer.bytes
    }

    static func encode(_ spreads: [(series: Int, spread: Spread)]) -> [UInt8] {
        var writer = VarintWriter()
        var last = 0
        for (series, spread) in spreads {
            writer.write(UInt64(series - last))
            last = series
            writer.write(signed: spread.mean)
            writer.write(UInt64(bitPattern: spread.mean &- spread.minimum))
            writer.write(UInt64(bitPattern: spread.maximum &- spread.mean))
        }
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, isSecond: Bool, _ visit: (_ series: Int, _ spread: Spread) -> Void) {
        var reader = VarintReader(bytes)
        var series = 0
        while !reader.isAtEnd {
            guard let distance = reader.read(), distance < 1_000_000, let mean = reader.readSigned() else { return }
            series += Int(distance)
            if isSecond {
                visit(series, Spread(mean))
            } else {
                guard let below = reader.read(), let above = reader.read() else { return }
                visit(series, Spread(mean &- Int64(bitPattern: below), mean, mean &+ Int64(bitPattern: above)))
            }
        }
    }
}

/// One series over one day of minutes or 32 days of hours, as one blob: runs of points, each with the number of missing points
/// before it. A point is the change of the mean with two flags, then what the flags announce: mean − minimum, maximum − mean.
/// A value that stands still takes one byte.
enum PackedBlock {
    /// - Parameter points: in order of `index`.
    static func encode(_ points: [(index: Int, spread: Spread)]) -> [UInt8] {
        var writer = VarintWriter()
        var position = 0
        var mean: Int64 = 0
        var start = 0
        while start < points.count {
            var end = start + 1
            while end < points.count && points[end].index == points[end - 1].index + 1 { end += 1 }
            writer.write(UInt64(points[start].index - position))
            writer.write(UInt64(end - start))
            for (_, spread) in points[start..<end] {
                let (below, above) = (spread.mean &- spread.minimum, spread.maximum &- spread.mean)
                let change = spread.mean &- mean
                let zigzag = UInt64(bitPattern: (change << 1) ^ (change >> 63))
                writer.write(zigzag << 2 | (below != 0 ? 1 : 0) | (above != 0 ? 2 : 0))
                if below != 0 { writer.write(UInt64(bitPattern: below)) }
                if above != 0 { writer.write(UInt64(bitPattern: above)) }
                mean = spread.mean
            }
            position = points[end - 1].index + 1
            start = end
        }
        return writer.bytes
    }

    static func decode(_ bytes: UnsafeRawBufferPointer, _ visit: (_ index: Int, _ spread: Spread) -> Void) {
        var reader = VarintReader(bytes)
        var position = 0
        var mean: Int64 = 0
        while !reader.isAtEnd {
            guard let missing = reader.read(), let count = reader.read(), missing < 1_000_000, count < 1_000_000 else { return }
            position += Int(missing)
            for _ in 0..<count {
                guard let word = reader.read() else { return }
                let zigzag = word >> 2
                mean &+= Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1)
                var (below, above) = (UInt64(0), UInt64(0))
                if word & 1 != 0 {
                    guard let value = reader.read() else { return }
                    below = value
                }
                if word & 2 != 0 {
                    guard let value = reader.read() else { return }
                    above = value
                }
                visit(position, Spread(mean &- Int64(bitPattern: below), mean, mean &+ Int64(bitPattern: above)))
                position += 1
            }
        }
    }
}
