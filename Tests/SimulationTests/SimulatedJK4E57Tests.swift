import Battery
import Testing

@testable import Simulation

@Suite struct SimulatedJK4E57Tests {
    /// jk-4e57.md §2: read everything, source PC.
    static let readAll: [UInt8] = [
        0x4E, 0x57, 0x00, 0x13, 0, 0, 0, 0, 0x06, 0x03, 0x00, 0, 0, 0, 0, 0, 0x68, 0, 0, 0x01, 0x29,
    ]

    private func ask(_ bms: inout SimulatedJK4E57, _ request: [UInt8], _ m: PackMeasurement = PackMeasurement()) -> Bool {
        bms.receive(request.span) { m }
    }

    private func measurement() -> PackMeasurement {
        var m = PackMeasurement()
        m.cellCount = 16
        for i in 0..<16 { m.millivolts[i] = UInt16(3300 + i) }
        m.packCentivolts = 5292
        m.centiamps = -880
        m.soc = 57
        m.temperature1 = -3
        m.temperature2 = nil
        m.warnings = .batteryCold
        m.chargeSwitch = false
        return m
    }

    @Test func `the reply to read-all has the length, the sum and the order of real ones`() throws {
        for cells in [1, 8, 13, 14, 16, 32] {
            var bms = SimulatedJK4E57(cells: cells, capacity: 280, chemistry: .lfp)
            var m = measurement()
            m.cellCount = cells
            let answered = ask(&bms, Self.readAll, m)
            #expect(answered)
            let reply = bms.reply
            #expect(reply.count == 243 + 3 * cells)
            #expect(Int(reply[2]) << 8 + Int(reply[3]) == reply.count - 2)
            let sum = reply.dropLast(4).reduce(0) { $0 + Int($1) }
            #expect(sum & 0xFFFF == Int(reply[reply.count - 2]) << 8 + Int(reply[reply.count - 1]))
        }
    }

    @Test func `the fields stand where the table of the protocol puts them`() {
        var bms = SimulatedJK4E57(cells: 16, capacity: 280, chemistry: .lfp)
        let answered = ask(&bms, Self.readAll, measurement())
        #expect(answered)
        // Walk by the widths of jk-4e57.md §4.
        let widths: [UInt8: Int] = [
            0x85: 1, 0x86: 1, 0x89: 4, 0x9D: 1, 0xA9: 1, 0xAA: 4, 0xAB: 1, 0xAC: 1, 0xAE: 1, 0xAF: 1, 0xB1: 1, 0xB2: 10,
            0xB3: 1,
            0xB4: 8, 0xB5: 4, 0xB6: 4, 0xB7: 15, 0xB8: 1, 0xB9: 4, 0xBA: 24, 0xC0: 1,
        ]
        var values: [UInt8: Int] = [:]
        let r = bms.reply
        var i = 11 + 2 + 48
        #expect(r[11] == 0x79 && r[12] == 48)
        while i < r.count - 9 {
            let width = widths[r[i]] ?? 2
            values[r[i]] = r[(i + 1)...(i + min(width, 4))].reduce(0) { $0 << 8 + Int($1) }
            i += 1 + width
        }
        #expect(i == r.count - 9)
        #expect(values[0x81] == 103 && values[0x82] == 0xFFFF)
        #expect(values[0x83] == 5292 && values[0x84] == 880 && values[0x85] == 57)
        #expect(values[0x8B] == 0x0200 && values[0x8C] == 2)
        #expect(values[0x90] == 3650 && values[0x93] == 2600 && values[0x97] == 150 && values[0x99] == 150)
        #expect(values[0x9D] == 1 && values[0xA5] == 0xFFFF && values[0xA7] == 0xFFE7)
        #expect(
            values[0xA9] == 16 && values[0xAA] == 280 && values[0xAB] == 1 && values[0xAC] == 1 && values[0xB9] == 280)
    }

    @Test func `a request in pieces is answered when it is complete, a damaged one never`() {
        var bms = SimulatedJK4E57(cells: 4, capacity: 100, chemistry: .lfp)
        let first = ask(&bms, Array(Self.readAll.prefix(9)))
        let rest = ask(&bms, Array(Self.readAll.dropFirst(9)))
        #expect(!first && rest)
        var damaged = Self.readAll
        damaged[8] = 0x03
        let second = ask(&bms, damaged)
        let third = ask(&bms, [0xFF, 0x4E] + Self.readAll)
        #expect(!second && third)
    }

    @Test func `one id is answered alone, and a sleeping BMS answers only the activation`() {
        var bms = SimulatedJK4E57(cells: 4, capacity: 100, chemistry: .lfp)
        var request = Self.readAll
        (request[8], request[11]) = (0x03, 0x85)
        SimulatedJK4E57.seal(&request)
        var m = PackMeasurement()
        (m.cellCount, m.soc) = (4, 57)
        let answered = ask(&bms, request, m)
        #expect(answered)
        #expect(bms.reply.count == 22 && Array(bms.reply[11...12]) == [0x85, 57])
        bms.isAsleep = true
        let asleep = ask(&bms, request, m)
        (request[8], request[11]) = (0x01, 0)
        SimulatedJK4E57.seal(&request)
        let woken = ask(&bms, request, m)
        #expect(!asleep && woken && !bms.isAsleep)
    }
}
