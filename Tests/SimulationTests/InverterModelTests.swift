import InverterDialects
import Testing

@testable import Simulation

@Suite struct InverterModelTests {
    /// 0x351 with CVL 55.2 V, CCL 40.0 A, DCL 60.0 A, and 0x35C with both enables.
    private static func frames(ccl: Int = 400, cvl: Int = 552) -> [CANFrame] {
        let limits = UInt64(cvl) | UInt64(ccl) << 16 | UInt64(600) << 32 | UInt64(460) << 48
        return [CANFrame(id: 0x351, length: 8, word: limits), CANFrame(id: 0x35C, length: 2, word: 0xC0)]
    }

    private func current(
        _ model: InverterModel, sun: Double, volts: Double = 53, seconds: Int = 1, _ frames: [CANFrame]
    ) -> Double {
        var inverter = SimulatedInverter(model: model, dialect: .pylontech)
        for frame in frames { inverter.hear(frame, at: 0) }
        var result = 0.0
        for second in 0..<seconds {
            result = inverter.step(
                at: Int64(second) * 1000, sun: max(sun, 0), load: max(-sun, 0), charging: (volts, 0.01),
                discharging: (volts, 0.01))
        }
        return result
    }

    @Test func `an obedient inverter stays at the charge limit, at the voltage limit and at the discharge limit`() {
        #expect(current(.obedient, sun: 5000, Self.frames()) == 40)
        let atVoltage = current(.obedient, sun: 5000, volts: 55.1, Self.frames())
        #expect(abs(atVoltage - 10) < 0.01)
        #expect(current(.obedient, sun: -9000, Self.frames()) == -60)
        #expect(current(.obedient, sun: 5000, []) == 0)
    }

    @Test func `one that ignores the limit charges with its own maximum`() {
        #expect(current(.ignoresChargeLimit, sun: 9000, Self.frames(ccl: 0)) == 100)
    }

    @Test func `one that dumps exports the battery when the voltage limit is below the battery`() {
        #expect(current(.dumpsToGrid, sun: 1000, volts: 54, Self.frames(cvl: 530)) == -50)
        #expect(current(.obedient, sun: 1000, volts: 54, Self.frames(cvl: 530)) == 0)
    }

    @Test func `a laggy one needs seconds to react`() {
        #expect(current(.laggy, sun: 5000, seconds: 4, Self.frames()) == 0)
        #expect(current(.laggy, sun: 5000, seconds: 30, Self.frames()) == 40)
    }

    @Test func `one that cuts its output is dark after a protection bit or silence`() {
        let protection = CANFrame(id: 0x359, length: 7, word: 0x02 | 0x4E50_01 << 32)
        #expect(current(.cutsOutput, sun: -1000, Self.frames() + [protection]) == 0)
        #expect(current(.cutsOutput, sun: -1000, Self.frames()) < 0)
        #expect(current(.cutsOutput, sun: -1000, seconds: 12, Self.frames()) == 0)
    }

    @Test func `Growatt frames are read big-endian`() {
        var heard = HeardFrames()
        var limits = CANFrame(id: 0x311, length: 8)
        for (i, byte) in ([0x02, 0x39, 0x02, 0x58, 0x01, 0xF4, 0x00, 0x61] as [UInt8]).enumerated() { limits[i] = byte }
        _ = heard.hear(limits, dialect: .growatt)
        #expect(heard.chargeVoltage == 569 && heard.chargeLimit == 600 && heard.dischargeLimit == 500)
    }
}
