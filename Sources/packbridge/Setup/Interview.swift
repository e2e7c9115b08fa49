import Battery
import Foundation
import LinkClient
import LinuxIO

/// What the set-up sees of the world. Tests put another one in its place.
struct SetupWorld {
    var ports: PortSurvey
    /// Which JK protocols answer on a port.
    var detect: (String) throws -> [Finding]
    /// One reading of each unit, with its settings where the protocol has them.
    var read: (Finding, String) throws -> [UInt8: PackReading]
    /// What is heard on a CAN bus in 3 s.
    var listen: (CANAddress) throws -> BusSearch
    /// Whose radio is in reach.
    var searchRadio: () throws -> [RadioSearch]
    /// Where the record goes when the usual folder cannot be used and no service is installed.
    var ownStateFolder: String?
}

/// The questions of `packbridge setup`, in their order, and what is found in between.
final class Interview {
    let world: SetupWorld
    let conversation: Conversation
    /// A search takes seconds and must not be repeated when somebody goes back.
    private var found: [String: [Finding]] = [:]
    private var inReach: [RadioSearch] = []
    private var read: [String: [UInt8: PackReading]] = [:]
    private var heard: [String: Result<BusSearch, any Error>] = [:]

    init(_ world: SetupWorld, _ conversation: Conversation) {
        (self.world, self.conversation) = (world, conversation)
    }

    func run() throws -> SetupPlan {
        var plan = SetupPlan()
        repeat {
            let number = plan.lines.count + 1
            try plan.lines.append(bms(number, used: plan.lines.map(\.port)))
        } while try plan.packs.count < 16
            && conversation.continues(
                "bms[\(plan.lines.count + 1)]", "Is there another BMS, on another port?",
                "Packs in parallel, each with a BMS, make one bank for the inverter. Units on one RS485 line are found together; units on lines of their own are named one after the other."
            )
        try judgeWithoutChemistry(plan.packs)
        plan.chemistry = try chemistry(of: plan.packs)
        repeat {
            try plan.inverters.append(inverter(plan.inverters.count + 1, plan))
        } while try plan.inverters.count < 2
            && conversation.continues(
                "inverter[\(plan.inverters.count + 1)]", "Is there a second inverter, on a port of its own?",
                "Two inverters on one battery each get a part of its limits, so that together they never exceed them. Inverters in parallel that share one BMS cable count as one."
            )
        if plan.inverters.count == 2 { try shares(of: &plan) }
        try limits(of: &plan)
        plan.stateFolder = try stateFolder()
        return plan
    }

    // MARK: The BMS

    private func bms(_ number: Int, used: [String]) throws -> PlannedLine {
        let key = "bms[\(number)]"
        var line = PlannedLine()
        line.port = try conversation.ask(portQuestion(key, used)) { port in
            if used.contains(port) { throw Unfit("\(port) is taken already") }
            try search(port)
            return port
        }
        if line.port == RadioSearch.port { line.port = try unitInReach(key, used) }
        let findings = found[line.port] ?? []
        let names = findings.map(\.protocolName)
        let chosen = try conversation.ask(
            Question(
                key: "\(key).protocol", text: "Which of the protocols that answer?",
                choices: findings.map { ($0.protocolName, $0.title) }, standard: names.first,
                explanation:
                    "Where both answer, jk-55aaeb90 is the better one: units were seen to stop answering jk-modbus after a while.",
                isClosed: true, mayBeLeftOut: names.count == 1))
        guard let finding = findings.first(where: { $0.protocolName == chosen }) else { throw Unfit("nothing answers") }
        line.finding = finding
        line.addresses = try addresses(key, finding)
        let readings = try readings(finding, line.port)
        let units = line.addresses.isEmpty ? [0] : line.addresses
        for (index, address) in units.enumerated() {
            guard let reading = readings[address] else {
                throw Failure("\(line.port): the unit with address \(address) stopped answering; packbridge doctor may know more")
            }
            let name = units.count == 1 ? "The BMS" : "The BMS with address \(address)"
            let path = units.count == 1 ? key : "\(key).pack[\(index + 1)]"
            try line.packs.append(pack(reading, name, path))
        }
        return line
    }

    private func portQuestion(_ key: String, _ used: [String]) -> Question {
        let choices =
            world.ports.serial.filter { !$0.isCANAdapter && !used.contains($0.path) }
            .map { (value: $0.path, words: $0.words.isEmpty ? $0.path : "\($0.path) (\($0.words))") }
            + world.ports.can.filter { $0.isUp && !used.contains($0.port) }
            .map { (value: $0.port, words: "\($0.port), for a BMS that speaks on its CAN port") }
            + (world.ports.hasRadio ? [(value: RadioSearch.port, words: "\(RadioSearch.port), for a BMS without a wire")] : [])
        return Question(
            key: "\(key).port",
            text: choices.isEmpty
                ? "No serial adapter was found. What is its path?" : "Which port is the BMS on? (a number, or a path)",
            choices: choices, standard: choices.first?.value,
            explanation:
                "The serial adapter to which the BMS is wired: to its \"GPS\" connector (3.3 V; only GND, RX and TX, never VCC, which carries the battery's voltage) or to its RS485 port. Every protocol and both baud rates are tried, which takes up to 15 seconds and changes nothing in the BMS. bluetooth looks for units by their radio instead: a wire is heard more reliably."
        )
    }

    private func search(_ port: String) throws {
        if found[port] != nil { return }
        if port == RadioSearch.port { return try searchRadio() }
        if RadioSearch.isAddress(port) { return try readRadio(port) }
        if !port.hasPrefix("/") && (try? CANAddress(port)) == nil {
            throw Unfit("\(port) is neither the path of a serial device nor a CAN port such as socketcan:can1, nor bluetooth")
        }
        conversation.say("Looking for a JK BMS on \(port); this takes up to 15 seconds …")
        let findings: [Finding]
        do { findings = try world.detect(port) } catch { throw Unfit(reasonNotToOpen(port, error)) }
        if findings.isEmpty {
            let otherWay = world.ports.hasRadio ? " Or look for its radio: bluetooth" : ""
            throw Unfit(
                "no JK BMS answers on \(port). Is it switched on? Are RX and TX (or A and B) the right way round? Is GND connected?\(otherWay)"
            )
        }
        // The better of two languages of the same units comes first.
        found[port] = findings
        for finding in findings { conversation.say("  " + finding.title) }
    }

    private func reasonNotToOpen(_ port: String, _ error: any Error) -> String {
        let holder = holders(of: port).first.map { "; it is \($0.words)" } ?? ""
        return "\(error)\(holder)"
    }

    // MARK: By radio

    private func searchRadio() throws {
        if !inReach.isEmpty { return }
        conversation.say("Looking for JK units over Bluetooth; this takes 10 seconds …")
        do { inReach = try world.searchRadio() } catch { throw Unfit("\(error)") }
        if inReach.isEmpty {
            throw Unfit("no JK unit is in reach. A unit that a phone is connected to does not show itself: close the app")
        }
    }

    /// Nobody's but the owner's: the unit of a neighbour may be in reach, too.
    private func unitInReach(_ key: String, _ used: [String]) throws -> String {
        let units = inReach.filter { !used.contains($0.address) }
        return try conversation.ask(
            Question(
                key: "\(key).unit", text: "Which of these units is it? (a number, or its address)",
                choices: units.map { ($0.address, $0.title) }, standard: units.count == 1 ? units[0].address : nil,
                explanation:
                    "The name is the one that the JK app shows, and a unit has its model in it when it leaves the factory. A unit that is missing is out of reach, or a phone is connected to it."
            )
        ) { answer in
            let address = answer.uppercased()
            if !RadioSearch.isAddress(address) { throw Unfit("\(answer) is no Bluetooth address such as C8:47:8C:E0:12:34") }
            if used.contains(address) { throw Unfit("\(address) is taken already") }
            try search(address)
            return address
        }
    }

    private func readRadio(_ address: String) throws {
        let finding = Finding(protocolName: "jk-ble")
        do { _ = try readings(finding, address) } catch { throw Unfit("\(address) is not heard: \(error)") }
        found[address] = [finding]
    }

    // MARK: What was found

    private func addresses(_ key: String, _ finding: Finding) throws -> [UInt8] {
        if finding.addresses.isEmpty { return [] }
        let all = finding.addresses.map(String.init).joined(separator: " ")
        return try conversation.ask(
            Question(
                key: "\(key).address", text: "Which of the units belong to this battery?",
                choices: finding.addresses.count == 1 ? [(all, "address \(all)")] : [], standard: all,
                explanation:
                    "The addresses that the units' switches say, separated by blanks. Each is one pack, and each pack that is named is expected to be there: when one falls silent, the limits fall.",
                isClosed: finding.addresses.count == 1, mayBeLeftOut: finding.addresses.count == 1)
        ) { answer in
            let numbers = answer.split(separator: " ").map { UInt8($0) }
            guard !numbers.isEmpty, !numbers.contains(nil) else { throw Unfit("these are no addresses; there are \(all)") }
            let chosen = numbers.compactMap(\.self)
            if let missing = chosen.first(where: { !finding.addresses.contains($0) }) {
                throw Unfit("no unit answers to address \(missing); there are \(all)")
            }
            if Set(chosen).count != chosen.count { throw Unfit("an address stands there twice") }
            return chosen
        }
    }

    private func readings(_ finding: Finding, _ port: String) throws -> [UInt8: PackReading] {
        let name = "\(finding.protocolName) \(port)"
        if let known = read[name] { return known }
        conversation.say("Reading its settings …")
        let readings = try world.read(finding, port)
        read[name] = readings
        return readings
    }

    private func pack(_ reading: PackReading, _ name: String, _ key: String) throws -> SurveyedPack {
        var pack = SurveyedPack(reading: reading)
        conversation.say("\(name): \(pack.summary).")
        if let voltage = reading.packVoltage {
            let soc = reading.soc.map { ", \(percent($0, decimals: 0))" } ?? ""
            conversation.say("  Now \(volts(voltage, decimals: 1))\(soc).")
        }
        if pack.settings.chargeOverCurrent == nil {
            pack.chargeOverCurrent = try overCurrent("\(key).charge_over_current", "charge")
        }
        if pack.settings.dischargeOverCurrent == nil {
            pack.dischargeOverCurrent = try overCurrent("\(key).discharge_over_current", "discharge")
        }
        if pack.fullCapacity == nil {
            pack.capacity = try conversation.ask(
                Question(
                    key: "\(key).capacity", text: "Capacity of this pack, in Ah?",
                    explanation: "As printed on the cells; cells in parallel add up. The charge current is derived from it.")
            ) { Int32(try quantity($0, .capacity, "Ah", 1000...5_000_000)) }
        }
        return pack
    }

    private func overCurrent(_ key: String, _ direction: String) throws -> Milliamps {
        try conversation.ask(
            Question(
                key: key, text: "At which \(direction) current does this BMS switch off, in A?",
                explanation:
                    "The BMS does not tell its \(direction) over-current protection on this line. It stands in the JK app. Without it nothing may be \(direction)d."
            )
        ) { Int32(try quantity($0, .current, "A", 1000...1_000_000)) }
    }

    /// Things that no chemistry would mend.
    private func judgeWithoutChemistry(_ packs: [SurveyedPack]) throws {
        let all = Chemistry.allCases.map { Contradictions(chemistry: $0, packs: packs).refusals }
        guard let first = all.first, all.allSatisfy({ !$0.isEmpty }) else { return }
        let common = first.filter { refusal in all.allSatisfy { $0.contains(refusal) } }
        throw Failure((common.isEmpty ? first : common).map(\.capitalised).joined(separator: "\n"))
    }

    private func chemistry(of packs: [SurveyedPack]) throws -> Chemistry {
        let protection = packs.compactMap(\.cellOverVoltage).min()
        let guess = protection.flatMap { Chemistry(overVoltageProtection: $0) }
        let because = protection.map { " The BMS stops a cell at \(volts($0))." } ?? ""
        let chosen = try conversation.ask(
            Question(
                key: "battery.chemistry", text: "Which cells are they?",
                choices: [
                    ("lfp", "LiFePO4, 3.2 V per cell"), ("nmc", "NMC and other 3.6 V lithium cells"),
                    ("lto", "lithium titanate, 2.4 V per cell"),
                ],
                standard: guess?.name,
                explanation: "The chemistry decides the voltages and how much current goes at which temperature.\(because)",
                isClosed: true)
        ) { answer in
            guard let chemistry = Chemistry.allCases.first(where: { $0.name == answer }) else { throw Unfit("is not known") }
            let found = Contradictions(chemistry: chemistry, packs: packs)
            if !found.refusals.isEmpty { throw Unfit(found.refusals.joined(separator: "; ")) }
            return chemistry
        }
        for warning in Contradictions(chemistry: chosen, packs: packs).warnings { conversation.say("Note: \(warning).") }
        return chosen
    }

    // MARK: Limits

    private func limits(of plan: inout SetupPlan) throws {
        let proposal = LimitProposal(chemistry: plan.chemistry, packs: plan.packs)
        conversation.say("\nProposed limits. Enter takes a proposal; a smaller value is always good.")
        plan.charge = try limit(
            proposal.charge, "limits.charge", "Charge current of the whole battery", .current, "A",
            "The most that the inverter may charge with. Also think of cables, fuses and what the cells' data sheet says. It falls by itself when cells are cold, nearly full or apart."
        ) { proposal.refusal(ofCharge: $0) }
        plan.discharge = try limit(
            proposal.discharge, "limits.discharge", "Discharge current of the whole battery", .current, "A",
            "The most that the inverter may draw. Also think of cables and fuses. It falls by itself when cells are nearly empty, cold or hot."
        ) { proposal.refusal(ofDischarge: $0) }
        plan.bulk = try limit(
            proposal.bulk, "charge.bulk", "Charge voltage per cell", .voltage, "V",
            "At this average voltage of the cells a charge ends. Lower is gentler and leaves more room for cells that run ahead; 3.45 V fills LiFePO4 to more than 99 %."
        ) { [plan] in proposal.refusal(ofBulk: $0) ?? self.refusal("charge.bulk", $0, plan, \.bulk) }
        plan.float = try limit(
            floatBelow(plan, proposal), "charge.float", "Voltage per cell once full", .voltage, "V",
            "After a full charge the voltage comes down to this, slowly, so that no inverter feeds the battery into the grid."
        ) { [plan] in self.refusal("charge.float", $0, plan, \.float) }
        plan.emptyCell = try limit(
            proposal.emptyCell, "limits.empty_cell", "Voltage of the lowest cell at which discharge ends", .voltage, "V",
            "The discharge current falls as the lowest cell comes near this voltage, and is 0 there: before the BMS switches off."
        ) { [plan] in proposal.refusal(ofEmptyCell: $0) ?? self.refusal("limits.empty_cell", $0, plan, \.emptyCell) }
        if plan.inverters.contains(where: { $0.profile?.traits.hasSoCCutOff ?? true }) {
            conversation.say(
                "Note: the inverter may also switch off by state of charge. Set its own cut-off to 10 % or less, so that a wrong state of charge does not leave you in the dark."
            )
        }
    }

    /// The preset follows a bulk voltage that was chosen lower.
    private func floatBelow(_ plan: SetupPlan, _ proposal: LimitProposal) -> ProposedLimit<Millivolts> {
        guard let bulk = plan.bulk?.value, proposal.float.value > bulk - 20 else { return proposal.float }
        return ProposedLimit(value: bulk - 20, reason: "0.02 V below the charge voltage")
    }

    private func limit(
        _ proposal: ProposedLimit<Int32>, _ key: String, _ text: String, _ unit: Quantity, _ symbol: String, _ explanation: String,
        refuse: (Int32) -> String?
    ) throws -> ProposedLimit<Int32> {
        conversation.say("\n\(text): \(unit.text(for: Int64(proposal.value), in: symbol))\n  \(proposal.reason.capitalised).")
        return try conversation.ask(
            Question(
                key: key, text: text, standard: unit.text(for: Int64(proposal.value), in: symbol), explanation: explanation)
        ) { answer in
            let value = Int32(try quantity(answer, unit, symbol, 0...16_000_000))
            if value == proposal.value { return proposal }
            if let refusal = refuse(value) { throw Unfit(refusal) }
            return ProposedLimit(
                value: value,
                reason: "your choice; proposed was \(unit.text(for: Int64(proposal.value), in: symbol)): \(proposal.reason)")
        }
    }

    /// What the checker of configuration files says about one value.
    private func refusal(
        _ key: String, _ value: Int32, _ plan: SetupPlan, _ field: WritableKeyPath<SetupPlan, ProposedLimit<Int32>?>
    ) -> String? {
        var candidate = plan
        candidate[keyPath: field] = ProposedLimit(value: value, reason: "")
        do throws(ConfigurationRefused) { _ = try ConfigurationReader.read(candidate.yaml(day: "")) } catch {
            guard let problem = error.problems.first(where: { $0.key == key }) else { return nil }
            return problem.message + (problem.allowed.map { "; allowed: \($0)" } ?? "")
        }
        return nil
    }

    private func stateFolder() throws -> String? {
        guard let own = world.ownStateFolder else { return nil }
        return try conversation.ask(
            Question(
                key: "files.state", text: "Folder for the record that survives a restart", standard: own,
                explanation:
                    "The phase of the charge, the day of the last full charge and the history of the page are kept there. The usual folder, /var/lib/packbridge, is not yours to write.",
                mayBeLeftOut: true)
        ) { answer in
            guard answer.hasPrefix("/") else { throw Unfit("is no path from the root of the file system") }
            return answer
        }
    }

    // MARK: What others share

    /// The bus of a port, heard once.
    func hear(_ address: CANAddress) -> Result<BusSearch, any Error> {
        if let known = heard["\(address)"] { return known }
        conversation.say("Listening on \(address) for 3 seconds; nothing is sent …")
        let result = Result { try world.listen(address) }
        heard["\(address)"] = result
        return result
    }

    func quantity(_ text: String, _ quantity: Quantity, _ unit: String, _ range: ClosedRange<Int64>) throws -> Int64 {
        let value: Int64
        do throws(Quantity.Refusal) { value = try quantity.read(text, plainUnit: unit) } catch {
            throw Unfit("\"\(text)\" \(error.reason)")
        }
        guard range.contains(value) else {
            throw Unfit(
                "allowed is \(quantity.text(for: range.lowerBound, in: unit)) to \(quantity.text(for: range.upperBound, in: unit))")
        }
        return value
    }
}

extension Finding {
    var title: String {
        isBusy ? heard + "; another host asks already, so PackBridge only listens" : heard
    }
}
