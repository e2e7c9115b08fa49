import Battery
import BridgeEngine
import ChargeControl
import Foundation
import InverterDialects
import LinuxIO
import Yams

/// What a configuration file says.
struct BridgeFile {
    /// For the control process.
    var configuration: GatewayConfiguration
    /// For the process that people see.
    var serve: ServeSettings
    /// For the processes that read units over Bluetooth.
    var radios: [BluetoothPack]
    /// What the owner should know although the file is good.
    var hints: [String]
}

/// Reads a configuration file into what the control process needs, or says everything that is wrong with it.
///
/// Nothing is guessed: an unknown key, a wrong unit, a value out of range or a contradiction refuses the file as a whole
/// (charge-control.md §2).
struct ConfigurationReader {
    private var hints: [String] = []
    var problems: [ConfigurationFileProblem] = []
    /// The profiles of the inverters, nil for one that has none.
    private var profiles: [InverterProfile?] = []
    /// The entry of `bms` that each of the engine's BMS ports comes from.
    private var entryOfBMSPort: [Int] = []
    /// Where each key stands, and its text, for problems that concern several keys.
    var places: [String: (mark: Mark?, text: String)] = [:]

    /// - Throws: all problems at once, in the order of the file.
    static func read(_ yaml: String) throws(ConfigurationRefused) -> BridgeFile {
        var reader = ConfigurationReader()
        let file = reader.file(from: yaml)
        guard var file, reader.problems.isEmpty else {
            throw ConfigurationRefused(
                problems: reader.problems.enumerated()
                    .sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element))
        }
        file.hints = reader.hints
        return file
    }

    private mutating func file(from yaml: String) -> BridgeFile? {
        guard let root = root(of: yaml) else { return nil }
        let sections =
            ["battery", "bms", "inverter", "files"] + ControlSection.allCases.map(\.rawValue) + Self.serveSections
        let nodes = children(of: root, path: "", known: sections)

        var kind = BatteryKind()
        if let battery = require("battery", in: nodes) {
            read(battery, "battery", BatteryKind.settings, required: ["chemistry", "cells"], into: &kind)
        }
        var control = ControlConfiguration(chemistry: kind.chemistry)
        control.cellsInSeries = Int32(kind.cells)
        let inverters =
            require("inverter", in: nodes).map {
                readList($0, "inverter", atMost: 2) { $0.readInverter($1, $2) }
            } ?? []
        // What the file says about the inverters' behaviour overrides their profiles.
        profiles = inverters.map(\.profile)
        control.inverter = InverterTraits(of: inverters.map { $0.profile?.traits ?? InverterTraits() })
        for section in ControlSection.allCases {
            guard let node = nodes[section.rawValue] else { continue }
            read(node, section.rawValue, section.settings, into: &control)
        }
        // Amendment 27: an absent float or rebulk voltage takes the preset, lowered where the preset would break the order.
        control.setVoltages(
            bulk: control.bulk, float: places["charge.float"] == nil ? nil : control.float,
            rebulk: places["charge.rebulk"] == nil ? nil : control.rebulk)

        let entries = require("bms", in: nodes).map { readList($0, "bms", atMost: 16) { $0.readBMS($1, $2) } } ?? []
        var files = FileEntry()
        if let node = nodes["files"] { read(node, "files", FileEntry.settings, into: &files) }

        let lines = BMSLines(entries)
        for problem in lines.problems {
            contradiction(key("bms", problem.entry, problem.key), with: nil, problem.message, problem.allowed)
        }
        entryOfBMSPort = lines.entryOfPort
        let radios = lines.entryOfPort.enumerated().filter { entries[$1].speech == .bluetooth }
            .map { port, entry in BluetoothPack(device: entries[entry].device, pack: lines.ports[port].firstPack + 1) }
        if !radios.isEmpty {
            hints.append(
                "bms: jk-ble is read by packbridge-ble; `packbridge run` starts it, beside `packbridge control` start `packbridge radio`"
            )
        }
        for pack in lines.packs { control.packs.append(pack) }
        var bridge = BridgeConfiguration(control: control)
        for port in lines.ports { bridge.bmsPorts.append(port) }
        for inverter in inverters { bridge.inverterPorts.append(inverter.port) }
        let configuration = GatewayConfiguration(
            bmsLines: lines.addresses, inverterBuses: inverters.map(\.address), stateDirectory: files.state,
            linkSocket: files.link, bridge: bridge)
        checkContradictions(in: configuration)
        let serve = readServe(nodes, packs: lines.packs.count, stateFolder: files.state)
        return BridgeFile(configuration: configuration, serve: serve, radios: radios, hints: [])
    }

    private mutating func readBMS(_ node: Node, _ path: String) -> BMSEntry {
        var entry = BMSEntry()
        // What comes over Link has no port.
        var required = ["protocol", "port"]
        if case .mapping(let mapping) = node, mapping["protocol"]?.scalar?.string == "link" { required = ["protocol"] }
        read(node, path, BMSEntry.settings, required: required, subsections: ["pack"], into: &entry)
        if case .mapping(let mapping) = node, let pack = mapping["pack"] {
            read(pack, "\(path).pack", PackConfiguration.settings, into: &entry.pack)
        }
        return entry
    }

    private mutating func readInverter(_ node: Node, _ path: String) -> InverterEntry {
        var entry = InverterEntry()
        if let name = node.scalar?.string {
            readProfile(name, node, path, into: &entry)
            return entry
        }
        read(node, path, InverterEntry.settings, required: ["port"], into: &entry)
        finish(&entry, node, path)
        return entry
    }

    /// `inverter: growatt-spf5000es`, at the CAN interface that every computer calls the first.
    private mutating func readProfile(_ name: String, _ node: Node, _ path: String, into entry: inout InverterEntry) {
        guard let setting = InverterEntry.settings.first(where: { $0.name == "profile" }) else { return }
        do throws(Quantity.Refusal) {
            try setting.read(name, &entry)
        } catch {
            problems.append(
                problem(path, node.mark, name, "\"\(name)\" \(error.reason)", allowed: setting.allowed(entry)))
            return
        }
        if entry.language == .pylontechRS485 {
            problems.append(
                problem(
                    path, node.mark, name, "\"\(name)\" speaks RS485, so it needs a port",
                    allowed: "{profile: \(name), port: \"rs485:/dev/ttyUSB1\"}"))
            return
        }
        entry.address = .can(.socketCAN(interface: "can0"))
        finish(&entry, node, path)
    }

    /// Dialect and port must belong together, and so must the keys that only some of them have.
    private mutating func finish(_ entry: inout InverterEntry, _ node: Node, _ path: String) {
        let keys = ["limit_step", "group", "answers_every_address", "negative_discharge_limit"]
        guard case .rs485 = entry.address else {
            if case .can(let dialect) = entry.language {
                entry.port.dialect = dialect
                refuse(["name"], path, unless: dialect.hasName, "has no meaning: dialect \(dialect.text) carries no name")
                refuse(
                    ["voltage_step"], path, unless: dialect.hasMeasuredVoltage,
                    "has no meaning: dialect \(dialect.text) has no frame 0x356")
            } else if entry.language != nil {
                contradiction(
                    "\(path).dialect", with: "\(path).port", "is spoken on RS485, but the port is a CAN bus", "rs485:/dev/ttyUSB1")
            } else if problems.isEmpty {
                problems.append(
                    problem("\(path).dialect", node.mark, nil, "this key is missing, and so is profile", allowed: nil))
            }
            refuse(keys, path, unless: false, "has a meaning only on an RS485 port")
            entry.port.rs485 = nil
            return
        }
        if entry.language?.dialect != nil {
            contradiction(
                "\(path).dialect", with: "\(path).port", "is spoken on a CAN bus, but the port is RS485", "pylontech-rs485")
        }
        refuse(["period", "name", "voltage_step"], path, unless: false, "has no meaning on an RS485 port")
        entry.port.rs485 = entry.port.rs485 ?? PylontechRS485Settings()
    }

    private mutating func refuse(_ keys: [String], _ path: String, unless isGood: Bool, _ message: String) {
        if isGood { return }
        for name in keys where places["\(path).\(name)"] != nil { contradiction("\(path).\(name)", with: nil, message, "") }
    }

    // MARK: Walking the file

    mutating func root(of yaml: String) -> Node? {
        do {
            guard let node = try Yams.compose(yaml: yaml) else {
                problems.append(problem("", nil, nil, "the file is empty", allowed: nil))
                return nil
            }
            return node
        } catch let error as YamlError {
            problems.append(syntaxProblem(error))
        } catch {
            problems.append(problem("", nil, nil, "the file cannot be read: \(error)", allowed: nil))
        }
        return nil
    }

    private func syntaxProblem(_ error: YamlError) -> ConfigurationFileProblem {
        switch error {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _), .composer(_, let text, let mark, _):
            problem("", mark, nil, "this is no YAML: \(text)", allowed: nil)
        case .duplicatedKeysInMapping(let names, let context):
            problem(
                names.joined(separator: ", "), context.mark, nil, "stands twice in the same section", allowed: "once")
        default:
            problem("", nil, nil, "this is no YAML: \(error)", allowed: nil)
        }
    }

    /// The values of a mapping by key; unknown keys are problems.
    mutating func children(of node: Node, path: String, known: [String]) -> [String: Node] {
        guard case .mapping(let mapping) = node else {
            let what = path.isEmpty ? "the file" : "this"
            problems.append(
                problem(
                    path, node.mark, node.scalar?.string, "\(what) must be a list of `key: value` lines",
                    allowed: known.joined(separator: ", ")))
            return [:]
        }
        var result: [String: Node] = [:]
        for (key, value) in mapping {
            let name = key.scalar?.string ?? ""
            let full = path.isEmpty ? name : "\(path).\(name)"
            if known.contains(name) {
                result[name] = value
                places[full] = (key.mark, value.scalar?.string ?? "")
            } else {
                let suggestion = closest(to: name, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
                let isSecret = ["pass", "secret", "token", "hash"].contains { name.lowercased().contains($0) }
                problems.append(
                    problem(
                        full, key.mark, isSecret ? nil : value.scalar?.string, "there is no such key" + suggestion,
                        allowed: known.joined(separator: ", ")))
            }
        }
        return result
    }

    private mutating func require(_ section: String, in nodes: [String: Node]) -> Node? {
        if nodes[section] == nil {
            problems.append(problem(section, nil, nil, "this section is missing", allowed: nil))
        }
        return nodes[section]
    }

    /// A list of mappings, or one mapping where a list has a single element.
    mutating func readList<Entry>(
        _ node: Node, _ path: String, atMost limit: Int, _ read: (inout ConfigurationReader, Node, String) -> Entry
    ) -> [Entry] {
        guard case .sequence(let sequence) = node else { return [read(&self, node, path)] }
        if sequence.isEmpty || sequence.count > limit {
            problems.append(
                problem(
                    path, node.mark, nil, "this list has \(sequence.count) entries", allowed: "1 to \(limit) entries"))
            return []
        }
        return sequence.enumerated().map { read(&self, $0.element, "\(path)[\($0.offset + 1)]") }
    }

    mutating func read<Target>(
        _ node: Node, _ path: String, _ settings: [Setting<Target>], required: [String] = [],
        subsections: [String] = [],
        into target: inout Target
    ) {
        let values = children(of: node, path: path, known: settings.map(\.name) + subsections)
        for setting in settings {
            let full = "\(path).\(setting.name)"
            guard let value = values[setting.name] else {
                if required.contains(setting.name) {
                    problems.append(
                        problem(full, node.mark, nil, "this key is missing", allowed: setting.allowed(target)))
                }
                continue
            }
            guard let scalar = value.scalar else {
                problems.append(
                    problem(full, value.mark, nil, "a single value is expected here", allowed: setting.allowed(target)))
                continue
            }
            if scalar.string.isEmpty || scalar.string == "~" || scalar.string == "null" {
                problems.append(problem(full, value.mark, nil, "has no value", allowed: setting.allowed(target)))
                continue
            }
            do throws(Quantity.Refusal) {
                try setting.read(scalar.string, &target)
            } catch {
                problems.append(
                    problem(
                        full, value.mark, setting.isSecret ? nil : scalar.string,
                        (setting.isSecret ? "what stands here " : "\"\(scalar.string)\" ") + error.reason,
                        allowed: setting.allowed(target)))
            }
        }
    }

    mutating func report(_ key: String, _ mark: Mark?, _ message: String) {
        problems.append(problem(key, mark, nil, message, allowed: nil))
    }

    func problem(
        _ key: String, _ mark: Mark?, _ value: String?, _ message: String, allowed: String?
    ) -> ConfigurationFileProblem {
        ConfigurationFileProblem(
            key: key, line: mark?.line ?? 0, column: mark?.column ?? 0, value: value, message: message, allowed: allowed
        )
    }
}

// MARK: Contradictions between keys

extension ConfigurationReader {
    private mutating func checkContradictions(in configuration: GatewayConfiguration) {
        judge(configuration.bridge.control)
        checkTimes(configuration)
        checkPorts(configuration)
        checkReserve(configuration.bridge.control)
        hint(about: configuration.bridge.control)
        hintAboutCAN(configuration.bridge)
        for (index, profile) in profiles.enumerated() { hint(about: profile, index) }
    }

    /// The control logic's own verdict on the complete configuration, in the words of the file.
    private mutating func judge(_ control: ControlConfiguration) {
        var settings: [ConfigurationKey: (path: String, text: (Int64) -> String)] = [:]
        for section in ControlSection.allCases {
            for setting in section.settings {
                if let judge = setting.judge {
                    settings[judge.key] = ("\(section.rawValue).\(setting.name)", judge.text)
                }
            }
        }
        settings[.taper] = settings[.bulk]
        let found = control.problems()
        // A preset is to blame only when nothing that the owner wrote is.
        for isWritten in [true, false] {
            for index in 0..<found.count {
                guard let setting = settings[found[index].key], (places[setting.path] != nil) == isWritten else {
                    continue
                }
                let (value, low, high) = (found[index].value, found[index].low, found[index].high)
                let subject = isWritten ? "" : "the preset \(setting.text(value)) "
                contradiction(
                    setting.path, with: nil, subject + (value < low ? "is too low" : "is too high"),
                    "\(setting.text(low)) to \(setting.text(high))")
            }
            if !problems.isEmpty { return }
        }
        for index in 0..<found.count where settings[found[index].key] == nil {
            // Keys of the tables above that name a fixed range have been checked while reading.
            contradiction("\(found[index].key)", with: nil, "is refused by the control logic", "")
        }
    }

    private mutating func checkTimes(_ configuration: GatewayConfiguration) {
        let hold = configuration.bridge.control.hold
        let seconds = { (time: Milliseconds) in Quantity.duration.text(for: time, in: "s") }
        for index in 0..<configuration.bridge.bmsPorts.count
        where configuration.bridge.bmsPorts[index].pace.interval * 3 > hold {
            contradiction(
                key("bms", entryOfBMSPort[index], "poll"), with: "safety.hold",
                "is so slow that three missed answers are more than safety.hold (\(seconds(hold)))",
                "at most \(seconds(hold / 3))")
        }
    }

    private mutating func checkPorts(_ configuration: GatewayConfiguration) {
        var used: [String: String] = [:]
        var lastBus: CANAddress?
        for (index, address) in configuration.bmsLines.enumerated() {
            let owner = key("bms", entryOfBMSPort[index], "port")
            switch address {
            case .serial(let line): if !line.path.isEmpty { claim(line.path, by: owner, in: &used) }
            case .link: break
            // Several units on one bus are several ports.
            case .can(let bus):
                if bus != lastBus { claim(device(of: bus), by: owner, in: &used) }
                lastBus = bus
            }
        }
        for (index, address) in configuration.inverterBuses.enumerated() {
            let owner = key("inverter", index, "port")
            switch address {
            case .can(let bus): claim(device(of: bus), by: owner, in: &used)
            case .rs485(let line): claim(line.path, by: owner, in: &used)
            }
        }
        var shares: Int32 = 0
        for index in 0..<configuration.bridge.inverterPorts.count {
            shares += configuration.bridge.inverterPorts[index].sharePerMille
        }
        if shares > 1000 {
            contradiction(
                key("inverter", configuration.bridge.inverterPorts.count - 1, "share"), with: nil,
                "makes the shares of all inverters more than the bank has", "shares that add up to at most 100 %")
        }
    }

    private func device(of bus: CANAddress) -> String {
        if case .slcan(let path, _, _) = bus { path } else { bus.description }
    }

    private mutating func claim(_ device: String, by key: String, in used: inout [String: String]) {
        if let other = used[device] {
            return contradiction(key, with: other, "is already used by \(other)", "another port")
        }
        used[device] = key
    }

    private mutating func checkReserve(_ control: ControlConfiguration) {
        if let reserve = control.socReserve, let ceiling = control.socCeiling, reserve > ceiling - 1000 {
            contradiction(
                "limits.soc_reserve", with: "limits.soc_ceiling", "leaves less than 10 % to limits.soc_ceiling",
                "at least 10 % below the ceiling")
        }
    }

    private mutating func hint(about control: ControlConfiguration) {
        for (key, current, verb) in [
            ("charge", control.userCharge, "charged"), ("discharge", control.userDischarge, "discharged"),
        ]
        where current == 0 {
            hints.append("limits.\(key) is 0 A, the factory setting: nothing will be \(verb) until you set it")
        }
    }

    private mutating func hint(about profile: InverterProfile?, _ index: Int) {
        guard let profile else { return }
        let owner = profiles.count == 1 ? "inverter" : "inverter[\(index + 1)]"
        hints.append(
            profile.menu == "not known"
                ? "\(owner): which setting the inverter itself needs is not known; choose the one for Pylontech"
                : "\(owner): set the inverter itself to \(profile.menu)")
        if !profile.note.isEmpty { hints.append("\(owner): \(profile.note)") }
    }

    private mutating func hintAboutCAN(_ bridge: BridgeConfiguration) {
        for index in 0..<bridge.bmsPorts.count where bridge.bmsPorts[index].bmsProtocol == .jkCAN {
            let pack = bridge.control.packs[Int(bridge.bmsPorts[index].firstPack)]
            for (name, limit, verb) in [
                ("charge_over_current", pack.chargeOverCurrent, "charged"),
                ("discharge_over_current", pack.dischargeOverCurrent, "discharged"),
            ] where limit == nil {
                hints.append(
                    "\(key("bms", entryOfBMSPort[index], "pack")).\(name) is not set, and a BMS on CAN does not tell it: nothing will be \(verb)"
                )
            }
        }
    }

    /// `bms[2].poll`, or `inverter.share` where there is no list.
    private func key(_ section: String, _ index: Int, _ name: String) -> String {
        let plain = "\(section).\(name)"
        return places[plain] != nil || places["\(section)[1].port"] == nil ? plain : "\(section)[\(index + 1)].\(name)"
    }

    /// A contradiction, shown at `key` where it stands in the file, else at its section. What a wrong value contradicts says
    /// nothing, so neither key may have a problem of its own.
    mutating func contradiction(_ key: String, with other: String?, _ message: String, _ allowed: String) {
        if problems.contains(where: { $0.key == key || $0.key == other }) { return }
        let place = places[key] ?? places[String(key.prefix(while: { $0 != "." && $0 != "[" }))]
        let subject = places[key].map { "\"\($0.text)\" " } ?? ""
        problems.append(
            problem(
                key, place?.mark, places[key]?.text, subject + message, allowed: allowed.isEmpty ? nil : allowed))
    }
}
