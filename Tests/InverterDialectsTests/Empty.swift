import Testing
@testable import InverterDialects
