import Testing
@testable import ChargeControl
