import Testing
@testable import LinuxIO
