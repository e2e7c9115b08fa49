/// A CAN dialect by name. The raw values are stored in the compact configuration: append, never renumber.
public enum DialectName: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case pylontech = 0
    case growatt = 1
}
