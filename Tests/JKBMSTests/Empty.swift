import Testing
@testable import JKBMS
