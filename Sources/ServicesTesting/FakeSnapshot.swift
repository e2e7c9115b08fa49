import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS

/// One second of a bank of like packs that is being charged; a test changes what it is about.
public struct FakeSnapshot: Sendable {
    public var bank = BankPayload()
    public var packs: [PackPayload] = []
    public var bmsPorts: [BMSPortPayload] = []
    public var inverterPorts: [InverterPortPayload] = []
    /// Nil = a control process from before the message that tells the orders in force.
    public var orders: [OrderInForce]?

    /// - Parameter second: since the start of the fake control process; the same second gives the same snapshot.
    public init(second: Int64, packs count: Int = 2, cells: Int = 16) {
        bank.snapshot = UInt32(second)
        bank.at = Instant(milliseconds: 50_000 + second * 1000)
        bank.started = Instant(milliseconds: 50_000)
        bank.mayTransmit = true
        bank.phase = .absorb
        bank.waiting = .tailCurrent
        bank.waitingAmount = 22_300
        bank.stage = .fresh
        var numbers = LinearNumbers(seed: UInt64(bitPattern: second) &+ 1)
        for index in 0..<count { packs.append(Self.pack(index, second: second, cells: cells, &numbers)) }
        for index in 0..<count {
            var port = BMSPortPayload()
            port.snapshot = bank.snapshot
            port.number = UInt8(index + 1)
            port.isOpen = true
            port.counters.bytes = UInt64(second) * 290
            port.counters.snapshots = UInt32(second)
            bmsPorts.append(port)
        }
        summarise(cells: cells, second: second)
        var inverter = InverterPortPayload()
        inverter.snapshot = bank.snapshot
        inverter.number = 1
        inverter.state = .active
        inverter.heartbeatAge = 400
        inverter.counters.sets = UInt32(second)
        inverter.counters.sent = UInt32(second * 6)
        inverter.counters.received = UInt32(second)
        inverter.counters.heartbeats = UInt32(second)
        DialectName.pylontech.encode(bank.report, into: &inverter.frames)
        inverterPorts = [inverter]
    }

    private static func pack(_ index: Int, second: Int64, cells: Int, _ numbers: inout LinearNumbers) -> PackPayload {
        var pack = PackPayload()
        pack.number = UInt8(index + 1)
        pack.snapshot = UInt32(second)
        pack.readingAge = 300
        var reading = PackReading()
        var sum: Int32 = 0
        var (highest, lowest) = ((Int32(0), UInt8(0)), (Int32.max, UInt8(0)))
        for cell in 0..<cells {
            // A slow swing over the day, a constant spread and a little noise.
            let swing = Int32(abs((second / 60) % 1440 - 720) / 12)
            let leading: Int32 = index == 1 && cell == 6 ? 50 : 0
            let value = 3390 + swing + Int32(cell * 7 % 5) + leading + Int32(numbers.next() % 3)
            reading.cells.append(UInt16(value))
            sum += value
            if value > highest.0 { highest = (value, UInt8(cell + 1)) }
            if value < lowest.0 { lowest = (value, UInt8(cell + 1)) }
        }
        let current = 18_000 + Int32(index) * 500 + Int32(numbers.next() % 200)
        reading.packVoltage = sum
        reading.current = current
        reading.cellTemperatures.append(.value(214 + Int32(index)))
        reading.cellTemperatures.append(.value(219 + Int32(index)))
        reading.mosfetTemperature = .value(268)
        reading.soc = 8120
        reading.soh = 9900
        reading.remaining = 227_360
        reading.full = 280_000
        reading.rated = 280_000
        reading.cycles = 213
        reading.chargeSwitch = true
        reading.dischargeSwitch = true
        reading.balancing = index == 1
        reading.alarms = []
        var settings = PackSettings()
        settings.cellOverVoltage = 3650
        settings.cellUnderVoltage = 2600
        settings.chargeOverCurrent = 150_000
        settings.dischargeOverCurrent = 150_000
        settings.cellCount = Int32(cells)
        reading.settings = settings
        pack.reading = reading
        pack.status.state = .active
        pack.status.stage = .fresh
        pack.status.age = 300
        pack.status.chargeLimit = 140_000
        pack.status.chargeReason = Reason(.userCurrent, bound: 140_000, input: 140_000)
        pack.status.dischargeLimit = 140_000
        pack.status.dischargeReason = Reason(.userCurrent, bound: 140_000, input: 140_000)
        pack.status.voltage = sum
        pack.status.current = current
        pack.status.soc = 8120
        (pack.status.highestCell, pack.status.highestCellNumber) = highest
        (pack.status.lowestCell, pack.status.lowestCellNumber) = lowest
        return pack
    }

    private mutating func summarise(cells: Int, second: Int64) {
        var report = BankReport()
        report.chargeVoltageLimit = 55_440
        report.dischargeVoltageLimit = 46_400
        report.chargeCurrentLimit = 43_000
        report.dischargeCurrentLimit = 280_000
        report.chargeEnabled = true
        report.dischargeEnabled = true
        report.soc = 82
        report.socFine = 8250
        report.soh = 99
        report.cellsInSeries = Int32(cells)
        report.packsOnline = Int32(packs.count)
        report.packsExpected = Int32(packs.count)
        report.cycles = 213
        report.balancing = true
        report.temperature = 220
        report.lowestCell = .max
        report.energyCharged = 1_843_210 + second / 4
        report.energyDischarged = 1_765_430
        for pack in packs {
            report.voltage = pack.status.voltage
            report.current += pack.status.current
            report.remaining += pack.reading.remaining ?? 0
            report.full += pack.reading.full ?? 0
            report.rated += pack.reading.rated ?? 0
            if pack.status.highestCell > report.highestCell {
                report.highestCell = pack.status.highestCell
                report.highestCellPlace = CellPlace(pack: pack.number, cell: pack.status.highestCellNumber)
            }
            if pack.status.lowestCell < report.lowestCell {
                report.lowestCell = pack.status.lowestCell
                report.lowestCellPlace = CellPlace(pack: pack.number, cell: pack.status.lowestCellNumber)
            }
        }
        report.highestTemperature = 220
        report.highestTemperaturePlace = CellPlace(pack: 1, cell: 2)
        report.lowestTemperature = 214
        report.lowestTemperaturePlace = CellPlace(pack: 1, cell: 1)
        bank.report = report
        let place = report.highestCellPlace
        bank.voltageReason = Reason(.runnerCell, bound: 55_440, place: place, input: report.highestCell)
        bank.chargeReason = Reason(.cellHigh, bound: 43_000, place: place, input: report.highestCell)
        bank.dischargeReason = Reason(.userCurrent, bound: 280_000, input: 280_000)
    }

    /// The configuration that the fake control process says is in force.
    public static var configurationImage: [UInt8] {
        var control = ControlConfiguration(chemistry: .lfp)
        (control.userCharge, control.userDischarge) = (140_000, 280_000)
        for _ in 0..<2 { control.packs.append(PackConfiguration()) }
        var bridge = BridgeConfiguration(control: control)
        for index in UInt8(0)..<2 {
            var port = BMSPortConfiguration()
            port.firstPack = index
            port.addresses.append(0)
            bridge.bmsPorts.append(port)
        }
        return bridge.image().withBytes { bytes in bytes.indices.map { bytes[$0] } }
    }

    /// The messages of this snapshot in the order in which the engine sends them.
    /// - Parameter futureKinds: puts a message of a kind that nobody knows yet behind each bank, pack and line.
    public func messages(sequence: inout UInt32, lastEvent: UInt32, futureKinds: Bool = false) -> [UInt8] {
        var bank = bank
        bank.lastEvent = lastEvent
        var bytes: [UInt8] = []
        func add(_ kind: LinkKind, _ sequence: inout UInt32, _ fields: (inout FieldBuffer<2064>) -> Void) {
            bytes += FakeMessage.make(kind, sequence: &sequence, fields)
            if futureKinds { bytes += FakeMessage.make(kind: 99, sequence: &sequence, fields) }
        }
        add(.bank, &sequence) { bank.visitFields(&$0) }
        for var pack in packs { add(.pack, &sequence) { pack.visitFields(&$0) } }
        for var port in bmsPorts { add(.bmsPort, &sequence) { port.visitFields(&$0) } }
        for var port in inverterPorts {
            bytes += FakeMessage.make(.inverterPort, sequence: &sequence) { port.visitFields(&$0) }
        }
        if let orders {
            var payload = OrdersPayload()
            payload.snapshot = bank.snapshot
            for order in orders { payload.orders.append(order) }
            bytes += FakeMessage.make(.orders, sequence: &sequence) { payload.visitFields(&$0) }
        }
        var number = bank.snapshot
        return bytes + FakeMessage.make(.endOfSnapshot, sequence: &sequence) { $0.field(&number) }
    }
}

/// Repeatable noise.
public struct LinearNumbers: Sendable {
    private var state: UInt64

    public init(seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    public mutating func next() -> UInt32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt32(truncatingIfNeeded: state >> 33)
    }
}
