import Battery
import ChargeControl

/// One tick of the control logic: in the steady state, and with a fresh reading of every pack before each tick.
enum Control {
    static func figures() -> [Figure] {
        let one = tick(packs: 1), many = tick(packs: 16)
        return [
            Figure(name: "control_tick_1_pack", value: one.nanoseconds / 1000, unit: "us", target: .atMost(2)),
            Figure(name: "control_tick_16_packs", value: many.nanoseconds / 1000, unit: "us", target: .atMost(10)),
            Figure(
                name: "control_tick_allocations", value: one.allocations + many.allocations, unit: "allocations",
                target: .atMost(0)),
        ]
    }

    /// How the time of a tick grows with the packs.
    static func growth() -> [Figure] {
        [1, 2, 4, 8, 12, 16].map {
            Figure(name: "control_tick_of_packs_\($0)", value: tick(packs: $0).nanoseconds / 1000, unit: "us", target: .none)
        }
    }

    private static func tick(packs: Int) -> (nanoseconds: Double, allocations: Double) {
        var configuration = ControlConfiguration(chemistry: .lfp)
        (configuration.userCharge, configuration.userDischarge) = (Int32(packs) * 100_000, Int32(packs) * 100_000)
        for _ in 0..<packs { configuration.packs.append(PackConfiguration()) }
        var now = Instant(milliseconds: 0)
        var controller = Controller(configuration: configuration, record: nil, at: now)
        // Until every pack has joined and the limits have risen.
        for second in 0..<120 {
            for pack in 0..<packs { controller.accept(reading(second), pack: pack, at: now) }
            controller.tick(at: now)
            now = now + 1000
        }
        precondition(controller.output.report.chargeCurrentLimit > 0, "the bank must be at work when it is measured")
        // Time goes on by little, so that the readings stay fresh.
        return measure(calls: 400, rounds: 10) {
            now = now + 1
            controller.tick(at: now)
        }
    }

    private static func reading(_ second: Int) -> PackReading {
        var reading = PackReading()
        for cell in 0..<16 { reading.cells.append(UInt16(3310 + (cell * 7) % 12)) }
        reading.packVoltage = (0..<16).reduce(0) { $0 + Int32(reading.cells[$1]) }
        reading.current = Int32(20_000 + (second % 7) * 10)
        reading.cellTemperatures.append(.value(250))
        reading.cellTemperatures.append(.value(262))
        reading.mosfetTemperature = .value(310)
        (reading.soc, reading.rated, reading.full) = (6300, 280_000, 280_000)
        (reading.chargeSwitch, reading.dischargeSwitch, reading.balancing, reading.alarms) = (true, true, false, [])
        var settings = PackSettings()
        (settings.cellOverVoltage, settings.cellUnderVoltage) = (3650, 2700)
        (settings.chargeOverCurrent, settings.dischargeOverCurrent) = (150_000, 150_000)
        reading.settings = settings
        return reading
    }
}
