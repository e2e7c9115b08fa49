import InverterDialects
import LinuxIO

extension Interview {
    func inverter(_ number: Int, _ plan: SetupPlan) throws -> PlannedInverter {
        let key = "inverter[\(number)]"
        let speech = try speech(key)
        tellMenu(of: speech)
        let used = plan.lines.map(\.port) + plan.inverters.map(\.port)
        let port = try port(key, speech, used: used)
        if let address = try? CANAddress(port) { judge(hear(address), speech) }
        return PlannedInverter(speech: speech, port: port)
    }

    // MARK: Which

    private func speech(_ key: String) throws -> PlannedInverter.Speech {
        let brands = Set(InverterProfile.all.flatMap { $0.brand.split(separator: ", ").map(String.init) })
            .sorted { $0.lowercased() < $1.lowercased() }.joined(separator: ", ")
        let text = try conversation.ask(
            Question(
                key: "\(key).profile", text: "Which inverter is it? (a part of its name)",
                explanation:
                    "For example `growatt` or `deye 6k`. Known are: \(brands). For another one type the battery language that its menu offers: pylontech is what most understand. `packbridge inverters` lists everything."
            )
        ) { answer in
            if Self.matches(answer).isEmpty {
                throw Unfit("no inverter is known by \"\(answer)\"; known brands: \(brands). Or a language, such as pylontech")
            }
            return answer
        }
        let matches = Self.matches(text)
        if matches.count == 1 { return matches[0].speech }
        let chosen = try conversation.ask(
            Question(
                key: "\(key).model", text: "Which of these?", choices: matches.map { ($0.name, $0.words) },
                explanation: "The name is what stands in the configuration. Its evidence says how sure we are that it works.",
                isClosed: true))
        return matches.first { $0.name == chosen }?.speech ?? matches[0].speech
    }

    struct Match {
        var name: String
        var words: String
        var speech: PlannedInverter.Speech
    }

    /// The inverters whose name, brand or models contain every word, or the one of exactly this name; a battery language by its name.
    static func matches(_ text: String) -> [Match] {
        let words = text.lowercased().split(separator: " ")
        if words.isEmpty { return [] }
        var found: [InverterProfile] = []
        if let exact = InverterProfile.named(text.lowercased()) {
            found = [exact]
        } else {
            found = InverterProfile.all.filter { profile in
                let all = "\(profile.name) \(profile.brand) \(profile.models)".lowercased()
                return words.allSatisfy { all.contains($0) }
            }
        }
        let profiles = found.map {
            Match(
                name: $0.name, words: "\($0.name): \($0.brand) \($0.models) (\($0.confidence.rawValue))", speech: .profile($0.name))
        }
        if profiles.count == 1 { return profiles }
        let languages = InverterEntry.settings.first { $0.name == "dialect" }?.allowed(InverterEntry()).split(separator: ", ") ?? []
        // For an inverter that is not listed: only the whole name of a language, because most are brands, too.
        return profiles
            + languages.filter { $0 == text.lowercased() }.map {
                Match(name: String($0), words: "\($0): another inverter that speaks this language", speech: .dialect(String($0)))
            }
    }

    private func tellMenu(of speech: PlannedInverter.Speech) {
        guard case .profile(let name) = speech, let profile = InverterProfile.named(name) else { return }
        conversation.say("\n\(profile.brand) \(profile.models)")
        conversation.say(
            profile.menu == "not known"
                ? "  Which setting it needs is not known; choose the one for Pylontech in its menu."
                : "  Set the inverter itself to: \(profile.menu)")
        conversation.say("  Its profile is \(profile.confidence.sentence).")
        if !profile.note.isEmpty { conversation.say("  \(profile.note.capitalised).") }
    }

    // MARK: Where

    private func port(_ key: String, _ speech: PlannedInverter.Speech, used: [String]) throws -> String {
        let isRS485 = Self.speaksRS485(speech)
        let choices = isRS485 ? serialChoices(used) : canChoices(used)
        let example = isRS485 ? "rs485:/dev/ttyUSB1" : "socketcan:can0 or slcan:/dev/ttyACM0"
        return try conversation.ask(
            Question(
                key: "\(key).port",
                text: choices.isEmpty
                    ? "No \(isRS485 ? "serial" : "CAN") adapter was found. What is its port (\(example))?"
                    : "Which port is it on? (a number, or a port)",
                choices: choices, standard: choices.first?.value,
                explanation: isRS485
                    ? "The RS485 adapter that is wired to the inverter's battery port, written \(example)."
                    : "The CAN adapter that is wired to the inverter's battery port: \(example). Both ends of the bus need 120 Ω between CAN-H and CAN-L."
            )
        ) { answer in
            try check(answer, isRS485)
            if used.contains(where: { Self.device($0) == Self.device(answer) }) { throw Unfit("\(answer) is taken already") }
            return answer
        }
    }

    private func canChoices(_ used: [String]) -> [(value: String, words: String)] {
        let taken = Set(used.map(Self.device))
        return world.ports.can.filter { !taken.contains(Self.device($0.port)) }.map {
            ($0.port, $0.isUp ? $0.port : "\($0.port), which is down now")
        }
            // Those that call themselves a CAN adapter first.
            + world.ports.serial.filter { !taken.contains($0.path) }.sorted { $0.isCANAdapter && !$1.isCANAdapter }
            .map { ("slcan:\($0.path)", $0.isCANAdapter ? "slcan:\($0.path)" : "slcan:\($0.path), if it is an SLCAN adapter") }
    }

    private func serialChoices(_ used: [String]) -> [(value: String, words: String)] {
        world.ports.serial.filter { !used.contains($0.path) && !$0.isCANAdapter }
            .map { ("rs485:\($0.path)", $0.words.isEmpty ? "rs485:\($0.path)" : "rs485:\($0.path) (\($0.words))") }
    }

    private func check(_ port: String, _ isRS485: Bool) throws {
        var entry = InverterEntry()
        guard let setting = InverterEntry.settings.first(where: { $0.name == "port" }) else { return }
        do throws(Quantity.Refusal) { try setting.read(port, &entry) } catch { throw Unfit("\"\(port)\" \(error.reason)") }
        if case .rs485 = entry.address, !isRS485 { throw Unfit("this inverter is spoken to on a CAN bus, and \(port) is RS485") }
        if case .can = entry.address, isRS485 { throw Unfit("this inverter is spoken to on RS485: rs485:/dev/ttyUSB1") }
    }

    static func speaksRS485(_ speech: PlannedInverter.Speech) -> Bool {
        switch speech {
        case .profile(let name): InverterProfile.named(name)?.inverter.language == .pylontechRS485
        case .dialect(let name): name == "pylontech-rs485"
        }
    }

    static func language(_ speech: PlannedInverter.Speech) -> InverterLanguage? {
        switch speech {
        case .profile(let name): return InverterProfile.named(name)?.inverter.language
        case .dialect(let name):
            var entry = InverterEntry()
            let setting = InverterEntry.settings.first { $0.name == "dialect" }
            do throws(Quantity.Refusal) { try setting?.read(name, &entry) } catch { return nil }
            return entry.language
        }
    }

    /// `/dev/ttyACM0` of `slcan:/dev/ttyACM0@500000`.
    static func device(_ port: String) -> String {
        let rest = port.hasPrefix("/") ? port[...] : port.split(separator: ":", maxSplits: 1).last ?? port[...]
        return String(rest.prefix { $0 != "@" })
    }

    // MARK: What is heard there

    private func judge(_ heard: Result<BusSearch, any Error>, _ speech: PlannedInverter.Speech) {
        switch heard {
        case .failure(let error):
            conversation.say("Note: \(error)\n  The set-up goes on; packbridge doctor looks again.")
        case .success(let search):
            if let mismatch = DialectMismatch(search, sending: Self.language(speech)) {
                conversation.say("Note: \(mismatch.sentence)")
            } else if search.hasInverter {
                conversation.say("The inverter is there: it sends its heartbeat.")
            } else {
                conversation.say(
                    "No inverter is heard yet. Some speak only after the battery has; else check wiring, termination and the inverter's own setting."
                )
            }
            if search.hasBattery {
                conversation.say(
                    "Note: something on this bus already tells the inverter limits, as a battery does. Disconnect it, or end the program that sends it, before PackBridge runs."
                )
            }
        }
    }

    func shares(of plan: inout SetupPlan) throws {
        for index in plan.inverters.indices {
            let left = 100 - plan.inverters[..<index].reduce(0) { $0 + $1.share }
            let standard = index == 0 ? 50 : left
            plan.inverters[index].share = try conversation.ask(
                Question(
                    key: "inverter[\(index + 1)].share", text: "Percent of the battery's limits for inverter \(index + 1)",
                    standard: "\(standard) %",
                    explanation: "The parts of both inverters add up to at most 100 %. Give the stronger one more.")
            ) { answer in
                let value = try quantity(answer, .percentage, "%", 100...Int64(left) * 100 - (index == 0 ? 100 : 0))
                if value % 100 != 0 { throw Unfit("whole percent, please") }
                return Int(value / 100)
            }
        }
    }
}

/// An inverter that is set to another battery language than the one that is sent to it, seen by its heartbeat.
struct DialectMismatch: Equatable {
    var evidence: String
    var fix: String

    var sentence: String { "\(evidence). \(fix)" }

    /// Nil where everything fits or nothing is known.
    init?(_ search: BusSearch, sending language: InverterLanguage?) {
        guard case .can(let dialect) = language else { return nil }
        if dialect == .growatt, search.heartbeats305 > 0, search.heartbeats301 == 0 {
            evidence =
                "this inverter sends 0x305, so it is set to Pylontech (a Growatt: 36 = L52), but PackBridge is to speak \(dialect.text) (L51)"
            fix = "Set the inverter to 36 = L51, or choose the profile for L52."
        } else if dialect != .growatt, search.heartbeats301 > 0, search.heartbeats305 == 0 {
            evidence =
                "this inverter sends 0x301, so it is set to Growatt's own language (36 = L51), but PackBridge is to speak \(dialect.text) (L52)"
            fix = "Set the inverter to 36 = L52, or choose the profile for L51."
        } else {
            return nil
        }
    }
}
