import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import Testing

@Suite struct ConfigurationImageTests {
    static var everyFieldChanged: BridgeConfiguration {
        var control = ControlConfiguration(chemistry: .nmc)
        control.cellsInSeries = 14
        var pack = PackConfiguration()
        pack.chargeLimit = 90_000
        pack.dischargeLimit = 91_000
        pack.capacity = 280_000
        pack.chargeOverCurrent = 150_000
        pack.dischargeOverCurrent = 160_000
        pack.isEnabled = false
        pack.disabledSensors = 2
        pack.extendedHold = true
        pack.pollInterval = 2000
        control.packs.append(pack)
        control.packs.append(PackConfiguration())
        control.bulk = 4101
        control.float = 4002
        control.rebulk = 3903
        control.dischargeZeroFloor = 3004
        control.userDischargeVoltage = 3105
        control.userCharge = 140_000
        control.userDischarge = 141_000
        control.chargeRateMaximum = 400
        control.bmsMarginPercent = 80
        control.rebulkSoC = 8000
        control.fullEveryDays = 9
        control.absorbMaximum = 60_000
        control.inverterOffset = 200
        control.coldZero = 10
        control.coldReallow = 40
        control.floatMode = .follow
        control.followGap = 300
        control.fullPolicy = .lenient
        control.taper = .late
        control.runnerGainTenths = 20
        control.socCeiling = 8000
        control.socReserve = 2000
        control.socTaper = true
        control.rebulkOnImbalance = true
        control.socCapBeforeFull = 98
        control.coulombCounter = true
        control.forceChargeRequests = true
        control.fullChargeRequest = true
        control.obeyDischargeAction = .cut
        control.obeyProtectsByBit = false
        control.wireResistanceStops = true
        control.hold = 10_000
        control.zero = 20_000
        control.inverter.zeroCurrent = 100
        control.inverter.lowersVoltageWhenBlocked = true
        control.inverter.protectionCutsOutput = false
        control.inverter.hasSoCCutOff = false
        control.inverter.disablesChargeInRest = true
        control.inverter.fullRequestReleasesAt97 = true
        control.inverter.silentWhenLost = true
        var configuration = BridgeConfiguration(control: control)
        configuration.generation = 7
        var line = BMSPortConfiguration()
        line.pace = .init(interval: 500, gap: 200, replyTimeout: 300, retries: 1)
        line.bmsProtocol = .jkCAN
        line.firstPack = 1
        line.addresses.append(3)
        line.listenOnly = true
        line.dischargeIsPositive = true
        line.trustsUnconfirmed = true
        configuration.bmsPorts.append(line)
        var inverter = InverterPortConfiguration()
        inverter.dialect = .growatt
        inverter.cycle = 500
        inverter.sharePerMille = 600
        inverter.options = DialectOptions(name: 0x1234_5678_9ABC_DEF0, isVoltageInTenths: false)
        inverter.rs485 = PylontechRS485Settings()
        inverter.rs485?.address = 0x12
        inverter.rs485?.answersEveryAddress = true
        inverter.rs485?.limitStep = .hundredthOfAmpere
        inverter.rs485?.hasNegativeDischargeLimit = true
        configuration.inverterPorts.append(inverter)
        return configuration
    }

    @Test func `an image with every field changed is read back the same`() throws {
        let configuration = Self.everyFieldChanged
        let image = configuration.image()
        let copy = try image.withBytes { bytes in try BridgeConfiguration(image: bytes) }
        #expect(copy == configuration)
    }

    /// A field that the image forgets comes back as its preset, so the test above needs every field to differ from the preset.
    @Test func `the test configuration differs from the preset in every field`() {
        func same(_ a: Any, _ b: Any) -> [String] {
            zip(Mirror(reflecting: a).children, Mirror(reflecting: b).children).compactMap { x, y in
                String(describing: x.value) == String(describing: y.value) ? x.label : nil
            }
        }
        let changed = Self.everyFieldChanged
        var preset = ControlConfiguration(chemistry: .lfp)
        #expect(same(changed.control, preset) == [])
        preset.packs.append(PackConfiguration())
        #expect(same(changed.control.packs[0], preset.packs[0]) == [])
        #expect(same(changed.control.inverter, preset.inverter) == [])
        #expect(same(changed.inverterPorts[0], InverterPortConfiguration()) == [])
        #expect(same(changed.bmsPorts[0], BMSPortConfiguration()) == [])
    }

    @Test func `a flipped bit or a cut at any byte is refused`() {
        let image = Self.everyFieldChanged.image()
        for i in 0..<image.count {
            var bytes = [UInt8]()
            for j in 0..<image.count { bytes.append(image.bytes[j]) }
            #expect(throws: BridgeConfiguration.ImageProblem.self) { try BridgeConfiguration(image: bytes[0..<i].span) }
            bytes[i] ^= 0x10
            #expect(throws: BridgeConfiguration.ImageProblem.checksum) { try BridgeConfiguration(image: bytes.span) }
        }
    }
}
