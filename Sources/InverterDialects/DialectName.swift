import Battery

/// Every dialect, under the name that the configuration, the command line and its DBC file use.
///
/// The raw values are stored in the compact configuration and sent over Link: append, never renumber.
public enum DialectName: UInt8, Equatable, Sendable, CaseIterable, BitwiseCopyable {
    case pylontech = 0
    case growatt = 1
    case pylontechV2 = 2
    case sma = 3
    case victron = 4
    case luxpower = 5
    case deye = 6
    case deyePcs = 7
    case hybridLi = 8
    case solark = 9
    case goodwe = 10
    case bydLv = 11
    case sofar = 12

    /// The file stem of the DBC.
    public var text: StaticString {
        switch self {
        case .pylontech: "pylontech"
        case .growatt: "growatt"
        case .pylontechV2: "pylontech_v2"
        case .sma: "sma"
        case .victron: "victron"
        case .luxpower: "luxpower"
        case .deye: "deye"
        case .deyePcs: "deye_pcs"
        case .hybridLi: "hybrid_li"
        case .solark: "solark"
        case .goodwe: "goodwe"
        case .bydLv: "byd_lv"
        case .sofar: "sofar"
        }
    }

    /// See `InverterDialect.encode`.
    public func encode(_ report: borrowing BankReport, into frames: inout FrameSet) {
        switch self {
        case .pylontech: PylontechCAN.encode(report, into: &frames)
        case .growatt: GrowattCAN.encode(report, into: &frames)
        case .pylontechV2: PylontechV2CAN.encode(report, into: &frames)
        case .sma: SMACAN.encode(report, into: &frames)
        case .victron: VictronCAN.encode(report, into: &frames)
        case .luxpower: LuxPowerCAN.encode(report, into: &frames)
        case .deye: DeyeCAN.encode(report, into: &frames)
        case .deyePcs: DeyePCSCAN.encode(report, into: &frames)
        case .hybridLi: HybridLiCAN.encode(report, into: &frames)
        case .solark: SolArkCAN.encode(report, into: &frames)
        case .goodwe: GoodWeCAN.encode(report, into: &frames)
        case .bydLv: BYDLowVoltageCAN.encode(report, into: &frames)
        case .sofar: SofarCAN.encode(report, into: &frames)
        }
    }

    /// See `InverterDialect.isHeartbeat`.
    public func isHeartbeat(_ frame: CANFrame) -> Bool {
        switch self {
        case .pylontech: PylontechCAN.isHeartbeat(frame)
        case .growatt: GrowattCAN.isHeartbeat(frame)
        case .pylontechV2: PylontechV2CAN.isHeartbeat(frame)
        case .sma: SMACAN.isHeartbeat(frame)
        case .victron: VictronCAN.isHeartbeat(frame)
        case .luxpower: LuxPowerCAN.isHeartbeat(frame)
        case .deye: DeyeCAN.isHeartbeat(frame)
        case .deyePcs: DeyePCSCAN.isHeartbeat(frame)
        case .hybridLi: HybridLiCAN.isHeartbeat(frame)
        case .solark: SolArkCAN.isHeartbeat(frame)
        case .goodwe: GoodWeCAN.isHeartbeat(frame)
        case .bydLv: BYDLowVoltageCAN.isHeartbeat(frame)
        case .sofar: SofarCAN.isHeartbeat(frame)
        }
    }

    /// See `InverterDialect.carriesLimits`.
    public func carriesLimits(_ frame: CANFrame) -> Bool {
        switch self {
        case .pylontech: PylontechCAN.carriesLimits(frame)
        case .growatt: GrowattCAN.carriesLimits(frame)
        case .pylontechV2: PylontechV2CAN.carriesLimits(frame)
        case .sma: SMACAN.carriesLimits(frame)
        case .victron: VictronCAN.carriesLimits(frame)
        case .luxpower: LuxPowerCAN.carriesLimits(frame)
        case .deye: DeyeCAN.carriesLimits(frame)
        case .deyePcs: DeyePCSCAN.carriesLimits(frame)
        case .hybridLi: HybridLiCAN.carriesLimits(frame)
        case .solark: SolArkCAN.carriesLimits(frame)
        case .goodwe: GoodWeCAN.carriesLimits(frame)
        case .bydLv: BYDLowVoltageCAN.carriesLimits(frame)
        case .sofar: SofarCAN.carriesLimits(frame)
        }
    }

    /// See `InverterDialect.signals`.
    public func signals(_ visit: (Signal) -> Void) {
        switch self {
        case .pylontech: PylontechCAN.signals(visit)
        case .growatt: GrowattCAN.signals(visit)
        case .pylontechV2: PylontechV2CAN.signals(visit)
        case .sma: SMACAN.signals(visit)
        case .victron: VictronCAN.signals(visit)
        case .luxpower: LuxPowerCAN.signals(visit)
        case .deye: DeyeCAN.signals(visit)
        case .deyePcs: DeyePCSCAN.signals(visit)
        case .hybridLi: HybridLiCAN.signals(visit)
        case .solark: SolArkCAN.signals(visit)
        case .goodwe: GoodWeCAN.signals(visit)
        case .bydLv: BYDLowVoltageCAN.signals(visit)
        case .sofar: SofarCAN.signals(visit)
        }
    }
}
