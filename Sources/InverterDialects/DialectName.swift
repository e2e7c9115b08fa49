import Battery

/// Every dialect, under the name that the configuration, the command line and its DBC file use.
///
/// The raw values are stored in the compact configuration and sent over Link: append, never renumber.
public enum DialectName: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case pylontech = 0
    case growatt = 1

    /// The file stem of the DBC.
    public var text: StaticString {
        switch self {
        case .pylontech: "pylontech"
        case .growatt: "growatt"
        }
    }

    /// See `InverterDialect.encode`.
    public func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        switch self {
        case .pylontech: PylontechCAN.encode(report, into: &frames)
        case .growatt: GrowattCAN.encode(report, into: &frames)
        }
    }

    /// See `InverterDialect.isHeartbeat`.
    public func isHeartbeat(_ frame: CANFrame) -> Bool {
        switch self {
        case .pylontech: PylontechCAN.isHeartbeat(frame)
        case .growatt: GrowattCAN.isHeartbeat(frame)
        }
    }

    /// See `InverterDialect.carriesLimits`.
    public func carriesLimits(_ frame: CANFrame) -> Bool {
        switch self {
        case .pylontech: PylontechCAN.carriesLimits(frame)
        case .growatt: GrowattCAN.carriesLimits(frame)
        }
    }

    /// See `InverterDialect.signals`.
    public func signals(_ visit: (Signal) -> Void) {
        switch self {
        case .pylontech: PylontechCAN.signals(visit)
        case .growatt: GrowattCAN.signals(visit)
        }
    }
}
