import Battery

/// An order from the owner or from a home automation. It can only tighten (charge-control.md §11, P14) and expires.
public enum Command: Equatable, Sendable, BitwiseCopyable {
    case pauseCharge(for: Milliseconds)
    case pauseDischarge(for: Milliseconds)
    case resume
    /// Lowers CCL to at most this.
    case chargeCap(Milliamps, for: Milliseconds)
    case dischargeCap(Milliamps, for: Milliseconds)
    case socCeiling(CentiPercent, for: Milliseconds)
    /// Charge to full now: lifts the SoC ceiling and the phase only.
    case fullNow
    /// Clears a severe fault whose cause is gone.
    case acknowledge(pack: UInt8)
}

/// Why a command was refused.
public enum CommandRefusal: UInt8, Error, Equatable, Sendable, BitwiseCopyable {
    case timeToLiveOutOfRange, valueOutOfRange, noSuchPack, nothingToAcknowledge, causeStillPresent
    /// Of a configuration for the firmware: damaged, of another layout, or with values that exclude each other.
    case badConfiguration
    /// The configuration asks for something that this device cannot do, or the device takes none over Link.
    case notSupported
    /// The flash refuses; the configuration before is still in force.
    case notStored
    /// The configuration has more packs, lines or ports than this device has room for.
    case noRoom
    /// The configuration asks for a BMS protocol that was left out of this device's program.
    case protocolAbsent
}
