import Testing
@testable import packbridge
