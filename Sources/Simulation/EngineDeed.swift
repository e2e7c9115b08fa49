import Battery
import BridgeEngine
import InverterDialects

/// One thing that the engine is told or does, for those who keep a run to repeat it elsewhere (`World.init`).
public enum EngineDeed: Sendable {
    // What it is told, and when.
    case at(Instant)
    case start(BridgeConfiguration, record: PersistedRecord?)
    case bmsPort(Int, isOpen: Bool)
    case inverterPort(CANBusState)
    case reply([UInt8], bmsPort: Int)
    case heard(CANFrame)
    case link([UInt8])
    case wake
    case prepareStop
    case stop
    case reconfigure(BridgeConfiguration)
    // What it does about that.
    case sent(CANFrame, CANSendResult)
    case request([UInt8])
    case message([UInt8])
    case record([UInt8])
    case restartBus
    case reopen
    /// The answer to `wake`: when to call again, on the virtual clock.
    case due(Instant)
}

extension Span<UInt8> {
    var array: [UInt8] { indices.map { self[$0] } }
}
