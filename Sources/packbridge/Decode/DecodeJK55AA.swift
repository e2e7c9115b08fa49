import Battery
import JKBMS

/// `packbridge decode --protocol jk-55aaeb90`: the 300-byte records of JK units, alone, with the acknowledgement behind them, or in the
/// traffic of an RS485 bus.
struct JK55AAExplainer: FrameExplainer {
    private let options: DecodeOptions

    init(options: DecodeOptions) {
        self.options = options
    }

    // MARK: JSON

    mutating func writeObject(for line: String, to json: inout JSONText) -> Bool {
        guard let bytes = bytes(fromHex: line) else {
            json.rejection("not hexadecimal")
            return false
        }
        if options.stream { return writeStream(bytes, to: &json) }
        let parts = split(bytes)
        if parts.record.isEmpty {
            var modbus = JKModbusExplainer(options: options)
            return modbus.writeObject(for: line, to: &json)
        }
        let record = JK55AARecord(parts.record, showSecrets: options.showSecrets)
        json.object {
            $0.field("accepted", record.rejection == nil)
            if let rejection = record.rejection { $0.field("error", record.explanation(of: rejection)) }
            if let sender = parts.sender { $0.field("address_from_following_ack", sender) }
            record.writeFields(to: &$0)
        }
        return record.rejection == nil
    }

    /// A record alone, or with its acknowledgement; everything else is a Modbus telegram.
    private func split(_ bytes: [UInt8]) -> (record: [UInt8], sender: UInt8?) {
        if bytes.count == 308 {
            let items = busItems(bytes)
            if items.count == 2, items[0].element == .record, case .acknowledgement(let address, _) = items[1].element {
                return (Array(bytes.prefix(300)), address)
            }
        }
        let looksLikeModbus = bytes.count >= 5 && bytes.count < 300 && [0x03, 0x10, 0x83, 0x90].contains(bytes[1])
        return looksLikeModbus ? ([], nil) : (bytes, nil)
    }

    /// `items` is everything on the bus in its order, `frames` the accepted records among it.
    private func writeStream(_ stream: [UInt8], to json: inout JSONText) -> Bool {
        let items = busItems(stream)
        let records = items.indices.filter { items[$0].element == .record }.map { index in
            (index: index, record: JK55AARecord(Array(stream[items[index].range]), showSecrets: options.showSecrets))
        }
        let accepted = records.filter { $0.record.rejection == nil }
        json.object {
            $0.key("frames")
            $0.array { json in
                for (index, record) in accepted {
                    json.object {
                        writePlace(items[index], to: &$0)
                        $0.field("address_from_following_ack", sender(of: index, items))
                        record.writeFields(to: &$0)
                    }
                }
            }
            $0.key("items")
            $0.array { json in
                for index in items.indices {
                    json.object {
                        writeKind(items[index].element, to: &$0)
                        writePlace(items[index], to: &$0)
                        guard let record = records.first(where: { $0.index == index })?.record else { return }
                        $0.field("address_from_following_ack", sender(of: index, items))
                        record.writeFields(to: &$0)
                    }
                }
            }
            $0.field("payload_count", accepted.count)
        }
        return accepted.count == records.count
    }

    private func writePlace(_ item: BusItem, to json: inout JSONText) {
        json.field("offset", item.range.lowerBound)
        json.field("length", item.range.count)
    }

    private func writeKind(_ element: JKBusStream.Element, to json: inout JSONText) {
        switch element {
        case .record: json.field("kind", "payload")
        case .junk: json.field("kind", "junk")
        case .write(let address, let register): writeKind("request", address, register, to: &json)
        case .acknowledgement(let address, let register): writeKind("ack", address, register, to: &json)
        case .readRequest(let address, let register, _): writeKind("read_request", address, register, to: &json)
        case .readReply(let address, _): writeKind("read_reply", address, nil, to: &json)
        case .exception(let address, _, _): writeKind("exception", address, nil, to: &json)
        }
    }

    private func writeKind(_ kind: String, _ address: UInt8, _ register: UInt16?, to json: inout JSONText) {
        json.field("kind", kind)
        json.field("address", address)
        if let register { json.field("register", register) }
    }

    /// Only the acknowledgement behind a record names its sender.
    private func sender(of index: Int, _ items: [BusItem]) -> UInt8? {
        guard index + 1 < items.count, case .acknowledgement(let address, _) = items[index + 1].element else {
            return nil
        }
        return address
    }

    // MARK: Text

    mutating func explain(_ line: String, to text: inout String) -> Bool {
        guard let bytes = bytes(fromHex: line) else {
            text += "not hexadecimal\n"
            return false
        }
        if options.stream {
            var json = JSONText()
            let good = writeStream(bytes, to: &json)
            text += json.string + "\n"
            return good
        }
        let parts = split(bytes)
        if parts.record.isEmpty {
            var modbus = JKModbusExplainer(options: options)
            return modbus.explain(line, to: &text)
        }
        let record = JK55AARecord(parts.record, showSecrets: options.showSecrets)
        text += "JK 55AAEB90 record, \(bytes.count) bytes: "
        text += record.rejection.map { "REJECTED, \(record.explanation(of: $0))\n" } ?? "accepted\n"
        text += record.rows
        if let sender = parts.sender {
            text += explanationRow(300, bytes[300...], "acknowledgement", "of unit \(sender)")
        }
        return record.rejection == nil
    }
}

/// One thing on the bus.
struct BusItem {
    var element: JKBusStream.Element
    var range: Range<Int>
}

/// Everything in a piece of bus traffic, neighbouring junk joined.
func busItems(_ stream: [UInt8]) -> [BusItem] {
    var bus = JKBusStream()
    var items: [BusItem] = []
    var taken = 0
    // The second instant is after every deadline: at the end of the line nothing more will come.
    for now in [Instant(milliseconds: 0), Instant(milliseconds: 1_000_000)] {
        repeat {
            taken += bus.take(stream.span.extracting(taken..<stream.count), at: now)
            while let (element, offset, length) = bus.next(at: now) {
                let range = Int(offset)..<Int(offset) + length
                if element == .junk, let last = items.last, last.element == .junk {
                    items[items.count - 1].range = last.range.lowerBound..<range.upperBound
                } else {
                    items.append(BusItem(element: element, range: range))
                }
            }
        } while taken < stream.count
    }
    return items
}

/// One record, decoded as far as it can be believed.
struct JK55AARecord {
    let bytes: [UInt8]
    let showSecrets: Bool
    private(set) var rejection: FrameRejection?
    private var kind: JK55AA.Kind?
    private var layout: JK55AA.Layout?

    init(_ bytes: [UInt8], showSecrets: Bool) {
        self.bytes = bytes
        self.showSecrets = showSecrets
        do throws(FrameRejection) {
            kind = try JK55AA.validate(bytes.span)
            switch kind {
            case .status:
                var probes = JKProbes()
                var reading = PackReading()
                layout = try JK55AA.decodeStatus(bytes.span, probes: &probes, into: &reading)
            case .settings:
                var settings = PackSettings()
                _ = try JK55AA.decodeSettings(bytes.span, into: &settings)
                layout = JK55AA.settingsLayout(bytes.span)
            default: break
            }
        } catch {
            rejection = error
        }
    }

    private var layoutName: String? {
        switch layout {
        case .jk04: "JK04"
        case .cells24: kind == .settings ? "JK02" : "JK02_24S"
        case .cells32: "JK02_32S"
        case nil: nil
        }
    }

    private var registers: JKRegisterText? {
        guard rejection == nil, layout != .jk04, let kind else { return nil }
        let block: JKRegisters.Block
        switch kind {
        case .settings: block = .settings
        case .status: block = .status
        case .about: block = .about
        case .logBook, .faults: return nil
        }
        let isShort = layout == .cells24
        return JKRegisterText(
            block: block, registers: .record(block, cells24: isShort && block == .status), bytes: bytes,
            showSecrets: showSecrets, end: isShort && block == .settings ? jkSharedSettingsEnd : .max)
    }

    func writeFields(to json: inout JSONText) {
        json.field("frame_type", bytes.count > 4 ? bytes[4] : nil)
        json.field("counter", bytes.count > 5 ? bytes[5] : nil)
        if rejection != nil { return }
        if let layoutName { json.field("layout", layoutName) }
        registers?.write(to: &json)
        if layout == .jk04 { JK04Fields(bytes: bytes).write(kind, to: &json) }
    }

    var rows: String {
        if bytes.count < 6 { return "" }
        let type = kind.map { String(describing: $0) } ?? "unknown"
        var text = explanationRow(0, bytes[0..<4], "start", "")
        text += explanationRow(4, bytes[4..<5], "type", type + (layoutName.map { ", layout \($0)" } ?? ""))
        text += explanationRow(5, bytes[5..<6], "counter or source", "")
        if let registers {
            text += registers.rows { registers.registers.offset(of: $0) ?? 0 }
        }
        if bytes.count == 300 { text += explanationRow(299, bytes[299...], "sum", rejection == nil ? "correct" : "") }
        return text
    }

    func explanation(of rejection: FrameRejection) -> String {
        switch rejection {
        case .noise: return "\(rejection.words): it begins with 55AAEB90"
        case .truncated, .badLength: return "\(rejection.words): a record has 300 bytes, there are \(bytes.count)"
        case .badChecksum:
            let sum = bytes.prefix(299).reduce(UInt8(0)) { $0 &+ $1 }
            return "\(rejection.words): \(hexText([sum])) computed, \(hexText([bytes[299]])) found"
        case .badStructure: return "the sum is right, but the values contradict each other or fit no known layout"
        default: return rejection.words
        }
    }
}

/// The float layout of old units.
private struct JK04Fields {
    let bytes: [UInt8]

    func write(_ kind: JK55AA.Kind?, to json: inout JSONText) {
        if kind == .settings { writeSettings(to: &json) } else { writeStatus(to: &json) }
    }

    private func writeStatus(to json: inout JSONText) {
        let mask = word(JK55AA.JK04.mask)
        json.key("cell_voltages_mV")
        json.array { json in
            for k in 0..<24 where mask >> UInt32(k) & 1 != 0 {
                json.fixed(scaled(JK55AA.JK04.cells + 4 * k, 10_000) ?? 0, decimals: 1)
            }
        }
        json.field("cell_count", mask.nonzeroBitCount)
        json.field("avg_cell_mV", fixed: scaled(JK55AA.JK04.average, 10_000), decimals: 1)
        json.field("delta_cell_mV", fixed: scaled(JK55AA.JK04.difference, 10_000), decimals: 1)
        json.field("cell_mask", mask)
        json.field("balancing", bytes[JK55AA.JK04.balancing])
        json.field("balance_current_A", fixed: scaled(JK55AA.JK04.balanceCurrent, 10_000), decimals: 4)
        json.field("runtime_s", word(JK55AA.JK04.runtime))
    }

    private func writeSettings(to json: inout JSONText) {
        json.field("cell_count", word(JK55AA.JK04.cellCount))
        json.field("power_off_mV", fixed: scaled(JK55AA.JK04.powerOff, 10_000), decimals: 1)
        json.field("vref", fixed: scaled(JK55AA.JK04.calibration, 100_000), decimals: 5)
        json.field("balance_start_mV", fixed: scaled(JK55AA.JK04.balanceStart, 10_000), decimals: 1)
        json.field("balance_trigger_mV", fixed: scaled(JK55AA.JK04.balanceTrigger, 10_000), decimals: 1)
        json.field("max_balance_A", fixed: scaled(JK55AA.JK04.balanceCurrentLimit, 10_000), decimals: 4)
        json.field("balance_enabled", bytes[JK55AA.JK04.balancerEnabled] != 0)
    }

    private func scaled(_ offset: Int, _ scale: Int64) -> Int64? {
        JK55AA.scaled(bytes.span, at: offset, by: scale)
    }

    private func word(_ at: Int) -> UInt32 {
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
    }
}
