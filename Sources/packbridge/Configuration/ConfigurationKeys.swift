import Battery
import BridgeEngine
import ChargeControl
import InverterDialects
import JKBMS
import LinuxIO

/// One entry of `bms`: a device, and the packs that it reaches there.
struct BMSEntry {
    /// As written; whether it must be a path or a CAN port depends on the protocol.
    var device = ""
    var speech = BMSSpeech.line(.jk4E57) {
        didSet {
            port.bmsProtocol = speech.engineProtocol
            // A radio pauses more often than a wire (amendment 18); the pack's own settings are read later.
            if speech == .bluetooth { pack.extendedHold = true }
        }
    }
    var baud: UInt32 = 115_200
    var port = BMSPortConfiguration()
    /// What is written once for all packs of the entry.
    var pack = PackConfiguration()
    var addresses: [UInt8] = []
}

/// How a BMS speaks, in the words of the file. What a radio carries reaches the engine over Link, through packbridge-ble.
enum BMSSpeech: Equatable {
    case line(BMSProtocolName)
    case bluetooth

    var engineProtocol: BMSProtocolName {
        if case .line(let name) = self { name } else { .link }
    }
}

/// One inverter of the file.
struct InverterEntry {
    var address = InverterAddress.can(.virtual(name: "none"))
    /// Nil until the file or the profile has said it.
    var language: InverterLanguage?
    var profileName: String?
    var profile: InverterProfile? { profileName.flatMap(InverterProfile.named) }
    var port = InverterPortConfiguration()
}

/// Where the control process keeps and publishes things.
struct FileEntry {
    var state: String? = "/var/lib/packbridge"
    var link: String? = "/run/packbridge/link"
}

// MARK: The keys, section by section. Ranges: specs control/charge-control.md §2, failsafe.md §3, amendments 18, 24, 27, 28.

extension BatteryKind {
    static var settings: [Setting<BatteryKind>] {
        [
            .choice(
                "chemistry", ["lfp": .lfp, "nmc": .nmc, "lto": .lto], \.chemistry,
                "LiFePO4, nickel-manganese-cobalt or lithium titanate; decides the voltage and temperature tables"),
            .quantity("cells", .count, "", 3...32, \.cells, "cells in series, the same in every pack"),
        ]
    }
}

extension BMSEntry {
    static var settings: [Setting<BMSEntry>] {
        [
            .choice(
                "protocol", BMSProtocolName.allCases.map { ("\($0.text)", .line($0)) } + [("jk-ble", .bluetooth)], \.speech,
                "how the BMS speaks"),
            .text(
                "port",
                allowed:
                    "the path of a serial device; for jk-can socketcan:can1 or slcan:/dev/ttyACM1@250000; for jk-ble C8:47:8C:E0:12:34",
                "the serial adapter; /dev/serial/by-id/… survives replugging"
            ) {
                text, entry throws(Quantity.Refusal) in
                if entry.speech == .bluetooth {
                    if !RadioSearch.isAddress(text) { throw Quantity.Refusal(reason: "is no Bluetooth address") }
                } else if entry.port.bmsProtocol == .link {
                    throw Quantity.Refusal(reason: "has no meaning: another program sends the readings")
                } else if entry.port.bmsProtocol == .jkCAN {
                    _ = try canAddress(text)
                } else if !text.hasPrefix("/") {
                    throw Quantity.Refusal(reason: "is no path from the root of the file system")
                }
                entry.device = text
            },
            .text(
                "address", allowed: "numbers from 0 to 15, separated by blanks; jk-4e57 and link have none",
                "address of each pack on this line, as its switches say; one pack for each number"
            ) {
                text, entry throws(Quantity.Refusal) in
                if entry.port.bmsProtocol == .jk4E57 || entry.port.bmsProtocol == .link {
                    throw Quantity.Refusal(reason: "has no meaning: this protocol has one pack without an address")
                }
                for word in text.split(separator: " ") {
                    guard let number = UInt8(word), number <= 15 else {
                        throw Quantity.Refusal(reason: "names an address that does not exist")
                    }
                    if entry.addresses.contains(number) { throw Quantity.Refusal(reason: "names an address twice") }
                    entry.addresses.append(number)
                }
            },
            .flag(
                "listen_only", \.port.listenOnly,
                "jk-55aaeb90: send nothing, because another host asks; always so with address 0, the master"),
            .choice(
                "current_sign", ["charge": false, "discharge": true], \.port.dischargeIsPositive,
                "jk-can: what a positive current means; sources disagree, so compare with the sun"),
            .flag(
                "trust_unconfirmed", \.port.trustsUnconfirmed,
                "jk-can: believe the charge request of the BMS, whose layout nobody has verified"),
            .quantity("baud", .count, "", 1200...4_000_000, \.baud, "bits per second"),
            .text(
                "poll", allowed: "100 ms to 5 s, or fast",
                "how often the BMS is asked; fast asks again as soon as it has answered"
            ) {
                text, entry throws(Quantity.Refusal) in
                if text == "fast" { return entry.port.pace.interval = 0 }
                let value = try Quantity.duration.read(text, plainUnit: "s")
                guard (100...5000).contains(value) else {
                    throw Quantity.Refusal(reason: value < 100 ? "is too low" : "is too high")
                }
                entry.port.pace.interval = value
            },
            .quantity(
                "gap", .duration, "ms", 100...1000, \.port.pace.gap, "silence between two packets on the line"),
            .quantity(
                "reply_timeout", .duration, "ms", 100...3000, \.port.pace.replyTimeout,
                "how long to wait for the first byte of a reply"),
            .quantity("retries", .count, "", 0...5, \.port.pace.retries, "how often a request is repeated"),
        ]
    }
}

extension PackConfiguration {
    static var settings: [Setting<PackConfiguration>] {
        [
            .flag("enabled", \.isEnabled, "false: the pack is physically disconnected and not expected"),
            .quantity(
                "charge", .current, "A", 0...1_000_000, \.chargeLimit, "charge current that this pack may take"
            ),
            .quantity(
                "discharge", .current, "A", 0...1_000_000, \.dischargeLimit,
                "discharge current that this pack may give"),
            .quantity(
                "capacity", .capacity, "Ah", 1000...5_000_000, \.capacity,
                "used only when the BMS reports no capacity"),
            .quantity(
                "charge_over_current", .current, "A", 1000...1_000_000, \.chargeOverCurrent,
                "the BMS's charge over-current limit, only for a BMS whose settings cannot be read"),
            .quantity(
                "discharge_over_current", .current, "A", 1000...1_000_000, \.dischargeOverCurrent,
                "the BMS's discharge over-current limit, only for a BMS whose settings cannot be read"),
            .text(
                "ignored_sensors", allowed: "numbers from 1 to \(maximumCellSensors), separated by blanks",
                "cell temperature sensors that are broken or not connected"
            ) { text, pack throws(Quantity.Refusal) in
                for word in text.split(separator: " ") {
                    guard let number = Int(word), (1...maximumCellSensors).contains(number) else {
                        throw Quantity.Refusal(reason: "names a sensor that does not exist")
                    }
                    pack.disabledSensors |= 1 << UInt8(number - 1)
                }
            },
            .flag(
                "extended_hold", \.extendedHold, "tolerate 120 s of silence at low current in the middle of the charge"),
        ]
    }
}

extension InverterEntry {
    static var settings: [Setting<InverterEntry>] {
        [
            // First, because the other keys change what it says.
            .text(
                "profile", allowed: "a name that `packbridge inverters` lists",
                "the inverter by its name: dialect, period and behaviour follow from it"
            ) { text, entry throws(Quantity.Refusal) in
                guard let profile = InverterProfile.named(text) else {
                    let suggestion = closest(to: text, among: InverterProfile.all.map(\.name))
                    throw Quantity.Refusal(
                        reason: "is no known inverter" + (suggestion.map { "; did you mean \"\($0)\"?" } ?? ""))
                }
                entry = profile.inverter
                entry.profileName = text
            },
            .choice(
                "dialect", DialectName.allCases.map { ("\($0.text)", .can($0)) } + [("pylontech-rs485", .pylontechRS485)],
                \.language,
                "the battery language that the inverter is set to"),
            .text(
                "port",
                allowed:
                    "socketcan:can0, slcan:/dev/ttyACM0[@bitrate[:baud]], rs485:/dev/ttyUSB1[@baud], candump:FILE, virtual:NAME",
                "the CAN interface, or the RS485 adapter"
            ) { text, entry throws(Quantity.Refusal) in
                if text.hasPrefix("rs485:") {
                    entry.address = .rs485(try serialLine(text.dropFirst(6), baud: 9600))
                } else {
                    entry.address = .can(try canAddress(text))
                }
            },
            .quantity(
                "period", .duration, "s", 100...1200, \.port.cycle,
                "a complete set of frames goes out once in this time"),
            .quantity(
                "share", .percentage, "%", per: 10, 10...10_000, \.port.sharePerMille,
                "part of the bank's current limits that this inverter may use"),
            .text("name", allowed: "1 to 8 letters", "name of the battery, for an inverter that accepts only some") {
                text, entry throws(Quantity.Refusal) in
                guard let name = DialectOptions.name(Array(text.utf8).span) else {
                    throw Quantity.Refusal(reason: "is no name of at most 8 plain letters")
                }
                entry.port.options.name = name
            },
            .choice(
                "voltage_step", ["0.1 V": true, "0.01 V": false], \.port.options.isVoltageInTenths,
                "step of the measured voltage in frame 0x356; compare with the inverter's display"),
            .choice(
                "limit_step", ["0.1 A": .tenthOfAmpere, "0.01 A": .hundredthOfAmpere], \.limitStep,
                "RS485: step of the current limits; a factor of ten, so compare with the inverter's display"),
            .quantity(
                "group", .count, "", 0...14, \.group, "RS485: group of the battery, as its switches would say"),
            .flag(
                "answers_every_address", \.answersEveryAddress,
                "RS485: answer for every address from the first one, for SRNE"),
            .flag(
                "negative_discharge_limit", \.hasNegativeDischargeLimit,
                "RS485: send the discharge limit of command 63 as a negative number, for Vevor"),
        ]
    }
}

/// The RS485 settings exist only on an RS485 port; written elsewhere they are a contradiction that the reader reports.
extension InverterEntry {
    private var rs485: PylontechRS485Settings {
        get { port.rs485 ?? PylontechRS485Settings() }
        set { port.rs485 = newValue }
    }
    var limitStep: PylontechRS485Settings.LimitStep {
        get { rs485.limitStep }
        set { rs485.limitStep = newValue }
    }
    var group: UInt8 {
        get { rs485.address >> 4 }
        set { rs485.address = newValue << 4 | 2 }
    }
    var answersEveryAddress: Bool {
        get { rs485.answersEveryAddress }
        set { rs485.answersEveryAddress = newValue }
    }
    var hasNegativeDischargeLimit: Bool {
        get { rs485.hasNegativeDischargeLimit }
        set { rs485.hasNegativeDischargeLimit = newValue }
    }
}

func canAddress(_ text: String) throws(Quantity.Refusal) -> CANAddress {
    do throws(CANAddressError) { return try CANAddress(text) } catch {
        // What may be written instead is said once, as the allowed values.
        throw Quantity.Refusal(reason: "is refused: \(error.description.prefix { $0 != ";" })")
    }
}

/// `/dev/ttyUSB1[@baud]`
private func serialLine(_ text: Substring, baud: UInt32) throws(Quantity.Refusal) -> SerialLineConfiguration {
    let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0].hasPrefix("/") else {
        throw Quantity.Refusal(reason: "names no path from the root of the file system")
    }
    guard parts.count == 2 else { return SerialLineConfiguration(path: String(parts[0]), baud: baud) }
    guard let written = UInt32(parts[1]), (1200...4_000_000).contains(written) else {
        throw Quantity.Refusal(reason: "has no baud rate from 1200 to 4000000 behind the @")
    }
    return SerialLineConfiguration(path: String(parts[0]), baud: written)
}

extension FileEntry {
    static var settings: [Setting<FileEntry>] {
        func path(_ text: String) throws(Quantity.Refusal) -> String? {
            text == "none" ? nil : try rootedPath(text)
        }
        return [
            .text("state", allowed: "a folder, or none", "folder of the record that survives a restart") {
                text, files throws(Quantity.Refusal) in files.state = try path(text)
            },
            .text("link", allowed: "the path of a socket, or none", "unix socket on which the other commands listen") {
                text, files throws(Quantity.Refusal) in files.link = try path(text)
            },
        ]
    }
}

/// The sections that describe how the bank is treated; all of them fill the configuration of the control logic.
enum ControlSection: String, CaseIterable {
    case limits, charge, soc, requests, safety
    case inverterBehaviour = "inverter_behaviour"

    var settings: [Setting<ControlConfiguration>] {
        switch self {
        case .limits:
            [
                .judged(
                    "charge", .userCharge, .current, "A", \.userCharge, "charge current of the whole bank"),
                .judged(
                    "discharge", .userDischarge, .current, "A", \.userDischarge,
                    "discharge current of the whole bank"),
                .judged(
                    "charge_rate", .chargeRate, .chargeRate, "C", \.chargeRateMaximum,
                    "charge current of a pack as a part of its capacity"),
                .judged(
                    "bms_margin", .bmsMargin, .percentage, "%", per: 100, \.bmsMarginPercent,
                    "part of the BMS's own over-current limit that is used"),
                .judged(
                    "empty_cell", .dischargeZero, .voltage, "V", \.dischargeZeroFloor,
                    "the discharge current reaches 0 at this voltage of the lowest cell"),
                .judged(
                    "discharge_voltage", .userDischargeVoltage, .voltage, "V",
                    \.userDischargeVoltage,
                    "lowest voltage told to the inverter, per cell; without it the cells' limits decide"),
                .judged(
                    "no_charge_below", .coldZero, .temperature, "°C", \.coldZero,
                    "no charging at or below this cell temperature"),
                .judged(
                    "charge_again_at", .coldReallow, .temperature, "°C", \.coldReallow,
                    "charging returns when every cell sensor has reached this"),
                .judged(
                    "soc_ceiling", .socCeiling, .percentage, "%", \.socCeiling,
                    "charge only up to this state of charge"),
                .judged(
                    "soc_reserve", .socReserve, .percentage, "%", \.socReserve,
                    "discharge only down to this state of charge"),
                .flag("soc_taper", \.socTaper, "lower the currents near full and empty by state of charge too"),
                .choice(
                    "taper", ["standard": .standard, "gentle": .gentle, "late": .late], \.taper,
                    "how early the charge current falls as the highest cell rises"),
            ]
        case .charge:
            [
                .judged("bulk", .bulk, .voltage, "V", \.bulk, "charge voltage per cell"),
                .judged(
                    "float", .float, .voltage, "V", \.float, "voltage per cell once full"),
                .judged(
                    "rebulk", .rebulk, .voltage, "V", \.rebulk,
                    "a new charge begins when the highest cell has fallen to this"),
                .judged(
                    "rebulk_soc", .rebulkSoC, .percentage, "%", \.rebulkSoC,
                    "a new charge begins at this state of charge"),
                .flag("rebulk_on_imbalance", \.rebulkOnImbalance, "a new charge begins when the cells differ by 80 mV"),
                .judged(
                    "full_every", .fullEveryDays, .duration, "days", per: 86_400_000, \.fullEveryDays,
                    "a full charge at least this often; 0 = never forced"),
                .judged(
                    "absorb_at_most", .absorbMaximum, .duration, "min", \.absorbMaximum,
                    "the absorption phase ends after this time at the latest"),
                .choice(
                    "float_mode", ["ramp": .ramp, "follow": .follow, "immediate": .immediate, "none": .none],
                    \.floatMode,
                    "how the charge voltage comes down to float"),
                .judged(
                    "follow_gap", .followGap, .voltage, "V", \.followGap,
                    "float_mode follow: how far the charge voltage stays above the bank, pack level"),
                .choice(
                    "full_policy", ["strict": .strict, "lenient": .lenient], \.fullPolicy,
                    "lenient: a charge that one leading cell ended early counts as full"),
                .judged(
                    "runner_gain", .runnerGain, .factor, "", \.runnerGainTenths,
                    "how strongly a leading cell lowers the charge voltage"),
                .judged(
                    "inverter_offset", .inverterOffset, .voltage, "V", \.inverterOffset,
                    "added to the charge voltage for an inverter that measures too high, pack level"),
            ]
        case .soc:
            [
                .judged(
                    "cap_before_full", .socCap, .percentage, "%", per: 100, \.socCapBeforeFull,
                    "highest state of charge that is shown before the battery is proven full"),
                .flag("coulomb_counter", \.coulombCounter, "count the charge ourselves instead of believing the BMS"),
            ]
        case .requests:
            [
                .flag(
                    "force_charge", \.forceChargeRequests, "ask the inverter to charge from the grid when nearly empty"),
                .flag(
                    "full_charge", \.fullChargeRequest,
                    "ask the inverter for a full charge when the last one is long ago"),
            ]
        case .safety:
            [
                .judged(
                    "hold", .hold, .duration, "s", \.hold,
                    "silence of the BMS after which its limits begin to fall"),
                .judged(
                    "zero", .zero, .duration, "s", \.zero,
                    "silence of the BMS after which its limits are 0"),
                .choice(
                    "discharge_disobeyed", ["warn": .warn, "cut": .cut], \.obeyDischargeAction,
                    "what happens when the inverter draws more than it may"),
                .flag(
                    "charge_disobeyed_sets_protection", \.obeyProtectsByBit,
                    "set the protection bit when the inverter charges more than it may"),
                .flag(
                    "wire_resistance_stops", \.wireResistanceStops,
                    "a balance wire fault of the BMS stops charge and discharge"),
            ]
        case .inverterBehaviour:
            [
                .judged(
                    "zero_current", .zeroCurrent, .current, "A", \.inverter.zeroCurrent,
                    "what this inverter takes for zero; 0.1 A for one that ignores 0"),
                .flag(
                    "lowers_voltage_when_blocked", \.inverter.lowersVoltageWhenBlocked,
                    "lower the charge voltage while charging is blocked, for chargers that ignore the current limit"),
                .flag(
                    "protection_cuts_output", \.inverter.protectionCutsOutput,
                    "a protection bit makes it switch its output off; then only warnings are sent while discharge is allowed"
                ),
                .flag("has_soc_cut_off", \.inverter.hasSoCCutOff, "it shuts down by state of charge"),
                .flag(
                    "disables_charge_in_rest", \.inverter.disablesChargeInRest,
                    "withdraw the charge permission in the rest phase"),
                .flag(
                    "full_request_ends_at_97", \.inverter.fullRequestReleasesAt97,
                    "end the request for a full charge at 97 % instead of at full"),
                .flag(
                    "silent_when_lost", \.inverter.silentWhenLost,
                    "send nothing instead of zero limits when the BMS is lost"),
            ]
        }
    }
}
