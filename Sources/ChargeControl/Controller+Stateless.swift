import Battery

/// One snapshot judged by itself, for `packbridge explain`: the same limiters, with slew, latches and start-up off and the given
/// packs ACTIVE. The result is the protective bound; the phase comes from the restart rule §5.6.
extension Controller {
    /// A controller for `explain`. Give it every pack with `adopt`, then call `evaluate` once.
    public static func stateless(configuration: ControlConfiguration) -> Controller {
        var controller = Controller(
            configuration: configuration, record: nil, recentBoots: 0, isStateless: true, at: judgedAt)
        controller.listsLimiters = true
        return controller
    }

    /// The instant at which everything is judged; only differences count.
    private static let judgedAt = Instant(milliseconds: 1_000_000_000)

    /// - Parameter age: how old the snapshot is; moves the pack through the staleness ladder.
    /// - Returns: why the snapshot is not believed. A given pack that is not believed is still on the busbar: the bank gets 0.
    @discardableResult
    public mutating func adopt(_ reading: PackReading, age: Milliseconds, pack: Int) -> SnapshotRejection {
        if pack < 0 || pack >= packCount || !packConfigurations[pack].isEnabled { return .notConfigured }
        let verdict = packs[pack].adoptStateless(
            reading, age: min(max(age, 0), 1_000_000), rules: rules, pack: packConfigurations[pack], at: Self.judgedAt)
        if verdict != .none && unknownPack == 0 { unknownPack = UInt8(pack + 1) }
        return verdict
    }

    public mutating func evaluate() {
        tick(at: Self.judgedAt)
    }
}
