import Testing
@testable import BridgeEngine
