/// Cell chemistry. The voltages and tables that go with it are in `ChargeControl` (charge-control.md §2).
public enum Chemistry: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    /// LiFePO4.
    case lfp = 0
    /// Nickel-manganese-cobalt ("ternary") Li-ion.
    case nmc = 1
    /// Lithium titanate.
    case lto = 2
}
